//! `1_SpladePooling/config.json`: how the logits of a text's tokens become one sparse vector.

use std::path::Path;

use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::Fields;

/// The pooling of a SPLADE model: logits `[tokens, vocabulary]` to weights `[vocabulary]`.
///
/// The reference is `SpladePooling` of `sparse_encoder/modules/splade_pooling.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpladePooling {
    /// What is taken over the tokens.
    pub strategy: SpladeStrategy,
    /// Whether the logarithm is taken twice: `log1p_relu`, `ln(1 + ln(1 + max(x, 0)))`, and not `relu`,
    /// `ln(1 + max(x, 0))`.
    pub twice: bool,
}

/// What is taken over the tokens of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpladeStrategy {
    /// The largest value.
    Max,
    /// The sum.
    Sum,
}

impl SpladePooling {
    /// Reads `config.json` in `inside`, a folder relative to the model folder, for a vocabulary of `vocab_size` terms.
    pub(crate) fn read(folder: &Folder, inside: &Path, vocab_size: usize) -> Result<Self, ModelFileError> {
        let relative = inside.join("config.json");
        let file = folder.path(&relative);
        match folder.read_json(&relative)? {
            Some(json) => Self::from_fields(&Fields::of_file(&file, &json)?, vocab_size),
            None => Err(ModelFileError::MissingFile { file, hint: None }),
        }
    }

    fn from_fields(fields: &Fields<'_>, vocab_size: usize) -> Result<Self, ModelFileError> {
        for field in ["embedding_dimension", "word_embedding_dimension"] {
            if fields.integer(field, 1..=usize::MAX)?.is_some_and(|width| width != vocab_size) {
                return Err(fields.wrong(field, format!("{vocab_size} (vocab_size of the transformer's config.json)")));
            }
        }
        let strategy = match fields.string("pooling_strategy")? {
            None | Some("max") => SpladeStrategy::Max,
            Some("sum") => SpladeStrategy::Sum,
            Some(_) => return Err(fields.wrong("pooling_strategy", "max or sum")),
        };
        let twice = match fields.string("activation_function")? {
            None | Some("relu") => false,
            Some("log1p_relu") => true,
            Some(_) => return Err(fields.wrong("activation_function", "relu or log1p_relu")),
        };
        Ok(Self { strategy, twice })
    }
}
