//! `config.json`, and JSON files in general, that are missing, malformed, out of range or of another model.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod sample;

use model_files::{Activation, Module, PoolingMode};
use sample::{Sample, with};
use serde_json::{Value, json};

#[test]
fn the_sample_opens() {
    let model = Sample::new().open().expect("a model");
    assert_eq!(model.dimension(), 3);
    assert_eq!(model.transformer.max_seq_length, 8);
    assert!(matches!(model.modules.as_slice(), [Module::Pooling(_), Module::Dense(_), Module::Normalize]));
    let model = Sample::plain().open().expect("a plain model");
    assert_eq!(model.dimension(), 4);
    assert!(matches!(&model.modules[..], [Module::Pooling(pooling)] if pooling.modes == [PoolingMode::Mean]));
}

#[test]
fn files_that_are_not_json_are_refused() {
    for (bytes, message) in [
        (&b""[..], "EOF while parsing a value at line 1 column 0"),
        (b"{\"a\":1", "EOF while parsing an object at line 1 column 6"),
        (b"{}{}", "trailing characters at line 1 column 3"),
        (b"{\"a\":NaN}", "expected value at line 1 column 6"),
        (b"{\"a\":\"\xff\"}", "invalid unicode code point at line 1 column 7"),
        (b"[]", "expected an object, found a list"),
        (b"3", "expected an object, found 3"),
    ] {
        let sample = Sample::new();
        sample.bytes("config.json", bytes);
        assert_eq!(sample.message(), format!("ROOT/config.json: not valid JSON: {message}"));
    }
    let sample = Sample::new();
    sample.bytes("config.json", "[".repeat(100_000).as_bytes());
    assert!(sample.message().contains("recursion limit exceeded"));
    sample.bytes("config.json", br#"{"x":{"hidden_size":4,"hidden_size":5}}"#);
    assert_eq!(sample.message(), "ROOT/config.json: expected each key once, found twice: \"hidden_size\"");
    sample.bytes("config.json", &vec![b' '; (16 << 20) + 1]);
    assert_eq!(sample.message(), "ROOT/config.json: expected at most 16777216 bytes, found 16777217");
}

#[test]
fn missing_files_are_named() {
    let sample = Sample::new();
    sample.remove("config.json");
    assert_eq!(
        sample.message(),
        "ROOT/config.json: expected a file, found nothing \
         (hint: a model folder is what model.save_pretrained(path) writes)"
    );
    for name in ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors", "model.safetensors"] {
        let sample = Sample::new();
        sample.remove(name);
        assert_eq!(sample.message(), format!("ROOT/{name}: expected a file, found nothing"));
    }
    let sample = Sample::new();
    sample.remove("tokenizer.json");
    assert_eq!(
        sample.message(),
        "ROOT/tokenizer.json: expected a file, found nothing (hint: save the tokenizer again with \
         AutoTokenizer.from_pretrained(path).save_pretrained(path))"
    );
    sample.bytes("vocab.txt", b"[UNK]\n");
    assert!(sample.open().expect("a model").transformer.tokenizer.vocab_txt.is_some());
    // A vocabulary alone is enough only for the classes that build a BERT tokenizer.
    sample.set("tokenizer_config.json", "tokenizer_class", json!("PreTrainedTokenizerFast"));
    assert!(sample.message().starts_with("ROOT/tokenizer.json: expected a file, found nothing"));
}

#[test]
fn sizes_out_of_range_are_refused_before_they_are_used() {
    let width = "an integer from 1 to 1048576";
    let rows = "an integer from 1 to 2147483647";
    for (field, expected) in [
        ("hidden_size", width),
        ("intermediate_size", width),
        ("num_attention_heads", width),
        ("num_hidden_layers", "an integer from 1 to 1000"),
        ("vocab_size", rows),
        ("max_position_embeddings", rows),
        ("type_vocab_size", rows),
    ] {
        for (value, shown) in [
            (json!(0), "0"),
            (json!(-1), "-1"),
            (json!(4.0), "4.0"),
            (json!("4"), "\"4\""),
            (json!(true), "true"),
            (json!([4]), "a list"),
            (json!({}), "an object"),
            (json!(1e300), "1e+300"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(
                with("config.json", field, value),
                format!("ROOT/config.json: {field}: expected {expected}, found {shown}")
            );
        }
        if field != "type_vocab_size" {
            let sample = Sample::new();
            sample.unset("config.json", field);
            assert_eq!(sample.message(), format!("ROOT/config.json: {field}: expected {expected}, found nothing"));
            assert_eq!(
                with("config.json", field, Value::Null),
                format!("ROOT/config.json: {field}: expected {expected}, found null")
            );
        }
    }
    assert_eq!(
        with("config.json", "num_hidden_layers", json!(1_000_000_000)),
        "ROOT/config.json: num_hidden_layers: expected an integer from 1 to 1000, found 1000000000"
    );
    assert_eq!(
        with("config.json", "num_attention_heads", json!(3)),
        "ROOT/config.json: num_attention_heads: expected a divisor of hidden_size 4, found 3"
    );
}

#[test]
fn settings_that_change_the_computation_are_refused() {
    for (field, value, message) in [
        ("position_embedding_type", json!("relative_key"), "expected \"absolute\", found \"relative_key\""),
        ("is_decoder", json!(true), "expected false, found true"),
        ("is_decoder", json!(1), "expected true or false, found 1"),
        ("layer_norm_eps", json!(0), "expected a number above 0 and below 1, found 0"),
        ("layer_norm_eps", json!(1.5), "expected a number above 0 and below 1, found 1.5"),
        ("layer_norm_eps", json!("1e-12"), "expected a number above 0 and below 1, found \"1e-12\""),
        (
            "hidden_act",
            json!("quick_gelu"),
            "expected one of gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, tanh, sigmoid, silu, linear, \
             found \"quick_gelu\"",
        ),
        (
            "quantization_config",
            json!({"bits": 4}),
            "expected nothing, since quantized weights are not supported, found an object",
        ),
        ("pruned_heads", json!({"0": [1]}), "expected no pruned heads, found an object"),
        ("architectures", json!("BertModel"), "expected a list of strings, found \"BertModel\""),
        ("architectures", json!([1]), "expected a list of strings, found a list"),
    ] {
        assert_eq!(with("config.json", field, value), format!("ROOT/config.json: {field}: {message}"));
    }
    // Too small for a float32.
    let message = "ROOT/config.json: layer_norm_eps: expected a number above 0 and below 1, found 1";
    assert!(with("config.json", "layer_norm_eps", json!(1e-60)).starts_with(message));
    let sample = Sample::new();
    for (name, activation) in
        [("gelu", Activation::Gelu), ("gelu_new", Activation::GeluTanh), ("swish", Activation::Silu)]
    {
        sample.set("config.json", "hidden_act", json!(name));
        assert_eq!(sample.open().expect("a model").transformer.config.hidden_act, activation);
    }
    for field in ["hidden_act", "layer_norm_eps", "type_vocab_size", "position_embedding_type", "is_decoder"] {
        sample.unset("config.json", field);
    }
    let config = sample.open().expect("the reference's defaults").transformer.config;
    assert_eq!((config.hidden_act, config.type_vocab_size), (Activation::Gelu, 2));
    assert!((config.layer_norm_eps - 1e-12).abs() < 1e-15);
}

#[test]
fn other_models_are_named() {
    assert_eq!(
        with("config.json", "model_type", json!("distilbert")),
        "ROOT/config.json: model_type: a DistilBERT model is not supported: \"distilbert\""
    );
    assert_eq!(
        with("config.json", "model_type", json!("new")),
        "ROOT/config.json: model_type: a model of this type (other than bert) is not supported: \"new\""
    );
    let sample = Sample::new();
    sample.unset("config.json", "model_type");
    assert_eq!(sample.message(), "ROOT/config.json: model_type: expected \"bert\", found nothing");
    assert_eq!(
        with("config.json", "architectures", json!(["HF_ColBERT"])),
        "ROOT/config.json: architectures[0]: a late-interaction (ColBERT) model is not supported: \"HF_ColBERT\""
    );
    assert_eq!(
        with("sentence_bert_config.json", "transformer_task", json!("fill-mask")),
        "ROOT/sentence_bert_config.json: transformer_task: expected \"feature-extraction\", found \"fill-mask\""
    );
    for (class, what) in [
        ("sentence_transformers.sparse_encoder.models.SparseAutoEncoder", "a sparse vector model"),
        ("sentence_transformers.models.Router", "a router between several encoders"),
        ("sentence_transformers.models.Asym", "a router between several encoders"),
        ("sentence_transformers.models.WordEmbeddings", "a model of word vectors"),
        ("sentence_transformers.models.CLIPModel", "a CLIP (image and text) model"),
        ("sentence_transformers.models.CNN", "this module"),
        ("modeling_own.Transformer", "a model with code of its own, which is never run,"),
        ("Transformer", "a model with code of its own, which is never run,"),
    ] {
        let sample = Sample::new();
        sample.json("modules.json", &json!([{"type": class, "path": ""}]));
        assert_eq!(sample.message(), format!("ROOT/modules.json: [0].type: {what} is not supported: \"{class}\""));
    }
}

#[test]
fn bert_hash_needs_its_projections() {
    let sample = Sample::new();
    sample.set("config.json", "model_type", json!("bert_hash"));
    sample.set("config.json", "architectures", json!(["BertHashModel"]));
    sample.set("config.json", "auto_map", json!({"AutoModel": "modeling_bert_hash.BertHashModel"}));
    let expected = "ROOT/config.json: projections: expected an integer from 1 to 1048576, found";
    assert_eq!(sample.message(), format!("{expected} nothing"));
    for (value, found) in [(json!(0), "0"), (json!(2.5), "2.5"), (json!("8"), "\"8\"")] {
        sample.set("config.json", "projections", value);
        assert_eq!(sample.message(), format!("{expected} {found}"));
    }
    sample.set("config.json", "projections", json!(3));
    assert_eq!(sample.open().expect("a BertHash").transformer.config.projections, Some(3));
    // The class of other code than the one whose computation is known.
    sample.set("config.json", "architectures", json!(["BertHashNew"]));
    let what = "a model with code of its own, which is never run, is not supported";
    assert_eq!(sample.message(), format!("ROOT/config.json: architectures[0]: {what}: \"BertHashNew\""));
    assert_eq!(Sample::new().open().expect("a BERT").transformer.config.projections, None);
}

#[test]
fn auto_map_is_only_a_label_unless_the_class_is_not_a_bert() {
    let sample = Sample::new();
    sample.set("config.json", "auto_map", json!({"AutoModel": "modeling_own.OwnModel"}));
    sample.open().expect("architectures say BertModel");
    sample.set("config.json", "architectures", json!(["BertModel", "OwnModel"]));
    let what = "a model with code of its own, which is never run, is not supported";
    assert_eq!(sample.message(), format!("ROOT/config.json: architectures[1]: {what}: \"OwnModel\""));
    sample.set("config.json", "architectures", json!([]));
    assert_eq!(sample.message(), format!("ROOT/config.json: auto_map: {what}: an object"));
}
