//! The mean of token vectors, from token ids.

use candle_core::{Error, Result};
use kernels::VectorTable;

use crate::processor::Processor;

/// The values of a table of token vectors, row-major.
#[derive(Clone, Debug)]
pub enum StaticTable {
    /// float32.
    F32(Vec<f32>),
    /// The bits of finite IEEE 754 binary16 numbers.
    F16(Vec<u16>),
}

/// A table with one vector a token, averaged over each text.
///
/// Slices in, slices out, on a device as well: a batch is some microseconds of memory traffic, and rows are written to their place at
/// once.
#[derive(Clone, Debug)]
pub struct EmbeddingBag {
    processor: Processor,
    table: Table,
    columns: usize,
    /// The row of each token; without it, row t for token t.
    mapping: Option<Vec<u32>>,
    /// What each token's row is multiplied by; without it, 1.
    weights: Option<Vec<f32>>,
    tokens: usize,
}

/// The table, for the processor that it is for.
#[derive(Clone, Debug)]
enum Table {
    Cpu(StaticTable),
    #[cfg(feature = "cuda")]
    Cuda(std::sync::Arc<crate::cuda::CudaBag>),
}

impl EmbeddingBag {
    /// A `table` of `[rows, columns]`; `mapping` and `weights` are `[tokens]`.
    ///
    /// # Errors
    /// The lengths do not agree, `mapping` names a row that there is not, or a device has no room for the table.
    pub fn new(
        processor: &Processor,
        table: StaticTable,
        columns: usize,
        mapping: Option<Vec<u32>>,
        weights: Option<Vec<f32>>,
    ) -> Result<Self> {
        let values = match &table {
            StaticTable::F32(values) => values.len(),
            StaticTable::F16(values) => values.len(),
        };
        if columns == 0 || values == 0 || !values.is_multiple_of(columns) {
            return Err(Error::Msg(format!("embedding bag: expected rows of {columns} values, found {values} values")));
        }
        let rows = values / columns;
        let tokens = mapping.as_ref().map_or(rows, Vec::len);
        if let Some(row) = mapping.iter().flatten().find(|row| **row as usize >= rows) {
            return Err(Error::Msg(format!("embedding bag: expected a row below {rows}, found {row}")));
        }
        if let Some(found) = weights.as_ref().map(Vec::len).filter(|found| *found != tokens) {
            return Err(Error::Msg(format!("embedding bag: expected {tokens} weights, found {found}")));
        }
        #[cfg(feature = "cuda")]
        let table = match crate::cuda::on_device(processor, |cuda| crate::cuda::CudaBag::new(cuda, &table, columns))? {
            Some(table) => Table::Cuda(table),
            None => Table::Cpu(table),
        };
        #[cfg(not(feature = "cuda"))]
        let table = Table::Cpu(table);
        Ok(Self { processor: processor.clone(), table, columns, mapping, weights, tokens })
    }

    /// The width of the vectors.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The mean vector of each text, its first `columns` values, into `output` (`[texts, columns]`). Text i has the tokens
    /// from `ends[i - 1]` (the first text from 0) up to `ends[i]`; without tokens its vector is zero.
    ///
    /// # Errors
    /// A token id has no vector, or the lengths do not agree.
    pub fn mean(&self, token_ids: &[u32], ends: &[usize], columns: usize, output: &mut [f32]) -> Result<()> {
        if let Some(id) = token_ids.iter().find(|id| **id as usize >= self.tokens) {
            return Err(Error::Msg(format!("embedding bag: expected a token id below {}, found {id}", self.tokens)));
        }
        if columns == 0 || columns > self.columns || Some(output.len()) != ends.len().checked_mul(columns) {
            let found = output.len();
            return Err(Error::Msg(format!("embedding bag: {found} values for {} rows of {columns}", ends.len())));
        }
        let mapped: Vec<u32>;
        let rows = match &self.mapping {
            None => token_ids,
            Some(mapping) => {
                mapped = token_ids.iter().map(|id| mapping[*id as usize]).collect();
                &mapped
            }
        };
        let weights: Option<Vec<f32>> =
            self.weights.as_ref().map(|weights| token_ids.iter().map(|id| weights[*id as usize]).collect());
        let table = match &self.table {
            Table::Cpu(StaticTable::F32(values)) => VectorTable::F32(values),
            Table::Cpu(StaticTable::F16(values)) => VectorTable::F16(values),
            #[cfg(feature = "cuda")]
            Table::Cuda(table) => return table.mean(rows, weights.as_deref(), ends, output),
        };
        let mut start = 0;
        for (&end, output) in ends.iter().zip(output.chunks_exact_mut(columns)) {
            let Some(of_text) = rows.get(start..end) else {
                let message = format!("embedding bag: text from {start} to {end} of {} tokens", rows.len());
                return Err(Error::Msg(message));
            };
            let weights = weights.as_ref().and_then(|weights| weights.get(start..end));
            kernels::embedding_bag_mean(self.processor.level(), table, self.columns, of_text, weights, output);
            start = end;
        }
        Ok(())
    }
}
