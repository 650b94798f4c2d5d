//! Linear layers: `output = activation(input * weight^T + bias)` with weights packed once.

mod digit_rows;
mod float_sums;
mod integer_sums;
mod prepared_columns;
mod rounded_rows;
mod row_errors;
mod tile_blocks;

use std::ops::Range;

use crate::activation::Activation;
use crate::lane::Lane;
use crate::packed_matrix::{DIGITS, PackedMatrix, Panels, TilePanels};
use crate::simd::TILE;
use digit_rows::DigitRows;
use float_sums::{Bfloat16Linear, Float32Linear, FloatSums};
use integer_sums::IntegerSums;
pub use prepared_columns::{PreparedColumns, linear_of_columns, side_by_side};
pub(crate) use rounded_rows::RoundRows;
use rounded_rows::{QuantizeRows, tile_order};
pub(crate) use row_errors::{KNOWN_SCALES, RowErrors};
use tile_blocks::{Outputs, TileBlocks};

/// Working memory of [`linear`], kept between calls: the rounded input.
#[derive(Debug, Default)]
pub struct LinearScratch {
    groups: Vec<u32>,
    ranges: Vec<RowRange>,
    /// In the order of tiles: the input, or each digit of a float32 one.
    lines: [Vec<Lane<u32>>; DIGITS],
}

impl LinearScratch {
    /// Brings `rows` into the order and the numbers that `weight` multiplies, unless those are float32 as they are.
    pub(crate) fn prepare(&mut self, weight: &PackedMatrix, rows: &[f32]) {
        self.prepare_columns(weight, rows, weight.input_features());
    }

    /// [`Self::prepare`] of rows that are `columns` wide.
    fn prepare_columns(&mut self, weight: &PackedMatrix, rows: &[f32], columns: usize) {
        let Self { groups, ranges, lines } = self;
        let level = weight.level;
        ranges.clear();
        match &weight.panels {
            Panels::Float32(_) => {}
            Panels::Bfloat16(_) => {
                level.run_dots(RoundRows { rows, columns, depth: columns.div_ceil(2), groups });
            }
            Panels::Int8(panels) => {
                let (depth, part) = (columns.div_ceil(4), panels.groups.words());
                level.run_dots(QuantizeRows { rows, columns, depth, groups, part, ranges });
            }
            Panels::Tiles(panels) => {
                let tiles = panels.depth(columns);
                let depth = tiles * TILE;
                match panels {
                    TilePanels::Float32(_) => {
                        level.run_dots(DigitRows { rows, columns, depth, groups, ranges });
                        for (digits, lines) in groups.chunks_exact((groups.len() / DIGITS).max(1)).zip(lines) {
                            tile_order(digits, tiles, lines);
                        }
                        return;
                    }
                    TilePanels::Bfloat16(_) => level.run_dots(RoundRows { rows, columns, depth, groups }),
                    TilePanels::Int8(panels) => {
                        let part = panels.groups.words();
                        level.run_dots(QuantizeRows { rows, columns, depth, groups, part, ranges });
                    }
                }
                tile_order(groups, tiles, &mut lines[0]);
            }
        }
    }
}

/// What the bytes of one quantized row, or of one part of it, mean: `value = scale * (byte - zero_point)`.
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
/// of bfloat16 the second first); in int8 it is the bias and an exact integer sum, scaled once, or one such sum a group after another.
/// Matrix tiles have their own order in bfloat16; in float32 six products of digits make three exact integer sums. A row is rounded and
/// quantized by itself.
pub fn linear(
    weight: &PackedMatrix,
    bias: &[f32],
    activation: Activation,
    input: &[f32],
    features: Range<usize>,
    scratch: &mut LinearScratch,
    output: OutputColumns<'_>,
) {
    scratch.prepare(weight, input);
    linear_of_prepared(weight, bias, activation, input, features, scratch, output);
}

/// [`linear`] where `prepared` holds `input` already, as [`LinearScratch::prepare`] leaves it for `weight`.
pub(crate) fn linear_of_prepared(
    weight: &PackedMatrix,
    bias: &[f32],
    activation: Activation,
    input: &[f32],
    features: Range<usize>,
    prepared: &LinearScratch,
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
    let rows = output.values.len() / output.stride;
    let level = weight.level;
    let LinearScratch { groups, ranges, lines } = prepared;
    match &weight.panels {
        Panels::Float32(panels) => {
            assert_eq!(input.len(), rows * depth, "one input row an output row");
            level.run(Float32Linear(FloatSums { panels, depth, bias, activation, input, features, output }));
        }
        Panels::Bfloat16(panels) => {
            let (input, depth) = (groups, depth.div_ceil(2));
            assert_eq!(input.len(), rows * depth, "one input row an output row");
            level.run_dots(Bfloat16Linear(FloatSums { panels, depth, bias, activation, input, features, output }));
        }
        Panels::Int8(panels) => {
            let (input, depth) = (groups, depth.div_ceil(4));
            assert_eq!(input.len(), rows * depth, "one input row an output row");
            assert_eq!(ranges.len(), rows * panels.groups.count, "a range a row and group");
            level.run_dots(IntegerSums { panels, depth, bias, activation, input, ranges, features, output });
        }
        Panels::Tiles(panels) => {
            let depth = panels.depth(depth);
            assert_eq!(lines[0].len(), rows.next_multiple_of(2 * TILE) * depth, "input rows in whole row blocks");
            let outputs = Outputs { bias, activation, features, columns: output };
            level.run_tiles(TileBlocks { panels, depth, input: lines, ranges, outputs });
        }
    }
}
