//! What attention's products multiply, in the order in which they read it: float32 as it is, or pairs of bfloat16.

use std::ops::Range;

use crate::lane::{LANES, Lane};
use crate::product::{Bfloat16, Float32, Product};
use crate::simd::{Dots, Simd};
use crate::tile::Rows;

use super::KEY_BLOCK;

/// A kind of product with float32 sums, and how keys, values and weights become its groups.
pub(super) trait Operands<S: Simd>: Product<S, Sum = S::Vector> {
    /// Numbers of a group.
    const NUMBERS: usize;
    /// Sixteen groups of zeros.
    const ZERO: Lane<Self::Group>;

    /// Values in panels of columns: panel, then group of keys, then head column; zero beyond the last key and column. `column` is the
    /// group of `rows` that the head starts with.
    fn pack_values(
        simd: S,
        rows: Rows<'_, Self::Group>,
        tokens: usize,
        column: usize,
        head_dim: usize,
        panels: &mut Vec<Lane<Self::Group>>,
    );

    /// The weights of `queries` queries for `keys` keys of a block: from `scores`, `[queries, KEY_BLOCK]`, in place or in `rounded`.
    fn weights<'a>(
        simd: S,
        queries: usize,
        keys: usize,
        scores: &'a [f32],
        rounded: &'a mut Vec<Self::Group>,
    ) -> Rows<'a, Self::Group>;
}

/// Keys transposed into panels, as a weight is: panel, then group of head columns, then key. `column` and `depth` are counted in
/// groups.
#[inline(always)]
pub(super) fn pack_keys<S: Simd, P: Operands<S>>(
    rows: Rows<'_, P::Group>,
    tokens: usize,
    column: usize,
    depth: usize,
    panels: &mut Vec<Lane<P::Group>>,
) {
    let width = S::PANEL_VECTORS * LANES;
    panels.clear();
    panels.resize(tokens.div_ceil(width) * depth * S::PANEL_VECTORS, P::ZERO);
    for (token, row) in rows.data.chunks_exact(rows.stride).enumerate() {
        let (vector, lane) = (token % width / LANES, token % LANES);
        let lines = &mut panels[token / width * depth * S::PANEL_VECTORS..][..depth * S::PANEL_VECTORS];
        for (line, group) in lines.chunks_exact_mut(S::PANEL_VECTORS).zip(&row[column..column + depth]) {
            line[vector].0[lane] = *group;
        }
    }
}

impl<S: Simd> Operands<S> for Float32 {
    const NUMBERS: usize = 1;
    const ZERO: Lane = Lane::ZERO;

    #[inline(always)]
    fn pack_values(simd: S, rows: Rows<'_>, tokens: usize, column: usize, head_dim: usize, panels: &mut Vec<Lane>) {
        let width = S::PANEL_VECTORS * LANES;
        panels.clear();
        panels.resize(head_dim.div_ceil(width) * tokens * S::PANEL_VECTORS, Lane::ZERO);
        for (panel, lines) in panels.chunks_exact_mut(tokens.max(1) * S::PANEL_VECTORS).enumerate() {
            let columns = column + panel * width..column + head_dim.min((panel + 1) * width);
            for (line, row) in lines.chunks_exact_mut(S::PANEL_VECTORS).zip(rows.data.chunks_exact(rows.stride)) {
                let (vectors, rest) = row[columns.clone()].as_chunks::<LANES>();
                for (lane, values) in line.iter_mut().zip(vectors) {
                    simd.store(simd.load(values), &mut lane.0);
                }
                if !rest.is_empty() {
                    simd.store(simd.load_partial(rest, 0.0), &mut line[vectors.len()].0);
                }
            }
        }
    }

    #[inline(always)]
    fn weights<'a>(_: S, _: usize, _: usize, scores: &'a [f32], _: &'a mut Vec<f32>) -> Rows<'a> {
        Rows { data: scores, stride: KEY_BLOCK }
    }
}

impl<S: Dots> Operands<S> for Bfloat16 {
    const NUMBERS: usize = 2;
    const ZERO: Lane<u32> = Lane::ZERO_WORDS;

    #[inline(always)]
    fn pack_values(
        _: S,
        rows: Rows<'_, u32>,
        tokens: usize,
        column: usize,
        head_dim: usize,
        panels: &mut Vec<Lane<u32>>,
    ) {
        let width = S::PANEL_VECTORS * LANES;
        let lines_of_panel = tokens.div_ceil(2) * S::PANEL_VECTORS;
        panels.clear();
        panels.resize(head_dim.div_ceil(width) * lines_of_panel, Lane::ZERO_WORDS);
        for (panel, lines) in panels.chunks_exact_mut(lines_of_panel.max(1)).enumerate() {
            let columns = panel * width..head_dim.min((panel + 1) * width);
            let pairs = rows.data[..tokens * rows.stride].chunks(2 * rows.stride);
            for (line, pair) in lines.chunks_exact_mut(S::PANEL_VECTORS).zip(pairs) {
                let (first, second) = pair.split_at(rows.stride);
                interleave(halves(first, column, &columns), halves(second, column, &columns), line);
            }
        }
    }

    #[inline(always)]
    fn weights<'a>(
        simd: S,
        queries: usize,
        keys: usize,
        scores: &'a [f32],
        rounded: &'a mut Vec<u32>,
    ) -> Rows<'a, u32> {
        let stride = KEY_BLOCK / 2;
        rounded.resize(S::TILE_ROWS * stride, 0);
        for (row, words) in scores.chunks_exact(KEY_BLOCK).zip(rounded.chunks_exact_mut(stride)).take(queries) {
            let places = bytemuck::cast_slice_mut::<u32, u16>(words).as_chunks_mut::<LANES>().0;
            let (vectors, rest) = row[..keys].as_chunks::<LANES>();
            for (values, place) in vectors.iter().zip(&mut *places) {
                simd.to_bfloat16(simd.load(values), place);
            }
            if !rest.is_empty() {
                simd.to_bfloat16(simd.load_partial(rest, 0.0), &mut places[vectors.len()]);
            }
        }
        Rows { data: rounded, stride }
    }
}

/// Some halves of a row from group `column` on; none of an empty row.
#[inline(always)]
fn halves<'a>(row: &'a [u32], column: usize, columns: &Range<usize>) -> &'a [u16] {
    row.get(column..).map_or(&[], |groups| &bytemuck::cast_slice(groups)[columns.clone()])
}

/// Pairs of the halves of two rows, the first row's in the low bits; a second row that is empty counts as zeros.
#[inline(always)]
fn interleave(first: &[u16], second: &[u16], line: &mut [Lane<u32>]) {
    let zeros = [0; LANES];
    for (index, (lane, first)) in line.iter_mut().zip(first.chunks(LANES)).enumerate() {
        let start = index * LANES;
        let second = second.get(start..start + first.len()).unwrap_or(&zeros[..first.len()]);
        match (first.first_chunk::<LANES>(), second.first_chunk::<LANES>()) {
            (Some(first), Some(second)) => pair_up(first, second, &mut lane.0),
            _ => pair_up(first, second, &mut lane.0),
        }
    }
}

#[inline(always)]
fn pair_up(first: &[u16], second: &[u16], words: &mut [u32]) {
    for ((word, first), second) in words.iter_mut().zip(first).zip(second) {
        *word = u32::from(*first) | u32::from(*second) << 16;
    }
}
