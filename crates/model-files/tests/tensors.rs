//! Tensors that are missing, of another shape or type, not finite, or cut off; shards and their index.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod sample;

use std::fs::OpenOptions;

use model_files::{ModelFileError, TensorSpec};
use sample::{Sample, TensorBytes, bert_tensors, floats, framed, safetensors, sample_specs};
use serde_json::json;

/// The message for weights of other tensors than the sample's, once they are selected.
fn not_selected(tensors: &[TensorBytes]) -> String {
    let sample = Sample::plain();
    sample.bytes("model.safetensors", &safetensors(tensors));
    let model = sample.open().expect("a model");
    sample.words(&model.transformer.weights.select(&["", "bert."], &sample_specs()).expect_err("an error"))
}

fn spec(name: &str, shape: &[usize]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), shape: shape.to_vec(), source: "config.json" }
}

#[test]
fn all_missing_tensors_are_listed() {
    let mut tensors = bert_tensors();
    tensors.retain(|(name, ..)| !name.ends_with("query.bias") && name != "embeddings.LayerNorm.weight");
    assert_eq!(
        not_selected(&tensors),
        "ROOT/model.safetensors: missing 2 tensors: \"embeddings.LayerNorm.weight\", \
         \"encoder.layer.0.attention.self.query.bias\" (prefixes tried: \"\", \"bert.\")"
    );
    // Under the prefix where most of the others are.
    for tensor in &mut tensors {
        tensor.0 = format!("bert.{}", tensor.0);
    }
    assert!(not_selected(&tensors).contains("missing 2 tensors: \"bert.embeddings.LayerNorm.weight\", "));
    let sample = Sample::plain();
    let model = sample.open().expect("a model");
    let selected = model.transformer.weights.select(&[""], &sample_specs()).expect("all tensors");
    assert_eq!(
        sample.words(&selected.read("pooler.dense.weight").expect_err("not there")),
        "ROOT/model.safetensors: missing 1 tensor: \"pooler.dense.weight\" (prefixes tried: \"\")"
    );
}

#[test]
fn all_other_shapes_are_listed() {
    let mut tensors = bert_tensors();
    for tensor in &mut tensors {
        match tensor.0.as_str() {
            "embeddings.word_embeddings.weight" => *tensor = floats(&tensor.0, &[5, 4]),
            "encoder.layer.0.intermediate.dense.bias" => *tensor = floats(&tensor.0, &[8, 1]),
            _ => {}
        }
    }
    assert_eq!(
        not_selected(&tensors),
        "ROOT/model.safetensors: tensor \"embeddings.word_embeddings.weight\": expected shape [6, 4] \
         (from config.json), found [5, 4]; ROOT/model.safetensors: tensor \
         \"encoder.layer.0.intermediate.dense.bias\": expected shape [8] (from config.json), found [8, 1]"
    );
}

#[test]
fn other_types_of_number_are_refused() {
    for (dtype, bytes) in [("F64", 8), ("I64", 8), ("I8", 1), ("F8_E4M3", 1), ("BOOL", 1)] {
        let mut tensors = bert_tensors();
        let bias = tensors.iter_mut().find(|tensor| tensor.0 == "embeddings.LayerNorm.bias").expect("the bias");
        *bias = (bias.0.clone(), dtype.to_owned(), vec![4], vec![0; 4 * bytes]);
        assert_eq!(
            not_selected(&tensors),
            format!(
                "ROOT/model.safetensors: tensor \"embeddings.LayerNorm.bias\": expected dtype F32, F16 or BF16, \
                 found {dtype}"
            )
        );
    }
}

#[test]
fn values_are_read_exactly_in_each_type() {
    let sample = Sample::plain();
    let two_bytes = |values: [u16; 3]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let tensors = [
        floats("single", &[2, 2]),
        ("half".to_owned(), "F16".to_owned(), vec![3], two_bytes([0x3c00, 0xc500, 0x0001])),
        ("brain".to_owned(), "BF16".to_owned(), vec![3], two_bytes([0x3f80, 0xc0a0, 0x0001])),
        floats("empty", &[0, 4]),
        floats("scalar", &[]),
    ];
    sample.bytes("model.safetensors", &safetensors(&tensors));
    let model = sample.open().expect("a model");
    let weights = &model.transformer.weights;
    let selected = weights.select(&[""], &[spec("single", &[2, 2])]).expect("the tensor");
    let read = |name: &str| selected.read(name).expect(name);
    assert_eq!(read("single"), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(read("half"), [1.0, -5.0, 2.0_f32.powi(-24)]);
    assert_eq!(read("brain"), [1.0, -5.0, f32::from_bits(0x0001_0000)]);
    assert_eq!(read("empty"), [0.0; 0]);
    assert_eq!(read("scalar"), [0.0]);
    assert_eq!(weights.names().collect::<Vec<_>>(), ["brain", "empty", "half", "scalar", "single"]);
    assert_eq!(weights.shape("single"), Some([2, 2].as_slice()));
    assert_eq!(weights.shape("none"), None);
}

#[test]
fn a_tensor_larger_than_one_read_is_whole() {
    // Three reads of a mebibyte and a rest; every value differs from its neighbours.
    let values: Vec<f32> = (0..800_000_u32).map(|index| f32::from_bits(0x3f80_0000 + index)).collect();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let sample = Sample::plain();
    let tensor = |data: Vec<u8>| [("t".to_owned(), "F32".to_owned(), vec![800_000], data)];
    sample.bytes("model.safetensors", &safetensors(&tensor(data.clone())));
    let model = sample.open().expect("a model");
    let selected = model.transformer.weights.select(&[""], &[]).expect("no requirement");
    assert!(selected.read("t").expect("the tensor") == values);

    for (index, bad, shown) in
        [(799_999, f32::NAN, "NaN"), (262_144, f32::INFINITY, "inf"), (0, f32::NEG_INFINITY, "-inf")]
    {
        let mut data = data.clone();
        data[4 * index..4 * index + 4].copy_from_slice(&bad.to_le_bytes());
        sample.bytes("model.safetensors", &safetensors(&tensor(data)));
        let model = sample.open().expect("a model");
        let selected = model.transformer.weights.select(&[""], &[]).expect("no requirement");
        assert_eq!(
            sample.words(&selected.read("t").expect_err("not finite")),
            format!("ROOT/model.safetensors: tensor \"t\": expected finite values, found at index {index}: {shown}")
        );
    }
}

#[test]
fn half_precision_infinities_are_found() {
    for (dtype, bits) in [("F16", 0x7c00_u16), ("F16", 0x7e00), ("BF16", 0x7f80), ("BF16", 0xffc0)] {
        let data = [0_u16, bits].iter().flat_map(|value| value.to_le_bytes()).collect();
        let sample = Sample::plain();
        let tensor = ("t".to_owned(), dtype.to_owned(), vec![2], data);
        sample.bytes("model.safetensors", &safetensors(&[tensor]));
        let model = sample.open().expect("a model");
        let selected = model.transformer.weights.select(&[""], &[spec("t", &[2])]).expect("the tensor");
        assert!(matches!(selected.read("t"), Err(ModelFileError::NonFinite { index: 1, .. })), "{dtype} {bits:x}");
    }
}

#[test]
fn gamma_and_beta_are_weight_and_bias() {
    let mut tensors = bert_tensors();
    for tensor in &mut tensors {
        tensor.0 = format!("bert.{}", tensor.0.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"));
    }
    let sample = Sample::plain();
    sample.bytes("model.safetensors", &safetensors(&tensors));
    let model = sample.open().expect("a model");
    let selected = model.transformer.weights.select(&["", "bert."], &sample_specs()).expect("all tensors");
    assert_eq!(selected.prefix(), "bert.");
    assert_eq!(selected.read("embeddings.LayerNorm.bias").expect("beta"), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(selected.shape("encoder.layer.0.output.LayerNorm.weight"), Some([4].as_slice()));
}

#[test]
fn truncation_after_opening_is_an_error_and_values_already_read_stay() {
    let sample = Sample::plain();
    let model = sample.open().expect("a model");
    let selected = model.transformer.weights.select(&[""], &sample_specs()).expect("all tensors");
    let before = selected.read("embeddings.LayerNorm.bias").expect("the bias");
    let file = OpenOptions::new().write(true).open(sample.path("model.safetensors")).expect("the file");
    file.set_len(100).expect("a shorter file");
    assert_eq!(before, [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(
        sample.words(&selected.read("embeddings.LayerNorm.bias").expect_err("truncated")),
        "ROOT/model.safetensors: tensor \"embeddings.LayerNorm.bias\": expected 16 bytes, found the end of the file \
         (hint: it was changed while it was being read)"
    );
}

/// A folder whose weights are in two shards; `index` is the map of tensors to files.
fn sharded(index: &serde_json::Value) -> Sample {
    let sample = Sample::plain();
    sample.remove("model.safetensors");
    sample.bytes("a.safetensors", &safetensors(&[floats("x", &[1]), floats("y", &[1])]));
    sample.bytes("b.safetensors", &safetensors(&[floats("z", &[2])]));
    sample.json("model.safetensors.index.json", &json!({"metadata": {}, "weight_map": index}));
    sample
}

#[test]
fn shards_are_read_as_one() {
    let sample = sharded(&json!({"x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"}));
    let model = sample.open().expect("a model");
    let selected = model.transformer.weights.select(&[""], &[spec("x", &[1]), spec("z", &[2])]).expect("both");
    assert_eq!(selected.read("z").expect("z"), [0.0, 1.0]);
    assert_eq!(model.transformer.weights.source(), sample.path("model.safetensors.index.json"));
}

#[test]
fn shards_and_their_index_must_agree() {
    let index = "ROOT/model.safetensors.index.json: ";
    assert_eq!(
        sharded(&json!({"x": "b.safetensors", "z": "b.safetensors"})).message(),
        format!("{index}tensor \"x\": expected it in ROOT/b.safetensors, found nothing")
    );
    assert_eq!(
        sharded(&json!({"x": "a.safetensors", "z": "c.safetensors"})).message(),
        "ROOT/c.safetensors: expected a file, found nothing"
    );
    let sample = sharded(&json!({"x": "a.safetensors", "z": "b.safetensors"}));
    sample.bytes("b.safetensors", &safetensors(&[floats("z", &[2]), floats("x", &[1])]));
    assert_eq!(
        sample.message(),
        "ROOT/b.safetensors: tensor \"x\": expected it in one shard only, found another in ROOT/a.safetensors"
    );
    for path in ["../a.safetensors", "/etc/a.safetensors", "C:\\a.safetensors", "a\0.safetensors", "s/../a.safetensors"]
    {
        assert_eq!(
            sharded(&json!({"x": path})).message(),
            format!("{index}weight_map.x: expected a relative path inside the model folder, found {path:?}")
                .replace('\\', "/")
        );
    }
    for (value, shown) in [(json!("a.bin"), "\"a.bin\""), (json!(""), "\"\""), (json!(3), "3"), (json!(null), "null")] {
        assert_eq!(
            sharded(&json!({ "x": value })).message(),
            format!("{index}weight_map.x: expected the name of a safetensors file, found {shown}")
        );
    }
    let sample = sharded(&json!({}));
    sample.json("model.safetensors.index.json", &json!({"metadata": {}}));
    assert_eq!(sample.message(), format!("{index}weight_map: expected an object, found nothing"));
}

#[test]
fn a_tensor_that_memory_cannot_hold_is_an_error() {
    // 2^58 half precision numbers, in a sparse file: more than any address space holds.
    let header = br#"{"t":{"dtype":"F16","shape":[288230376151711744],"data_offsets":[0,576460752303423488]}}"#;
    let sample = Sample::plain();
    let shared_memory = tempfile::tempdir_in("/dev/shm");
    let folder = shared_memory.as_ref().map_or(sample.root(), |folder| folder.path());
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        if folder != sample.root() {
            std::fs::copy(sample.path(name), folder.join(name)).expect("a copied file");
        }
    }
    std::fs::write(folder.join("model.safetensors"), framed(header, b"")).expect("the header");
    let file = OpenOptions::new().write(true).open(folder.join("model.safetensors")).expect("the file");
    if file.set_len(8 + header.len() as u64 + (1 << 59)).is_err() {
        eprintln!("SKIPPED: this file system has no files that large");
        return;
    }
    let model = sample::sentence(model_files::open(folder).expect("a model"));
    let selected = model.transformer.weights.select(&[""], &[]).expect("no requirement");
    assert_eq!(
        selected.read("t").expect_err("no memory").to_string(),
        format!(
            "{}: not enough memory for tensor \"t\": 1152921504606846976 bytes",
            folder.join("model.safetensors").display()
        )
    );
}
