//! From the files of a model folder to a tokenizer, by the reference's rules.
//!
//! The reference is transformers 5.23 under sentence-transformers 6.2:
//! * the classes `BertTokenizer` and `BertTokenizerFast` take only the vocabulary from `tokenizer.json`, and build the rest
//!   from the flags and special tokens of `tokenizer_config.json`; they cut words at 100 characters
//!   (`transformers/models/bert/tokenization_bert.py`); for other classes `tokenizer.json` stands as it is;
//! * both get the added tokens that the other files name (`added_tokens.rs`);
//! * `do_lower_case` of `sentence_bert_config.json` puts a lower-casing step in front
//!   (`sentence_transformers/base/modules/transformer.py`);
//! * truncation and padding stored in `tokenizer.json` never count, but for a static embedding, where truncation does.

use std::path::{Path, PathBuf};

use model_files::{ModelFileError, TokenizerFiles};
use tokenizers::models::ModelWrapper;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, Lowercase, NormalizerWrapper, Sequence};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::added_tokens;

/// Words of more characters than this are one unknown token. It is BERT's own limit, and the time for a word grows
/// with the square of its length.
const MOST_CHARACTERS_PER_WORD: usize = 100;

/// The file that defines the tokenizer, for errors.
pub(crate) fn file(files: &TokenizerFiles) -> PathBuf {
    files.folder.join(match files.tokenizer_json {
        Some(_) => "tokenizer.json",
        None => "vocab.txt",
    })
}

/// How a definition cuts texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truncation {
    /// Most tokens of a text.
    pub(crate) max_length: usize,
    /// Whether the first tokens are cut off instead of the last.
    pub(crate) keeps_end: bool,
}

/// Builds the tokenizer without truncation, and gives that of its definition apart. Nothing about its vocabulary has been
/// checked yet.
///
/// # Errors
/// A [`ModelFileError`] that names the file if it cannot be read as a tokenizer.
pub(crate) fn read(files: &TokenizerFiles) -> Result<(Tokenizer, Option<TruncationParams>), ModelFileError> {
    let file = file(files);
    let mut tokenizer = match (&files.tokenizer_json, &files.vocab_txt) {
        (Some(bytes), _) => Tokenizer::from_bytes(bytes).map_err(|error| unreadable(&file, &*error))?,
        (None, Some(bytes)) => Tokenizer::new(word_piece_of_vocab_txt(&file, bytes)?),
        (None, None) => {
            return Err(ModelFileError::MissingFile { file: files.folder.join("tokenizer.json"), hint: None });
        }
    };
    tokenizer.with_padding(None);
    let truncation = tokenizer.get_truncation().cloned();
    let own_tokens = tokenizer.get_added_vocabulary().get_added_tokens_decoder().clone();
    if files.is_bert {
        tokenizer = bert(&file, &tokenizer, files)?;
    }
    let complete = |tokenizer: &mut Tokenizer| -> tokenizers::Result<()> {
        tokenizer.with_truncation(None)?;
        limit_words(tokenizer);
        added_tokens::add(tokenizer, &files.added_tokens, own_tokens)?;
        if files.is_bert {
            surround_as_bert(tokenizer, files);
        }
        if files.lowercase_first {
            lowercase_first(tokenizer)?;
        }
        Ok(())
    };
    complete(&mut tokenizer).map_err(|error| unreadable(&file, &*error))?;
    Ok((tokenizer, truncation))
}

/// Checks a truncation that is to be applied to single texts.
///
/// # Errors
/// [`ModelFileError::Field`] if it cuts only the second of two texts.
pub(crate) fn truncation(
    file: &Path,
    parameters: Option<&TruncationParams>,
) -> Result<Option<Truncation>, ModelFileError> {
    let Some(parameters) = parameters else { return Ok(None) };
    if matches!(parameters.strategy, TruncationStrategy::OnlySecond) {
        return Err(ModelFileError::Field {
            file: file.to_path_buf(),
            field: "truncation.strategy".to_owned(),
            expected: "\"LongestFirst\" or \"OnlyFirst\", since a text has no second part".to_owned(),
            found: "\"OnlySecond\"".to_owned(),
            hint: None,
        });
    }
    let keeps_end = matches!(parameters.direction, TruncationDirection::Left);
    Ok(Some(Truncation { max_length: parameters.max_length, keeps_end }))
}

/// An error for a definition that the tokenizers library does not take.
pub(crate) fn unreadable(file: &Path, reason: &(impl std::fmt::Display + ?Sized)) -> ModelFileError {
    ModelFileError::Field {
        file: file.to_path_buf(),
        field: "tokenizer".to_owned(),
        expected: "a definition that tokenizers 0.23 can read".to_owned(),
        found: reason.to_string(),
        hint: None,
    }
}

/// Reads one token per line; the line's number is its id, and of equal lines the last one counts.
fn word_piece_of_vocab_txt(file: &Path, bytes: &[u8]) -> Result<WordPiece, ModelFileError> {
    let error = |expected: &str, found: String| ModelFileError::Field {
        file: file.to_path_buf(),
        field: "vocabulary".to_owned(),
        expected: expected.to_owned(),
        found,
        hint: None,
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|utf8| error("UTF-8 text", format!("an invalid byte at offset {}", utf8.valid_up_to())))?;
    // An empty map of the library's own type. Its own reader is not used for the lines: it also cuts off blanks, and then
    // two tokens can become the same one.
    let mut vocabulary = WordPiece::read_bytes(b"").map_err(|reason| unreadable(file, &*reason))?;
    for (id, token) in text.lines().enumerate() {
        let id = u32::try_from(id).map_err(|_| error("at most 2^32 lines", "more".to_owned()))?;
        vocabulary.insert(token.to_owned(), id);
    }
    WordPiece::builder().vocab(vocabulary).build().map_err(|reason| unreadable(file, &*reason))
}

/// Limits the length of words for a `WordPiece` model.
fn limit_words(tokenizer: &mut Tokenizer) {
    if let ModelWrapper::WordPiece(word_piece) = tokenizer.get_model()
        && word_piece.max_input_chars_per_word > MOST_CHARACTERS_PER_WORD
    {
        let mut limited = word_piece.clone();
        limited.max_input_chars_per_word = MOST_CHARACTERS_PER_WORD;
        tokenizer.with_model(limited);
    }
}

/// The tokenizer that the BERT classes build from a vocabulary; of all else in the definition nothing counts.
fn bert(file: &Path, definition: &Tokenizer, files: &TokenizerFiles) -> Result<Tokenizer, ModelFileError> {
    let ModelWrapper::WordPiece(word_piece) = definition.get_model() else {
        return Err(ModelFileError::Field {
            file: file.to_path_buf(),
            field: "model.type".to_owned(),
            expected: format!("\"WordPiece\", since tokenizer_class is {}", files.tokenizer_class),
            found: "another model".to_owned(),
            hint: None,
        });
    };
    let mut word_piece = word_piece.clone();
    word_piece.max_input_chars_per_word = MOST_CHARACTERS_PER_WORD;
    "##".clone_into(&mut word_piece.continuing_subword_prefix);
    word_piece.unk_token.clone_from(&files.special_tokens.unk_token);
    let mut tokenizer = Tokenizer::new(word_piece);
    let normalizer = BertNormalizer::new(true, files.tokenize_chinese_chars, files.strip_accents, files.do_lower_case);
    tokenizer.with_normalizer(Some(normalizer)).map_err(|error| unreadable(file, &*error))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    Ok(tokenizer)
}

/// Puts `[CLS]` before and `[SEP]` after a text. Where one of them is missing, which is refused later, nothing is done.
fn surround_as_bert(tokenizer: &mut Tokenizer, files: &TokenizerFiles) {
    let id = |token: &String| tokenizer.token_to_id(token).map(|id| (token.clone(), id));
    let special = &files.special_tokens;
    if let (Some(sep), Some(cls)) = (id(&special.sep_token), id(&special.cls_token)) {
        tokenizer.with_post_processor(Some(BertProcessing::new(sep, cls)));
    }
}

/// Puts a lower-casing step in front of the normaliser unless it has one (a `BertNormalizer` does not count).
fn lowercase_first(tokenizer: &mut Tokenizer) -> tokenizers::Result<()> {
    let is_lowercase = |step: &NormalizerWrapper| matches!(step, NormalizerWrapper::Lowercase(_));
    let steps = match tokenizer.get_normalizer() {
        None => Vec::new(),
        Some(NormalizerWrapper::Sequence(sequence)) => sequence.as_ref().to_vec(),
        Some(single) => vec![single.clone()],
    };
    if !steps.iter().any(is_lowercase) {
        let first = NormalizerWrapper::Lowercase(Lowercase);
        let steps = std::iter::once(first).chain(steps).collect();
        tokenizer.with_normalizer(Some(Sequence::new(steps)))?;
    }
    Ok(())
}
