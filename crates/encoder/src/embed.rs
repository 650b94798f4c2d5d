//! Batches to dense rows, and to token vectors.

use std::sync::Arc;

use models::{Cancel, DenseModel, PendingValues, RaggedBatch};

use crate::compute::Compute;
use crate::error::EncodeError;
use crate::rows;

/// Token ids to finished rows, `[texts of the batch, dimension]`.
pub(crate) struct Embed {
    pub(crate) model: Arc<DenseModel>,
    pub(crate) excluded_prompt_tokens: usize,
    pub(crate) dimension: usize,
    pub(crate) normalize: bool,
}

impl Compute for Embed {
    type Pending = PendingValues;
    type Output = Vec<f32>;

    fn launch(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<PendingValues, EncodeError> {
        Ok(self.model.launch_embed(batch, self.excluded_prompt_tokens, cancel)?)
    }

    fn finish(&self, pending: PendingValues, _: &RaggedBatch, texts: &[usize]) -> Result<Vec<f32>, EncodeError> {
        let model = &self.model;
        let rows = pending.wait()?;
        rows::check_finite(rows.chunks_exact(model.dimension().max(1)), texts)?;
        // In the reference's order: modules, truncation, normalisation.
        let mut rows = rows::truncate(rows, model.dimension(), self.dimension);
        if self.normalize {
            model.normalize(&mut rows, self.dimension);
        }
        Ok(rows)
    }
}

/// Token ids to token vectors: for each text of the batch `[tokens, hidden_size]`.
pub(crate) struct Hidden {
    pub(crate) model: Arc<DenseModel>,
}

impl Compute for Hidden {
    type Pending = PendingValues;
    type Output = Vec<Vec<f32>>;

    fn launch(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<PendingValues, EncodeError> {
        Ok(self.model.launch_hidden(batch, cancel)?)
    }

    fn finish(
        &self,
        pending: PendingValues,
        batch: &RaggedBatch,
        texts: &[usize],
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let width = self.model.hidden_size();
        let vectors = pending.wait()?;
        let mut rest = vectors.as_slice();
        let mut split = Vec::with_capacity(texts.len());
        for tokens in batch.text_ranges() {
            let Some((of_text, others)) = rest.split_at_checked(tokens.len().saturating_mul(width)) else {
                let message = format!("the model returned {} values for token vectors", vectors.len());
                return Err(EncodeError::Internal(message));
            };
            split.push(of_text.to_vec());
            rest = others;
        }
        rows::check_finite(split.iter().map(Vec::as_slice), texts)?;
        Ok(split)
    }
}
