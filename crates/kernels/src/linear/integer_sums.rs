//! Products of bytes with exact integer sums.
//!
//! `sum (a - zero_point) w = sum a w - zero_point * sum w`: the sums start from the second term, which needs the row's
//! zero point and the column's sum only. A panel is not sliced: four input features take the place of one float32. Where the
//! depth is in groups with scales of their own, each group has such a sum.

use std::ops::Range;

use super::{OutputColumns, RowRange};
use crate::activation::{Activation, activate_with};
use crate::lane::{LANES, Lane};
use crate::packed_matrix::{ByteGroups, BytePanels, panel_slice};
use crate::product::Int8;
use crate::simd::{DotKernel, Dots};
use crate::tile::{Rows, even_tiles, load_row, multiply, part, store_rows, with_tile};

/// A product over groups of four bytes; see [`linear`](super::linear).
pub(super) struct IntegerSums<'a> {
    pub(super) panels: &'a BytePanels,
    /// Groups of a row.
    pub(super) depth: usize,
    pub(super) bias: &'a [f32],
    pub(super) activation: Activation,
    /// `[rows, depth]`.
    pub(super) input: &'a [u32],
    /// One a group and row: those of all rows' first groups, then those of the second ones.
    pub(super) ranges: &'a [RowRange],
    pub(super) features: Range<usize>,
    pub(super) output: OutputColumns<'a>,
}

impl DotKernel for IntegerSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        let panel_width = S::PANEL_VECTORS * LANES;
        let rows = self.output.values.len() / self.output.stride;
        let slice = |panel| panel_slice::<S, u32>(&self.panels.lines, panel, self.depth, 0..self.depth);
        for column in self.features.clone().step_by(panel_width) {
            let panel = column / panel_width;
            let groups = self.panels.groups;
            let vectors = panel * groups.count * S::PANEL_VECTORS..(panel + 1) * groups.count * S::PANEL_VECTORS;
            let end = self.features.end.min(column + panel_width);
            let first_column = self.output.first + column - self.features.start;
            let next = if end < self.features.end { slice(panel + 1) } else { &[] };
            let block = Block {
                input: Rows { data: self.input, stride: self.depth },
                groups,
                rows,
                ranges: self.ranges,
                panel: slice(panel),
                scales: &self.panels.scales[vectors.clone()],
                sums: &self.panels.sums[vectors],
                bias: &self.bias[column..end],
                columns: first_column..first_column + end - column,
                stride: self.output.stride,
            };
            for tile in even_tiles(rows, S::TILE_ROWS) {
                // Each tile of rows asks for its share of what is multiplied next.
                let next = &next[part(next.len(), tile.clone(), rows)];
                with_tile!(S, tile.len(), |N, V| block.tile::<S, N, V>(simd, tile.start, next, self.output.values));
                for row in tile {
                    let values = &mut self.output.values[row * block.stride..][block.columns.clone()];
                    activate_with(simd, self.activation, values);
                }
            }
        }
    }
}

/// One panel and where its products go.
struct Block<'a> {
    input: Rows<'a, u32>,
    groups: ByteGroups,
    rows: usize,
    /// For each group that of each row.
    ranges: &'a [RowRange],
    panel: &'a [Lane<u32>],
    scales: &'a [Lane],
    sums: &'a [Lane<u32>],
    bias: &'a [f32],
    columns: Range<usize>,
    stride: usize,
}

impl Block<'_> {
    /// `N` rows from `first`, while `next` is asked for.
    #[inline(always)]
    fn tile<S: Dots, const N: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        next: &[Lane<u32>],
        output: &mut [f32],
    ) {
        let bias: [S::Vector; V] = load_row(simd, self.bias);
        let mut values = [bias; N];
        let words = self.groups.words();
        let mut next = next.chunks(next.len().div_ceil(self.groups.count).max(1));
        let panels = self.panel.chunks(words * V).zip(self.ranges.chunks_exact(self.rows));
        let columns = self.scales.as_chunks::<V>().0.iter().zip(self.sums.as_chunks::<V>().0);
        for (group, ((panel, ranges), (scales, sums))) in panels.zip(columns).enumerate() {
            let ranges = &ranges[first..first + N];
            let mut start = [[simd.splat_word(0); V]; N];
            for (start, range) in start.iter_mut().zip(ranges) {
                let zero_point = simd.splat_word(range.zero_point.wrapping_neg().cast_unsigned());
                for (start, sum) in start.iter_mut().zip(sums) {
                    *start = simd.mul_words(zero_point, simd.load_words(&sum.0));
                }
            }
            let next = next.next().unwrap_or_default();
            let sums = multiply::<S, Int8, N, V>(simd, self.input, first, group * words, panel, next, start);
            for i in 0..N {
                let row_scale = simd.splat(ranges[i].scale);
                for v in 0..V {
                    let scale = simd.mul(row_scale, simd.load_lane(&scales[v]));
                    values[i][v] = simd.mul_add(simd.words_to_floats(sums[i][v]), scale, values[i][v]);
                }
            }
        }
        let output = &mut output[first * self.stride + self.columns.start..];
        store_rows(simd, values, output, self.stride, self.columns.len());
    }
}
