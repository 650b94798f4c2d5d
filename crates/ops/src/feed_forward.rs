//! The feed-forward block of a BERT layer.

use candle_core::{CpuStorage, Error, InplaceOp1, Layout, Result, Tensor};
use kernels::Activation;

use crate::layer_norm::LayerNorm;
use crate::linear::{InputPart, Linear, slices};
use crate::rows::matrix_mut;
use crate::scratch::{Scratch, values_of, with_scratch};
use crate::team;

/// `layer_norm(x + output(activation(intermediate(x))))` (`BertIntermediate` and `BertOutput` of transformers).
#[derive(Clone, Debug)]
pub struct FeedForward {
    intermediate: Linear,
    activation: Activation,
    output: Linear,
    norm: LayerNorm,
}

impl FeedForward {
    /// A block over rows of `norm.columns()` values.
    ///
    /// # Errors
    /// A layer's input is not the output of the one before it.
    pub fn new(intermediate: Linear, activation: Activation, output: Linear, norm: LayerNorm) -> Result<Self> {
        let expected = [norm.columns(), intermediate.output_features(), norm.columns()];
        let found = [intermediate.input_features(), output.input_features(), output.output_features()];
        if expected != found {
            return Err(Error::Msg(format!("feed forward: expected features {expected:?}, found {found:?}")));
        }
        Ok(Self { intermediate, activation, output, norm })
    }

    /// The result for each row of `hidden`, `[rows, columns]`, in its place.
    ///
    /// # Errors
    /// `hidden` has another shape or type.
    pub fn forward(&self, hidden: Tensor) -> Result<Tensor> {
        hidden.inplace_op1(self)?;
        Ok(hidden)
    }

    /// A few rows after another on this thread: their intermediate vectors do not leave the cache.
    fn rows_here(&self, rows: &mut [f32], scratch: &mut Scratch) {
        let Scratch { linear, wide, output, .. } = scratch;
        let count = rows.len() / self.norm.columns();
        let wide = values_of(wide, count * self.intermediate.output_features());
        self.intermediate.product_here(self.activation, rows, linear, wide);
        let output = values_of(output, rows.len());
        self.output.product_here(Activation::Identity, wide, linear, output);
        self.norm.add_and_normalize(self.output.level(), &[output], rows);
    }
}

impl InplaceOp1 for FeedForward {
    fn name(&self) -> &'static str {
        "feed-forward"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        self.output.check_on_cpu()?;
        let columns = self.norm.columns();
        let hidden = matrix_mut(storage, layout, columns, self.name())?;
        let rows = hidden.len() / columns;
        if self.intermediate.is_split_by_features(rows) {
            let to_input = self.output.input_parts(&self.intermediate.tasks());
            let input = vec![InputPart::Rows(hidden.to_vec())];
            let intermediate =
                self.intermediate.parts_of_product(self.activation, input, rows, move |part| to_input(part, rows));
            let parts = self.output.parts_of_product(Activation::Identity, intermediate, rows, |part| part);
            self.norm.add_and_normalize(self.output.level(), &slices(&parts), hidden);
        } else {
            let per_task = self.intermediate.rows_per_task(rows) * columns;
            let tasks = hidden.chunks_mut(per_task).collect();
            team::for_each(tasks, |rows| with_scratch(|scratch| self.rows_here(rows, scratch)));
        }
        Ok(())
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &mut candle_core::CudaStorage, layout: &Layout) -> Result<()> {
        let parts = (self.intermediate.on_cuda()?, self.output.on_cuda()?, self.norm.on_cuda()?);
        crate::cuda::feed_forward(parts, self.activation, storage, layout)
    }
}
