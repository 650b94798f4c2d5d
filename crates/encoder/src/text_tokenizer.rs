//! Texts to token ids.

use std::borrow::Cow;
use std::panic::catch_unwind;

use model_files::{ModelFileError, TokenizerFiles};
use tokenizers::Tokenizer;

use crate::bert_words::BertWords;
use crate::run::panic_message;
use crate::tokenizer_checks::{check_vocabulary, tokens_around};
use crate::tokenizer_definition::{self, Truncation};

/// Characters of a text that are looked at, per token of the length limit; the rest is cut off before tokenising.
///
/// Tokenising works on the whole text before anything is cut, so without this a text of ten megabytes would be
/// tokenised for its first 512 tokens. No ordinary text comes near 250 characters per token (English has about 5);
/// a text can only give other ids than without the cap if it has long runs of blanks or of characters that vanish.
/// The number is that of text-embeddings-inference, `core/src/tokenization.rs`.
const CHARACTERS_PER_TOKEN: usize = 250;

/// The tokenizer of a model, checked against its embedding table: every id it returns is below the table's number of rows.
#[derive(Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// The fast way through ordinary text, for tokenizers that have one.
    words: Option<BertWords>,
    /// The special tokens before every text, `[CLS]`; none for a static embedding.
    before: Vec<u32>,
    /// The special tokens after every text, `[SEP]`; none for a static embedding.
    after: Vec<u32>,
    /// The cut that the definition itself asks for, which counts for a static embedding only.
    truncation: Option<Truncation>,
}

/// The number of rows of an embedding table and where it stands, for errors.
#[derive(Clone, Copy, Debug)]
pub struct TableSize<'a> {
    /// Every token id is below this.
    pub rows: usize,
    /// Such as `vocab_size of config.json`.
    pub from: &'a str,
}

impl TextTokenizer {
    /// Builds the tokenizer of a model whose embedding table has `vocab_size` rows.
    ///
    /// # Errors
    /// A [`ModelFileError`] that names the file: it cannot be read as a tokenizer, an id is not below `vocab_size`, or the
    /// unknown token or one of the tokens around every text is missing.
    pub fn new(files: &TokenizerFiles, vocab_size: usize) -> Result<Self, ModelFileError> {
        let table = TableSize { rows: vocab_size, from: "vocab_size of config.json" };
        Self::build(files, table, true)
    }

    /// Builds the tokenizer of a static embedding: nothing is put around a text, and a truncation in `tokenizer.json` counts.
    ///
    /// # Errors
    /// As [`TextTokenizer::new`], but for the tokens around a text; also for a truncation that cannot be applied to one.
    pub fn of_static_embedding(files: &TokenizerFiles, table: TableSize<'_>) -> Result<Self, ModelFileError> {
        Self::build(files, table, false)
    }

    fn build(files: &TokenizerFiles, table: TableSize<'_>, special_tokens: bool) -> Result<Self, ModelFileError> {
        let file = tokenizer_definition::file(files);
        // The library panics on some malformed definitions.
        let tokenizer = catch_unwind(|| {
            let (tokenizer, truncation) = tokenizer_definition::read(files)?;
            check_vocabulary(&tokenizer, &file, files, table, special_tokens)?;
            let (before, after) =
                if special_tokens { tokens_around(&tokenizer, &file, table)? } else { (Vec::new(), Vec::new()) };
            let truncation = if special_tokens { None } else { truncation.as_ref() };
            let truncation = tokenizer_definition::truncation(&file, truncation)?;
            let words = BertWords::new(&tokenizer);
            let tokenizer = Self { tokenizer, words, before, after, truncation };
            // Some mistakes in a definition only show when it is used.
            let Err(reason) = tokenizer.tokenizer.encode_fast("Ab 1.", false) else {
                return Ok(tokenizer);
            };
            Err(tokenizer_definition::unreadable(&file, &*reason))
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
        let mut ids = Vec::new();
        self.append_ids(prompt, text, max_seq_length, &mut ids)?;
        Ok(ids.into_boxed_slice())
    }

    /// [`TextTokenizer::token_ids`] at the end of `ids`. With `usize::MAX` for `max_seq_length` there is no limit and the
    /// whole text counts.
    ///
    /// # Errors
    /// The tokenizers library's own words, where it fails.
    pub fn append_ids(
        &self,
        prompt: &str,
        text: &str,
        max_seq_length: usize,
        ids: &mut Vec<u32>,
    ) -> Result<(), String> {
        let cut_at_end = self.truncation.is_none_or(|truncation| !truncation.keeps_end);
        let from_definition = self.truncation.map_or(usize::MAX, |truncation| truncation.max_length);
        let max_seq_length = max_seq_length.min(from_definition);
        let most_characters = if cut_at_end { max_seq_length.saturating_mul(CHARACTERS_PER_TOKEN) } else { usize::MAX };
        let text = first_characters(text, most_characters);
        let text = if prompt.is_empty() {
            Cow::Borrowed(text)
        } else {
            let mut joined = [prompt, text].concat();
            joined.truncate(first_characters(&joined, most_characters).len());
            Cow::Owned(joined)
        };
        let room = max_seq_length.saturating_sub(self.special_tokens());
        ids.extend_from_slice(&self.before);
        let start = ids.len();
        if let Some(words) = &self.words {
            words.append(&self.tokenizer, &text, if cut_at_end { room } else { usize::MAX }, ids)?;
        } else {
            let encoding = self.tokenizer.encode_fast(&*text, false).map_err(|error| error.to_string())?;
            ids.extend_from_slice(encoding.get_ids());
        }
        let found = ids.len() - start;
        if found > room && cut_at_end {
            ids.truncate(start + room);
        } else if found > room {
            ids.drain(start..start + found - room);
        }
        ids.extend_from_slice(&self.after);
        Ok(())
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
