//! The input of a product in fewer bits, each row by itself.

use super::RowRange;
use crate::lane::LANES;
use crate::simd::{DotKernel, Dots};

/// Rounds rows of float32 to bfloat16, two to a word, an odd row's last word filled with zero.
pub(super) struct RoundRows<'a> {
    pub(super) rows: &'a [f32],
    pub(super) columns: usize,
    /// Becomes `[rows, columns / 2 rounded up]`.
    pub(super) groups: &'a mut Vec<u32>,
}

impl DotKernel for RoundRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        let Self { rows, columns, groups } = self;
        let depth = columns.div_ceil(2);
        groups.resize(rows.len() / columns.max(1) * depth, 0);
        for (row, groups) in rows.chunks_exact(columns.max(1)).zip(groups.chunks_exact_mut(depth.max(1))) {
            let halves: &mut [u16] = bytemuck::cast_slice_mut(groups);
            let (vectors, rest) = row.as_chunks::<LANES>();
            let (places, rest_place) = halves.as_chunks_mut::<LANES>();
            for (values, place) in vectors.iter().zip(places) {
                simd.to_bfloat16(simd.load(values), place);
            }
            if !rest.is_empty() {
                let mut last = [0; LANES];
                simd.to_bfloat16(simd.load_partial(rest, 0.0), &mut last);
                // Sixteen columns rounded up to pairs: a rest that fills a whole vector of halves lies in `places`.
                let start = vectors.len() * LANES;
                let place = if rest_place.is_empty() { &mut halves[start..] } else { rest_place };
                let length = place.len();
                place.copy_from_slice(&last[..length]);
            }
        }
    }
}

/// Quantizes rows of float32 to unsigned bytes, four to a word, zero beyond the last column.
///
/// The range of a row, widened to hold zero, is divided into 255 steps, so that zero is exact. A row with an infinity or NaN
/// gets a NaN scale: what is computed from it is NaN.
pub(super) struct QuantizeRows<'a> {
    pub(super) rows: &'a [f32],
    pub(super) columns: usize,
    /// Becomes `[rows, columns / 4 rounded up]`.
    pub(super) groups: &'a mut Vec<u32>,
    /// Becomes one a row.
    pub(super) ranges: &'a mut Vec<RowRange>,
}

impl DotKernel for QuantizeRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        let Self { rows, columns, groups, ranges } = self;
        let depth = columns.div_ceil(4);
        groups.resize(rows.len() / columns.max(1) * depth, 0);
        ranges.clear();
        for (row, groups) in rows.chunks_exact(columns.max(1)).zip(groups.chunks_exact_mut(depth.max(1))) {
            ranges.push(quantize_row(simd, row, bytemuck::cast_slice_mut(groups)));
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounded to 0..=255")]
fn quantize_row<S: Dots>(simd: S, row: &[f32], bytes: &mut [u8]) -> RowRange {
    let (vectors, rest) = row.as_chunks::<LANES>();
    let mut extent = Extent::new(simd);
    for values in vectors {
        extent.see(simd, simd.load(values));
    }
    if !rest.is_empty() {
        extent.see(simd, simd.load_partial(rest, 0.0));
    }
    let (least, most) = (-simd.max_lanes(simd.sub(simd.splat(0.0), extent.least)), simd.max_lanes(extent.most));
    let scale = (most - least) / 255.0 + simd.sum_lanes(extent.not_finite);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let zero_point = (-least * inverse).round_ties_even().clamp(0.0, 255.0);

    let (steps, shift) = (simd.splat(inverse), simd.splat(zero_point));
    let (places, rest_place) = bytes.as_chunks_mut::<LANES>();
    for (values, place) in vectors.iter().zip(&mut *places) {
        simd.to_bytes(quantize(simd, simd.load(values), steps, shift), place);
    }
    if !rest.is_empty() {
        let mut end = [0; LANES];
        simd.to_bytes(quantize(simd, simd.load_partial(rest, 0.0), steps, shift), &mut end);
        end[rest.len()..].fill(0);
        let place = places.get_mut(vectors.len()).map_or(rest_place, |place| &mut place[..]);
        let length = place.len();
        place.copy_from_slice(&end[..length]);
    }
    RowRange { scale, zero_point: zero_point as i32 }
}

/// The range of the values seen so far, zero included.
struct Extent<V> {
    least: V,
    most: V,
    /// Zero for numbers, NaN once an infinity or NaN was seen.
    not_finite: V,
}

impl<V: Copy> Extent<V> {
    #[inline(always)]
    fn new<S: Dots<Vector = V>>(simd: S) -> Self {
        let zero = simd.splat(0.0);
        Self { least: zero, most: zero, not_finite: zero }
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
