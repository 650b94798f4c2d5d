//! Token ids and rows agree with the reference on every dense fixture.

use crate::goldens::{Fixture, encode, texts, token_ids};
use encoder::{EncodeOptions, Encoder};

fn prompt(encoder: &Encoder, name: &str) -> String {
    let prompts = &encoder.settings().prompts;
    prompts.iter().find(|(known, _)| known == name).unwrap().1.clone()
}

#[test]
fn token_ids_equal_the_reference() {
    let texts = texts();
    for fixture in Fixture::encoded() {
        let encoder = fixture.load(2);
        let expected = fixture.ids("ids").unwrap();
        for (index, ids) in token_ids(&encoder, &texts, None).iter().enumerate() {
            assert_eq!(*ids, expected[index], "{}: text {index} {:?}", fixture.name, texts[index]);
        }
        if let Some(expected) = fixture.ids("ids_prompt") {
            assert_eq!(token_ids(&encoder, &texts, Some(&prompt(&encoder, "query"))), expected, "{}", fixture.name);
        }
    }
}

/// Largest excess over the tolerance of the fixtures, 1e-5 + 1e-5 * |golden|.
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(off <= 1e-5 + 1e-5 * expected.abs(), "{what}: value {index}: expected {expected}, found {found}");
    }
}

#[test]
fn rows_agree_with_the_reference() {
    let texts = texts();
    for fixture in Fixture::encoded() {
        let encoder = fixture.load(2);
        let sixteen_bits = matches!(fixture.name.as_str(), "bert-fp16" | "bert-bf16");
        let name = if sixteen_bits { "embeddings_float32" } else { "embeddings" };
        // The goldens named "embeddings" use the default prompt, as encode() of the reference does.
        let default = encoder.settings().default_prompt_name.clone().map(|name| prompt(&encoder, &name));
        let options = EncodeOptions { prompt: default, ..EncodeOptions::default() };
        let (expected, columns) = fixture.floats(name).unwrap();
        assert_eq!(encoder.output_dimension(None), columns, "{}", fixture.name);
        assert_close(&encode(&encoder, &texts, &options), &expected, &fixture.name);

        if let Some((expected, _)) = fixture.floats("embeddings_normalized").filter(|_| !sixteen_bits) {
            let options = EncodeOptions { normalize: true, ..options.clone() };
            assert_close(&encode(&encoder, &texts, &options), &expected, &format!("{} normalized", fixture.name));
        }
        if let Some((expected, _)) = fixture.floats("embeddings_query") {
            let options = EncodeOptions { prompt: Some(prompt(&encoder, "query")), ..EncodeOptions::default() };
            assert_close(&encode(&encoder, &texts, &options), &expected, &format!("{} query", fixture.name));
        }
        for truncate_dim in [4, 8, 16, 24, 32, 39, 48, 64] {
            for normalize in [false, true] {
                let suffix = if normalize { "_normalized" } else { "" };
                let name = format!("truncate_{truncate_dim}{suffix}");
                let Some((expected, columns)) = fixture.floats(&name) else { continue };
                let options = EncodeOptions { truncate_dim: Some(truncate_dim), normalize, ..options.clone() };
                assert_eq!(encoder.output_dimension(Some(truncate_dim)), columns);
                assert_close(&encode(&encoder, &texts, &options), &expected, &format!("{} {name}", fixture.name));
            }
        }
    }
}

#[test]
fn token_vectors_agree_with_the_reference() {
    let Some(fixture) = Fixture::open("bert-mean") else { return };
    let texts = texts();
    let chosen: Vec<String> = [0, 3, 5, 7].map(|index| texts[index].clone()).to_vec();
    let encoder = fixture.load(2);
    let vectors = encoder
        .token_embeddings(chosen, &EncodeOptions::default(), &mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap();
    let (expected, columns) = fixture.floats("token_embeddings.data").unwrap();
    assert_eq!(Some(columns), encoder.hidden_size());
    assert_close(&vectors.concat(), &expected, "token vectors");
}
