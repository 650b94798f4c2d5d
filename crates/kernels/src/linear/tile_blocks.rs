//! Products by matrix tiles, block by block.
//!
//! A float32 product is six products of digits: `a b` is, in units of leading digits, `a0 b0 + (a0 b1 + a1 b0) / 256 + (a0 b2 + a1 b1 +
//! a2 b0) / 65536` but for parts of 2^-10, a step of 2^-24 of the largest `a` and `b`. Each order has an exact integer sum.

use std::ops::Range;

use super::{OutputColumns, RowRange};
use crate::activation::{Activation, activate_with};
use crate::lane::{LANES, Lane};
use crate::packed_matrix::{BytePanels, DIGITS, DigitPanels, TilePanels};
use crate::simd::{BLOCK, BLOCK_LINES, Dots, TILE, TileKernel, TileProduct, Tiles};
use crate::tile::{load_row, store_row};

/// Tiles of depth that are multiplied for all rows before the next ones: 32 KiB of weights, which stay in the first-level cache, or as
/// much of each digit, which stays in the second-level one.
const DEPTH_TILES: usize = 16;

/// Orders of magnitude of products of digits, each 256 times the next.
const ORDERS: usize = DIGITS;

/// A product over an input in tile order; see [`linear`](super::linear).
pub(super) struct TileBlocks<'a> {
    pub(super) panels: &'a TilePanels,
    /// Tiles of a row.
    pub(super) depth: usize,
    /// Row blocks of `depth` tiles each, an even number of them: each digit of a float32 input, else only the first.
    pub(super) input: &'a [Vec<Lane<u32>>; DIGITS],
    /// One a row of a quantized input or of one in digits, else empty.
    pub(super) ranges: &'a [RowRange],
    pub(super) outputs: Outputs<'a>,
}

/// What becomes of the sums.
pub(super) struct Outputs<'a> {
    pub(super) bias: &'a [f32],
    pub(super) activation: Activation,
    pub(super) features: Range<usize>,
    pub(super) columns: OutputColumns<'a>,
}

impl TileKernel for TileBlocks<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots, T: Tiles>(mut self, simd: S, mut tiles: T) {
        let blocks = self.input[0].len() / (2 * self.depth * TILE).max(1);
        match self.panels {
            TilePanels::Float32(DigitPanels { digits, units }) => {
                let mut sums = vec![[[Lane::ZERO_WORDS; BLOCK_LINES]; ORDERS]; blocks];
                for column in self.outputs.features.clone().step_by(BLOCK) {
                    sums.fill([[Lane::ZERO_WORDS; BLOCK_LINES]; ORDERS]);
                    self.each_part(column, |input, weights, block| {
                        let product = |of_input: usize, of_weights: usize| TileProduct {
                            input: rows(&self.input[of_input], &input),
                            weights: &digits[of_weights][weights.clone()],
                        };
                        let [first, second, third] = &mut sums[block];
                        tiles.add_signed_int8([product(0, 0)], first);
                        tiles.add_signed_int8([product(0, 1), product(1, 0)], second);
                        tiles.add_signed_int8([product(0, 2), product(1, 1), product(2, 0)], third);
                    });
                    let units = &units[column / LANES..][..2];
                    let next_order = simd.splat(1.0 / 256.0);
                    self.outputs.store(simd, column, |row, v, line, bias| {
                        let [first, second, third] = sums[row / BLOCK]
                            .each_ref()
                            .map(|sums| simd.words_to_floats(simd.load_words(&sums[line].0)));
                        let sum = simd.mul_add(simd.mul_add(third, next_order, second), next_order, first);
                        let unit = simd.mul(simd.splat(self.ranges[row].scale), simd.load_lane(&units[v]));
                        simd.mul_add(sum, unit, bias)
                    });
                }
            }
            TilePanels::Bfloat16(lines) => {
                let mut sums = vec![[Lane::ZERO; BLOCK_LINES]; blocks];
                for column in self.outputs.features.clone().step_by(BLOCK) {
                    sums.fill([Lane::ZERO; BLOCK_LINES]);
                    self.each_part(column, |input, weights, block| {
                        let product = TileProduct { input: rows(&self.input[0], &input), weights: &lines[weights] };
                        tiles.add_bfloat16([product], &mut sums[block]);
                    });
                    self.outputs.store(simd, column, |row, _, line, bias| {
                        simd.add(simd.load_lane(&sums[row / BLOCK][line]), bias)
                    });
                }
            }
            TilePanels::Int8(BytePanels { lines, scales, sums: column_sums, .. }) => {
                let mut sums = vec![[Lane::ZERO_WORDS; BLOCK_LINES]; blocks];
                for column in self.outputs.features.clone().step_by(BLOCK) {
                    sums.fill([Lane::ZERO_WORDS; BLOCK_LINES]);
                    self.each_part(column, |input, weights, block| {
                        let product = TileProduct { input: rows(&self.input[0], &input), weights: &lines[weights] };
                        tiles.add_int8([product], &mut sums[block]);
                    });
                    let vectors = column / LANES..column / LANES + 2;
                    let (scales, column_sums) = (&scales[vectors.clone()], &column_sums[vectors]);
                    self.outputs.store(simd, column, |row, v, line, bias| {
                        let RowRange { scale, zero_point } = self.ranges[row];
                        let shift = simd.splat_word(zero_point.wrapping_neg().cast_unsigned());
                        let start = simd.mul_words(shift, simd.load_words(&column_sums[v].0));
                        let sum = simd.add_words(start, simd.load_words(&sums[row / BLOCK][line].0));
                        let scale = simd.mul(simd.splat(scale), simd.load_lane(&scales[v]));
                        simd.mul_add(simd.words_to_floats(sum), scale, bias)
                    });
                }
            }
        }
    }
}

/// The lines of both row blocks of a block.
#[inline(always)]
fn rows<'a>(input: &'a [Lane<u32>], [upper, lower]: &[Range<usize>; 2]) -> [&'a [Lane<u32>]; 2] {
    [&input[upper.clone()], &input[lower.clone()]]
}

impl TileBlocks<'_> {
    /// Calls `add` with the lines of input and weights of each part of the depth, and the block they belong to, for the
    /// columns from `column`.
    #[inline(always)]
    fn each_part(&self, column: usize, mut add: impl FnMut([Range<usize>; 2], Range<usize>, usize)) {
        let lines = self.depth * TILE;
        let panel = column / BLOCK * 2 * lines;
        for start in (0..self.depth).step_by(DEPTH_TILES) {
            let part = start * TILE..self.depth.min(start + DEPTH_TILES) * TILE;
            for block in 0..self.input[0].len() / (2 * lines).max(1) {
                let of_rows = |half: usize| {
                    let first = (2 * block + half) * lines;
                    first + part.start..first + part.end
                };
                add([of_rows(0), of_rows(1)], panel + 2 * part.start..panel + 2 * part.end, block);
            }
        }
    }
}

impl Outputs<'_> {
    /// Stores the columns from `column`, activated. `value` makes a vector from its row, its number in the panel, its line of the sums and
    /// the bias.
    #[inline(always)]
    fn store<S: Dots>(&mut self, simd: S, column: usize, value: impl Fn(usize, usize, usize, S::Vector) -> S::Vector) {
        let end = self.features.end.min(column + BLOCK);
        let first = self.columns.first + column - self.features.start;
        let columns = first..first + end - column;
        let bias: [S::Vector; 2] = load_row(simd, &self.bias[column..end]);
        for (row, output) in self.columns.values.chunks_exact_mut(self.columns.stride).enumerate() {
            let line = row % BLOCK / TILE * 2 * TILE + row % TILE;
            let values = [value(row, 0, line, bias[0]), value(row, 1, line + TILE, bias[1])];
            store_row(simd, values, &mut output[columns.clone()]);
            activate_with(simd, self.activation, &mut output[columns.clone()]);
        }
    }
}
