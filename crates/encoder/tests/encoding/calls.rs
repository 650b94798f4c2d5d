//! What a call promises besides its numbers: independence of neighbours, limits, errors, cancelling and watching.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::goldens::{Fixture, encode, texts, token_ids};
use encoder::{Dtype, DtypeChoice, EncodeError, EncodeOptions, Encoder, LoadOptions};

fn go_on(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_row_has_the_same_bits_whatever_surrounds_it() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let texts = texts();
    let encoder = fixture.load(1);
    let columns = encoder.dimension();
    let alone: Vec<f32> =
        texts.iter().flat_map(|text| encode(&encoder, std::slice::from_ref(text), &EncodeOptions::default())).collect();
    for threads in [1, 2, 5] {
        let encoder = fixture.load(threads);
        for batch_size in [1, 3, 32, usize::MAX] {
            let options = EncodeOptions { batch_size: Some(batch_size), ..EncodeOptions::default() };
            assert_eq!(encode(&encoder, &texts, &options), alone, "{threads} threads, batch size {batch_size}");
            let reversed: Vec<String> = texts.iter().rev().cloned().collect();
            let rows = encode(&encoder, &reversed, &options);
            let in_order: Vec<f32> = rows.chunks_exact(columns).rev().flatten().copied().collect();
            assert_eq!(in_order, alone, "reversed, {threads} threads, batch size {batch_size}");
        }
    }
}

/// Calls of one text, which the calling threads compute themselves, beside each other and beside long calls.
#[test]
fn short_calls_beside_each_other_have_the_same_bits() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let texts = texts();
    let encoder = fixture.load(2);
    let columns = encoder.dimension();
    let together = encode(&encoder, &texts, &EncodeOptions::default());
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (encoder, texts, together) = (&encoder, &texts, &together);
            scope.spawn(move || {
                for (text, row) in texts.iter().zip(together.chunks_exact(columns)).cycle().skip(thread * 7).take(120) {
                    assert_eq!(encode(encoder, std::slice::from_ref(text), &EncodeOptions::default()), row);
                }
                if thread == 0 {
                    assert_eq!(&encode(encoder, texts, &EncodeOptions::default()), together);
                }
            });
        }
    });
}

#[test]
fn no_texts_give_no_rows() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let encoder = fixture.load(2);
    assert!(encode(&encoder, &[], &EncodeOptions::default()).is_empty());
    assert!(token_ids(&encoder, &[], None).is_empty());
}

#[test]
fn the_length_limit_can_be_set_and_cuts_before_sep() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let encoder = fixture.load(2);
    let text = ["the cell and the virus [SEP] in the blood of the mice".to_owned()];
    let whole = token_ids(&encoder, &text, None).remove(0);
    for limit in [2, 3, whole.len() - 1, whole.len(), whole.len() + 1, 128] {
        encoder.set_max_seq_length(limit).unwrap();
        assert_eq!(encoder.max_seq_length(), Some(limit));
        let kept = limit.min(whole.len());
        let expected = [&whole[..kept - 1], &whole[whole.len() - 1..]].concat();
        assert_eq!(token_ids(&encoder, &text, None), [expected], "limit {limit}");
        assert_eq!(encode(&encoder, &text, &EncodeOptions::default()).len(), encoder.dimension());
    }
    for limit in [0, 1, 513] {
        let error = encoder.set_max_seq_length(limit).unwrap_err().to_string();
        let expected =
            "max_seq_length: expected an integer from 2 (the special tokens) to 512 (max_position_embeddings)";
        assert_eq!(error, format!("{expected}, found {limit}"));
    }
    assert_eq!(encoder.max_seq_length(), Some(128));
}

#[test]
fn a_prompt_that_fills_the_limit_leaves_only_sep() {
    let Some(fixture) = Fixture::open("bert-prompt-excluded") else { return };
    let encoder = fixture.load(1);
    encoder.set_max_seq_length(6).unwrap();
    let options = EncodeOptions { prompt: Some("cell ".repeat(9)), ..EncodeOptions::default() };
    let rows = encode(&encoder, &["one".to_owned(), "two".to_owned()], &options);
    let (one, two) = rows.split_at(encoder.dimension());
    assert_eq!(one, two);
    assert!(one.iter().any(|value| *value != 0.0));
}

#[test]
fn a_static_row_has_the_same_bits_whatever_surrounds_it() {
    for name in ["static", "static-normalize", "model2vec-mapped"] {
        let Some(fixture) = Fixture::open(name) else { return };
        // Some hundred texts, so that there are several tasks.
        let texts: Vec<String> = texts().into_iter().cycle().take(300).collect();
        let encoder = fixture.load(1);
        let columns = encoder.dimension();
        let alone: Vec<f32> = texts
            .iter()
            .flat_map(|text| encode(&encoder, std::slice::from_ref(text), &EncodeOptions::default()))
            .collect();
        for threads in [1, 2, 5] {
            let encoder = fixture.load(threads);
            assert_eq!(encode(&encoder, &texts, &EncodeOptions::default()), alone, "{name}, {threads} threads");
            let reversed: Vec<String> = texts.iter().rev().cloned().collect();
            let rows = encode(&encoder, &reversed, &EncodeOptions::default());
            let in_order: Vec<f32> = rows.chunks_exact(columns).rev().flatten().copied().collect();
            assert_eq!(in_order, alone, "{name}, reversed, {threads} threads");
        }
    }
}

#[test]
fn a_static_embedding_has_no_length_limit_and_no_token_vectors() {
    let Some(fixture) = Fixture::open("static") else { return };
    let encoder = fixture.load(2);
    assert_eq!((encoder.max_seq_length(), encoder.hidden_size()), (None, None));
    let error = encoder.set_max_seq_length(128).unwrap_err().to_string();
    assert_eq!(error, "max_seq_length: expected none for a static embedding, whose texts count whole, found 128");
    let error = encoder.token_embeddings(texts(), &EncodeOptions::default(), &mut go_on).unwrap_err().to_string();
    assert_eq!(error, "token_embeddings: a static embedding gives one vector a text, and none a token");
    assert!(encode(&encoder, &[], &EncodeOptions::default()).is_empty());

    // No cut at any number of characters: every word of a long text counts, the last one too.
    let words = "cell ".repeat(400_000);
    let ids = token_ids(&encoder, &[words.clone(), format!("{words}virus"), "virus".to_owned()], None);
    assert_eq!((ids[0].len(), ids[1].len()), (400_000, 400_000 + ids[2].len()));
    let rows = encode(&encoder, &[words, "cell".to_owned()], &EncodeOptions::default());
    let (long, short) = rows.split_at(encoder.dimension());
    for (long, short) in long.iter().zip(short) {
        // Adding 400,000 equal float32 values rounds on the way.
        assert!((long - short).abs() <= 0.02 * short.abs(), "{long} and {short}");
    }
}

#[test]
fn a_static_call_can_be_cancelled() {
    let Some(fixture) = Fixture::open("static") else { return };
    let encoder = fixture.load(2);
    let many: Vec<String> = texts().into_iter().cycle().take(400_000).collect();
    let start = Instant::now();
    let result = encoder.encode(many, &EncodeOptions::default(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(result, Err(EncodeError::Cancelled)), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn very_long_texts_take_bounded_time() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let encoder = fixture.load(2);
    let texts = ["cell ".repeat(2_000_000), "x".repeat(10_000_000), " ".repeat(10_000_000)];
    let start = Instant::now();
    let ids = token_ids(&encoder, &texts, None);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [512, 3, 2]);
}

#[test]
fn arguments_of_zero_are_refused() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let encoder = fixture.load(1);
    for (options, name) in [
        (EncodeOptions { batch_size: Some(0), ..EncodeOptions::default() }, "batch_size"),
        (EncodeOptions { truncate_dim: Some(0), ..EncodeOptions::default() }, "truncate_dim"),
    ] {
        let error = encoder.encode(Vec::new(), &options, &mut go_on).unwrap_err();
        assert_eq!(error.to_string(), format!("{name}: expected an integer of at least 1, found 0"));
    }
    let error =
        Encoder::load(&fixture.folder, &LoadOptions { threads: Some(0), ..LoadOptions::default() }).err().unwrap();
    assert_eq!(error.to_string(), "threads: expected an integer from 1 to 1024, found 0");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_cuda_device_is_refused_by_a_build_without_cuda() {
    let options = LoadOptions { device: encoder::Device::Cuda(1), ..LoadOptions::default() };
    let error = Encoder::load(Path::new("/nowhere/at all"), &options).err().unwrap();
    assert!(matches!(error, EncodeError::Device(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "device: expected \"cpu\" or \"auto\", found \"cuda:1\" (hint: this build has no CUDA, the package corten-cuda does)"
    );
}

#[test]
fn a_dtype_that_the_cpu_does_not_have_is_refused() {
    let options = LoadOptions { dtype: DtypeChoice::Fixed(Dtype::Float16), ..LoadOptions::default() };
    let error = Encoder::load(Path::new("/nowhere/at all"), &options).err().unwrap();
    assert!(matches!(error, EncodeError::Dtype { .. }), "{error:?}");
    assert_eq!(error.to_string(), "dtype: expected \"float32\", \"bfloat16\", \"int8\" or \"auto\", found 'float16'");
}

#[test]
fn a_missing_folder_is_named() {
    let error = Encoder::load(Path::new("/nowhere/at all"), &LoadOptions::default()).err().unwrap();
    assert!(matches!(error, EncodeError::File(_)), "{error:?}");
    assert_eq!(error.to_string(), "/nowhere/at all: no such folder");
}

#[test]
fn a_watcher_sees_progress_and_can_cancel() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let encoder = fixture.load(2);
    let many: Vec<String> = texts().into_iter().cycle().take(20_000).collect();
    let mut seen = Vec::new();
    let start = Instant::now();
    let result = encoder.encode(many, &EncodeOptions::default(), &mut |finished| {
        seen.push(finished);
        if finished > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(EncodeError::Cancelled)), "{result:?}");
    assert!(seen.is_sorted() && *seen.last().unwrap() > 0, "{seen:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(encode(&encoder, &texts(), &EncodeOptions::default()).len(), 50 * encoder.dimension());
}

#[test]
fn many_threads_share_one_encoder() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let encoder = fixture.load(2);
    let texts = texts();
    let expected = encode(&encoder, &texts, &EncodeOptions::default());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(encode(&encoder, &texts, &EncodeOptions::default()), expected));
        }
    });
}
