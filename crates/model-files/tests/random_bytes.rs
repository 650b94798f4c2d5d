//! Whatever the bytes of a file are, opening the folder gives a model or an error, never a panic.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod sample;

use proptest::collection::vec;
use proptest::prelude::*;
use sample::{Sample, bert_tensors, framed, safetensors, sample_specs};
use serde_json::{Value, json};

/// Opens the folder and reads everything, so that later steps meet the bytes too.
fn read_all(sample: &Sample) -> Result<(), String> {
    let model = sample.open().map_err(|error| error.to_string())?;
    let _ = model.dimension();
    let config = &model.transformer.config;
    assert!(config.hidden_size.is_multiple_of(config.num_attention_heads));
    assert!((1..=config.max_position_embeddings).contains(&model.transformer.max_seq_length));
    let weights = &model.transformer.weights;
    let selected = weights.select(&["", "bert."], &sample_specs()).map_err(|error| error.to_string())?;
    for name in weights.names() {
        match selected.read(name) {
            Ok(values) => {
                assert!(values.iter().all(|value| value.is_finite()));
                assert_eq!(Some(values.len()), weights.shape(name).map(|shape| shape.iter().product()));
            }
            Err(error) => assert!(error.to_string().contains(name), "{error}"),
        }
    }
    Ok(())
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-2_i64..20).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        "[a-z_./\\\\]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z_]{0,8}", inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A file of the sample and one of the fields that are read from it.
fn field() -> impl Strategy<Value = (&'static str, &'static str)> {
    let fields = [
        ("config.json", "hidden_size"),
        ("config.json", "intermediate_size"),
        ("config.json", "num_hidden_layers"),
        ("config.json", "num_attention_heads"),
        ("config.json", "vocab_size"),
        ("config.json", "max_position_embeddings"),
        ("config.json", "type_vocab_size"),
        ("config.json", "layer_norm_eps"),
        ("config.json", "hidden_act"),
        ("config.json", "architectures"),
        ("config.json", "auto_map"),
        ("config.json", "tokenizer_class"),
        ("config.json", "pruned_heads"),
        ("sentence_bert_config.json", "max_seq_length"),
        ("sentence_bert_config.json", "modality_config"),
        ("sentence_bert_config.json", "tokenizer_args"),
        ("tokenizer_config.json", "model_max_length"),
        ("tokenizer_config.json", "unk_token"),
        ("1_Pooling/config.json", "pooling_mode"),
        ("1_Pooling/config.json", "word_embedding_dimension"),
        ("2_Dense/config.json", "in_features"),
        ("2_Dense/config.json", "out_features"),
        ("2_Dense/config.json", "activation_function"),
        ("config_sentence_transformers.json", "prompts"),
        ("config_sentence_transformers.json", "default_prompt_name"),
        ("config_sentence_transformers.json", "truncate_dim"),
    ];
    proptest::sample::select(fields.to_vec())
}

fn new_sample() -> Sample {
    let sample = Sample::new();
    sample.json("config_sentence_transformers.json", &json!({}));
    sample
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_of_any_field((file, field) in field(), value in value()) {
        let sample = new_sample();
        sample.set(file, field, value);
        if let Err(message) = read_all(&sample) {
            prop_assert!(message.contains(&sample.root().display().to_string()), "no file in: {message}");
        }
    }

    #[test]
    fn any_json_in_any_file(file in field().prop_map(|(file, _)| file), value in value()) {
        let sample = new_sample();
        sample.json(file, &value);
        let _ = read_all(&sample);
    }

    #[test]
    fn any_bytes_in_any_file(file in field().prop_map(|(file, _)| file), bytes in vec(any::<u8>(), 0..64)) {
        let sample = new_sample();
        sample.bytes(file, &bytes);
        let _ = read_all(&sample);
    }

    #[test]
    fn any_modules(modules in vec(value(), 0..4), path in "[a-z0-9_./\\\\:]{0,8}") {
        let sample = new_sample();
        sample.json("modules.json", &Value::Array(modules));
        prop_assert!(sample.open().is_err());
        sample.json("modules.json", &json!([
            {"type": "sentence_transformers.models.Transformer", "path": ""},
            {"type": "sentence_transformers.models.Pooling", "path": path},
        ]));
        let _ = sample.open();
    }

    #[test]
    fn any_header(header in vec(any::<u8>(), 0..64), data in vec(any::<u8>(), 0..16)) {
        let sample = Sample::plain();
        sample.bytes("model.safetensors", &framed(&header, &data));
        let _ = read_all(&sample);
    }

    #[test]
    fn any_tensor_entry(shape in value(), offsets in value(), dtype in "(F32|F16|BF16|F4|I64|BOOL|X)", data in 0_usize..40) {
        let sample = Sample::plain();
        let header = json!({"t": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).to_string();
        sample.bytes("model.safetensors", &framed(header.as_bytes(), &vec![0; data]));
        let _ = read_all(&sample);
    }

    #[test]
    fn any_changed_bytes_of_a_file(changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = safetensors(&bert_tensors());
        let length = bytes.len();
        for (index, byte) in changes {
            bytes[index.index(length)] = byte;
        }
        let sample = Sample::plain();
        sample.bytes("model.safetensors", &bytes);
        let _ = read_all(&sample);
    }

    #[test]
    fn any_truncation_of_a_file(index in any::<proptest::sample::Index>()) {
        let bytes = safetensors(&bert_tensors());
        let sample = Sample::plain();
        sample.bytes("model.safetensors", &bytes[..index.index(bytes.len())]);
        prop_assert!(sample.open().is_err());
    }
}
