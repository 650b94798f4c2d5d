//! A sparse sentence embedding model: encoder and masked-language-model head.

use ops::{Processor, RaggedBatch};

use crate::bert::Bert;
use crate::cancel::Cancel;
use crate::dtype::Dtype;
use crate::error::ModelError;
use crate::mlm_head::MlmHead;
use crate::pending_values::PendingValues;
use crate::try_device::try_device;

/// BERT, the head of its masked language model, and SPLADE pooling.
pub struct SpladeModel {
    bert: Bert,
    head: MlmHead,
    processor: Processor,
}

impl SpladeModel {
    /// Reads the tensors that `files` describes and prepares them for `processor`.
    ///
    /// # Errors
    /// A tensor is missing or malformed, or a device fails or has no room for them.
    pub fn load(processor: &Processor, dtype: Dtype, files: &model_files::SpladeModel) -> Result<Self, ModelError> {
        let config = &files.transformer.config;
        // The head first: where it is missing, that is what should be said, and before the encoder is read.
        let head = MlmHead::load(processor, dtype, config, &files.transformer.weights, files.pooling)?;
        let bert = Bert::load(processor, dtype, config, &files.transformer.weights)?;
        let model = Self { bert, head, processor: processor.clone() };
        try_device(processor, |batch| model.embed(batch, &Cancel::new()))?;
        Ok(model)
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
        self.launch(batch, cancel)?.wait()
    }

    /// [`SpladeModel::embed`], which a device may still be computing when this returns.
    ///
    /// # Errors
    /// As there.
    pub fn launch(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<PendingValues, ModelError> {
        let hidden = self.bert.forward(batch, cancel)?;
        PendingValues::of(&self.processor, &self.head.forward(&hidden, batch, cancel)?)
    }
}
