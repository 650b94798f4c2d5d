//! Products with float32 sums, of float32 or of pairs of bfloat16.
//!
//! The blocking follows Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008): a slice of a
//! weight panel stays in the nearest caches while all input rows pass over it.

use std::ops::Range;

use super::OutputColumns;
use crate::activation::{Activation, activate_with};
use crate::lane::{LANES, Lane};
use crate::packed_matrix::panel_slice;
use crate::product::{Bfloat16, Float32, Product};
use crate::simd::{DotKernel, Dots, Kernel, Simd};
use crate::tile::{Rows, even_tiles, load_rows, multiply, part, store_rows, with_tile};

/// Depth of a panel slice in groups: 48 or 96 KiB. A slice is streamed in order, so what the first-level cache cannot hold
/// comes from the second level in time, while fewer slices mean fewer passes over the output, and fewer starts of a tile.
const SLICE_DEPTH: usize = 768;

/// A product over groups `G` of input features; see [`linear`](super::linear).
pub(super) struct FloatSums<'a, G> {
    pub(super) panels: &'a [Lane<G>],
    /// Groups of a row.
    pub(super) depth: usize,
    pub(super) bias: &'a [f32],
    pub(super) activation: Activation,
    /// `[rows, depth]`.
    pub(super) input: &'a [G],
    pub(super) features: Range<usize>,
    pub(super) output: OutputColumns<'a>,
}

pub(super) struct Float32Linear<'a>(pub(super) FloatSums<'a, f32>);

impl Kernel for Float32Linear<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.0.run::<S, Float32>(simd);
    }
}

pub(super) struct Bfloat16Linear<'a>(pub(super) FloatSums<'a, u32>);

impl DotKernel for Bfloat16Linear<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        self.0.run::<S, Bfloat16>(simd);
    }
}

impl<G: Copy> FloatSums<'_, G> {
    #[inline(always)]
    fn run<S: Simd, P: Product<S, Group = G, Sum = S::Vector>>(mut self, simd: S) {
        // No input features: one empty slice, so that the bias is written.
        for start in (0..self.depth.max(1)).step_by(SLICE_DEPTH) {
            let end = self.depth.min(start + SLICE_DEPTH);
            for column in self.features.clone().step_by(S::PANEL_VECTORS * LANES) {
                self.panel::<S, P>(simd, column, start..end);
            }
        }
    }

    /// All rows times one slice of the panel that starts at output feature `column`.
    #[inline(always)]
    fn panel<S: Simd, P: Product<S, Group = G, Sum = S::Vector>>(
        &mut self,
        simd: S,
        column: usize,
        depth: Range<usize>,
    ) {
        let stride = self.output.stride;
        let rows = self.output.values.len() / stride;
        let panel_width = S::PANEL_VECTORS * LANES;
        let end = self.features.end.min(column + panel_width);
        let first_column = self.output.first + column - self.features.start;
        let slice = |panel| panel_slice::<S, G>(self.panels, panel, self.depth, depth.clone());
        let next = if end < self.features.end { slice(column / panel_width + 1) } else { &[] };
        let block = Block {
            input: Rows { data: self.input, stride: self.depth },
            depth_start: depth.start,
            panel: slice(column / panel_width),
            bias: &self.bias[column..end],
            columns: first_column..first_column + end - column,
            stride,
        };
        let last = depth.end == self.depth;
        for tile in even_tiles(rows, S::TILE_ROWS) {
            // Each tile of rows asks for its share of what is multiplied next.
            let next = &next[part(next.len(), tile.clone(), rows)];
            with_tile!(S, tile.len(), |N, V| block.tile::<S, P, N, V>(simd, tile.start, next, self.output.values));
            if last && self.activation != Activation::Identity {
                for row in tile {
                    let values = &mut self.output.values[row * stride..][block.columns.clone()];
                    activate_with(simd, self.activation, values);
                }
            }
        }
    }
}

/// One panel slice and where its products go.
struct Block<'a, G> {
    input: Rows<'a, G>,
    depth_start: usize,
    panel: &'a [Lane<G>],
    bias: &'a [f32],
    columns: Range<usize>,
    stride: usize,
}

impl<G: Copy> Block<'_, G> {
    /// `N` rows from `first`, while `next` is asked for: sums start from the bias, or go on from what an earlier slice left in `output`.
    #[inline(always)]
    fn tile<S: Simd, P: Product<S, Group = G, Sum = S::Vector>, const N: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        next: &[Lane<G>],
        output: &mut [f32],
    ) {
        let mut starts: [&[f32]; N] = [self.bias; N];
        if self.depth_start > 0 {
            for (i, start) in starts.iter_mut().enumerate() {
                *start = &output[(first + i) * self.stride..][self.columns.clone()];
            }
        }
        let starts = load_rows(simd, starts);
        let sums = multiply::<S, P, N, V>(simd, self.input, first, self.depth_start, self.panel, next, starts);
        let output = &mut output[first * self.stride + self.columns.start..];
        store_rows(simd, sums, output, self.stride, self.columns.len());
    }
}
