//! The learned parts of a layer normalisation.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use kernels::Level;

use crate::processor::Processor;
use crate::rows::{matrix, result, values_per_task};
use crate::team;

/// Layer normalisation over rows of `weight.len()` values, shared between operations.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Arc<[f32]>,
    bias: Arc<[f32]>,
    epsilon: f32,
    #[cfg(feature = "cuda")]
    on_cuda: Option<Arc<crate::cuda::CudaNorm>>,
}

impl LayerNorm {
    /// A normalisation with one `weight` and `bias` a column; `epsilon` is added to the variance.
    ///
    /// # Errors
    /// The lengths differ or are zero, or a device has no room for them.
    pub fn new(processor: &Processor, weight: Vec<f32>, bias: Vec<f32>, epsilon: f32) -> Result<Self> {
        if weight.len() != bias.len() || weight.is_empty() {
            let (weight, bias) = (weight.len(), bias.len());
            return Err(Error::Msg(format!(
                "layer norm: expected as many weights as biases, found {weight} and {bias}"
            )));
        }
        #[cfg(not(feature = "cuda"))]
        let _ = processor;
        Ok(Self {
            #[cfg(feature = "cuda")]
            on_cuda: crate::cuda::on_device(processor, |cuda| {
                crate::cuda::CudaNorm::new(cuda, &weight, &bias, epsilon)
            })?,
            weight: weight.into(),
            bias: bias.into(),
            epsilon,
        })
    }

    /// Columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.weight.len()
    }

    /// Normalises each row of `[rows, columns]`.
    ///
    /// # Errors
    /// `x` has another shape or type.
    pub fn forward(&self, level: Level, x: &Tensor) -> Result<Tensor> {
        x.apply_op1_no_bwd(&Forward { norm: self, level })
    }

    /// `rows = layer_norm(rows + residual)` on this thread; the residual is in parts side by side, `[rows, some of the columns]` each.
    pub(crate) fn add_and_normalize(&self, level: Level, residual: &[&[f32]], rows: &mut [f32]) {
        kernels::add_layer_norm(level, self.view(), residual, rows);
    }

    /// What is on the device.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_cuda(&self) -> Result<&crate::cuda::CudaNorm> {
        crate::cuda::made_for_device(self.on_cuda.as_ref())
    }

    pub(crate) fn view(&self) -> kernels::LayerNorm<'_> {
        kernels::LayerNorm { weight: &self.weight, bias: &self.bias, epsilon: self.epsilon }
    }
}

struct Forward<'a> {
    norm: &'a LayerNorm,
    level: Level,
}

impl CustomOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let columns = self.norm.columns();
        let mut rows = matrix(storage, layout, columns, self.name())?.to_vec();
        let tasks = rows.chunks_mut(values_per_task(columns)).collect();
        team::for_each(tasks, |rows| kernels::layer_norm(self.level, self.norm.view(), rows));
        Ok(result(rows, columns))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        crate::cuda::layer_norm(self.norm.on_cuda()?, storage, layout)
    }
}
