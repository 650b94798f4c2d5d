//! The means of a static embedding.

use std::fmt;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Error, Result};
use cuda_kernels::{BagRows, Lengths, Machine, RowNumbers};
use half::f16;

use super::{Cuda, wrap};
use crate::embedding_bag::StaticTable;

/// A table of token vectors on the device, in the numbers that it has in its file.
pub(crate) struct CudaBag {
    cuda: Arc<Cuda>,
    table: Table,
    columns: usize,
    rows: usize,
}

enum Table {
    F32(CudaSlice<f32>),
    F16(CudaSlice<f16>),
}

impl fmt::Debug for CudaBag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CudaBag([{}, {}], {:?})", self.rows, self.columns, self.cuda)
    }
}

impl CudaBag {
    /// Copies a table of rows of `columns` to the device.
    pub(crate) fn new(cuda: &Arc<Cuda>, table: &StaticTable, columns: usize) -> Result<Self> {
        let (table, values) = match table {
            StaticTable::F32(values) => (Table::F32(cuda.place_floats(values)?), values.len()),
            StaticTable::F16(bits) => {
                let values: Vec<f16> = bits.iter().copied().map(f16::from_bits).collect();
                (Table::F16(cuda.gpu.upload(&values).map_err(wrap)?), bits.len())
            }
        };
        Ok(Self { cuda: Arc::clone(cuda), table, columns, rows: values / columns.max(1) })
    }

    /// The mean of each text's `rows`, with their `weights`, into `output`, `[ends, columns]`. Text i has the rows from `ends[i - 1]`
    /// (the first text from 0) up to `ends[i]`.
    pub(crate) fn mean(&self, rows: &[u32], weights: Option<&[f32]>, ends: &[usize], output: &mut [f32]) -> Result<()> {
        let bounds: Vec<u32> = std::iter::once(Ok(0))
            .chain(ends.iter().map(|end| u32::try_from(*end)))
            .collect::<std::result::Result<_, _>>()
            .map_err(Error::wrap)?;
        let gpu = &self.cuda.gpu;
        let numbers = RowNumbers::upload(gpu, rows, self.rows).map_err(wrap)?;
        let weights = weights.map(|weights| self.cuda.place_floats(weights)).transpose()?;
        let lengths = Lengths::upload(gpu, &bounds).map_err(wrap)?;
        let bag = BagRows { numbers: &numbers, weights: weights.as_ref() };
        let mut means = self.cuda.reserve::<f32>(1, output.len())?;
        match &self.table {
            Table::F32(table) => cuda_kernels::embedding_bag_mean(gpu, table, self.columns, &bag, &lengths, &mut means),
            Table::F16(table) => cuda_kernels::embedding_bag_mean(gpu, table, self.columns, &bag, &lengths, &mut means),
        }
        .map_err(wrap)?;
        gpu.download(&means, output).map_err(wrap)
    }
}
