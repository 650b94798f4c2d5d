//! From the token vectors of a batch to one vector a text.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use kernels::PoolingMode;

use crate::processor::Processor;
use crate::ragged_batch::RaggedBatch;
use crate::rows::{matrix, result};
use crate::team;

/// One or several pooling modes, their results side by side in this order.
#[derive(Clone, Debug)]
pub struct Pooling {
    modes: Vec<PoolingMode>,
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "the CPU needs no level to pool"))]
    processor: Processor,
}

impl Pooling {
    /// A pooling by `modes`.
    ///
    /// # Errors
    /// There is no mode.
    pub fn new(processor: &Processor, modes: Vec<PoolingMode>) -> Result<Self> {
        if modes.is_empty() {
            return Err(Error::Msg("pooling: expected at least one mode, found none".to_owned()));
        }
        Ok(Self { modes, processor: processor.clone() })
    }

    /// Columns of the result for token vectors of `hidden` columns.
    #[must_use]
    pub fn columns(&self, hidden: usize) -> usize {
        self.modes.len() * hidden
    }

    /// Pools `hidden` (`[tokens, hidden]`) to `[texts, modes * hidden]`, leaving out the first `excluded` tokens of each text.
    ///
    /// # Errors
    /// `hidden` has another shape or type.
    pub fn forward(&self, hidden: &Tensor, batch: &RaggedBatch, excluded: usize) -> Result<Tensor> {
        hidden.apply_op1_no_bwd(&Forward { pooling: self, batch, excluded })
    }
}

struct Forward<'a> {
    pooling: &'a Pooling,
    batch: &'a RaggedBatch,
    excluded: usize,
}

impl CustomOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "pooling"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, columns) = layout.shape().dims2()?;
        let hidden = matrix(storage, layout, columns, self.name())?;
        if rows != self.batch.tokens() || columns == 0 {
            let expected = self.batch.tokens();
            return Err(Error::Msg(format!("pooling: expected {expected} rows, found {rows} of {columns} columns")));
        }
        let width = self.pooling.columns(columns);
        let mut output = vec![0.0; self.batch.texts() * width];
        team::for_each(output.chunks_mut(width).enumerate().collect(), |(text, output): (usize, &mut [f32])| {
            let range = self.batch.text_range(text);
            let vectors = &hidden[range.start * columns..range.end * columns];
            for (mode, output) in self.pooling.modes.iter().zip(output.chunks_exact_mut(columns)) {
                kernels::pool(*mode, vectors, self.excluded, output);
            }
        });
        Ok(result(output, width))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let Pooling { modes, processor } = self.pooling;
        let cuda = crate::cuda::made_for_device(processor.device())?;
        crate::cuda::pooling(cuda, modes, self.batch, self.excluded, storage, layout)
    }
}
