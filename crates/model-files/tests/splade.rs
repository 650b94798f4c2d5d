//! SPLADE folders: both layouts, and what is refused about them.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod sample;

use model_files::{Model, Similarity, SpladeModel, SpladePooling, SpladeStrategy, open};
use sample::Sample;
use serde_json::{Value, json};

const CURRENT: [&str; 2] = [
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
];
const OLD: [&str; 2] = [
    "sentence_transformers.sparse_encoder.models.MLMTransformer",
    "sentence_transformers.sparse_encoder.models.SpladePooling",
];

fn modules(sample: &Sample, classes: &[&str]) {
    let paths = ["", "1_SpladePooling", "2_Normalize"];
    let module = |(class, path): (&&str, &str)| json!({"type": class, "path": path});
    sample.json("modules.json", &Value::Array(classes.iter().zip(paths).map(module).collect()));
}

/// The sample as sentence-transformers 6 saves a SPLADE model.
fn current() -> Sample {
    let sample = Sample::new();
    modules(&sample, &CURRENT);
    let text = json!({"text": {"method": "forward", "method_output_name": "logits"}});
    sample.json("sentence_bert_config.json", &json!({"transformer_task": "fill-mask", "modality_config": text}));
    sample.json("1_SpladePooling/config.json", &json!({"embedding_dimension": null}));
    sample.json("config_sentence_transformers.json", &json!({"model_type": "SparseEncoder"}));
    sample
}

/// The sample as sentence-transformers 5 saved it.
fn old() -> Sample {
    let sample = current();
    modules(&sample, &OLD);
    sample.json("sentence_bert_config.json", &json!({"max_seq_length": 8, "do_lower_case": false}));
    sample
}

fn opened(sample: &Sample) -> SpladeModel {
    match open(sample.root()).expect("a model") {
        Model::Splade(model) => model,
        other => panic!("expected a SPLADE model, found {other:?}"),
    }
}

fn with(file: &str, field: &str, value: Value) -> String {
    let sample = current();
    sample.set(file, field, value);
    sample.message()
}

#[test]
fn both_layouts_open() {
    for sample in [current(), old()] {
        let model = opened(&sample);
        assert_eq!(model.pooling, SpladePooling { strategy: SpladeStrategy::Max, twice: false });
        assert_eq!(model.dimension(), 6);
        assert_eq!(model.settings.similarity, Similarity::Dot, "where none is named");
        assert_eq!(model.settings.max_active_dims, None);
        assert!(model.transformer.config.tie_word_embeddings);
    }
}

#[test]
fn settings_are_read() {
    let sample = current();
    sample.set("1_SpladePooling/config.json", "pooling_strategy", json!("sum"));
    sample.set("1_SpladePooling/config.json", "activation_function", json!("log1p_relu"));
    sample.set("1_SpladePooling/config.json", "word_embedding_dimension", json!(6));
    sample.set("config_sentence_transformers.json", "max_active_dims", json!(3));
    sample.set("config_sentence_transformers.json", "similarity_fn_name", json!("cosine"));
    sample.set("config.json", "tie_word_embeddings", json!(false));
    let model = opened(&sample);
    assert_eq!(model.pooling, SpladePooling { strategy: SpladeStrategy::Sum, twice: true });
    assert_eq!(model.settings.max_active_dims, Some(3));
    assert_eq!(model.settings.similarity, Similarity::Cosine);
    assert!(!model.transformer.config.tie_word_embeddings);
    // The kind of model is what the modules say; old files do not name it.
    sample.remove("config_sentence_transformers.json");
    assert_eq!(opened(&sample).settings.similarity, Similarity::Dot);
}

#[test]
fn settings_out_of_range() {
    let pooling = "1_SpladePooling/config.json";
    assert_eq!(
        with(pooling, "pooling_strategy", json!("mean")),
        "ROOT/1_SpladePooling/config.json: pooling_strategy: expected max or sum, found \"mean\""
    );
    assert_eq!(
        with(pooling, "activation_function", json!("gelu")),
        "ROOT/1_SpladePooling/config.json: activation_function: expected relu or log1p_relu, found \"gelu\""
    );
    for field in ["embedding_dimension", "word_embedding_dimension"] {
        assert_eq!(
            with(pooling, field, json!(4)),
            format!(
                "ROOT/1_SpladePooling/config.json: {field}: expected 6 (vocab_size of the transformer's config.json), found 4"
            )
        );
    }
    assert_eq!(
        with("config_sentence_transformers.json", "max_active_dims", json!(0)),
        "ROOT/config_sentence_transformers.json: max_active_dims: expected an integer of at least 1, found 0"
    );
    assert_eq!(
        with("config.json", "tie_word_embeddings", json!("yes")),
        "ROOT/config.json: tie_word_embeddings: expected true or false, found \"yes\""
    );
    let sample = current();
    sample.remove(pooling);
    assert_eq!(sample.message(), "ROOT/1_SpladePooling/config.json: expected a file, found nothing");
}

#[test]
fn the_transformer_must_give_logits() {
    let file = "sentence_bert_config.json";
    let expected = "ROOT/sentence_bert_config.json: transformer_task: expected \"fill-mask\", found ";
    assert_eq!(
        with(file, "transformer_task", json!("feature-extraction")),
        format!("{expected}\"feature-extraction\"")
    );
    assert_eq!(with(file, "transformer_task", json!(null)), format!("{expected}null"));
    let sample = current();
    sample.remove(file);
    assert_eq!(sample.message(), format!("{expected}nothing"));
    let sample = old();
    sample.set(file, "transformer_task", json!("retrieval"));
    assert_eq!(sample.message(), format!("{expected}\"retrieval\""));
    let hidden = json!({"text": {"method": "forward", "method_output_name": "last_hidden_state"}});
    assert_eq!(
        with(file, "modality_config", hidden),
        "ROOT/sentence_bert_config.json: modality_config.text.method_output_name: expected \"logits\", found \
         \"last_hidden_state\""
    );
}

#[test]
fn a_head_without_a_word_table_of_its_width() {
    let sample = current();
    sample.set("config.json", "model_type", json!("bert_hash"));
    sample.set("config.json", "architectures", json!(["BertHashForMaskedLM"]));
    sample.set("config.json", "projections", json!(3));
    assert_eq!(
        sample.message(),
        "ROOT/config.json: model_type: a SPLADE model over BertHash is not supported: \"bert_hash\""
    );
}

#[test]
fn modules_in_another_order() {
    let message = |classes: &[&str]| {
        let sample = current();
        modules(&sample, classes);
        sample.message()
    };
    assert_eq!(
        message(&[OLD[0], "sentence_transformers.models.Pooling"]),
        "ROOT/modules.json: [1].type: expected a SpladePooling module after the MLMTransformer, found \
         \"sentence_transformers.models.Pooling\""
    );
    assert_eq!(
        message(&[CURRENT[0], CURRENT[1], "sentence_transformers.models.Normalize"]),
        "ROOT/modules.json: [2].type: expected nothing after the SpladePooling, found \
         \"sentence_transformers.models.Normalize\""
    );
    assert_eq!(
        message(&[CURRENT[1]]),
        format!(
            "ROOT/modules.json: [0].type: expected a Transformer or StaticEmbedding module first, found {:?}",
            CURRENT[1]
        )
    );
    assert_eq!(
        message(&["sentence_transformers.models.StaticEmbedding", CURRENT[1]]),
        format!(
            "ROOT/modules.json: [1].type: expected a Dense or Normalize module after the StaticEmbedding, found {:?}",
            CURRENT[1]
        )
    );
    // Dense modules under the name of a sparse encoder.
    let sample = Sample::new();
    sample.json("config_sentence_transformers.json", &json!({"model_type": "SparseEncoder"}));
    assert_eq!(
        sample.message(),
        "ROOT/config_sentence_transformers.json: model_type: a sparse encoder other than SPLADE is not supported: \
         \"SparseEncoder\""
    );
}
