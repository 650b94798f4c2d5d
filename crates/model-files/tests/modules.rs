//! `modules.json` and the modules after the transformer: their order, widths, modes and activations.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod sample;

use model_files::{Activation, Module, PoolingMode};
use sample::{Sample, floats, safetensors, with};
use serde_json::{Value, json};

#[test]
fn modules_must_be_a_transformer_pooling_and_then_dense_or_normalize() {
    let list = |names: &[&str]| {
        let sample = Sample::new();
        let module = |name: &&str| json!({"type": format!("sentence_transformers.models.{name}"), "path": ""});
        sample.json("modules.json", &Value::Array(names.iter().map(module).collect()));
        sample.message().replace("sentence_transformers.models.", "")
    };
    let file = "ROOT/modules.json: ";
    assert_eq!(
        list(&[]),
        format!("{file}[0].type: expected a Transformer or StaticEmbedding module first, found nothing")
    );
    assert_eq!(
        list(&["Pooling"]),
        format!("{file}[0].type: expected a Transformer or StaticEmbedding module first, found \"Pooling\"")
    );
    let pooling = format!("{file}[1].type: expected a Pooling module after the Transformer, found ");
    assert_eq!(list(&["Transformer"]), format!("{pooling}nothing"));
    assert_eq!(list(&["Transformer", "Dense"]), format!("{pooling}\"Dense\""));
    let after = format!("{file}[2].type: expected a Dense or Normalize module after the Pooling, found ");
    assert_eq!(list(&["Transformer", "Pooling", "Pooling"]), format!("{after}\"Pooling\""));
    assert_eq!(list(&["Transformer", "Pooling", "Transformer"]), format!("{after}\"Transformer\""));
    assert_eq!(list(&["Transformer"; 65]), format!("{file}[]: expected at most 64 modules, found 65"));

    let sample = Sample::new();
    sample.json("modules.json", &json!([{"path": ""}]));
    assert_eq!(sample.message(), format!("{file}[0].type: expected a string, found nothing"));
    sample.json("modules.json", &json!([3]));
    assert_eq!(sample.message(), format!("{file}[0]: expected an object, found 3"));
    sample.json("modules.json", &json!([{"type": "sentence_transformers.models.Transformer"}]));
    assert_eq!(sample.message(), format!("{file}[0].path: expected a string, found nothing"));
    sample.json("modules.json", &json!({}));
    assert_eq!(sample.message(), format!("{file}not valid JSON: expected a list of modules, found an object"));
}

#[test]
fn widths_must_agree_from_module_to_module() {
    assert_eq!(
        with("1_Pooling/config.json", "word_embedding_dimension", json!(5)),
        "ROOT/1_Pooling/config.json: word_embedding_dimension: expected 4 (hidden_size of the transformer's \
         config.json), found 5"
    );
    assert_eq!(
        with("2_Dense/config.json", "in_features", json!(8)),
        "ROOT/2_Dense/config.json: in_features: expected 4 (the width from ROOT/1_Pooling/config.json), found 8"
    );
    // Two pooling modes make eight.
    assert_eq!(
        with("1_Pooling/config.json", "pooling_mode_cls_token", json!(true)),
        "ROOT/2_Dense/config.json: in_features: expected 8 (the width from ROOT/1_Pooling/config.json), found 4"
    );
    assert_eq!(
        with("2_Dense/config.json", "out_features", json!(2)),
        "ROOT/2_Dense/model.safetensors: tensor \"linear.weight\": expected shape [2, 4] (from config.json), found \
         [3, 4]; ROOT/2_Dense/model.safetensors: tensor \"linear.bias\": expected shape [2] (from config.json), \
         found [3]"
    );
    let sample = Sample::new();
    sample.bytes("2_Dense/model.safetensors", &safetensors(&[floats("linear.weight", &[3, 4])]));
    assert_eq!(
        sample.message(),
        "ROOT/2_Dense/model.safetensors: missing 1 tensor: \"linear.bias\" (prefixes tried: \"\")"
    );
    sample.set("2_Dense/config.json", "bias", json!(false));
    sample.open().expect("a Dense without bias");
    for absent in [json!(null), json!(4)] {
        sample.set("1_Pooling/config.json", "word_embedding_dimension", absent);
        sample.open().expect("a width that is absent or right");
    }
}

#[test]
fn dense_settings_are_checked() {
    let file = "ROOT/2_Dense/config.json: ";
    let activations =
        "torch.nn.modules.activation.Tanh, ReLU, GELU, Sigmoid or SiLU, or torch.nn.modules.linear.Identity";
    for (field, value, message) in [
        ("activation_function", json!("torch.tanh"), format!("expected {activations}, found \"torch.tanh\"")),
        ("activation_function", json!("os.system"), format!("expected {activations}, found \"os.system\"")),
        ("activation_function", Value::Null, format!("expected {activations}, found null")),
        ("in_features", json!(0), "expected an integer from 1 to 1048576, found 0".to_owned()),
        ("out_features", json!(1_u64 << 40), "expected an integer from 1 to 1048576, found 1099511627776".to_owned()),
        ("bias", json!("yes"), "expected true or false, found \"yes\"".to_owned()),
        ("use_residual", json!(true), "expected false, found true".to_owned()),
        (
            "module_input_name",
            json!("token_embeddings"),
            "expected \"sentence_embedding\", found \"token_embeddings\"".to_owned(),
        ),
    ] {
        assert_eq!(with("2_Dense/config.json", field, value), format!("{file}{field}: {message}"));
    }
    let sample = Sample::new();
    for (class, activation) in [
        ("torch.nn.modules.linear.Identity", Activation::Identity),
        ("torch.nn.modules.activation.GELU", Activation::Gelu),
        ("torch.nn.modules.activation.ReLU", Activation::Relu),
        ("torch.nn.modules.activation.SiLU", Activation::Silu),
        ("torch.nn.modules.activation.Sigmoid", Activation::Sigmoid),
    ] {
        sample.set("2_Dense/config.json", "activation_function", json!(class));
        let model = sample.open().expect(class);
        assert!(matches!(&model.modules[1], Module::Dense(dense) if dense.activation == activation), "{class}");
    }
    sample.unset("2_Dense/config.json", "activation_function");
    let model = sample.open().expect("the default");
    assert!(matches!(&model.modules[1], Module::Dense(dense) if dense.activation == Activation::Tanh));
    assert_eq!(
        {
            sample.json("3_Normalize/config.json", &json!({"module_input_name": "token_embeddings"}));
            sample.message()
        },
        "ROOT/3_Normalize/config.json: module_input_name: expected \"sentence_embedding\", found \"token_embeddings\""
    );
}

#[test]
fn pooling_modes_of_both_layouts() {
    use PoolingMode::{Cls, LastToken, Max, Mean, MeanSqrtLen, WeightedMean};

    let modes =
        |value: Value| {
            let sample = Sample::new();
            sample.json("modules.json", &json!([
            {"type": "sentence_transformers.base.modules.transformer.Transformer", "path": "."},
            {"type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling", "path": "1_Pooling/"},
        ]));
            sample.json("1_Pooling/config.json", &value);
            sample
                .open()
                .map(|mut model| match model.modules.remove(0) {
                    Module::Pooling(pooling) => (pooling.modes, pooling.include_prompt),
                    other => panic!("{other:?}"),
                })
                .map_err(|error| sample.words(&error))
        };
    assert_eq!(modes(json!({})), Ok((vec![Mean], true)));
    assert_eq!(modes(json!({"pooling_mode_mean_tokens": false})), Ok((vec![Mean], true)));
    assert_eq!(modes(json!({"pooling_mode": "lasttoken", "include_prompt": false})), Ok((vec![LastToken], false)));
    assert_eq!(modes(json!({"pooling_mode": "cls", "pooling_mode_mean_tokens": true})), Ok((vec![Cls], true)));
    // A list stays in its order; the old keys have one of their own.
    assert_eq!(modes(json!({"pooling_mode": ["mean", "cls"]})), Ok((vec![Mean, Cls], true)));
    let keys = ["lasttoken", "weightedmean_tokens", "mean_sqrt_len_tokens", "mean_tokens", "max_tokens", "cls_token"];
    let all: serde_json::Map<String, Value> =
        keys.iter().map(|key| (format!("pooling_mode_{key}"), json!(true))).collect();
    let order = vec![Cls, Max, Mean, MeanSqrtLen, WeightedMean, LastToken];
    assert_eq!(modes(Value::Object(all)), Ok((order, true)));
    for (value, shown) in [
        (json!("median"), "\"median\""),
        (json!([]), "a list"),
        (json!(["mean", "mean"]), "\"mean\""),
        (json!([1]), "1"),
    ] {
        assert_eq!(
            modes(json!({ "pooling_mode": value })),
            Err(format!(
                "ROOT/1_Pooling/config.json: pooling_mode: expected each once of cls, max, mean, \
                 mean_sqrt_len_tokens, weightedmean, lasttoken, found {shown}"
            ))
        );
    }
}
