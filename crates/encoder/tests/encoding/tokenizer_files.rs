//! Tokenizer files that are malformed, unusual or do not fit the model.

use std::path::PathBuf;

use encoder::TextTokenizer;
use model_files::{AddedToken, AddedTokens, SpecialTokens, TokenizerFiles};
use serde_json::{Value, json};

const VOCABULARY: [&str; 9] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cell", "##s", "blood", "Blood"];

/// A BERT tokenizer with the vocabulary above, as Hugging Face's converters write it.
fn definition() -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        VOCABULARY.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let special = |id: usize| {
        json!({"id": id, "content": VOCABULARY[id], "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let added: Vec<Value> = (0..5).map(special).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}

fn files(tokenizer_json: Option<Vec<u8>>, vocab_txt: Option<Vec<u8>>) -> TokenizerFiles {
    TokenizerFiles {
        folder: PathBuf::from("model"),
        tokenizer_json,
        vocab_txt,
        tokenizer_class: "BertTokenizer".to_owned(),
        is_bert: true,
        do_lower_case: true,
        strip_accents: None,
        tokenize_chinese_chars: true,
        lowercase_first: false,
        special_tokens: SpecialTokens::default(),
        added_tokens: AddedTokens {
            named: (0..5).map(|id| AddedToken::special(VOCABULARY[id])).collect(),
            ..AddedTokens::default()
        },
    }
}

fn files_of(definition: &Value) -> TokenizerFiles {
    files(Some(definition.to_string().into_bytes()), None)
}

fn ids(files: &TokenizerFiles, text: &str) -> Vec<u32> {
    let tokenizer = TextTokenizer::new(files, VOCABULARY.len()).unwrap();
    tokenizer.token_ids("", text, 512).unwrap().to_vec()
}

fn error(files: &TokenizerFiles, vocab_size: usize) -> String {
    TextTokenizer::new(files, vocab_size).unwrap_err().to_string()
}

#[test]
fn malformed_json_names_the_file() {
    for broken in ["", "{", "[]", "null", "\u{0}", r#"{"version": "1.0"}"#] {
        let error = error(&files(Some(broken.as_bytes().to_vec()), None), 9);
        assert!(error.starts_with("model/tokenizer.json: tokenizer: expected a definition that "), "{error}");
    }
}

#[test]
fn every_truncated_definition_is_refused() {
    let whole = definition().to_string().into_bytes();
    for length in 0..whole.len() {
        let error = error(&files(Some(whole[..length].to_vec()), None), 9);
        assert!(error.starts_with("model/tokenizer.json: "), "{length}: {error}");
    }
}

#[test]
fn an_id_beyond_the_embedding_table_is_refused() {
    let expected = "expected an id below 8 (vocab_size of config.json), found 8";
    assert_eq!(error(&files_of(&definition()), 8), format!("model/tokenizer.json: vocabulary: \"Blood\": {expected}"));
    TextTokenizer::new(&files_of(&definition()), 9).unwrap();

    let mut largest = definition();
    largest["model"]["vocab"]["blood"] = json!(u32::MAX);
    assert!(error(&files_of(&largest), 9).ends_with("found 4294967295"));

    let mut in_post_processor = definition();
    in_post_processor["post_processor"]["cls"][1] = json!(9);
    let error = error(&TokenizerFiles { is_bert: false, ..files_of(&in_post_processor) }, 9);
    assert_eq!(
        error,
        "model/tokenizer.json: post_processor: expected an id below 9 (vocab_size of config.json), found 9"
    );
}

#[test]
fn missing_special_tokens_are_named() {
    for (token, id) in [("[UNK]", 1), ("[CLS]", 2), ("[SEP]", 3)] {
        let mut without = definition();
        without["model"]["vocab"].as_object_mut().unwrap().remove(token);
        without["added_tokens"].as_array_mut().unwrap().remove(id);
        let error = error(&files_of(&without), 9);
        assert_eq!(
            error,
            format!(
                "model/tokenizer.json: vocabulary: expected the special tokens \"[UNK]\", \"[CLS]\" and \"[SEP]\", found 8 \
                 tokens without {token:?}"
            )
        );
    }
}

#[test]
fn padding_and_truncation_of_the_file_do_not_count() {
    let mut padded = definition();
    padded["truncation"] = json!({"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    padded["padding"] = json!({"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                               "pad_type_id": 0, "pad_token": "[PAD]"});
    assert_eq!(ids(&files_of(&padded), "cells cells"), [2, 5, 6, 5, 6, 3]);
}

#[test]
fn the_bert_classes_overrule_the_normalizer_and_others_do_not() {
    let mut cased = definition();
    cased["normalizer"]["lowercase"] = json!(false);
    let mut files = files_of(&cased);
    assert_eq!(ids(&files, "Blood"), [2, 7, 3]);
    files.do_lower_case = false;
    assert_eq!(ids(&files, "Blood"), [2, 8, 3]);
    files.do_lower_case = true;
    files.is_bert = false;
    assert_eq!(ids(&files, "Blood"), [2, 8, 3]);
    files.lowercase_first = true;
    assert_eq!(ids(&files, "Blood"), [2, 7, 3]);
}

#[test]
fn words_have_at_most_a_hundred_characters() {
    let text = ["cell", &"s".repeat(96)].concat();
    let longer = format!("{text}s");
    for (is_bert, limit) in [(true, 10), (true, 1_000_000), (false, 1_000_000)] {
        let mut definition = definition();
        definition["model"]["max_input_chars_per_word"] = json!(limit);
        let files = TokenizerFiles { is_bert, ..files_of(&definition) };
        assert_eq!(ids(&files, &text).len(), 99, "{is_bert} {limit}");
        assert_eq!(ids(&files, &longer), [2, 1, 3], "{is_bert} {limit}");
    }
    let mut short = definition();
    short["model"]["max_input_chars_per_word"] = json!(4);
    assert_eq!(ids(&TokenizerFiles { is_bert: false, ..files_of(&short) }, "cells cell"), [2, 1, 5, 3]);
}

#[test]
fn vocab_txt_is_a_bert_tokenizer() {
    for line_end in ["\n", "\r\n"] {
        let text = VOCABULARY.join(line_end);
        for text in [text.clone(), format!("{text}{line_end}")] {
            let files = files(None, Some(text.into_bytes()));
            assert_eq!(ids(&files, "Cells [MASK] [mask] w"), [2, 5, 6, 4, 1, 1, 1, 1, 3]);
        }
    }
    let error = error(&files(None, Some(b"[UNK]\n\xff".to_vec())), 9);
    assert_eq!(error, "model/vocab.txt: vocabulary: expected UTF-8 text, found an invalid byte at offset 6");
}

#[test]
fn of_equal_lines_of_vocab_txt_the_last_counts_and_blanks_are_kept() {
    let text = format!("{}\ncell\nblood\u{a0}", VOCABULARY.join("\n"));
    let tokenizer = TextTokenizer::new(&files(None, Some(text.into_bytes())), 11).unwrap();
    assert_eq!(*tokenizer.token_ids("", "cell blood", 512).unwrap(), [2, 9, 7, 3]);
}

#[test]
fn a_post_processor_that_adds_nothing_is_refused() {
    let mut bare = definition();
    bare["post_processor"] = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true});
    assert_eq!(
        error(&TokenizerFiles { is_bert: false, ..files_of(&bare) }, 9),
        "model/tokenizer.json: post_processor: expected special tokens before and after the text, found 0 tokens around \
         one of the text"
    );
    assert_eq!(ids(&files_of(&bare), "cell"), [2, 5, 3], "the BERT classes bring their own");
}

#[test]
fn the_prompt_is_part_of_the_text() {
    let tokenizer = TextTokenizer::new(&files_of(&definition()), 9).unwrap();
    assert_eq!(*tokenizer.token_ids("cell", "s", 512).unwrap(), [2, 5, 6, 3]);
    assert_eq!(tokenizer.prompt_tokens("", 512).unwrap(), 0);
    assert_eq!(tokenizer.prompt_tokens("cells ", 512).unwrap(), 3);
    assert_eq!(tokenizer.prompt_tokens("cells cells cells", 5).unwrap(), 4);
}

#[test]
fn only_the_first_characters_of_a_text_are_looked_at() {
    let tokenizer = TextTokenizer::new(&files_of(&definition()), 9).unwrap();
    let seen = |text: &str| tokenizer.token_ids("", text, 3).unwrap().to_vec();
    assert_eq!(seen(&format!("{}cell", " ".repeat(746))), [2, 5, 3]);
    assert_eq!(seen(&format!("{}cells", " ".repeat(746))), [2, 5, 3]);
    assert_eq!(seen(&format!("{}cell", " ".repeat(750))), [2, 3]);
    assert_eq!(tokenizer.token_ids(&" ".repeat(700), &format!("{}cell", " ".repeat(50)), 3).unwrap().len(), 2);
    // Characters, not bytes: these blanks have three.
    assert_eq!(seen(&format!("{}cell", "\u{3000}".repeat(746))), [2, 5, 3]);
    assert_eq!(seen(&format!("{}cell", "\u{3000}".repeat(750))), [2, 3]);
}

/// Every place in a JSON document, as a JSON pointer.
fn places(value: &Value, pointer: &str, all: &mut Vec<String>) {
    all.push(pointer.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{pointer}/{index}"), all);
            }
        }
        _ => {}
    }
}

#[test]
fn any_value_anywhere_gives_an_error_or_ids_within_the_table() {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(8),
        json!(4_294_967_295_u32),
        json!(1e300),
        json!(""),
        json!("[CLS]"),
        json!("\u{0}"),
        json!("Sequence"),
        json!("BPE"),
        json!("Unigram"),
        json!("WordLevel"),
        json!("Precompiled"),
        json!("Replace"),
        json!("Split"),
        json!("TemplateProcessing"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"type": "Sequence", "normalizers": []}),
        json!({"type": "ByteLevel"}),
        json!({"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}),
        json!({"type": "Precompiled", "precompiled_charsmap": ""}),
        json!({"type": "Prepend", "prepend": "\u{2581}"}),
        json!({"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": true}),
        json!({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Removed", "invert": false}),
        json!({"type": "FixedLength", "length": 0}),
        json!({"type": "Metaspace", "replacement": "", "prepend_scheme": "always", "split": true}),
        json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
               {"Sequence": {"id": "B", "type_id": 0}}], "pair": [], "special_tokens": {}}),
        json!({"type": "Unigram", "unk_id": 77, "vocab": [["a", -1.0], ["b", -2.0]], "byte_fallback": true}),
        json!({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "z"]]}),
        json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "zzz"}),
    ];
    let mut all = Vec::new();
    places(&definition(), "", &mut all);
    let (mut accepted, mut refused) = (0, 0);
    for pointer in &all {
        for value in &values {
            for is_bert in [true, false] {
                let mut mutated = definition();
                *mutated.pointer_mut(pointer).unwrap() = value.clone();
                let files = TokenizerFiles { is_bert, ..files_of(&mutated) };
                let Ok(tokenizer) = TextTokenizer::new(&files, 9) else {
                    refused += 1;
                    continue;
                };
                accepted += 1;
                for text in
                    ["", " ", "cells Blood", "[MASK]\u{0}\u{301}e\u{301}\u{4e2d}", "\u{10ffff}aaaaaaaaaaaaaaaaaaaaaab"]
                {
                    if let Ok(ids) = tokenizer.token_ids("", text, 16) {
                        assert!(
                            ids.len() <= 16 && ids.iter().all(|id| *id < 9),
                            "{pointer} = {value}: {text:?}: {ids:?}"
                        );
                    }
                }
            }
        }
    }
    assert!(accepted > 100 && refused > 1000, "{accepted} accepted, {refused} refused");
}
