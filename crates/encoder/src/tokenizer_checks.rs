//! Checks of a tokenizer against the embedding table that its ids are rows of.

use std::path::Path;

use model_files::{ModelFileError, TokenizerFiles};
use tokenizers::models::ModelWrapper;
use tokenizers::{Encoding, Model as _, Token, Tokenizer};

use crate::text_tokenizer::TableSize;
use crate::tokenizer_definition;

/// Checks that every id has a row in the embedding table and that the tokens that every text needs exist.
pub(crate) fn check_vocabulary(
    tokenizer: &Tokenizer,
    file: &Path,
    files: &TokenizerFiles,
    table: TableSize<'_>,
    special_tokens: bool,
) -> Result<(), ModelFileError> {
    let vocabulary = tokenizer.get_vocab(true);
    let highest = vocabulary.iter().max_by_key(|(token, id)| (**id, *token));
    if let Some((token, &id)) = highest
        && !is_below(id, table.rows)
    {
        return Err(id_error(file, &format!("vocabulary: {token:?}"), table, id));
    }
    // The model looks its unknown token up among its own tokens, not among the added ones.
    let (unknown, unknown_is_there) = if let ModelWrapper::WordPiece(model) = tokenizer.get_model() {
        (&model.unk_token, model.token_to_id(&model.unk_token).is_some())
    } else {
        let unknown = &files.special_tokens.unk_token;
        // What a model of another kind does without one is its own affair; BERT's texts need it.
        (unknown, !special_tokens || vocabulary.contains_key(unknown))
    };
    let special = &files.special_tokens;
    let mut needed = vec![(unknown, unknown_is_there)];
    if special_tokens {
        let around = [&special.cls_token, &special.sep_token];
        needed.extend(around.map(|token| (token, vocabulary.contains_key(token))));
    }
    let missing: Vec<String> =
        needed.iter().filter(|(_, is_there)| !is_there).map(|(token, _)| format!("{token:?}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ModelFileError::Field {
        file: file.to_path_buf(),
        field: "vocabulary".to_owned(),
        expected: match needed.as_slice() {
            [_, cls, sep] => format!("the special tokens {unknown:?}, {:?} and {:?}", cls.0, sep.0),
            _ => format!("the special token {unknown:?}"),
        },
        found: format!("{} tokens without {}", vocabulary.len(), missing.join(", ")),
        hint: None,
    })
}

/// The ids that the post-processor puts before and after a text, found by giving it a text of one impossible token.
pub(crate) fn tokens_around(
    tokenizer: &Tokenizer,
    file: &Path,
    table: TableSize<'_>,
) -> Result<(Vec<u32>, Vec<u32>), ModelFileError> {
    const TEXT: u32 = u32::MAX;
    let text = Encoding::from_tokens(vec![Token::new(TEXT, String::new(), (0, 0))], 0);
    let whole =
        tokenizer.post_process(text, None, true).map_err(|error| tokenizer_definition::unreadable(file, &*error))?;
    let ids = whole.get_ids();
    let (before, after) = match ids.split(|&id| id == TEXT).collect::<Vec<_>>().as_slice() {
        [before, after] if !before.is_empty() && !after.is_empty() => (before.to_vec(), after.to_vec()),
        _ => {
            return Err(post_processor_error(
                file,
                "special tokens before and after the text",
                format!("{} tokens around one of the text", ids.len().saturating_sub(1)),
            ));
        }
    };
    if let Some(&id) = before.iter().chain(&after).find(|&&id| !is_below(id, table.rows)) {
        return Err(id_error(file, "post_processor", table, id));
    }
    if let Some(other) = whole.get_type_ids().iter().find(|&&type_id| type_id != 0) {
        return Err(post_processor_error(file, "token type 0 for a single text", format!("token type {other}")));
    }
    Ok((before, after))
}

fn is_below(id: u32, vocab_size: usize) -> bool {
    usize::try_from(id).is_ok_and(|id| id < vocab_size)
}

fn id_error(file: &Path, field: &str, table: TableSize<'_>, found: u32) -> ModelFileError {
    ModelFileError::Field {
        file: file.to_path_buf(),
        field: field.to_owned(),
        expected: format!("an id below {} ({})", table.rows, table.from),
        found: found.to_string(),
        hint: None,
    }
}

fn post_processor_error(file: &Path, expected: &str, found: String) -> ModelFileError {
    ModelFileError::Field {
        file: file.to_path_buf(),
        field: "post_processor".to_owned(),
        expected: expected.to_owned(),
        found,
        hint: None,
    }
}
