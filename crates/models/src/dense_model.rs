//! A dense sentence embedding model: encoder and head.

use model_files::SentenceModel;
use ops::{Processor, RaggedBatch};

use crate::bert::Bert;
use crate::cancel::Cancel;
use crate::dtype::Dtype;
use crate::error::ModelError;
use crate::head::Head;
use crate::pending_values::PendingValues;
use crate::try_device::try_device;

/// BERT, pooling, and the dense and normalising modules after it.
pub struct DenseModel {
    bert: Bert,
    head: Head,
    processor: Processor,
}

impl DenseModel {
    /// Reads the tensors that `files` describes and prepares them for `processor`. `dtype` is that of the encoder's
    /// layers; the modules after the pooling, one small product a text, stay float32.
    ///
    /// # Errors
    /// A tensor is missing or malformed, or a device fails or has no room for them.
    pub fn load(processor: &Processor, dtype: Dtype, files: &SentenceModel) -> Result<Self, ModelError> {
        let config = &files.transformer.config;
        let bert = Bert::load(processor, dtype, config, &files.transformer.weights)?;
        let head = Head::load(processor, &files.modules, config.hidden_size)?;
        let model = Self { bert, head, processor: processor.clone() };
        try_device(processor, |batch| model.embed(batch, 0, &Cancel::new()))?;
        Ok(model)
    }

    /// Columns of [`DenseModel::embed`]'s rows.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.head.dimension()
    }

    /// Columns of [`DenseModel::hidden`]'s rows.
    #[must_use]
    pub fn hidden_size(&self) -> usize {
        self.bert.hidden_size()
    }

    /// Whether the tokens of a prompt are left out of the pooling (`include_prompt` false).
    #[must_use]
    pub fn excludes_prompt(&self) -> bool {
        !self.head.include_prompt()
    }

    /// The token vectors of a batch, `[tokens, hidden_size]`, row-major.
    ///
    /// # Errors
    /// The call was cancelled, or a token id or length is beyond the model's tables.
    pub fn hidden(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<Vec<f32>, ModelError> {
        self.launch_hidden(batch, cancel)?.wait()
    }

    /// [`DenseModel::hidden`], which a device may still be computing when this returns.
    ///
    /// # Errors
    /// As there.
    pub fn launch_hidden(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<PendingValues, ModelError> {
        PendingValues::of(&self.processor, &self.bert.forward(batch, cancel)?)
    }

    /// One row a text, `[texts, dimension]`, row-major. The first `excluded_prompt_tokens` tokens of each text are left out
    /// of the pooling.
    ///
    /// # Errors
    /// The call was cancelled, or a token id or length is beyond the model's tables.
    pub fn embed(
        &self,
        batch: &RaggedBatch,
        excluded_prompt_tokens: usize,
        cancel: &Cancel,
    ) -> Result<Vec<f32>, ModelError> {
        self.launch_embed(batch, excluded_prompt_tokens, cancel)?.wait()
    }

    /// [`DenseModel::embed`], which a device may still be computing when this returns.
    ///
    /// # Errors
    /// As there.
    pub fn launch_embed(
        &self,
        batch: &RaggedBatch,
        excluded_prompt_tokens: usize,
        cancel: &Cancel,
    ) -> Result<PendingValues, ModelError> {
        let hidden = self.bert.forward(batch, cancel)?;
        PendingValues::of(&self.processor, &self.head.forward(&hidden, batch, excluded_prompt_tokens)?)
    }

    /// Divides each row of `rows` (`[n, columns]`) by its Euclidean norm, in place; a zero row stays zero.
    pub fn normalize(&self, rows: &mut [f32], columns: usize) {
        ops::l2_normalize(self.processor.level(), rows, columns);
    }
}
