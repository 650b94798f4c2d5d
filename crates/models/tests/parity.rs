//! Every dense, `BertHash`, SPLADE and static fixture at every CPU level against the outputs of sentence-transformers.
//!
//! The goldens carry the reference's token ids, so no tokenizer is needed here. The fixtures lie beside the repository; where
//! they are absent the tests say so and pass.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod fixtures;

use std::fs;

use fixtures::{batch_of, fixtures, numbers, plain_dense_folders, sentence_model};
use model_files::Model;
use models::{Cancel, DenseModel, Dtype, SpladeModel, StaticModel};
use ops::{Level, RaggedBatch};
use safetensors::SafeTensors;

/// What the fixtures' README requires of dense rows: absolute and relative to the golden. It covers the order of float32
/// sums; the smallest mistake of formula, a tanh GELU, shows as 8e-5.
const TOLERANCE: f32 = 1e-5;

/// Whether a level gives the same bits as the others: the scalar one rounds more often, matrix tiles sum in an order of their own.
fn sums_in_order(level: Level) -> bool {
    level != Level::scalar() && level != Level::emulated_tiles() && level.name() != "amx"
}

#[test]
fn dense_fixtures_at_every_level() {
    let Some(fixtures) = fixtures() else { return };
    let names = plain_dense_folders(&fixtures);
    assert!(names.len() >= 27, "found only {names:?}");
    for name in names {
        let files = sentence_model(&fixtures.join("models").join(&name));
        let golden = fs::read(fixtures.join("goldens").join(format!("{name}.safetensors"))).unwrap();
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let batch = batch_of(&golden);
        // 16-bit weights: the reference computed in float32, as this crate does.
        let rows_of = if golden.tensor("embeddings_float32").is_ok() { "embeddings_float32" } else { "embeddings" };
        let expected = numbers(&golden, rows_of, f32::from_le_bytes);

        let mut fused: Option<Vec<f32>> = None;
        for level in Level::available().into_iter().chain([Level::emulated_tiles()]) {
            let model = DenseModel::load(&level.into(), Dtype::Float32, &files).unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            let rows = pool.install(|| model.embed(&batch, 0, &Cancel::new()).unwrap());
            assert_eq!(rows.len(), expected.len(), "{name}");
            for (found, expected) in rows.iter().zip(&expected) {
                let difference = (found - expected).abs();
                assert!(difference <= TOLERANCE + TOLERANCE * expected.abs(), "{name}, {level:?}: {difference:e}");
            }
            if sums_in_order(level) {
                assert_eq!(*fused.get_or_insert_with(|| rows.clone()), rows, "{name}: {level:?} has the same bits");
            }
        }
        for dtype in [Dtype::Bfloat16, Dtype::Int8] {
            // Attention's products are bfloat16 where the level has instructions for it, else float32.
            let mut fused: [Option<Vec<f32>>; 2] = [None, None];
            for level in Level::available().into_iter().filter(|level| sums_in_order(*level)) {
                let model = DenseModel::load(&level.into(), dtype, &files).unwrap();
                let rows = model.embed(&batch, 0, &Cancel::new()).unwrap();
                let same = fused[usize::from(level.has_bfloat16())].get_or_insert_with(|| rows.clone());
                assert_eq!(*same, rows, "{name}, {dtype:?}: {level:?}");
            }
            // Tiles multiply the feed-forward's wide input in bfloat16, the others in int8.
            let bound = if dtype == Dtype::Int8 { 0.999 } else { 0.9999 };
            let narrow = fused.iter().flatten().last().unwrap();
            for level in
                Level::available().into_iter().chain([Level::emulated_tiles()]).filter(|level| level.has_tiles())
            {
                let model = DenseModel::load(&level.into(), dtype, &files).unwrap();
                let cosine = cosine(narrow, &model.embed(&batch, 0, &Cancel::new()).unwrap());
                assert!(cosine >= bound, "{name}, {dtype:?}: {cosine} at {level:?}");
            }
            if let [Some(float32), Some(bfloat16)] = &fused {
                let cosine = cosine(float32, bfloat16);
                assert!(cosine >= 0.9999, "{name}, {dtype:?}: {cosine} with and without attention in bfloat16");
            }
        }
    }
}

/// Of all values together.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// What the fixtures' README requires of sparse rows, absolute and relative to the golden. A value may be missing or new below
/// [`BARELY_ACTIVE`].
const SPARSE_TOLERANCE: f32 = 2e-5;
const BARELY_ACTIVE: f32 = 1e-4;

#[test]
fn splade_fixtures_at_every_level() {
    let Some(fixtures) = fixtures() else { return };
    for name in ["splade", "splade-sum", "splade-log1p", "splade-untied", "splade-current-layout"] {
        let Model::Splade(files) = model_files::open(&fixtures.join("models").join(name)).unwrap() else {
            panic!("{name}: not a SPLADE model");
        };
        let golden = fs::read(fixtures.join("goldens").join(format!("{name}.safetensors"))).unwrap();
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let batch = batch_of(&golden);
        let starts = numbers(&golden, "sparse.indptr", |bytes| usize::try_from(i64::from_le_bytes(bytes)).unwrap());
        let terms = numbers(&golden, "sparse.indices", |bytes| usize::try_from(i32::from_le_bytes(bytes)).unwrap());
        let values = numbers(&golden, "sparse.values", f32::from_le_bytes);

        let mut fused: Option<Vec<f32>> = None;
        for level in Level::available().into_iter().chain([Level::emulated_tiles()]) {
            let model = SpladeModel::load(&level.into(), Dtype::Float32, &files).unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            let rows = pool.install(|| model.embed(&batch, &Cancel::new()).unwrap());
            for (text, row) in rows.chunks(model.terms()).enumerate() {
                let mut expected = vec![0.0; model.terms()];
                let of_text = starts[text]..starts[text + 1];
                for (term, value) in terms[of_text.clone()].iter().zip(&values[of_text.clone()]) {
                    expected[*term] = *value;
                }
                // Of a model with max_active_dims the golden has only the largest.
                let least = match files.settings.max_active_dims {
                    Some(most) if of_text.len() == most => values[of_text].iter().copied().fold(f32::MAX, f32::min),
                    _ => 0.0,
                };
                for (found, expected) in row.iter().zip(expected) {
                    let close = (found - expected).abs() <= SPARSE_TOLERANCE + SPARSE_TOLERANCE * expected;
                    let barely = found.max(expected) < BARELY_ACTIVE;
                    let cut_off = expected == 0.0 && *found <= least + SPARSE_TOLERANCE * (1.0 + least);
                    assert!(close || barely || cut_off, "{name}, {level:?}, text {text}: {found} and {expected}");
                }
            }
            if sums_in_order(level) {
                assert_eq!(*fused.get_or_insert_with(|| rows.clone()), rows, "{name}: {level:?} has the same bits");
            }
        }
    }
}

#[test]
fn static_fixtures_at_every_level() {
    let Some(fixtures) = fixtures() else { return };
    for name in ["static", "static-normalize", "model2vec", "model2vec-mapped"] {
        let Model::Static(files) = model_files::open(&fixtures.join("models").join(name)).unwrap() else {
            panic!("{name}: not a static model");
        };
        let golden = fs::read(fixtures.join("goldens").join(format!("{name}.safetensors"))).unwrap();
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let ids = numbers(&golden, "ids.data", |bytes| u32::try_from(i32::from_le_bytes(bytes)).unwrap());
        let ends = numbers(&golden, "ids.offsets", |bytes| usize::try_from(i64::from_le_bytes(bytes)).unwrap());
        let expected = numbers(&golden, "embeddings", f32::from_le_bytes);
        let columns = golden.tensor("embeddings").unwrap().shape()[1];
        let mut fused: Option<Vec<f32>> = None;
        for level in Level::available() {
            let model = StaticModel::load(&level.into(), &files).unwrap();
            assert_eq!(model.dimension(), columns, "{name}");
            let mut rows = vec![f32::NAN; expected.len()];
            model.embed(&ids, &ends[1..], columns, &mut rows).unwrap();
            for (found, expected) in rows.iter().zip(&expected) {
                let difference = (found - expected).abs();
                assert!(difference <= TOLERANCE + TOLERANCE * expected.abs(), "{name}, {level:?}: {difference:e}");
            }
            if level != Level::scalar() {
                assert_eq!(*fused.get_or_insert_with(|| rows.clone()), rows, "{name}: {level:?} has the same bits");
            }
            // A narrower row is the beginning of the whole one, bit for bit.
            let mut cut = vec![f32::NAN; (ends.len() - 1) * 7];
            model.embed(&ids, &ends[1..], 7, &mut cut).unwrap();
            let beginnings: Vec<f32> = rows.chunks(columns).flat_map(|row| row[..7].to_vec()).collect();
            assert_eq!(cut, beginnings, "{name}, {level:?}");
        }
    }
}

#[test]
fn a_cancelled_call_ends() {
    let Some(fixtures) = fixtures() else { return };
    let model = DenseModel::load(
        &Level::detected().into(),
        Dtype::Float32,
        &sentence_model(&fixtures.join("models/bert-mean")),
    )
    .unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let batch = RaggedBatch::new(vec![2, 3], vec![0, 2]).unwrap();
    assert!(matches!(model.embed(&batch, 0, &cancel), Err(models::ModelError::Cancelled)));
    assert!(matches!(model.hidden(&batch, &cancel), Err(models::ModelError::Cancelled)));
}
