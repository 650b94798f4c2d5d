//! The running softmax of one head.

use std::ops::Range;

use super::KEY_BLOCK;
use super::operands::Operands;
use crate::lane::{LANES, Lane};
use crate::math::exp2_at_most_one;
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
        weights: &mut [G],
        sums: &mut [f32],
    ) {
        let mut softmax = [Softmax { largest: f32::NEG_INFINITY, total: 0.0 }; N];
        let (scale, stride) = (self.scale(), KEY_BLOCK / P::NUMBERS);
        for start in (0..self.tokens).step_by(KEY_BLOCK) {
            let keys = start..self.tokens.min(start + KEY_BLOCK);
            self.score::<S, P, N, V>(simd, first, keys.clone(), scores);
            // One step of all queries after another: what a step of one query waits for, the others need not wait for.
            let scores = scores.as_chunks::<KEY_BLOCK>().0;
            let mut corrections = [0.0; N];
            let mut vectors = [simd.splat(0.0); N];
            for i in 0..N {
                vectors[i] = largest_lanes(simd, &scores[i][..keys.len()]);
            }
            for i in 0..N {
                let rise = softmax[i].rise_to(simd.max_lanes(vectors[i]));
                if start > 0 {
                    corrections[i] = softmax[i].shrink(simd, rise * scale);
                }
            }
            for i in 0..N {
                let (scores, weights) = (&scores[i][..keys.len()], &mut weights[i * stride..][..stride]);
                vectors[i] = weigh_scores::<S, P>(simd, scale, scores, softmax[i].largest, weights);
            }
            for i in 0..N {
                softmax[i].total += simd.sum_lanes(vectors[i]);
            }
            self.weigh::<S, P, N, V>(simd, keys, corrections, Rows { data: weights, stride }, sums);
        }
        for (row, softmax) in sums.chunks_exact_mut(self.value_width).zip(softmax) {
            let total = simd.splat(softmax.total);
            for values in row.as_chunks_mut::<LANES>().0 {
                simd.store(simd.div(simd.load(values), total), values);
            }
        }
    }

    /// What scores are multiplied by, so that weights are their powers of two.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^24 columns")]
    fn scale(&self) -> f32 {
        std::f32::consts::LOG2_E / (self.head_dim as f32).sqrt()
    }

    /// Products of `N` queries with the keys of one block, into `scores` (`[N, KEY_BLOCK]`).
    #[inline(always)]
    fn score<S: Simd, P: Operands<S, Group = G>, const N: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        keys: Range<usize>,
        scores: &mut [f32],
    ) {
        let width = V * LANES;
        for start in keys.clone().step_by(width) {
            let panel = &self.keys[start / width * self.depth * V..][..self.depth * V];
            let zero = [[simd.splat(0.0); V]; N];
            let products = multiply::<S, P, N, V>(simd, self.queries, first, self.query_column, panel, &[], zero);
            store_rows(simd, products, &mut scores[start - keys.start..], KEY_BLOCK, width);
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

/// Where the running softmax of one query is.
#[derive(Clone, Copy)]
struct Softmax {
    /// The largest score so far.
    largest: f32,
    /// The sum of the weights so far, relative to that of the largest score.
    total: f32,
}

impl Softmax {
    /// Takes in the largest score of the next block; returns the largest one before, less the largest one now.
    #[inline(always)]
    fn rise_to(&mut self, block_largest: f32) -> f32 {
        let before = self.largest;
        self.largest = if before > block_largest { before } else { block_largest };
        before - self.largest
    }

    /// Makes what was summed so far relative to a larger score, `power` powers of two away; returns the factor.
    #[inline(always)]
    fn shrink<S: Simd>(&mut self, simd: S, power: f32) -> f32 {
        let mut factor = [0.0; LANES];
        simd.store(exp2_at_most_one(simd, simd.splat(power)), &mut factor);
        self.total *= factor[0];
        factor[0]
    }
}

/// The largest score of each lane.
#[inline(always)]
fn largest_lanes<S: Simd>(simd: S, scores: &[f32]) -> S::Vector {
    let (vectors, rest) = scores.as_chunks::<LANES>();
    let mut largest = simd.load_partial(rest, f32::NEG_INFINITY);
    for values in vectors {
        largest = simd.max(largest, simd.load(values));
    }
    largest
}

/// Turns scores into weights relative to that of `largest`, and returns their sum in each lane. Beyond the last score there are weights of
/// next to nothing up to a whole vector.
#[inline(always)]
fn weigh_scores<S: Simd, P: Operands<S>>(
    simd: S,
    scale: f32,
    scores: &[f32],
    largest: f32,
    weights: &mut [P::Group],
) -> S::Vector {
    let (scale, largest) = (simd.splat(scale), simd.splat(largest));
    let mut sum = simd.splat(0.0);
    let (vectors, rest) = scores.as_chunks::<LANES>();
    let mut places = weights.chunks_exact_mut(LANES / P::NUMBERS);
    for (values, place) in vectors.iter().zip(&mut places) {
        sum = simd.add(sum, weigh_vector::<S, P>(simd, scale, simd.load(values), largest, place));
    }
    if let Some(place) = places.next().filter(|_| !rest.is_empty()) {
        let last = simd.load_partial(rest, f32::NEG_INFINITY);
        sum = simd.add(sum, weigh_vector::<S, P>(simd, scale, last, largest, place));
    }
    sum
}

/// [`weigh_scores`] of one vector: its weights.
#[inline(always)]
fn weigh_vector<S: Simd, P: Operands<S>>(
    simd: S,
    scale: S::Vector,
    scores: S::Vector,
    largest: S::Vector,
    place: &mut [P::Group],
) -> S::Vector {
    let weights = exp2_at_most_one(simd, simd.mul(simd.sub(scores, largest), scale));
    P::put(simd, weights, place);
    weights
}
