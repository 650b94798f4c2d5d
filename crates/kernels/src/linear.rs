//! Linear layers: `output = activation(input * weight^T + bias)` with weights packed once.

mod float_sums;
mod integer_sums;
mod rounded_rows;

use std::ops::Range;

use crate::activation::Activation;
use crate::packed_matrix::{PackedMatrix, Panels};
use float_sums::{Bfloat16Linear, Float32Linear, FloatSums};
use integer_sums::IntegerSums;
use rounded_rows::{QuantizeRows, RoundRows};

/// Working memory of [`linear`], kept between calls: the rounded input.
#[derive(Debug, Default)]
pub struct LinearScratch {
    groups: Vec<u32>,
    ranges: Vec<RowRange>,
}

/// What the bytes of one quantized row mean: `value = scale * (byte - zero_point)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RowRange {
    scale: f32,
    zero_point: i32,
}

/// Where a product's columns go: into rows `stride` values apart, from column `first`.
#[derive(Debug)]
pub struct OutputColumns<'a> {
    /// Whole rows, row-major.
    pub values: &'a mut [f32],
    /// Values from one row to the next.
    pub stride: usize,
    /// The column of the first feature that is computed.
    pub first: usize,
}

impl<'a> OutputColumns<'a> {
    /// All columns of `values`, `[rows, columns]`.
    #[must_use]
    pub fn all(values: &'a mut [f32], columns: usize) -> Self {
        Self { values, stride: columns, first: 0 }
    }
}

/// `output = activation(input * weight^T + bias)` for the output features in `features`.
///
/// `input` is `[rows, input_features]`, `bias` has all `output_features` values, `output` has as many rows as `input`.
/// In float32 and bfloat16 each output is one chain of multiply-adds from the bias, over the input features in order (in each pair
/// of bfloat16 the second first); in int8 it is an exact integer sum, scaled once. A row is rounded and quantized by
/// itself.
pub fn linear(
    weight: &PackedMatrix,
    bias: &[f32],
    activation: Activation,
    input: &[f32],
    features: Range<usize>,
    scratch: &mut LinearScratch,
    output: OutputColumns<'_>,
) {
    let depth = weight.input_features();
    assert!(features.start.is_multiple_of(weight.panel_width()), "features from the start of a panel");
    assert!(features.start <= features.end && features.end <= weight.output_features(), "features of the weight");
    assert_eq!(bias.len(), weight.output_features(), "one bias an output feature");
    if features.is_empty() || output.values.is_empty() {
        return;
    }
    assert!(output.first + features.len() <= output.stride, "the features within a row");
    assert_eq!(output.values.len() % output.stride, 0, "whole output rows");
    assert_eq!(input.len(), output.values.len() / output.stride * depth, "one input row an output row");
    let level = weight.level;
    match &weight.panels {
        Panels::Float32(panels) => {
            level.run(Float32Linear(FloatSums { panels, depth, bias, activation, input, features, output }));
        }
        Panels::Bfloat16(panels) => {
            let groups = &mut scratch.groups;
            level.run_dots(RoundRows { rows: input, columns: depth, groups });
            let (depth, input) = (depth.div_ceil(2), groups);
            level.run_dots(Bfloat16Linear(FloatSums { panels, depth, bias, activation, input, features, output }));
        }
        Panels::Int8 { lines, scales, sums } => {
            let LinearScratch { groups, ranges } = scratch;
            level.run_dots(QuantizeRows { rows: input, columns: depth, groups, ranges });
            let (depth, input) = (depth.div_ceil(4), groups);
            level.run_dots(IntegerSums {
                lines,
                scales,
                sums,
                depth,
                bias,
                activation,
                input,
                ranges,
                features,
                output,
            });
        }
    }
}
