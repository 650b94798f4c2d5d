//! Static embedding folders: their layouts, and what is wrong with broken ones.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod sample;

use model_files::{Model, ModelFileError, Module, StaticModel, StaticTable, open};
use sample::{Sample, TensorBytes, floats, safetensors};
use serde_json::json;

const CLASS: &str = "sentence_transformers.models.StaticEmbedding";

/// A folder with nothing but a tokenizer, weights, and `modules.json` with these modules after the static embedding.
fn folder(tensors: &[TensorBytes], others: &[(&str, &str)]) -> Sample {
    let sample = Sample::new();
    for file in ["config.json", "tokenizer_config.json", "sentence_bert_config.json"] {
        sample.remove(file);
    }
    let mut modules = vec![json!({"type": CLASS, "path": ""})];
    modules.extend(
        others
            .iter()
            .map(|(class, path)| json!({"type": format!("sentence_transformers.models.{class}"), "path": path})),
    );
    sample.json("modules.json", &json!(modules));
    sample.bytes("model.safetensors", &safetensors(tensors));
    sample
}

fn opened(sample: &Sample) -> Result<StaticModel, ModelFileError> {
    match open(sample.root())? {
        Model::Static(model) => Ok(model),
        other => panic!("expected a static model, found {other:?}"),
    }
}

fn words(sample: &Sample) -> String {
    sample.words(&opened(sample).expect_err("an error"))
}

/// A tensor of integers.
fn integers(name: &str, values: &[i64]) -> TensorBytes {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (name.to_owned(), "I64".to_owned(), vec![values.len()], data)
}

#[test]
fn the_reference_s_layout_with_modules_after_the_table() {
    let sample = folder(&[floats("embedding.weight", &[5, 4])], &[("Dense", "2_Dense"), ("Normalize", "3_Normalize")]);
    let model = opened(&sample).expect("a model");
    let embedding = &model.embedding;
    assert_eq!((embedding.rows, embedding.tokens, embedding.dimension), (5, 5, 4));
    assert_eq!(embedding.tokens_from, "embedding.weight");
    assert_eq!(model.dimension(), 3);
    assert!(matches!(model.modules.as_slice(), [Module::Dense(_), Module::Normalize]));
    let expected = (0..20_u8).map(f32::from).collect();
    assert_eq!(embedding.read_table().expect("the table"), StaticTable::F32(expected));
    assert_eq!(embedding.read_mapping().expect("none"), None);
    assert_eq!(embedding.read_token_weights().expect("none"), None);
}

#[test]
fn sixteen_bits_stay_sixteen_bits() {
    let bits: Vec<u16> = vec![0x0000, 0x3c00, 0x0001, 0xfbff];
    let data = |bits: &[u16]| bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let tensor = |bits: &[u16]| ("embedding.weight".to_owned(), "F16".to_owned(), vec![2, 2], data(bits));
    let sample = folder(&[tensor(&bits)], &[]);
    assert_eq!(opened(&sample).expect("a model").embedding.read_table().expect("a table"), StaticTable::F16(bits));

    let sample = folder(&[tensor(&[0, 0, 0x7c00, 0])], &[]);
    let error = opened(&sample).expect("a model").embedding.read_table().expect_err("an infinity");
    let expected = "ROOT/model.safetensors: tensor \"embedding.weight\": expected finite values, found at index 2: inf";
    assert_eq!(sample.words(&error), expected);

    // bfloat16 is widened: 1 and -2.
    let wide = ("embedding.weight".to_owned(), "BF16".to_owned(), vec![1, 2], data(&[0x3f80, 0xc000]));
    let table = opened(&folder(&[wide], &[])).expect("a model").embedding.read_table().expect("a table");
    assert_eq!(table, StaticTable::F32(vec![1.0, -2.0]));
}

#[test]
fn model2vec_with_and_without_modules() {
    let tensors = [floats("embeddings", &[3, 2]), integers("mapping", &[2, 0, 1, 2]), floats("weights", &[4])];
    let sample = folder(&tensors, &[]);
    let embedding = opened(&sample).expect("a model").embedding;
    assert_eq!((embedding.rows, embedding.tokens, embedding.tokens_from), (3, 4, "mapping"));
    assert_eq!(embedding.read_mapping().expect("a mapping"), Some(vec![2, 0, 1, 2]));
    assert_eq!(embedding.read_token_weights().expect("weights"), Some(vec![0.0, 1.0, 2.0, 3.0]));

    sample.remove("modules.json");
    for (normalize, expected) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
        sample.json("config.json", &json!({"model_type": "model2vec", "normalize": normalize}));
        let model = opened(&sample).expect("a plain folder of model2vec");
        assert_eq!(matches!(model.modules.as_slice(), [Module::Normalize]), expected);
    }
    sample.json("config.json", &json!({"model_type": "model2vec", "normalize": "yes"}));
    assert_eq!(words(&sample), "ROOT/config.json: normalize: expected true or false, found \"yes\"");
}

#[test]
fn broken_tensors_are_named() {
    let file = "ROOT/model.safetensors: ";
    for (tensors, expected) in [
        (
            vec![floats("linear.weight", &[2, 2])],
            "tensors: expected \"embedding.weight\", or \"embeddings\" as model2vec names it, found \"linear.weight\"",
        ),
        (
            vec![floats("embedding.weight", &[6])],
            "tensor \"embedding.weight\": expected shape [tokens, dimension] with at most 2147483647 and 1048576, found shape [6]",
        ),
        (
            vec![floats("embedding.weight", &[0, 4])],
            "tensor \"embedding.weight\": expected shape [tokens, dimension] with at most 2147483647 and 1048576, found shape [0, 4]",
        ),
        (
            vec![integers("embedding.weight", &[1])],
            "tensor \"embedding.weight\": expected shape [tokens, dimension] with at most 2147483647 and 1048576, found shape [1]",
        ),
        (
            vec![("embeddings".to_owned(), "I8".to_owned(), vec![2, 2], vec![0; 4])],
            "tensor \"embeddings\": expected dtype F32, F16 or BF16, found I8",
        ),
        (
            vec![floats("embeddings", &[2, 2]), floats("mapping", &[2, 1])],
            "tensor \"mapping\": expected one index a token, found shape [2, 1]",
        ),
        (
            vec![floats("embeddings", &[2, 2]), integers("mapping", &[0, 1, 1]), floats("weights", &[2])],
            "tensor \"weights\": expected shape [3] (from mapping), found [2]",
        ),
        (
            vec![floats("embeddings", &[2, 2]), floats("weights", &[3])],
            "tensor \"weights\": expected shape [2] (from embeddings), found [3]",
        ),
    ] {
        assert_eq!(words(&folder(&tensors, &[])), format!("{file}{expected}"));
    }
    let sample = folder(&[floats("embedding.weight", &[2, 2])], &[]);
    sample.remove("tokenizer.json");
    assert_eq!(words(&sample), "ROOT/tokenizer.json: expected a file, found nothing");
    let sample = folder(&[floats("embedding.weight", &[2, 3])], &[("Dense", "2_Dense")]);
    let expected = "ROOT/2_Dense/config.json: in_features: expected 3 (the width from ROOT/model.safetensors), found 4";
    assert_eq!(words(&sample), expected);
}

#[test]
fn a_mapping_out_of_range_names_its_token() {
    for (indices, found) in [
        ([0, 1, 2], "2 for token 2"),
        ([0, -1, 1], "-1 for token 1"),
        ([i64::MAX, 0, 0], "9223372036854775807 for token 0"),
    ] {
        let sample = folder(&[floats("embeddings", &[2, 2]), integers("mapping", &indices)], &[]);
        let error = opened(&sample).expect("a header").embedding.read_mapping().expect_err("an index without row");
        let expected = "indices from 0 to 1 (the rows of \"embeddings\")";
        let expected = format!("ROOT/model.safetensors: tensor \"mapping\": expected {expected}, found {found}");
        assert_eq!(sample.words(&error), expected);
    }
    let sample = folder(&[floats("embeddings", &[2, 2]), floats("mapping", &[2])], &[]);
    let error = opened(&sample).expect("a header").embedding.read_mapping().expect_err("floats");
    let expected = "ROOT/model.safetensors: tensor \"mapping\": expected dtype I64 or I32, found F32";
    assert_eq!(sample.words(&error), expected);
}

#[test]
fn only_dense_and_normalize_follow() {
    for (others, found) in [
        ([("Pooling", "1_Pooling")].as_slice(), "Pooling"),
        (&[("Normalize", "1"), ("Transformer", "2")], "Transformer"),
        (&[("StaticEmbedding", "1")], "StaticEmbedding"),
    ] {
        let sample = folder(&[floats("embedding.weight", &[2, 2])], others);
        let place = others.len();
        let expected = format!(
            "ROOT/modules.json: [{place}].type: expected a Dense or Normalize module after the StaticEmbedding"
        );
        assert_eq!(words(&sample), format!("{expected}, found \"sentence_transformers.models.{found}\""));
    }
}
