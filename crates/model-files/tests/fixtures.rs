//! Every fixture folder opens as its golden says, or is refused with an error that says what it is.
//!
//! The fixtures lie outside of the repository; without them these tests pass and say so.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod sample;

use std::fs;
use std::path::{Path, PathBuf};

use model_files::{
    Activation, Model, Module, PoolingMode, Settings, StaticModel, StaticTable, TensorSpec, Transformer, open,
};
use sample::{bert_specs, sentence};
use serde_json::Value;

fn fixtures() -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"));
    if path.is_dir() {
        return Some(path.to_path_buf());
    }
    eprintln!("SKIPPED: no fixtures at {}", path.display());
    None
}

fn names(fixtures: &Path) -> Vec<String> {
    let entries = fs::read_dir(fixtures.join("models")).expect("the models");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

fn opens(name: &str) -> bool {
    is_bert(name) || is_bert_hash(name) || is_static(name)
}

fn is_bert(name: &str) -> bool {
    (name.starts_with("bert-") && !is_bert_hash(name)) || name.starts_with("matryoshka") || name.starts_with("splade")
}

fn is_bert_hash(name: &str) -> bool {
    name.starts_with("bert-hash")
}

fn is_static(name: &str) -> bool {
    name.starts_with("static") || name.starts_with("model2vec")
}

/// The settings that a golden states.
fn check_settings(name: &str, settings: &Settings, dimension: usize, golden: &Value) {
    assert_eq!(Some(settings.similarity.as_str()), golden["similarity_fn_name"].as_str(), "{name}");
    assert_eq!(settings.default_prompt_name.as_deref(), golden["default_prompt_name"].as_str(), "{name}");
    assert_eq!(settings.truncate_dim.map(|dim| dim as u64), golden["truncate_dim"].as_u64(), "{name}");
    assert_eq!(settings.max_active_dims.map(|dims| dims as u64), golden["max_active_dims"].as_u64(), "{name}");
    let expected = golden["prompts"].as_object().expect("prompts");
    assert_eq!(settings.prompts.len(), expected.len(), "{name}");
    for (prompt, text) in &settings.prompts {
        assert_eq!(Some(text.as_str()), expected[prompt].as_str(), "{name}: {prompt}");
    }
    let dimension = dimension.min(settings.truncate_dim.unwrap_or(usize::MAX));
    assert_eq!(Some(dimension as u64), golden["embedding_dimension"].as_u64(), "{name}");
}

fn golden(fixtures: &Path, name: &str) -> Value {
    let text = fs::read_to_string(fixtures.join(format!("goldens/{name}.json"))).expect("a golden");
    serde_json::from_str(&text).expect("JSON")
}

fn specs(transformer: &Transformer) -> Vec<TensorSpec> {
    let config = &transformer.config;
    let rows = [config.vocab_size, config.max_position_embeddings, config.type_vocab_size];
    bert_specs(config.hidden_size, config.intermediate_size, config.num_hidden_layers, rows)
}

#[test]
fn every_bert_fixture_opens_as_its_golden_says() {
    let Some(fixtures) = fixtures() else { return };
    let mut opened = 0;
    for name in names(&fixtures).iter().filter(|name| is_bert(name)) {
        let model = open(&fixtures.join("models").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let golden = golden(&fixtures, name);
        let dimension = model.dimension();
        let (transformer, settings) = match model {
            Model::Sentence(model) if !name.starts_with("splade") => (model.transformer, model.settings),
            Model::Splade(model) if name.starts_with("splade") => (model.transformer, model.settings),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(Some(transformer.max_seq_length as u64), golden["max_seq_length"].as_u64(), "{name}");
        check_settings(name, &settings, dimension, &golden);

        let specs = specs(&transformer);
        let selected = transformer.weights.select(&["", "bert."], &specs);
        let selected = selected.unwrap_or_else(|error| panic!("{name}: {error}"));
        for spec in &specs {
            let values = selected.read(&spec.name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(values.len(), spec.shape.iter().product::<usize>(), "{name}: {}", spec.name);
        }
        opened += 1;
    }
    assert!(opened >= 33, "only {opened} fixtures");
}

#[test]
fn every_bert_hash_fixture_opens_as_its_golden_says() {
    let Some(fixtures) = fixtures() else { return };
    let mut projections = Vec::new();
    for name in names(&fixtures).iter().filter(|name| is_bert_hash(name)) {
        let model = sentence(open(&fixtures.join("models").join(name)).expect(name));
        let golden = golden(&fixtures, name);
        assert_eq!(Some(model.transformer.max_seq_length as u64), golden["max_seq_length"].as_u64(), "{name}");
        check_settings(name, &model.settings, model.dimension(), &golden);
        projections.push(model.transformer.config.projections);
    }
    assert_eq!(projections, [Some(8), Some(5)]);
}

#[test]
fn every_static_fixture_opens_as_its_golden_says() {
    let Some(fixtures) = fixtures() else { return };
    let model = |name: &str| -> StaticModel {
        match open(&fixtures.join("models").join(name)).expect(name) {
            Model::Static(model) => model,
            other => panic!("{name}: {other:?}"),
        }
    };
    let names: Vec<String> = names(&fixtures).into_iter().filter(|name| is_static(name)).collect();
    assert_eq!(names, ["model2vec", "model2vec-mapped", "static", "static-normalize"]);
    for name in &names {
        let model = model(name);
        check_settings(name, &model.settings, model.dimension(), &golden(&fixtures, name));
        let (embedding, is_mapped) = (&model.embedding, name == "model2vec-mapped");
        let values = match embedding.read_table().expect(name) {
            StaticTable::F32(values) => values.len(),
            StaticTable::F16(bits) => bits.len(),
        };
        assert_eq!(values, embedding.rows * embedding.dimension, "{name}");
        let mapping = embedding.read_mapping().expect(name);
        let weights = embedding.read_token_weights().expect(name);
        assert_eq!((mapping.is_some(), weights.is_some()), (is_mapped, is_mapped), "{name}");
        assert_eq!(mapping.map_or(embedding.tokens, |mapping| mapping.len()), embedding.tokens, "{name}");
        assert_eq!(weights.map_or(embedding.tokens, |weights| weights.len()), embedding.tokens, "{name}");
        let normalizes = matches!(model.modules.as_slice(), [Module::Normalize]);
        assert_eq!(normalizes, name == "static-normalize" || name == "model2vec", "{name}: {:?}", model.modules);
    }
    let mapped = model("model2vec-mapped").embedding;
    assert_eq!((mapped.rows, mapped.tokens, mapped.tokens_from), (175, 700, "mapping"));
    assert!(matches!(mapped.read_table(), Ok(StaticTable::F16(_))));
}

#[test]
fn prompts_keep_the_order_of_the_reference() {
    let Some(fixtures) = fixtures() else { return };
    for (name, expected) in [
        ("bert-prompts", ["query", "document", "clustering"].as_slice()),
        ("bert-prompts-passage", &["query", "document", "passage"]),
        ("bert-current-layout", &["query", "document"]),
    ] {
        let model = sentence(open(&fixtures.join("models").join(name)).expect(name));
        let names: Vec<&str> = model.settings.prompts.iter().map(|(prompt, _)| prompt.as_str()).collect();
        assert_eq!(names, expected, "{name}");
    }
}

#[test]
fn modules_tokenizer_flags_and_prefixes_are_those_of_the_folders() {
    let Some(fixtures) = fixtures() else { return };
    let model = |name: &str| sentence(open(&fixtures.join("models").join(name)).expect(name));
    let pooling = |name: &str| match model(name).modules.first() {
        Some(Module::Pooling(pooling)) => pooling.modes.clone(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(pooling("bert-plain"), [PoolingMode::Mean]);
    assert_eq!(pooling("bert-current-layout"), [PoolingMode::Mean]);
    assert_eq!(pooling("bert-pool-cls"), [PoolingMode::Cls]);
    assert_eq!(pooling("bert-pool-max"), [PoolingMode::Max]);
    assert_eq!(pooling("bert-pool-mean-sqrt-len"), [PoolingMode::MeanSqrtLen]);
    assert_eq!(pooling("bert-pool-weightedmean"), [PoolingMode::WeightedMean]);
    assert_eq!(pooling("bert-pool-lasttoken"), [PoolingMode::LastToken]);
    assert_eq!(pooling("bert-pool-concat"), [PoolingMode::Cls, PoolingMode::Max, PoolingMode::Mean]);
    assert!(matches!(model("bert-normalize").modules.as_slice(), [Module::Pooling(_), Module::Normalize]));
    assert!(
        matches!(&model("bert-prompt-excluded").modules[..], [Module::Pooling(pooling)] if !pooling.include_prompt)
    );

    match model("bert-dense").modules.as_slice() {
        [Module::Pooling(_), Module::Dense(dense), Module::Normalize] => {
            assert_eq!((dense.in_features, dense.out_features, dense.bias), (32, 24, true));
            assert_eq!(dense.activation, Activation::Tanh);
            let selected = dense.weights.select(&[""], &[]).expect("no requirement");
            assert_eq!(selected.read("linear.weight").expect("the weight").len(), 24 * 32);
            assert_eq!(selected.read("linear.bias").expect("the bias").len(), 24);
        }
        other => panic!("{other:?}"),
    }

    for (name, prefix) in [("bert-prefixed", "bert."), ("bert-gamma-beta", "bert."), ("bert-sharded", "")] {
        let model = model(name);
        let specs = specs(&model.transformer);
        assert_eq!(model.transformer.weights.select(&["", "bert."], &specs).expect(name).prefix(), prefix);
    }
    assert!((model("bert-cased-short").transformer.config.layer_norm_eps - 1e-3).abs() < 1e-9);

    let flags = |name: &str| {
        let tokenizer = model(name).transformer.tokenizer;
        let files = (tokenizer.tokenizer_json.is_some(), tokenizer.vocab_txt.is_some());
        (files, tokenizer.is_bert, tokenizer.do_lower_case, tokenizer.lowercase_first)
    };
    assert_eq!(flags("bert-mean"), ((true, false), true, true, false));
    assert_eq!(flags("bert-vocab-txt"), ((false, true), true, true, false));
    assert_eq!(flags("bert-cased-short"), ((true, false), true, false, false));
    assert_eq!(flags("bert-tokenizer-config-wins"), ((true, false), true, true, false));
    assert!(flags("bert-st-lower").3);
}

#[test]
fn other_models_are_refused_by_what_they_are() {
    let Some(fixtures) = fixtures() else { return };
    let mut refused = 0;
    for name in names(&fixtures).iter().filter(|name| !opens(name)) {
        let root = fixtures.join("models").join(name);
        let error = match open(&root) {
            Err(error) => error,
            // These two are BERT folders in themselves; their tensors are asked for by the model.
            Ok(model) if name == "refuse-missing-tensor" || name == "refuse-shape" => {
                let model = sentence(model);
                model.transformer.weights.select(&["", "bert."], &specs(&model.transformer)).expect_err(name)
            }
            Ok(_) => panic!("{name} was not refused"),
        };
        let message = error.to_string();
        let expected = match name.as_str() {
            "colbert" => {
                "modules.json: [1].type: a late-interaction (PyLate, ColBERT) model is not supported: \"pylate.models.Dense.Dense\""
            }
            "colbert-hash" => {
                "config_sentence_transformers.json: model_type: a late-interaction (ColBERT) model is not supported: \"ColBERT\""
            }
            "colbert-current-layout" => {
                "config_sentence_transformers.json: model_type: a late-interaction (ColBERT) model is not supported: \"MultiVectorEncoder\""
            }
            "refuse-pytorch-bin" => "expected weights in safetensors format, found only pytorch_model.bin (hint: ",
            "refuse-model-type" => "config.json: model_type: a RoBERTa model is not supported: \"roberta\"",
            "refuse-module" => {
                "modules.json: [2].type: this module is not supported: \"sentence_transformers.models.LayerNorm\""
            }
            "refuse-missing-tensor" => {
                "model.safetensors: missing 1 tensor: \"encoder.layer.0.output.dense.weight\" (prefixes tried: \"\", \"bert.\")"
            }
            "refuse-shape" => {
                "model.safetensors: tensor \"embeddings.word_embeddings.weight\": expected shape [700, 8] (from config.json), found ["
            }
            name => panic!("a fixture without expectation: {name}"),
        };
        assert!(message.contains(expected), "{name}: {message}");
        refused += 1;
    }
    assert!(refused >= 8, "only {refused} refusals");
}
