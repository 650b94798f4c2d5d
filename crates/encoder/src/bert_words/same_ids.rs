//! The fast way gives the ids of the tokenizers library, whatever the text and the definition.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::BertWords;

/// The folder of fixtures and data, or `None` with a word on stderr where it is absent.
fn shared() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no folder {}", folder.display());
    None
}

/// A tokenizer of the library and the tables made from it, which there must be.
fn both(definition: &[u8]) -> (Tokenizer, BertWords) {
    let mut tokenizer = Tokenizer::from_bytes(definition).unwrap();
    tokenizer.with_truncation(None).unwrap();
    tokenizer.with_padding(None);
    let words = BertWords::new(&tokenizer).expect("a tokenizer of BERT's parts has a fast way");
    (tokenizer, words)
}

fn assert_same(tokenizer: &Tokenizer, words: &BertWords, text: &str, what: &str) {
    let expected = tokenizer.encode_fast(text, false).unwrap();
    let mut found = Vec::new();
    words.append(tokenizer, text, usize::MAX, &mut found).unwrap();
    assert_eq!(found, expected.get_ids(), "{what}: {text:?}");
}

fn hard_texts(shared: &std::path::Path) -> Vec<String> {
    let named: Vec<(String, String)> =
        serde_json::from_slice(&fs::read(shared.join("fixtures/texts.json")).unwrap()).unwrap();
    named.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn hard_texts_with_every_fixture_s_tokenizer() {
    let Some(shared) = shared() else { return };
    let texts = hard_texts(&shared);
    let mut tokenizers = 0;
    for model in fs::read_dir(shared.join("fixtures/models")).unwrap() {
        let model = model.unwrap().path();
        // Their "[Q] " and "[D] " have a blank in them, and no fast way is the right answer.
        let is_colbert = model.file_name().is_some_and(|name| name.to_string_lossy().starts_with("colbert"));
        for file in ["tokenizer.json", "0_StaticEmbedding/tokenizer.json", "0_Transformer/tokenizer.json"] {
            let Ok(definition) = fs::read(model.join(file)) else { continue };
            if is_colbert {
                assert!(BertWords::new(&Tokenizer::from_bytes(definition).unwrap()).is_none());
                continue;
            }
            let (tokenizer, words) = both(&definition);
            for text in &texts {
                assert_same(&tokenizer, &words, text, &model.display().to_string());
            }
            tokenizers += 1;
        }
    }
    assert!(tokenizers > 30, "only {tokenizers}");
}

#[test]
fn ten_thousand_real_texts_and_a_thousand_questions() {
    let Some(shared) = shared() else { return };
    let definition = fs::read(shared.join("models/static-minilm-256/0_StaticEmbedding/tokenizer.json")).unwrap();
    let (tokenizer, words) = both(&definition);
    let mut texts = 0;
    for (file, fields) in [
        ("data/texts/texts_10k.jsonl.gz", ["text", "text"]),
        ("data/pubmedqa/pubmedqa_labeled.jsonl.gz", ["question", "long_answer"]),
    ] {
        for line in BufReader::new(GzDecoder::new(File::open(shared.join(file)).unwrap())).lines() {
            let row: Value = serde_json::from_str(&line.unwrap()).unwrap();
            for field in fields {
                assert_same(&tokenizer, &words, row[field].as_str().unwrap(), file);
                texts += 1;
            }
        }
    }
    assert!(texts >= 22_000, "only {texts}");
}

const VOCABULARY: [&str; 24] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "ab", "abc", "##a", "##b", "##bc", "##c", "b", "Ab", "A", "##B",
    "1", "##1", ".", "-", "é", "##é", "中", "e",
];

/// A definition of BERT's parts with these flags and added tokens.
fn definition(normalizer: &Value, longest: usize, added: &[(&str, bool)]) -> Vec<u8> {
    let vocabulary: serde_json::Map<String, Value> =
        VOCABULARY.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let added: Vec<Value> = added
        .iter()
        .enumerate()
        .map(|(index, (content, normalized))| {
            let id = VOCABULARY.iter().position(|token| token == content).unwrap_or(100 + index);
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": normalized, "special": !normalized})
        })
        .collect();
    let definition = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": longest, "vocab": vocabulary},
    });
    definition.to_string().into_bytes()
}

fn bert(lowercase: bool, strip_accents: &Value) -> Value {
    json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
           "strip_accents": strip_accents, "lowercase": lowercase})
}

fn definitions() -> Vec<Vec<u8>> {
    let special = [("[MASK]", false), ("[SEP]", false)];
    let lowercase_first =
        json!({"type": "Sequence", "normalizers": [{"type": "Lowercase"}, bert(false, &json!(null))]});
    vec![
        definition(&bert(true, &json!(null)), 100, &special),
        definition(&bert(false, &json!(null)), 100, &special),
        definition(&bert(true, &json!(false)), 100, &special),
        definition(&bert(false, &json!(true)), 100, &[]),
        definition(&lowercase_first, 100, &special),
        definition(&bert(true, &json!(null)), 3, &special),
        definition(&bert(true, &json!(null)), 0, &special),
        // Tokens that are looked for in the normalised text, and ones that begin with a letter.
        definition(&bert(true, &json!(null)), 100, &[("[MASK]", false), ("AbA", true), ("cab", false), ("é", false)]),
    ]
}

#[test]
fn every_character_inside_a_word_and_alone() {
    for definition in definitions() {
        let (tokenizer, words) = both(&definition);
        for character in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            // Of the planes above the first only a sample: nothing in them is ASCII or a blank.
            if u32::from(character) < 0x1_0000 || u32::from(character).is_multiple_of(97) {
                assert_same(&tokenizer, &words, &format!("ab{character}c {character} a"), "one character");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_texts(
        pieces in prop::collection::vec(prop_oneof![
            6 => "[abcAB1]{1,6}",
            3 => "[ \t\n\r]{1,2}",
            3 => "[.\\-\\[\\]MASKSEPab]{1,7}",
            2 => prop_oneof![Just("[MASK]".to_owned()), Just("[SEP]".to_owned()), Just("AbA".to_owned()), Just("cab".to_owned())],
            2 => "[\\x00-\\x7f]{0,5}",
            2 => any::<String>(),
            1 => "[éÉ中\u{301}\u{a0}\u{2028}İ]{1,3}",
            1 => "[ab]{90,110}",
        ], 0..12),
    ) {
        let text = pieces.concat();
        for definition in definitions() {
            let (tokenizer, words) = both(&definition);
            assert_same(&tokenizer, &words, &text, "random");
        }
    }

    /// Stopping early gives the beginning of the ids.
    #[test]
    fn a_limit_cuts_the_end(text in "[abc .é]{0,60}", most in 0usize..40) {
        let definition = definition(&bert(true, &json!(null)), 100, &[]);
        let (tokenizer, words) = both(&definition);
        let (mut whole, mut limited) = (Vec::new(), Vec::new());
        words.append(&tokenizer, &text, usize::MAX, &mut whole).unwrap();
        words.append(&tokenizer, &text, most, &mut limited).unwrap();
        prop_assert!(limited.len() >= most.min(whole.len()));
        prop_assert_eq!(&whole[..limited.len()], limited.as_slice());
    }
}

#[test]
fn other_definitions_have_no_fast_way() {
    let refused = |definition: &[u8]| BertWords::new(&Tokenizer::from_bytes(definition).unwrap()).is_none();
    let mut unclean = bert(true, &json!(null));
    unclean["clean_text"] = json!(false);
    assert!(refused(&definition(&unclean, 100, &[])), "control characters would stay");
    assert!(refused(&definition(&json!({"type": "NFC"}), 100, &[])), "another normaliser");
    assert!(refused(&definition(&json!(null), 100, &[])), "no normaliser");
    assert!(refused(&definition(&bert(true, &json!(null)), 200, &[])), "words longer than the table's");
    assert!(refused(&definition(&bert(true, &json!(null)), 100, &[("new york", false)])), "a token with a blank");
    let names: Vec<String> = (0..257).map(|i| format!("t{i}")).collect();
    let mut many: Vec<(&str, bool)> = names.iter().map(|name| (name.as_str(), false)).collect();
    assert!(refused(&definition(&bert(true, &json!(null)), 100, &many)), "very many tokens");
    many.pop();
    assert!(!refused(&definition(&bert(true, &json!(null)), 100, &many)), "as many as are looked for");
    let after = json!({"type": "Sequence", "normalizers": [bert(true, &json!(null)), {"type": "Lowercase"}]});
    assert!(refused(&definition(&after, 100, &[])), "a step after BERT's");
}
