//! Linear layers, plain and followed by a residual sum and layer normalisation.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor};
use kernels::{Activation, Level, PackedMatrix};
use rayon::prelude::*;

use crate::layer_norm::LayerNorm;
use crate::rows::{ROWS_PER_TASK, matrix, result};

/// Below this many multiply-adds a product is not worth a second thread (about 5 microseconds of one).
const WORTH_SPLITTING: usize = 1 << 19;

/// `x * weight^T + bias`, packed at construction for the CPU level in use.
#[derive(Clone, Debug)]
pub struct Linear {
    packed: Arc<PackedMatrix>,
    bias: Arc<[f32]>,
    level: Level,
}

impl Linear {
    /// A layer with `weight` of `[output_features, input_features]`, row-major, as `torch.nn.Linear` stores it, and one
    /// `bias` an output feature.
    ///
    /// # Errors
    /// The lengths do not agree.
    pub fn new(level: Level, weight: &[f32], bias: Vec<f32>, input_features: usize) -> Result<Self> {
        let output_features = bias.len();
        if output_features == 0
            || input_features == 0
            || Some(weight.len()) != output_features.checked_mul(input_features)
        {
            return Err(Error::Msg(format!(
                "linear: expected a weight of [{output_features}, {input_features}], found {} values",
                weight.len()
            )));
        }
        let packed = PackedMatrix::pack(level, weight, output_features, input_features);
        Ok(Self { packed: Arc::new(packed), bias: bias.into(), level })
    }

    /// Columns of the input.
    #[must_use]
    pub fn input_features(&self) -> usize {
        self.packed.input_features()
    }

    /// Columns of the output.
    #[must_use]
    pub fn output_features(&self) -> usize {
        self.packed.output_features()
    }

    /// `activation(x * weight^T + bias)`: `[rows, input_features]` to `[rows, output_features]`.
    ///
    /// # Errors
    /// `x` has another shape or type.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        x.apply_op1_no_bwd(&Forward { layer: self, activation })
    }

    /// `layer_norm(x * weight^T + bias + residual)`: `[rows, input_features]` and `[rows, output_features]` to
    /// `[rows, output_features]`.
    ///
    /// # Errors
    /// `x`, `residual` or `norm` has another shape or type.
    pub fn forward_add_norm(&self, x: &Tensor, residual: &Tensor, norm: &LayerNorm) -> Result<Tensor> {
        x.apply_op2_no_bwd(residual, &ForwardAddNorm { layer: self, norm })
    }

    /// The product for all rows, split by rows, or by features where the rows are few; `finish` is given the index of
    /// the first value of each run of whole rows, and the run, once it is complete.
    fn product(&self, activation: Activation, input: &[f32], finish: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
        let (depth, width) = (self.input_features(), self.output_features());
        let rows = input.len() / depth;
        let mut output = vec![0.0; rows * width];
        let threads = rayon::current_num_threads();
        if threads == 1 || rows * depth * width < WORTH_SPLITTING || rows > ROWS_PER_TASK * threads / 2 {
            let inputs = input.par_chunks(ROWS_PER_TASK * depth);
            let outputs = output.par_chunks_mut(ROWS_PER_TASK * width);
            outputs.zip(inputs).enumerate().for_each(|(task, (output, input))| {
                kernels::linear(&self.packed, &self.bias, activation, input, 0..width, output);
                finish(task * ROWS_PER_TASK * width, output);
            });
        } else {
            self.product_by_features(activation, input, threads, &mut output);
            finish(0, &mut output);
        }
        output
    }

    /// Few rows: each thread reads its own part of the weight once.
    fn product_by_features(&self, activation: Activation, input: &[f32], threads: usize, output: &mut [f32]) {
        let (depth, width) = (self.input_features(), self.output_features());
        let rows = input.len() / depth;
        let part_width = width.div_ceil(threads).next_multiple_of(self.packed.panel_width());
        let parts: Vec<Vec<f32>> = (0..width.div_ceil(part_width))
            .into_par_iter()
            .map(|part| {
                let features = part * part_width..width.min((part + 1) * part_width);
                let mut output = vec![0.0; rows * features.len()];
                kernels::linear(&self.packed, &self.bias, activation, input, features, &mut output);
                output
            })
            .collect();
        for (part, values) in parts.iter().enumerate() {
            let part_features = values.len() / rows;
            for (row, values) in output.chunks_exact_mut(width).zip(values.chunks_exact(part_features)) {
                row[part * part_width..][..part_features].copy_from_slice(values);
            }
        }
    }
}

struct Forward<'a> {
    layer: &'a Linear,
    activation: Activation,
}

impl CustomOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = matrix(storage, layout, self.layer.input_features(), self.name())?;
        let output = self.layer.product(self.activation, input, |_, _| {});
        Ok(result(output, self.layer.output_features()))
    }
}

struct ForwardAddNorm<'a> {
    layer: &'a Linear,
    norm: &'a LayerNorm,
}

impl CustomOp2 for ForwardAddNorm<'_> {
    fn name(&self) -> &'static str {
        "linear-add-norm"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = self.layer.output_features();
        let input = matrix(storage, layout, self.layer.input_features(), self.name())?;
        let residual = matrix(residual, residual_layout, width, self.name())?;
        let norm = self.norm.view();
        if norm.weight.len() != width || residual.len() / width != input.len() / self.layer.input_features() {
            return Err(Error::Msg(format!(
                "{}: expected {} rows of residual and a norm of {width} columns, found {} and {}",
                self.name(),
                input.len() / self.layer.input_features(),
                residual.len() / width,
                norm.weight.len(),
            )));
        }
        let output = self.layer.product(Activation::Identity, input, |start, rows| {
            kernels::add_layer_norm(self.layer.level, norm, &residual[start..start + rows.len()], rows);
        });
        Ok(result(output, width))
    }
}
