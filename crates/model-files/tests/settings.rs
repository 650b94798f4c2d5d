//! Prompts, the length limit and the flags of the tokenizer, by the precedence of the reference.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod sample;

use model_files::{Similarity, TokenizerFiles};
use sample::{Sample, with};
use serde_json::{Value, json};

#[test]
fn settings_of_sentence_transformers() {
    let settings = |value: Value| {
        let sample = Sample::new();
        sample.json("config_sentence_transformers.json", &value);
        sample.open().map(|model| model.settings).map_err(|error| sample.words(&error))
    };
    let default = settings(json!({})).expect("defaults");
    assert_eq!(default, Sample::new().open().expect("no file").settings);
    assert_eq!(default.prompts, [("query".to_owned(), String::new()), ("document".to_owned(), String::new())]);
    assert_eq!((default.default_prompt_name, default.truncate_dim), (None, None));

    let sample = Sample::new();
    let text = br#"{"prompts": {"zebra": "z: ", "document": "d: ", "apple": null, "query": "q: "},
                    "default_prompt_name": "zebra", "similarity_fn_name": "manhattan", "truncate_dim": 2,
                    "model_type": "SentenceTransformer"}"#;
    sample.bytes("config_sentence_transformers.json", text);
    let given = sample.open().expect("a model").settings;
    let prompts: Vec<(&str, &str)> = given.prompts.iter().map(|(name, text)| (&name[..], &text[..])).collect();
    assert_eq!(prompts, [("query", "q: "), ("document", "d: "), ("zebra", "z: "), ("apple", "")]);
    assert_eq!(given.default_prompt_name.as_deref(), Some("zebra"));
    assert_eq!((given.similarity, given.similarity.as_str()), (Similarity::Manhattan, "manhattan"));
    assert_eq!(given.truncate_dim, Some(2));
    assert_eq!(settings(json!({"similarity_fn_name": null})).expect("null").similarity, Similarity::Cosine);

    let file = "ROOT/config_sentence_transformers.json: ";
    for (value, message) in [
        (
            json!({"default_prompt_name": "passage", "prompts": {"extra": "x"}}),
            "default_prompt_name: expected the name of a prompt (\"query\", \"document\", \"extra\"), found \"passage\"",
        ),
        (json!({"prompts": {"query": 3}}), "prompts.query: expected a string, found 3"),
        (json!({"prompts": ["x"]}), "prompts: expected an object, found a list"),
        (
            json!({"similarity_fn_name": "hamming"}),
            "similarity_fn_name: expected cosine, dot, euclidean or manhattan, found \"hamming\"",
        ),
        (json!({"truncate_dim": 0}), "truncate_dim: expected an integer of at least 1, found 0"),
        (json!({"truncate_dim": -5}), "truncate_dim: expected an integer of at least 1, found -5"),
        (json!({"model_type": "CrossEncoder"}), "model_type: a cross-encoder model is not supported: \"CrossEncoder\""),
    ] {
        assert_eq!(settings(value), Err(format!("{file}{message}")));
    }
    // A plain transformers folder has no prompts, as in the reference.
    let sample = Sample::plain();
    sample.json("config_sentence_transformers.json", &json!({"prompts": {"query": "q: "}}));
    assert_eq!(sample.open().expect("a plain model").settings, settings(json!({})).expect("defaults"));
}

#[test]
fn the_length_limit_by_precedence() {
    let limit = |module: Value, tokenizer: Value| {
        let sample = Sample::new();
        sample.json("sentence_bert_config.json", &module);
        sample.json("tokenizer_config.json", &tokenizer);
        sample.open().map(|model| model.transformer.max_seq_length).map_err(|error| sample.words(&error))
    };
    assert_eq!(limit(json!({"max_seq_length": 5}), json!({"model_max_length": 3})), Ok(5));
    assert_eq!(limit(json!({"max_seq_length": null}), json!({"model_max_length": 3})), Ok(3));
    assert_eq!(limit(json!({}), json!({"model_max_length": 512})), Ok(8));
    assert_eq!(limit(json!({}), json!({"max_len": 4})), Ok(4));
    assert_eq!(limit(json!({}), json!({})), Ok(8));
    assert_eq!(limit(json!({}), json!({"model_max_length": 1e30})), Ok(8));
    assert_eq!(limit(json!({"tokenizer_args": {"model_max_length": 2}, "max_seq_length": 5}), json!({})), Ok(2));
    let file = "ROOT/sentence_bert_config.json: ";
    assert_eq!(
        limit(json!({"max_seq_length": 9}), json!({})),
        Err(format!(
            "{file}max_seq_length: expected at most 8 (max_position_embeddings of config.json), found 9 \
             (hint: longer texts have no position embeddings; set max_seq_length to 8 or less)"
        ))
    );
    assert_eq!(
        limit(json!({"max_seq_length": 0}), json!({})),
        Err(format!("{file}max_seq_length: expected an integer of at least 1, found 0"))
    );
    assert_eq!(
        limit(json!({}), json!({"model_max_length": 2.5})),
        Err("ROOT/tokenizer_config.json: model_max_length: expected an integer of at least 1, found 2.5".to_owned())
    );

    let sample = Sample::new();
    sample.json("sentence_bert_config.json", &json!({}));
    sample.json("sentence_roberta_config.json", &json!({"max_seq_length": 6, "do_lower_case": true}));
    let transformer = sample.open().expect("an older name").transformer;
    assert_eq!((transformer.max_seq_length, transformer.tokenizer.lowercase_first), (6, true));
}

#[test]
fn transformer_settings_that_change_the_computation_are_refused() {
    let unsupported =
        |what: &str, shown: &str| format!("expected nothing, since this {what} is not supported, found {shown}");
    for (field, value, message) in [
        (
            "transformer_task",
            json!("text-generation"),
            "transformer_task: expected \"feature-extraction\", found \"text-generation\"".to_owned(),
        ),
        (
            "module_output_name",
            json!("sentence_embedding"),
            "module_output_name: expected \"token_embeddings\", found \"sentence_embedding\"".to_owned(),
        ),
        ("modality_config", json!({"image": {}}), "modality_config.text: expected an object, found nothing".to_owned()),
        (
            "modality_config",
            json!({"text": {"method": "forward", "method_output_name": "pooler_output"}}),
            "modality_config.text.method_output_name: expected \"last_hidden_state\", found \"pooler_output\""
                .to_owned(),
        ),
        ("query_length", json!(32), format!("query_length: {}", unsupported("field", "32"))),
        (
            "tokenizer_name_or_path",
            json!("x/y"),
            format!("tokenizer_name_or_path: {}", unsupported("field", "\"x/y\"")),
        ),
        ("processing_kwargs", json!({"text": {}}), format!("processing_kwargs: {}", unsupported("field", "an object"))),
        (
            "model_args",
            json!({"subfolder": "x"}),
            format!("model_args.subfolder: {}", unsupported("argument", "\"x\"")),
        ),
        (
            "config_args",
            json!({"hidden_act": "relu"}),
            format!("config_args.hidden_act: {}", unsupported("argument", "\"relu\"")),
        ),
        (
            "processor_kwargs",
            json!({"do_lower_case": true}),
            format!("processor_kwargs.do_lower_case: {}", unsupported("argument", "true")),
        ),
    ] {
        assert_eq!(
            with("sentence_bert_config.json", field, value),
            format!("ROOT/sentence_bert_config.json: {message}")
        );
    }
    let sample = Sample::new();
    sample.set("sentence_bert_config.json", "model_args", json!({"torch_dtype": "float16", "trust_remote_code": true}));
    sample.open().expect("harmless arguments");
    sample.json("adapter_config.json", &json!({"peft_type": "LORA"}));
    assert_eq!(
        sample.message(),
        "ROOT/adapter_config.json: peft_type: a PEFT adapter beside the model is not supported: the file"
    );
}

#[test]
fn tokenizer_flags() {
    let tokenizer = |config: Value| {
        let sample = Sample::new();
        sample.json("tokenizer_config.json", &config);
        sample.open().map(|model| model.transformer.tokenizer).map_err(|error| sample.words(&error))
    };
    for (class, kept, overrules) in [
        ("BertTokenizer", "BertTokenizer", true),
        ("BertTokenizerFast", "BertTokenizer", true),
        ("DistilBertTokenizerFast", "DistilBertTokenizer", true),
        ("DPRContextEncoderTokenizer", "DPRContextEncoderTokenizer", true),
        ("PreTrainedTokenizerFast", "PreTrainedTokenizerFast", false),
        ("TokenizersBackend", "TokenizersBackend", false),
        ("XLMRobertaTokenizerFast", "XLMRobertaTokenizer", false),
    ] {
        let files = tokenizer(json!({"tokenizer_class": class})).expect(class);
        assert_eq!((files.tokenizer_class.as_str(), files.is_bert), (kept, overrules));
    }
    let files = tokenizer(json!({})).expect("the class for bert");
    assert!(files.is_bert && files.do_lower_case && files.tokenize_chinese_chars);
    assert_eq!(files.strip_accents, None);
    let files = tokenizer(json!({
        "do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false,
        "unk_token": {"__type": "AddedToken", "content": "<unk>", "lstrip": false}, "sep_token": "</s>",
        "pad_token": null,
    }))
    .expect("flags");
    assert!(!files.do_lower_case && !files.tokenize_chinese_chars);
    assert_eq!(files.strip_accents, Some(true));
    let special = &files.special_tokens;
    assert_eq!((&special.unk_token[..], &special.sep_token[..]), ("<unk>", "</s>"));
    assert_eq!(special.cls_token, "[CLS]");
    let named: Vec<&str> = files.added_tokens.named.iter().map(|token| token.content.as_str()).collect();
    assert_eq!(named, ["<unk>", "</s>", "[CLS]", "[MASK]"]);
    for (config, message) in [
        (json!({"do_lower_case": "no"}), "do_lower_case: expected true or false, found \"no\""),
        (json!({"unk_token": 3}), "unk_token: expected a string or an object with content, found 3"),
        (json!({"unk_token": {}}), "unk_token.content: expected a string, found nothing"),
        (
            json!({"tokenizer_class": "BertJapaneseTokenizer"}),
            "tokenizer_class: a tokenizer that splits Japanese words in Python is not supported: \
             \"BertJapaneseTokenizer\"",
        ),
    ] {
        assert_eq!(tokenizer(config).expect_err(message), format!("ROOT/tokenizer_config.json: {message}"));
    }

    let sample = Sample::new();
    sample.json("tokenizer_config.json", &json!({"cls_token": "<a>"}));
    sample.json("special_tokens_map.json", &json!({"cls_token": "<b>", "mask_token": {"content": "<m>"}}));
    let files = sample.open().expect("an old folder").transformer.tokenizer;
    let last_named = |files: &TokenizerFiles| files.added_tokens.named.last().map(|token| token.content.clone());
    assert_eq!((&files.special_tokens.cls_token[..], last_named(&files).as_deref()), ("<b>", Some("<m>")));
    sample.set("tokenizer_config.json", "added_tokens_decoder", json!({}));
    let files = sample.open().expect("a newer folder").transformer.tokenizer;
    assert_eq!((&files.special_tokens.cls_token[..], last_named(&files).as_deref()), ("<a>", Some("[MASK]")));
    sample.unset("tokenizer_config.json", "cls_token");
    sample.set("config.json", "tokenizer_class", json!("PreTrainedTokenizerFast"));
    assert!(!sample.open().expect("the class of config.json").transformer.tokenizer.is_bert);
}
