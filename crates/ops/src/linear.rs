//! Linear layers.

mod columns;

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use kernels::{Activation, Level, LinearScratch, OutputColumns, PackedMatrix};

use crate::format::Format;
use crate::processor::Processor;
use crate::rows::{ROWS_PER_TASK, made_for_a_device, matrix, result};
use crate::scratch::with_scratch;
use crate::team;
pub(crate) use columns::{InputPart, joined, slices};

/// Below this many multiply-adds a product is not worth a second thread (about 5 microseconds of one).
const WORTH_SPLITTING: usize = 1 << 19;

/// Values of a weight beyond which a model's weights together fit in no cache, as those of a BERT-base (`[3072, 768]`).
const LARGE_WEIGHT: usize = 1 << 20;
/// Rows of one task with such a weight: it is read half as often as with [`ROWS_PER_TASK`].
const ROWS_PER_TASK_OF_LARGE_WEIGHTS: usize = 2 * ROWS_PER_TASK;

/// `x * weight^T + bias`, packed at construction for the CPU level in use, or copied to a device.
#[derive(Clone, Debug)]
pub struct Linear {
    /// One after another, the output features in order; none for a device.
    parts: Arc<[Part]>,
    input_features: usize,
    output_features: usize,
    level: Level,
    #[cfg(feature = "cuda")]
    on_cuda: Option<Arc<crate::cuda::CudaLinear>>,
}

/// Output features that are computed with the same numbers.
#[derive(Debug)]
struct Part {
    packed: PackedMatrix,
    bias: Vec<f32>,
    /// The first one's column in the output.
    column: usize,
}

/// A layer's format, weight and bias, borrowed until a neighbour of the same format is put beside it.
type Layer<'a> = (Format, Cow<'a, [f32]>, Cow<'a, [f32]>);

impl Linear {
    /// A layer with `weight` of `[output_features, input_features]`, row-major, as `torch.nn.Linear` stores it, and one
    /// `bias` an output feature, computed with numbers of `format`.
    ///
    /// # Errors
    /// The lengths do not agree, or the processor does not have the format.
    pub fn new(
        processor: &Processor,
        format: Format,
        weight: &[f32],
        bias: &[f32],
        input_features: usize,
    ) -> Result<Self> {
        Self::side_by_side(processor, input_features, &[(format, weight, bias)])
    }

    /// A layer whose output is that of several layers over the same input, one after another: each a format, a `weight` of
    /// `[its features, input_features]` and its `bias`. Neighbours of one format become one product; on a device all must have one.
    ///
    /// # Errors
    /// The lengths do not agree, or the processor does not have the formats.
    pub fn side_by_side(
        processor: &Processor,
        input_features: usize,
        layers: &[(Format, &[f32], &[f32])],
    ) -> Result<Self> {
        let mut merged: Vec<Layer<'_>> = Vec::with_capacity(layers.len());
        for &(format, weight, bias) in layers {
            if bias.is_empty() || input_features == 0 || Some(weight.len()) != bias.len().checked_mul(input_features) {
                return Err(Error::Msg(format!(
                    "linear: expected a weight of [{}, {input_features}], found {} values",
                    bias.len(),
                    weight.len()
                )));
            }
            match merged.last_mut().filter(|(last, ..)| *last == format) {
                Some((_, weights, biases)) => {
                    weights.to_mut().extend_from_slice(weight);
                    biases.to_mut().extend_from_slice(bias);
                }
                None => merged.push((format, weight.into(), bias.into())),
            }
        }
        #[cfg(feature = "cuda")]
        if processor.is_cuda() {
            return Self::on_device(processor, &merged, input_features);
        }
        let level = processor.level();
        let mut output_features = 0;
        let mut parts = Vec::with_capacity(merged.len());
        for (format, weight, bias) in merged {
            let packed = PackedMatrix::pack(level, format.on_cpu()?, &weight, bias.len(), input_features);
            let column = output_features;
            output_features += bias.len();
            parts.push(Part { packed, bias: bias.into_owned(), column });
        }
        Ok(Self {
            parts: parts.into(),
            input_features,
            output_features,
            level,
            #[cfg(feature = "cuda")]
            on_cuda: None,
        })
    }

    /// The same on a device.
    #[cfg(feature = "cuda")]
    fn on_device(processor: &Processor, merged: &[Layer<'_>], input_features: usize) -> Result<Self> {
        let [(format, weight, bias)] = merged else {
            return Err(Error::Msg(format!("linear: expected one format on a device, found {}", merged.len())));
        };
        let make = |cuda: &_| crate::cuda::CudaLinear::new(cuda, *format, weight, bias, input_features);
        let on_cuda = crate::cuda::on_device(processor, make)?;
        Ok(Self {
            parts: Arc::default(),
            input_features,
            output_features: bias.len(),
            level: processor.level(),
            on_cuda,
        })
    }

    /// What is on the device.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_cuda(&self) -> Result<&crate::cuda::CudaLinear> {
        crate::cuda::made_for_device(self.on_cuda.as_ref())
    }

    /// Refuses a layer made for a device, which has nothing to compute with here.
    pub(crate) fn check_on_cpu(&self) -> Result<()> {
        if self.parts.is_empty() {
            return Err(made_for_a_device("linear"));
        }
        Ok(())
    }

    /// Columns of the input.
    #[must_use]
    pub fn input_features(&self) -> usize {
        self.input_features
    }

    /// Columns of the output.
    #[must_use]
    pub fn output_features(&self) -> usize {
        self.output_features
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// The numbers of its first features' products.
    pub(crate) fn format(&self) -> kernels::Format {
        self.parts.first().map_or(kernels::Format::Float32, |part| part.packed.format())
    }

    /// `activation(x * weight^T + bias)`: `[rows, input_features]` to `[rows, output_features]`.
    ///
    /// # Errors
    /// `x` has another shape or type.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        x.apply_op1_no_bwd(&Forward { layer: self, activation })
    }

    /// The product of all rows, split over the threads: by rows, or by features where the rows are few.
    pub(crate) fn product(&self, activation: Activation, input: &[f32]) -> Vec<f32> {
        let (depth, width) = (self.input_features, self.output_features);
        let rows = input.len() / depth;
        if self.is_split_by_features(rows) {
            let input = vec![InputPart::Rows(input.to_vec())];
            return joined(&self.parts_of_product(activation, input, rows, |part| part), rows);
        }
        let mut output = vec![0.0; rows * width];
        let rows_per_task = self.rows_per_task(rows);
        let tasks = output.chunks_mut(rows_per_task * width).zip(input.chunks(rows_per_task * depth)).collect();
        team::for_each(tasks, |(output, input)| {
            with_scratch(|scratch| self.product_here(activation, input, &mut scratch.linear, output));
        });
        output
    }

    /// The product of some rows on this thread, into `output` (`[rows, output_features]`).
    pub(crate) fn product_here(
        &self,
        activation: Activation,
        input: &[f32],
        scratch: &mut LinearScratch,
        output: &mut [f32],
    ) {
        let (depth, width) = (self.input_features, self.output_features);
        let at_once = if self.is_large() { ROWS_PER_TASK_OF_LARGE_WEIGHTS } else { ROWS_PER_TASK };
        for (input, output) in input.chunks(at_once * depth).zip(output.chunks_mut(at_once * width)) {
            for Part { packed, bias, column } in &*self.parts {
                let columns = OutputColumns { values: &mut *output, stride: width, first: *column };
                kernels::linear(packed, bias, activation, input, 0..bias.len(), scratch, columns);
            }
        }
    }

    /// Whether so few rows are worth more threads, and too few to be split themselves.
    pub(crate) fn is_split_by_features(&self, rows: usize) -> bool {
        let threads = team::threads();
        let worth_splitting = rows * self.input_features * self.output_features >= WORTH_SPLITTING;
        threads > 1 && worth_splitting && rows <= ROWS_PER_TASK * threads / 2
    }

    /// More rows for a weight that is read from memory again for each task, but no fewer tasks than threads.
    pub(crate) fn rows_per_task(&self, rows: usize) -> usize {
        if !self.is_large() {
            return ROWS_PER_TASK;
        }
        let share = rows.div_ceil(team::threads()).next_multiple_of(ROWS_PER_TASK / 8);
        share.clamp(ROWS_PER_TASK, ROWS_PER_TASK_OF_LARGE_WEIGHTS)
    }

    fn is_large(&self) -> bool {
        self.input_features * self.output_features >= LARGE_WEIGHT
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
        self.layer.check_on_cpu()?;
        let input = matrix(storage, layout, self.layer.input_features(), self.name())?;
        Ok(result(self.layer.product(self.activation, input), self.layer.output_features()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        crate::cuda::linear(self.layer.on_cuda()?, self.activation, storage, layout)
    }
}
