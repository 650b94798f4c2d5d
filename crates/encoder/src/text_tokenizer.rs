//! Texts to token ids.

use std::borrow::Cow;
use std::panic::catch_unwind;
use std::path::Path;

use model_files::{ModelFileError, TokenizerFiles};
use tokenizers::models::ModelWrapper;
use tokenizers::{Encoding, Model as _, Token, Tokenizer};

use crate::run::panic_message;
use crate::tokenizer_definition;

/// Characters of a text that are looked at, per token of the length limit; the rest is cut off before tokenising.
///
/// Tokenising works on the whole text before anything is cut, so without this a text of ten megabytes would be
/// tokenised for its first 512 tokens. No ordinary text comes near 250 characters per token (English has about 5);
/// a text can only give other ids than without the cap if it has long runs of blanks or of characters that vanish.
/// The number is that of text-embeddings-inference, `core/src/tokenization.rs`.
const CHARACTERS_PER_TOKEN: usize = 250;

/// The tokenizer of a model, checked against its embedding table: every id it returns is below `vocab_size`.
#[derive(Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// The special tokens before every text, `[CLS]`.
    before: Vec<u32>,
    /// The special tokens after every text, `[SEP]`.
    after: Vec<u32>,
}

impl TextTokenizer {
    /// Builds the tokenizer of a model whose embedding table has `vocab_size` rows.
    ///
    /// # Errors
    /// A [`ModelFileError`] that names the file: it cannot be read as a tokenizer, an id is not below `vocab_size`, or the
    /// unknown token or one of the tokens around every text is missing.
    pub fn new(files: &TokenizerFiles, vocab_size: usize) -> Result<Self, ModelFileError> {
        let file = tokenizer_definition::file(files);
        // The library panics on some malformed definitions.
        let tokenizer = catch_unwind(|| {
            let tokenizer = tokenizer_definition::read(files)?;
            check_vocabulary(&tokenizer, &file, files, vocab_size)?;
            let (before, after) = tokens_around(&tokenizer, &file, vocab_size)?;
            let tokenizer = Self { tokenizer, before, after };
            // Some mistakes in a definition only show when it is used.
            let Err(reason) = tokenizer.token_ids("", "Ab 1.", usize::MAX) else {
                return Ok(tokenizer);
            };
            Err(tokenizer_definition::unreadable(&file, &reason))
        });
        tokenizer.unwrap_or_else(|panic| Err(tokenizer_definition::unreadable(&file, &panic_message(panic.as_ref()))))
    }

    /// The text of a token; `None` if there is no such id.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// Number of special tokens around every text: the least length limit that makes sense.
    #[must_use]
    pub fn special_tokens(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// The ids of `[CLS]`, the prompt and the text as one, and `[SEP]`: at most `max_seq_length` of them (but always the
    /// special tokens), cut off at the end of the text.
    ///
    /// Time grows with the length of the text up to 250 characters per token of `max_seq_length`; what lies
    /// beyond is not looked at.
    ///
    /// # Errors
    /// The tokenizers library's own words, where it fails.
    pub fn token_ids(&self, prompt: &str, text: &str, max_seq_length: usize) -> Result<Box<[u32]>, String> {
        let most_characters = max_seq_length.saturating_mul(CHARACTERS_PER_TOKEN);
        let text = first_characters(text, most_characters);
        let text = if prompt.is_empty() {
            Cow::Borrowed(text)
        } else {
            let joined = [prompt, text].concat();
            let length = first_characters(&joined, most_characters).len();
            let mut joined = joined;
            joined.truncate(length);
            Cow::Owned(joined)
        };
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| error.to_string())?;
        let room = max_seq_length.saturating_sub(self.special_tokens());
        let ids = encoding.get_ids();
        let ids = ids.get(..room).unwrap_or(ids);
        Ok([&self.before, ids, &self.after].concat().into_boxed_slice())
    }

    /// Number of positions that pooling leaves out for a model that excludes its prompt: the tokens of the prompt alone,
    /// with `[CLS]` and without `[SEP]`, cut at `max_seq_length` like a text. 0 for an empty prompt.
    ///
    /// # Errors
    /// The tokenizers library's own words, where it fails.
    pub fn prompt_tokens(&self, prompt: &str, max_seq_length: usize) -> Result<usize, String> {
        if prompt.is_empty() {
            return Ok(0);
        }
        let ids = self.token_ids(prompt, "", max_seq_length)?;
        Ok(ids.len().saturating_sub(self.after.len()))
    }
}

/// The first `count` characters of a text.
fn first_characters(text: &str, count: usize) -> &str {
    if text.len() <= count {
        return text;
    }
    let end = text.char_indices().nth(count).map_or(text.len(), |(offset, _)| offset);
    text.get(..end).unwrap_or(text)
}

/// Checks that every id has a row in the embedding table and that the tokens that every text needs exist.
fn check_vocabulary(
    tokenizer: &Tokenizer,
    file: &Path,
    files: &TokenizerFiles,
    vocab_size: usize,
) -> Result<(), ModelFileError> {
    let vocabulary = tokenizer.get_vocab(true);
    let highest = vocabulary.iter().max_by_key(|(token, id)| (**id, *token));
    if let Some((token, &id)) = highest
        && !is_below(id, vocab_size)
    {
        return Err(id_error(file, &format!("vocabulary: {token:?}"), vocab_size, id));
    }
    // The model looks its unknown token up among its own tokens, not among the added ones.
    let (unknown, unknown_is_there) = if let ModelWrapper::WordPiece(model) = tokenizer.get_model() {
        (&model.unk_token, model.token_to_id(&model.unk_token).is_some())
    } else {
        let unknown = &files.special_tokens.unk_token;
        (unknown, vocabulary.contains_key(unknown))
    };
    let special = &files.special_tokens;
    let needed = [
        (unknown, unknown_is_there),
        (&special.cls_token, vocabulary.contains_key(&special.cls_token)),
        (&special.sep_token, vocabulary.contains_key(&special.sep_token)),
    ];
    let missing: Vec<String> =
        needed.iter().filter(|(_, is_there)| !is_there).map(|(token, _)| format!("{token:?}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ModelFileError::Field {
        file: file.to_path_buf(),
        field: "vocabulary".to_owned(),
        expected: format!("the special tokens {:?}, {:?} and {:?}", unknown, special.cls_token, special.sep_token),
        found: format!("{} tokens without {}", vocabulary.len(), missing.join(", ")),
        hint: None,
    })
}

/// The ids that the post-processor puts before and after a text, found by giving it a text of one impossible token.
fn tokens_around(
    tokenizer: &Tokenizer,
    file: &Path,
    vocab_size: usize,
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
    if let Some(&id) = before.iter().chain(&after).find(|&&id| !is_below(id, vocab_size)) {
        return Err(id_error(file, "post_processor", vocab_size, id));
    }
    if let Some(other) = whole.get_type_ids().iter().find(|&&type_id| type_id != 0) {
        return Err(post_processor_error(file, "token type 0 for a single text", format!("token type {other}")));
    }
    Ok((before, after))
}

fn is_below(id: u32, vocab_size: usize) -> bool {
    usize::try_from(id).is_ok_and(|id| id < vocab_size)
}

fn id_error(file: &Path, field: &str, vocab_size: usize, found: u32) -> ModelFileError {
    ModelFileError::Field {
        file: file.to_path_buf(),
        field: field.to_owned(),
        expected: format!("an id below {vocab_size} (vocab_size of config.json)"),
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
