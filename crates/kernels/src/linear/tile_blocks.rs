//! Products by matrix tiles, block by block.
//!
//! float32 is six products of bfloat16 (arXiv:1904.06376): with `x = x0 + x1 + x2`, each 2^-9 of the one before or less, `a b` is
//! `a0 b0 + a0 b1 + a1 b0 + a1 b1 + a0 b2 + a2 b0` but for parts of 2^-27. Without the last three, and without `x2`, 2^-17 would be
//! missing, which is more than float32 parity allows.

use std::ops::Range;

use super::{OutputColumns, RowRange};
use crate::activation::{Activation, activate_with};
use crate::lane::{LANES, Lane};
use crate::packed_matrix::{BytePanels, FLOAT32_PARTS, TilePanels};
use crate::simd::{BLOCK, BLOCK_LINES, Dots, TILE, TileKernel, Tiles};
use crate::tile::{load_row, store_row};

/// Tiles of depth that are multiplied for all rows before the next ones: 32 KiB of weights, which stay in the first-level cache.
const DEPTH_TILES: usize = 16;

/// The parts of input and weights whose products make a float32 product, the smallest first.
const PRODUCTS: [(usize, usize); 6] = [(2, 0), (0, 2), (1, 1), (1, 0), (0, 1), (0, 0)];

/// A product over an input in tile order; see [`linear`](super::linear).
pub(super) struct TileBlocks<'a> {
    pub(super) panels: &'a TilePanels,
    /// Tiles of a row.
    pub(super) depth: usize,
    pub(super) bias: &'a [f32],
    pub(super) activation: Activation,
    /// Row blocks of `depth` tiles each, an even number of them; the three parts of a float32 input, else only the first.
    pub(super) input: &'a [Vec<Lane<u32>>; FLOAT32_PARTS],
    /// One a row of a quantized input, else empty.
    pub(super) ranges: &'a [RowRange],
    pub(super) features: Range<usize>,
    pub(super) output: OutputColumns<'a>,
}

impl TileKernel for TileBlocks<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots, T: Tiles>(mut self, simd: S, mut tiles: T) {
        let blocks = self.input[0].len() / (2 * self.depth * TILE).max(1);
        match self.panels {
            TilePanels::Float32(parts) => {
                let mut sums = vec![[Lane::ZERO; BLOCK_LINES]; blocks];
                for column in self.features.clone().step_by(BLOCK) {
                    sums.fill([Lane::ZERO; BLOCK_LINES]);
                    self.each_part(column, |input, weights, block| {
                        for (of_input, of_weights) in PRODUCTS {
                            let weights = &parts[of_weights][weights.clone()];
                            tiles.add_bfloat16(rows(&self.input[of_input], &input), weights, &mut sums[block]);
                        }
                    });
                    self.store_floats(simd, column, &sums);
                }
            }
            TilePanels::Bfloat16(lines) => {
                let mut sums = vec![[Lane::ZERO; BLOCK_LINES]; blocks];
                for column in self.features.clone().step_by(BLOCK) {
                    sums.fill([Lane::ZERO; BLOCK_LINES]);
                    self.each_part(column, |input, weights, block| {
                        tiles.add_bfloat16(rows(&self.input[0], &input), &lines[weights], &mut sums[block]);
                    });
                    self.store_floats(simd, column, &sums);
                }
            }
            TilePanels::Int8(BytePanels { lines, scales, sums: column_sums, .. }) => {
                let mut sums = vec![[Lane::ZERO_WORDS; BLOCK_LINES]; blocks];
                for column in self.features.clone().step_by(BLOCK) {
                    sums.fill([Lane::ZERO_WORDS; BLOCK_LINES]);
                    self.each_part(column, |input, weights, block| {
                        tiles.add_int8(rows(&self.input[0], &input), &lines[weights], &mut sums[block]);
                    });
                    let vectors = column / LANES..column / LANES + 2;
                    self.store_integers(simd, column, &sums, &scales[vectors.clone()], &column_sums[vectors]);
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

    /// The output's columns and their bias, for the weight's columns from `column`.
    #[inline(always)]
    fn columns(&self, column: usize) -> (Range<usize>, Range<usize>) {
        let end = self.features.end.min(column + BLOCK);
        let first = self.output.first + column - self.features.start;
        (first..first + end - column, column..end)
    }

    #[inline(always)]
    fn store_floats<S: Dots>(&mut self, simd: S, column: usize, sums: &[[Lane; BLOCK_LINES]]) {
        let (columns, features) = self.columns(column);
        let bias: [S::Vector; 2] = load_row(simd, &self.bias[features]);
        for (row, output) in self.output.values.chunks_exact_mut(self.output.stride).enumerate() {
            let line = row % BLOCK / TILE * 2 * TILE + row % TILE;
            let sums = [&sums[row / BLOCK][line], &sums[row / BLOCK][line + TILE]];
            let values = [simd.add(simd.load_lane(sums[0]), bias[0]), simd.add(simd.load_lane(sums[1]), bias[1])];
            store_row(simd, values, &mut output[columns.clone()]);
            activate_with(simd, self.activation, &mut output[columns.clone()]);
        }
    }

    #[inline(always)]
    fn store_integers<S: Dots>(
        &mut self,
        simd: S,
        column: usize,
        sums: &[[Lane<u32>; BLOCK_LINES]],
        scales: &[Lane],
        column_sums: &[Lane<u32>],
    ) {
        let (columns, features) = self.columns(column);
        let bias: [S::Vector; 2] = load_row(simd, &self.bias[features]);
        for (row, output) in self.output.values.chunks_exact_mut(self.output.stride).enumerate() {
            let line = row % BLOCK / TILE * 2 * TILE + row % TILE;
            let RowRange { scale, zero_point } = self.ranges[row];
            let (row_scale, shift) = (simd.splat(scale), simd.splat_word(zero_point.wrapping_neg().cast_unsigned()));
            let mut values = bias;
            for (v, value) in values.iter_mut().enumerate() {
                let start = simd.mul_words(shift, simd.load_words(&column_sums[v].0));
                let sum = simd.add_words(start, simd.load_words(&sums[row / BLOCK][line + v * TILE].0));
                let scale = simd.mul(row_scale, simd.load_lane(&scales[v]));
                *value = simd.mul_add(simd.words_to_floats(sum), scale, *value);
            }
            store_row(simd, values, &mut output[columns.clone()]);
            activate_with(simd, self.activation, &mut output[columns.clone()]);
        }
    }
}
