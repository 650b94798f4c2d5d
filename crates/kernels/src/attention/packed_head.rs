//! The running softmax of one head.

use std::ops::Range;

use super::KEY_BLOCK;
use super::operands::Operands;
use crate::lane::{LANES, Lane};
use crate::math::exp_at_most_one;
use crate::simd::Simd;
use crate::tile::{Rows, load_rows, multiply, store_rows};

/// One head of one text, ready for its queries.
pub(super) struct PackedHead<'a, G> {
    pub(super) queries: Rows<'a, G>,
    /// Where the head's queries start, in groups.
    pub(super) query_column: usize,
    pub(super) head_dim: usize,
    /// Groups of a query or key.
    pub(super) depth: usize,
    pub(super) tokens: usize,
    pub(super) keys: &'a [Lane<G>],
    pub(super) values: &'a [Lane<G>],
    pub(super) value_width: usize,
}

impl<G: Copy> PackedHead<'_, G> {
    /// `N` queries from `first` against all keys; their rows of the result fill `sums` (`[N, value_width]`).
    #[inline(always)]
    pub(super) fn tile<S: Simd, P: Operands<S, Group = G>, const N: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        scores: &mut [f32],
        weights: &mut Vec<G>,
        sums: &mut [f32],
    ) {
        let mut largest = [f32::NEG_INFINITY; N];
        let mut totals = [0.0; N];
        for start in (0..self.tokens).step_by(KEY_BLOCK) {
            let keys = start..self.tokens.min(start + KEY_BLOCK);
            self.score::<S, P, N, V>(simd, first, keys.clone(), scores);
            let mut corrections = [0.0; N];
            for (i, row) in scores.chunks_exact_mut(KEY_BLOCK).take(N).enumerate() {
                corrections[i] = soften(simd, &mut row[..keys.len()], &mut largest[i], &mut totals[i]);
            }
            let weights = P::weights(simd, N, keys.len(), scores, weights);
            self.weigh::<S, P, N, V>(simd, keys, corrections, weights, sums);
        }
        for (row, total) in sums.chunks_exact_mut(self.value_width).zip(totals) {
            let total = simd.splat(total);
            for values in row.as_chunks_mut::<LANES>().0 {
                simd.store(simd.div(simd.load(values), total), values);
            }
        }
    }

    /// Scaled scores of `N` queries with the keys of one block, into `scores` (`[N, KEY_BLOCK]`).
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^24 columns")]
    fn score<S: Simd, P: Operands<S, Group = G>, const N: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        keys: Range<usize>,
        scores: &mut [f32],
    ) {
        let width = V * LANES;
        let scale = simd.splat(1.0 / (self.head_dim as f32).sqrt());
        for start in keys.clone().step_by(width) {
            let panel = &self.keys[start / width * self.depth * V..][..self.depth * V];
            let zero = [[simd.splat(0.0); V]; N];
            let products = multiply::<S, P, N, V>(simd, self.queries, first, self.query_column, panel, &[], zero);
            let mut scaled = zero;
            for i in 0..N {
                for v in 0..V {
                    scaled[i][v] = simd.mul(products[i][v], scale);
                }
            }
            store_rows(simd, scaled, &mut scores[start - keys.start..], KEY_BLOCK, width);
        }
    }

    /// `sums = sums * correction + weights * values` for the keys of one block; the first block starts from zero.
    #[inline(always)]
    fn weigh<S: Simd, P: Operands<S, Group = G>, const N: usize, const V: usize>(
        &self,
        simd: S,
        keys: Range<usize>,
        corrections: [f32; N],
        weights: Rows<'_, G>,
        sums: &mut [f32],
    ) {
        let lines_of_panel = self.tokens.div_ceil(P::NUMBERS) * V;
        for (panel, lines) in self.values.chunks_exact(lines_of_panel).enumerate() {
            let column = panel * V * LANES;
            let mut start = [[simd.splat(0.0); V]; N];
            if keys.start > 0 {
                let mut rows: [&[f32]; N] = [&[]; N];
                for (row, sums) in rows.iter_mut().zip(sums.chunks_exact(self.value_width)) {
                    *row = &sums[column..column + V * LANES];
                }
                start = load_rows(simd, rows);
                for (start, correction) in start.iter_mut().zip(corrections) {
                    for sum in start {
                        *sum = simd.mul(*sum, simd.splat(correction));
                    }
                }
            }
            let lines = &lines[keys.start / P::NUMBERS * V..keys.end.div_ceil(P::NUMBERS) * V];
            let products = multiply::<S, P, N, V>(simd, weights, 0, 0, lines, &[], start);
            store_rows(simd, products, &mut sums[column..], self.value_width, V * LANES);
        }
    }
}

/// Turns a block's scores into weights relative to the largest score so far, adds them to `total` and returns the factor
/// by which what was summed before shrinks.
#[inline(always)]
fn soften<S: Simd>(simd: S, scores: &mut [f32], largest: &mut f32, total: &mut f32) -> f32 {
    let (vectors, rest) = scores.as_chunks_mut::<LANES>();
    let mut block_largest = simd.splat(f32::NEG_INFINITY);
    for values in &*vectors {
        block_largest = simd.max(block_largest, simd.load(values));
    }
    if !rest.is_empty() {
        block_largest = simd.max(block_largest, simd.load_partial(rest, f32::NEG_INFINITY));
    }
    let block_largest = simd.max_lanes(block_largest);
    let new_largest = if *largest > block_largest { *largest } else { block_largest };

    let shift = simd.splat(new_largest);
    let mut sum = simd.splat(0.0);
    for values in vectors {
        let weight = exp_at_most_one(simd, simd.sub(simd.load(values), shift));
        sum = simd.add(sum, weight);
        simd.store(weight, values);
    }
    if !rest.is_empty() {
        let weight = exp_at_most_one(simd, simd.sub(simd.load_partial(rest, f32::NEG_INFINITY), shift));
        sum = simd.add(sum, weight);
        simd.store_partial(weight, rest);
    }
    let mut correction = [0.0; LANES];
    simd.store(exp_at_most_one(simd, simd.splat(*largest - new_largest)), &mut correction);
    *total = *total * correction[0] + simd.sum_lanes(sum);
    *largest = new_largest;
    correction[0]
}
