//! Calls for sparse rows: their bits, their limits, and models of the other family.

use std::ops::ControlFlow;

use crate::goldens::{Fixture, texts};
use encoder::{EncodeError, EncodeOptions, Encoder, SparseOptions, SparseRows};

fn go_on(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn encode(encoder: &Encoder, texts: &[String], options: &SparseOptions) -> SparseRows {
    encoder.encode_sparse(texts.to_vec(), options, &mut go_on).unwrap()
}

#[test]
fn a_sparse_row_has_the_same_bits_whatever_surrounds_it() {
    for name in ["splade", "splade-sum"] {
        let Some(fixture) = Fixture::open(name) else { return };
        let texts = texts();
        let together = encode(&fixture.load(1), &texts, &SparseOptions::default());
        assert_eq!(together.offsets.len(), texts.len() + 1);
        for threads in [1, 2, 5] {
            let encoder = fixture.load(threads);
            for batch_size in [1, 3, usize::MAX] {
                let options = SparseOptions { batch_size: Some(batch_size), ..SparseOptions::default() };
                assert_eq!(encode(&encoder, &texts, &options), together, "{name}, {threads} threads, {batch_size}");
            }
        }
    }
}

#[test]
fn no_texts_give_one_offset() {
    let Some(fixture) = Fixture::open("splade") else { return };
    let rows = encode(&fixture.load(2), &[], &SparseOptions::default());
    assert_eq!(rows, SparseRows { offsets: vec![0], ..SparseRows::default() });
}

#[test]
fn the_limit_of_the_model_and_of_the_call() {
    let Some(fixture) = Fixture::open("splade-sum") else { return };
    let encoder = fixture.load(2);
    let most = |max_active_dims| {
        let rows = encode(&encoder, &texts(), &SparseOptions { max_active_dims, ..SparseOptions::default() });
        rows.offsets.array_windows().map(|[start, end]| end - start).max().unwrap()
    };
    assert_eq!(encoder.settings().max_active_dims, Some(32));
    assert_eq!((most(None), most(Some(3))), (32, 3));
    assert!(most(Some(usize::MAX)) > 32);
    let none = SparseOptions { max_active_dims: Some(0), ..SparseOptions::default() };
    let error = encoder.encode_sparse(texts(), &none, &mut go_on).unwrap_err();
    assert_eq!(error.to_string(), "max_active_dims: expected an integer of at least 1, found 0");
}

#[test]
fn a_call_for_the_other_family_is_refused() {
    let (Some(sparse), Some(dense)) = (Fixture::open("splade"), Fixture::open("bert-mean")) else { return };
    let (sparse, dense) = (sparse.load(1), dense.load(1));
    assert!(sparse.is_sparse() && !dense.is_sparse());
    let options = EncodeOptions::default();
    for error in [
        sparse.encode(texts(), &options, &mut go_on).unwrap_err(),
        sparse.token_embeddings(texts(), &options, &mut go_on).unwrap_err(),
    ] {
        assert!(matches!(error, EncodeError::Family { .. }));
        assert_eq!(error.to_string(), "expected a model of dense vectors, found one of sparse vectors");
    }
    let error = dense.encode_sparse(texts(), &SparseOptions::default(), &mut go_on).unwrap_err();
    assert_eq!(error.to_string(), "expected a model of sparse vectors, found one of dense vectors");
    assert_eq!(sparse.vocabulary().len(), sparse.dimension());
    assert_eq!(sparse.vocabulary()[0], "[PAD]");
}

#[test]
fn a_sparse_call_can_be_cancelled() {
    let Some(fixture) = Fixture::open("splade") else { return };
    let many: Vec<String> = std::iter::repeat_n(texts(), 2000).flatten().collect();
    let encoder = fixture.load(2);
    let error = encoder.encode_sparse(many, &SparseOptions::default(), &mut |_| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(error, EncodeError::Cancelled), "{error}");
}
