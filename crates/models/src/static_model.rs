//! A static embedding model: the mean of token vectors, then dense layers and normalisation in the folder's order.
//!
//! Mirrors `StaticEmbedding` of sentence-transformers 6.2 (`sentence_transformer/modules/static_embedding.py`).

use candle_core::{Device, Tensor};
use ops::{EmbeddingBag, Level, Processor};

use crate::error::ModelError;
use crate::head::Steps;
use crate::try_device::try_device;

/// A table of token vectors and the modules after it, in float32.
///
/// A table in 16 bits stays in them and is widened, exactly, as it is read.
pub struct StaticModel {
    bag: EmbeddingBag,
    steps: Steps,
    level: Level,
}

impl StaticModel {
    /// Reads the tensors that `files` describes.
    ///
    /// # Errors
    /// A tensor is malformed, or a device fails or has no room for the table.
    pub fn load(processor: &Processor, files: &model_files::StaticModel) -> Result<Self, ModelError> {
        let embedding = &files.embedding;
        let table = match embedding.read_table()? {
            model_files::StaticTable::F32(values) => ops::StaticTable::F32(values),
            model_files::StaticTable::F16(bits) => ops::StaticTable::F16(bits),
        };
        let (mapping, weights) = (embedding.read_mapping()?, embedding.read_token_weights()?);
        let bag = EmbeddingBag::new(processor, table, embedding.dimension, mapping, weights)?;
        // What follows the mean is rare and small.
        let steps = Steps::load(&processor.on_cpu(), &files.modules, embedding.dimension)?;
        let model = Self { bag, steps, level: processor.level() };
        let mut row = vec![0.0; model.dimension()];
        try_device(processor, |_| model.embed(&[0], &[1], model.dimension(), &mut row))?;
        Ok(model)
    }

    /// Columns of [`StaticModel::embed`]'s rows before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.steps.dimension()
    }

    /// One row a text into `output`, `[texts, columns]`, row-major: the first `columns` values of the model's vectors. Text
    /// i has the tokens from `ends[i - 1]` (the first text from 0) up to `ends[i]`; without tokens the mean is zero.
    ///
    /// # Errors
    /// A token id is beyond the table, or the lengths do not agree.
    pub fn embed(
        &self,
        token_ids: &[u32],
        ends: &[usize],
        columns: usize,
        output: &mut [f32],
    ) -> Result<(), ModelError> {
        if self.steps.is_empty() {
            // A column of the mean does not depend on the others.
            return Ok(self.bag.mean(token_ids, ends, columns, output)?);
        }
        let width = self.bag.columns();
        let mut means = vec![0.0; ends.len().saturating_mul(width)];
        self.bag.mean(token_ids, ends, width, &mut means)?;
        let means = Tensor::from_vec(means, (ends.len(), width), &Device::Cpu)?;
        let rows: Vec<f32> = self.steps.forward(means)?.flatten_all()?.to_vec1()?;
        for (row, output) in rows.chunks_exact(self.dimension().max(1)).zip(output.chunks_exact_mut(columns.max(1))) {
            if let Some(kept) = row.get(..columns) {
                output.copy_from_slice(kept);
            }
        }
        Ok(())
    }

    /// Divides each row of `rows` (`[n, columns]`) by its Euclidean norm, in place; a zero row stays zero.
    pub fn normalize(&self, rows: &mut [f32], columns: usize) {
        ops::l2_normalize(self.level, rows, columns);
    }
}
