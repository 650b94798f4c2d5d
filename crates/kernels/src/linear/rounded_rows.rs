//! The input of a product in fewer bits, each row by itself.

use super::RowRange;
use crate::lane::{LANES, Lane};
use crate::simd::{DotKernel, Dots, TILE};

/// Rounds rows of float32 to bfloat16, two to a word.
pub(crate) struct RoundRows<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) columns: usize,
    /// Words of a rounded row, at least half of `columns`; zero beyond the last column.
    pub(crate) depth: usize,
    /// Becomes `[rows, depth]`.
    pub(crate) groups: &'a mut Vec<u32>,
}

impl DotKernel for RoundRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        let Self { rows, columns, depth, groups } = self;
        groups.resize(rows.len() / columns.max(1) * depth, 0);
        for (row, groups) in rows.chunks_exact(columns.max(1)).zip(groups.chunks_exact_mut(depth.max(1))) {
            let halves: &mut [u16] = bytemuck::cast_slice_mut(groups);
            let (vectors, rest) = row.as_chunks::<LANES>();
            for (values, place) in vectors.iter().zip(halves.as_chunks_mut::<LANES>().0) {
                simd.to_bfloat16(simd.load(values), place);
            }
            if let Some(place) = halves.get_mut(vectors.len() * LANES..).filter(|_| !rest.is_empty()) {
                let mut rounded = [0; LANES];
                simd.to_bfloat16(simd.load_partial(rest, 0.0), &mut rounded);
                let length = place.len().min(LANES);
                place[..length].copy_from_slice(&rounded[..length]);
            }
            if let Some(beyond) = halves.get_mut(columns.next_multiple_of(LANES)..) {
                beyond.fill(0);
            }
        }
    }
}

/// Puts rows of words, `[rows, depth * 16]`, into the order of [`Tiles`](crate::simd::Tiles), with rows of zeros up to an even number
/// of row blocks.
pub(super) fn tile_order(groups: &[u32], depth: usize, lines: &mut Vec<Lane<u32>>) {
    let rows = groups.len() / (depth * TILE).max(1);
    lines.clear();
    lines.resize(rows.next_multiple_of(2 * TILE) * depth, Lane::ZERO_WORDS);
    for (row, words) in groups.chunks_exact((depth * TILE).max(1)).enumerate() {
        let block = &mut lines[row / TILE * depth * TILE..][..depth * TILE];
        for (tile, words) in block.chunks_exact_mut(TILE).zip(words.as_chunks::<LANES>().0) {
            tile[row % TILE].0 = *words;
        }
    }
}

/// Quantizes rows of float32, or parts of rows, to unsigned bytes, four to a word, zero beyond the last column.
///
/// The range of a part, widened to hold zero, is divided into 255 steps, so that zero is exact. A part with an infinity or NaN
/// gets a NaN scale: what is computed from it is NaN.
pub(super) struct QuantizeRows<'a> {
    pub(super) rows: &'a [f32],
    pub(super) columns: usize,
    /// Words of a quantized row, at least a quarter of `columns`.
    pub(super) depth: usize,
    /// Becomes `[rows, depth]`.
    pub(super) groups: &'a mut Vec<u32>,
    /// Words of a part that has a range of its own.
    pub(super) part: usize,
    /// Becomes one a part and row: those of all rows' first parts, then those of the second ones.
    pub(super) ranges: &'a mut Vec<RowRange>,
}

impl DotKernel for QuantizeRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        let Self { rows, columns, depth, groups, part, ranges } = self;
        let count = rows.len() / columns.max(1);
        groups.resize(count * depth, 0);
        ranges.clear();
        ranges.resize(count * columns.div_ceil(4 * part), RowRange::default());
        for (index, (row, words)) in
            rows.chunks_exact(columns.max(1)).zip(groups.chunks_exact_mut(depth.max(1))).enumerate()
        {
            // First all ranges, then all bytes: a range takes long from its first step to its last, and the next one need not wait.
            let of_row = ranges.iter_mut().skip(index).step_by(count);
            for (values, range) in row.chunks(4 * part).zip(of_row) {
                *range = range_of(simd, values);
            }
            let of_row = ranges.iter().skip(index).step_by(count);
            for ((values, words), range) in row.chunks(4 * part).zip(words.chunks_mut(part)).zip(of_row) {
                quantize_part(simd, values, *range, bytemuck::cast_slice_mut(words));
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounded to 0..=255")]
fn range_of<S: Dots>(simd: S, values: &[f32]) -> RowRange {
    let extent = Extent::of(simd, values);
    let (least, most) = (-simd.max_lanes(simd.sub(simd.splat(0.0), extent.least)), simd.max_lanes(extent.most));
    let scale = (most - least) / 255.0 + simd.sum_lanes(extent.not_finite);
    let zero_point = (-least * inverse(scale)).round_ties_even().clamp(0.0, 255.0);
    RowRange { scale, zero_point: zero_point as i32 }
}

fn inverse(scale: f32) -> f32 {
    if scale > 0.0 { 1.0 / scale } else { 0.0 }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a zero point is 0..=255")]
fn quantize_part<S: Dots>(simd: S, values: &[f32], range: RowRange, bytes: &mut [u8]) {
    let (vectors, rest) = values.as_chunks::<LANES>();
    let (steps, shift) = (simd.splat(inverse(range.scale)), simd.splat(range.zero_point as f32));
    for (values, place) in vectors.iter().zip(bytes.as_chunks_mut::<LANES>().0) {
        simd.to_bytes(quantize(simd, simd.load(values), steps, shift), place);
    }
    if let Some(place) = bytes.get_mut(vectors.len() * LANES..).filter(|_| !rest.is_empty()) {
        let mut quantized = [0; LANES];
        simd.to_bytes(quantize(simd, simd.load_partial(rest, 0.0), steps, shift), &mut quantized);
        quantized[rest.len()..].fill(0);
        let length = place.len().min(LANES);
        place[..length].copy_from_slice(&quantized[..length]);
    }
    if let Some(beyond) = bytes.get_mut(values.len().next_multiple_of(LANES)..) {
        beyond.fill(0);
    }
}

/// The range of the values seen so far, zero included.
pub(super) struct Extent<V> {
    pub(super) least: V,
    pub(super) most: V,
    /// Zero for numbers, NaN once an infinity or NaN was seen.
    pub(super) not_finite: V,
}

impl<V: Copy> Extent<V> {
    #[inline(always)]
    pub(super) fn of<S: Dots<Vector = V>>(simd: S, values: &[f32]) -> Self {
        let (vectors, rest) = values.as_chunks::<LANES>();
        let zero = simd.splat(0.0);
        let mut extent = Self { least: zero, most: zero, not_finite: zero };
        for values in vectors {
            extent.see(simd, simd.load(values));
        }
        if !rest.is_empty() {
            extent.see(simd, simd.load_partial(rest, 0.0));
        }
        extent
    }

    #[inline(always)]
    fn see<S: Dots<Vector = V>>(&mut self, simd: S, values: V) {
        self.least = simd.min(self.least, values);
        self.most = simd.max(self.most, values);
        self.not_finite = simd.mul_add(values, simd.splat(0.0), self.not_finite);
    }
}

/// `values * steps + shift`, the product rounded to a whole number, within 0 and 255.
#[inline(always)]
fn quantize<S: Dots>(simd: S, values: S::Vector, steps: S::Vector, shift: S::Vector) -> S::Vector {
    let byte = simd.add(simd.round(simd.mul(values, steps)), shift);
    simd.min(simd.max(byte, simd.splat(0.0)), simd.splat(255.0))
}
