//! Every dense, `BertHash`, SPLADE and static fixture on a CUDA device against the CPU.
//!
//! Built with the feature `cuda` only. Where there is no device the tests say so and pass.

#![cfg(feature = "cuda")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod fixtures;

use std::fs;
use std::path::Path;

use fixtures::{batch_of, fixtures, numbers, plain_dense_folders, sentence_model};
use model_files::Model;
use models::{Cancel, DenseModel, DeviceProducts, Dtype, Level, Processor, RaggedBatch, SpladeModel, StaticModel};
use safetensors::SafeTensors;

/// Sums of some hundred float32 products in another order, two layers deep; a mistake of formula shows as 1e-4 and more.
const TOLERANCE: f32 = 2e-5;
/// Activations are rounded at each step: 11 bits and 8.
const WORST_COSINE: [(Dtype, f32); 2] = [(Dtype::Float16, 0.9999), (Dtype::Bfloat16, 0.999)];
/// The same of sparse rows of random weights, of which a model of 16 columns has few above zero, and those hardly. In bfloat16 the worst text
/// of `splade-log1p` has 0.9978: with all of the head in float32 it would be 0.9981, so the roundings of the layers alone are too coarse
/// for such rows. A trained model keeps 0.999: `tests/devices/test_on_gpu.py`.
const WORST_SPARSE_COSINE: [(Dtype, f32); 2] = [(Dtype::Float16, 0.9999), (Dtype::Bfloat16, 0.995)];

/// The first device, and the CPU.
fn processors() -> Option<(Processor, Processor)> {
    let level = Level::detected();
    match Processor::cuda(level, 0, DeviceProducts::default()) {
        Ok(device) => Some((device, level.into())),
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!("SKIPPED: no CUDA device: {error}");
            }
            None
        }
    }
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= TOLERANCE * (1.0 + expected.abs()), "{what}: {found} and {expected}");
    }
}

fn worst_cosine(found: &[f32], expected: &[f32], columns: usize) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = |(a, b): (&[f32], &[f32])| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    found.chunks(columns).zip(expected.chunks(columns)).map(cosine).fold(1.0, f32::min)
}

fn with_golden<R>(fixtures: &Path, name: &str, use_it: impl FnOnce(&SafeTensors<'_>) -> R) -> R {
    let golden = fs::read(fixtures.join("goldens").join(format!("{name}.safetensors"))).unwrap();
    use_it(&SafeTensors::deserialize(&golden).unwrap())
}

#[test]
fn dense_fixtures() {
    let (Some(fixtures), Some((device, cpu))) = (fixtures(), processors()) else { return };
    for name in plain_dense_folders(&fixtures) {
        let files = sentence_model(&fixtures.join("models").join(&name));
        let batch = with_golden(&fixtures, &name, batch_of);
        let embed = |processor: &Processor, dtype: Dtype, batch: &RaggedBatch| {
            let model = DenseModel::load(processor, dtype, &files).unwrap();
            let rows = model.embed(batch, 1, &Cancel::new()).unwrap();
            (rows, model.hidden(batch, &Cancel::new()).unwrap(), model.dimension())
        };
        let (expected, hidden, columns) = embed(&cpu, Dtype::Float32, &batch);
        let (found, found_hidden, _) = embed(&device, Dtype::Float32, &batch);
        assert_close(&found, &expected, &name);
        assert_close(&found_hidden, &hidden, &format!("{name}, token vectors"));
        for (dtype, least) in WORST_COSINE {
            let (found, ..) = embed(&device, dtype, &batch);
            let worst = worst_cosine(&found, &expected, columns);
            assert!(worst >= least, "{name}, {dtype:?}: {worst}");
        }
    }
}

#[test]
fn splade_fixtures() {
    let (Some(fixtures), Some((device, cpu))) = (fixtures(), processors()) else { return };
    for name in ["splade", "splade-sum", "splade-log1p", "splade-untied", "splade-current-layout"] {
        let Model::Splade(files) = model_files::open(&fixtures.join("models").join(name)).unwrap() else {
            panic!("{name}: not a SPLADE model");
        };
        let batch = with_golden(&fixtures, name, batch_of);
        let embed = |processor: &Processor, dtype: Dtype| {
            let model = SpladeModel::load(processor, dtype, &files).unwrap();
            (model.embed(&batch, &Cancel::new()).unwrap(), model.terms())
        };
        let (expected, terms) = embed(&cpu, Dtype::Float32);
        assert_close(&embed(&device, Dtype::Float32).0, &expected, name);
        for (dtype, least) in WORST_SPARSE_COSINE {
            let worst = worst_cosine(&embed(&device, dtype).0, &expected, terms);
            assert!(worst >= least, "{name}, {dtype:?}: {worst}");
        }
    }
}

#[test]
fn static_fixtures() {
    let (Some(fixtures), Some((device, cpu))) = (fixtures(), processors()) else { return };
    for name in ["static", "static-normalize", "model2vec", "model2vec-mapped"] {
        let Model::Static(files) = model_files::open(&fixtures.join("models").join(name)).unwrap() else {
            panic!("{name}: not a static model");
        };
        let (ids, ends) = with_golden(&fixtures, name, |golden| {
            let ids = numbers(golden, "ids.data", |bytes| u32::try_from(i32::from_le_bytes(bytes)).unwrap());
            (ids, numbers(golden, "ids.offsets", |bytes| usize::try_from(i64::from_le_bytes(bytes)).unwrap()))
        });
        let embed = |processor: &Processor, columns: usize| {
            let model = StaticModel::load(processor, &files).unwrap();
            let mut rows = vec![f32::NAN; (ends.len() - 1) * columns];
            model.embed(&ids, &ends[1..], columns, &mut rows).unwrap();
            rows
        };
        for columns in [7, files.embedding.dimension] {
            assert_close(&embed(&device, columns), &embed(&cpu, columns), name);
        }
    }
}
