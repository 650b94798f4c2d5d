//! The BERT tokenizer for ordinary text, many times as fast as the library's.
//!
//! BERT's normaliser and pre-tokenizer never look beyond a blank, so a text can be taken apart at its blanks. What stands
//! between two of them is tokenised here if it is plain ASCII, and by the tokenizers library otherwise: accents, other
//! alphabets, control characters and special tokens written in a text all take the library's own way. The ids are
//! therefore the library's; the tests hold them to it.

use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Model as _, Tokenizer};

use crate::word_pieces::{LONGEST_WORD, WordPieces};

/// What a byte is, as bits so that those of a stretch of text can be joined.
const BLANK: u8 = 1;
const LETTER: u8 = 2;
const PUNCTUATION: u8 = 4;
/// Not ASCII, or a control character that the normaliser takes out.
const OTHER: u8 = 8;
/// The first byte of a token that is found as it is written, such as `[MASK]`.
const ADDED: u8 = 16;

/// The most tokens that are looked for one by one; the library finds more of them at once.
const MOST_ADDED: usize = 256;

/// The tables for one tokenizer.
#[derive(Debug)]
pub(crate) struct BertWords {
    pieces: WordPieces,
    /// What each byte is.
    classes: [u8; 256],
    /// Each byte in lower case, or as it is for a cased model.
    folded: [u8; 256],
    /// The id of each punctuation mark.
    punctuation: [u32; 256],
    longest_word: usize,
    /// The tokens that are found as they are written.
    added: Vec<String>,
    /// Whether some are looked for in the normalised text.
    adds_normalized: bool,
}

impl BertWords {
    /// The tables for a tokenizer made of BERT's normaliser and pre-tokenizer and a `WordPiece` model; `None` for any other.
    pub(crate) fn new(tokenizer: &Tokenizer) -> Option<Self> {
        let lowercase = lowercases(tokenizer.get_normalizer()?)?;
        let Some(PreTokenizerWrapper::BertPreTokenizer(_)) = tokenizer.get_pre_tokenizer() else { return None };
        let ModelWrapper::WordPiece(model) = tokenizer.get_model() else { return None };
        if model.max_input_chars_per_word > LONGEST_WORD || tokenizer.get_truncation().is_some() {
            return None;
        }
        let unknown = model.token_to_id(&model.unk_token)?;
        let vocabulary = model.get_vocab();
        let vocabulary = vocabulary.iter().map(|(text, id)| (text.as_str(), *id));
        let pieces = WordPieces::new(vocabulary, &model.continuing_subword_prefix, unknown)?;

        let mut words = Self {
            classes: std::array::from_fn(|byte| u8::try_from(byte).map_or(OTHER, class)),
            folded: std::array::from_fn(|byte| {
                let byte = u8::try_from(byte).unwrap_or(0);
                if lowercase { byte.to_ascii_lowercase() } else { byte }
            }),
            punctuation: [unknown; 256],
            longest_word: model.max_input_chars_per_word,
            added: Vec::new(),
            adds_normalized: false,
            pieces,
        };
        for byte in (0..=u8::MAX).filter(u8::is_ascii_punctuation) {
            let id = if words.longest_word == 0 { unknown } else { words.pieces.id_of(&[byte]) };
            words.punctuation[usize::from(byte)] = id;
        }
        for token in tokenizer.get_added_vocabulary().get_added_tokens_decoder().values() {
            // One with a blank in it could reach over the end of a word.
            if token.content.contains(char::is_whitespace) || (token.normalized && !token.content.is_ascii()) {
                return None;
            }
            let Some(first) = token.content.bytes().next() else { continue };
            words.adds_normalized |= token.normalized;
            for byte in [first, first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                words.classes[usize::from(byte)] |= ADDED;
            }
            words.added.push(token.content.clone());
        }
        if words.added.len() > MOST_ADDED {
            return None;
        }
        Some(words)
    }

    /// Appends the ids of a text, without special tokens around it. Stops once at least `most` have been appended.
    ///
    /// # Errors
    /// The tokenizers library's own words, where it fails.
    pub(crate) fn append(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        most: usize,
        ids: &mut Vec<u32>,
    ) -> Result<(), String> {
        let enough = ids.len().saturating_add(most);
        let mut rest = text;
        while ids.len() < enough {
            let bytes = rest.as_bytes();
            let Some(start) = bytes.iter().position(|byte| self.class(*byte) != BLANK) else { break };
            let mut classes = 0;
            let length = bytes.iter().skip(start).position(|byte| {
                let class = self.class(*byte);
                classes |= class;
                class == BLANK
            });
            // The blank that ended the search was joined too.
            classes &= !BLANK;
            let end = length.map_or(bytes.len(), |length| start + length);
            let (Some(stretch), Some(after)) = (rest.get(start..end), rest.get(end..)) else {
                return Err("a blank inside a character".to_owned());
            };
            if classes & OTHER != 0 || (classes & ADDED != 0 && self.may_hold_added(stretch)) {
                let encoding = tokenizer.encode_fast(stretch, false).map_err(|error| error.to_string())?;
                ids.extend_from_slice(encoding.get_ids());
            } else {
                self.append_plain(stretch.as_bytes(), ids);
            }
            rest = after;
        }
        Ok(())
    }

    fn class(&self, byte: u8) -> u8 {
        self.classes[usize::from(byte)]
    }

    fn may_hold_added(&self, stretch: &str) -> bool {
        self.adds_normalized || self.added.iter().any(|token| stretch.contains(token.as_str()))
    }

    /// Appends the ids of letters, digits and punctuation: each punctuation mark is a word of its own.
    fn append_plain(&self, mut stretch: &[u8], ids: &mut Vec<u32>) {
        let mut word = [0; LONGEST_WORD];
        while let Some(first) = stretch.first() {
            if self.class(*first) & PUNCTUATION != 0 {
                ids.push(self.punctuation[usize::from(*first)]);
                stretch = stretch.get(1..).unwrap_or_default();
                continue;
            }
            let length = stretch.iter().position(|byte| self.class(*byte) & PUNCTUATION != 0).unwrap_or(stretch.len());
            let (letters, after) = stretch.split_at(length);
            match word.get_mut(..length) {
                Some(word) if length <= self.longest_word => {
                    for (folded, byte) in word.iter_mut().zip(letters) {
                        *folded = self.folded[usize::from(*byte)];
                    }
                    self.pieces.append(word, ids);
                }
                _ => ids.push(self.pieces.unknown()),
            }
            stretch = after;
        }
    }
}

/// Whether a normaliser that is BERT's, alone or after lower-casing steps, lower-cases; `None` for any other.
fn lowercases(normalizer: &NormalizerWrapper) -> Option<bool> {
    match normalizer {
        NormalizerWrapper::BertNormalizer(bert) => bert.clean_text.then_some(bert.lowercase),
        NormalizerWrapper::Sequence(steps) => {
            let (last, before) = steps.as_ref().split_last()?;
            let only_lowercase = before.iter().all(|step| matches!(step, NormalizerWrapper::Lowercase(_)));
            let bert = if matches!(last, NormalizerWrapper::BertNormalizer(_)) { lowercases(last) } else { None };
            bert.filter(|_| only_lowercase).map(|lowercase| lowercase || !before.is_empty())
        }
        _ => None,
    }
}

/// What a byte is to BERT's normaliser and pre-tokenizer. These four blanks are the ones that the normaliser keeps.
fn class(byte: u8) -> u8 {
    match byte {
        b' ' | b'\t' | b'\n' | b'\r' => BLANK,
        _ if byte.is_ascii_alphanumeric() => LETTER,
        _ if byte.is_ascii_punctuation() => PUNCTUATION,
        _ => OTHER,
    }
}

#[cfg(test)]
mod same_ids;
