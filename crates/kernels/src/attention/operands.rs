//! What attention's products multiply, in the order in which they read it: float32 as it is, or pairs of bfloat16.

use bytemuck::Pod;

use crate::lane::{LANES, Lane};
use crate::product::{Bfloat16, Float32, Product};
use crate::simd::{Dots, Simd};
use crate::tile::Rows;

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

    /// Puts sixteen neighbouring weights of a query where [`multiply`](crate::tile::multiply) reads them.
    fn put(simd: S, weights: S::Vector, place: &mut [Self::Group]);
}

/// Keys transposed into panels, as a weight is: panel, then group of head columns, then key. `column` and `depth` are counted in
/// groups.
#[inline(always)]
pub(super) fn pack_keys<S: Simd, P: Operands<S, Group: Pod>>(
    simd: S,
    rows: Rows<'_, P::Group>,
    tokens: usize,
    column: usize,
    depth: usize,
    panels: &mut Vec<Lane<P::Group>>,
) {
    let width = S::PANEL_VECTORS * LANES;
    panels.clear();
    panels.resize(tokens.div_ceil(width) * depth * S::PANEL_VECTORS, P::ZERO);
    for first in (0..tokens).step_by(LANES) {
        let count = LANES.min(tokens - first);
        let vector = first % width / LANES;
        let lines = &mut panels[first / width * depth * S::PANEL_VECTORS..][..depth * S::PANEL_VECTORS];
        for (index, lines) in lines.chunks_mut(LANES * S::PANEL_VECTORS).enumerate() {
            let mut block = [[0; LANES]; LANES];
            for (token, words) in block.iter_mut().take(count).enumerate() {
                let row = &rows.data[(first + token) * rows.stride + column..][..depth];
                *words = sixteen(bytemuck::cast_slice(row), index);
            }
            let keys = simd.transpose(&block);
            for (line, keys) in lines.chunks_exact_mut(S::PANEL_VECTORS).zip(keys) {
                line[vector] = Lane(bytemuck::cast(keys));
            }
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
    fn put(simd: S, weights: S::Vector, place: &mut [f32]) {
        if let Some(place) = place.first_chunk_mut() {
            simd.store(weights, place);
        }
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
            let row = |token: usize| match rows.data.get(token * rows.stride + column..) {
                Some(groups) if token < tokens => &bytemuck::cast_slice::<u32, u16>(groups)[columns.clone()],
                _ => &[],
            };
            for (index, line) in lines.chunks_exact_mut(S::PANEL_VECTORS).enumerate() {
                let (first, second) = (row(2 * index), row(2 * index + 1));
                for (vector, lane) in line.iter_mut().enumerate() {
                    let (low, high) = (sixteen(first, vector), sixteen(second, vector));
                    for i in 0..LANES {
                        lane.0[i] = u32::from(low[i]) | u32::from(high[i]) << 16;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn put(simd: S, weights: S::Vector, place: &mut [u32]) {
        if let Some(place) = bytemuck::cast_slice_mut(place).first_chunk_mut() {
            simd.to_bfloat16(weights, place);
        }
    }
}

/// The values of one vector of a row, zero beyond its end.
#[inline(always)]
fn sixteen<T: Copy + Default>(row: &[T], vector: usize) -> [T; LANES] {
    let values = row.get(vector * LANES..).unwrap_or_default();
    if let Some(whole) = values.first_chunk() {
        return *whole;
    }
    let mut padded = [T::default(); LANES];
    padded[..values.len()].copy_from_slice(values);
    padded
}
