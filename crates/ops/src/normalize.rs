//! Scaling rows to unit length.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::processor::Processor;
use crate::rows::{matrix, result};

/// Divides each row of `[rows, columns]` by its Euclidean norm; a zero row stays zero.
///
/// # Errors
/// `x` has another shape or type.
pub fn normalize(processor: &Processor, x: &Tensor) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Normalize { processor })
}

struct Normalize<'a> {
    processor: &'a Processor,
}

impl CustomOp1 for Normalize<'_> {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, columns) = layout.shape().dims2()?;
        let mut rows = matrix(storage, layout, columns, self.name())?.to_vec();
        if !rows.is_empty() {
            kernels::l2_normalize(self.processor.level(), &mut rows, columns);
        }
        Ok(result(rows, columns))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        crate::cuda::normalize(crate::cuda::made_for_device(self.processor.device())?, storage, layout)
    }
}
