//! A sparse sentence embedding model: encoder and masked-language-model head.

use ops::{Level, RaggedBatch};

use crate::bert::Bert;
use crate::cancel::Cancel;
use crate::dense_model::into_values;
use crate::dtype::Dtype;
use crate::error::ModelError;
use crate::mlm_head::MlmHead;

/// BERT, the head of its masked language model, and SPLADE pooling, on the CPU.
pub struct SpladeModel {
    bert: Bert,
    head: MlmHead,
}

impl SpladeModel {
    /// Reads the tensors that `files` describes and packs them for the CPU level in use.
    ///
    /// # Errors
    /// A tensor is missing or malformed, or `CORTEN_CPU_LEVEL` names no level of this processor.
    pub fn load(dtype: Dtype, files: &model_files::SpladeModel) -> Result<Self, ModelError> {
        Self::load_at(Level::selected()?, dtype, files)
    }

    /// [`SpladeModel::load`] for a CPU level of the caller's choice.
    ///
    /// # Errors
    /// A tensor is missing or malformed.
    pub fn load_at(level: Level, dtype: Dtype, files: &model_files::SpladeModel) -> Result<Self, ModelError> {
        let config = &files.transformer.config;
        // The head first: where it is missing, that is what should be said, and before the encoder is read.
        let head = MlmHead::load(level, dtype, config, &files.transformer.weights, files.pooling)?;
        let bert = Bert::load(level, dtype, config, &files.transformer.weights)?;
        Ok(Self { bert, head })
    }

    /// Columns of [`SpladeModel::embed`]'s rows: the size of the vocabulary.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.head.terms()
    }

    /// One weight a text and term, zero or more: `[texts, terms]`, row-major. A weight is NaN where the model overflowed.
    ///
    /// # Errors
    /// The call was cancelled, or a token id or length is beyond the model's tables.
    pub fn embed(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<Vec<f32>, ModelError> {
        let hidden = self.bert.forward(batch, cancel)?;
        into_values(&self.head.forward(&hidden, batch, cancel)?)
    }
}
