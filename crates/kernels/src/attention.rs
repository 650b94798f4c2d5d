//! Multi-head self-attention over the tokens of one text (arXiv:1706.03762), with a running softmax.
//!
//! Scores exist for one tile of queries and one block of keys at a time (arXiv:2112.05682, arXiv:2205.14135): nothing of size
//! tokens x tokens is stored. Blocks are counted from the text's start, so the bits depend on the text alone.

use std::ops::Range;

use crate::lane::{LANES, Lane};
use crate::level::Level;
use crate::math::exp_at_most_one;
use crate::product::Float32;
use crate::simd::{Kernel, Simd};
use crate::tile::{Rows, load_row, multiply, store_row, with_tile};

/// Keys of one block of the running softmax: the scores of twelve queries take 12 KiB.
const KEY_BLOCK: usize = 256;

/// The shape of a text's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Number of heads.
    pub heads: usize,
    /// Columns of one head; `heads * head_dim` is the hidden size.
    pub head_dim: usize,
}

impl AttentionShape {
    /// Columns of all heads.
    #[must_use]
    pub fn hidden(self) -> usize {
        self.heads * self.head_dim
    }
}

/// Working memory of [`attention`], kept between calls.
#[derive(Debug, Default)]
pub struct AttentionScratch {
    keys: Vec<Lane>,
    values: Vec<Lane>,
    scores: Vec<f32>,
    sums: Vec<f32>,
}

/// `softmax(q k^T / sqrt(head_dim)) v` for each head of one text.
///
/// `qkv` is `[tokens, 3 * hidden]`: queries, keys and values side by side, heads in order within each. `output` receives
/// the rows of the tokens in `queries`, `[queries.len(), hidden]`.
pub fn attention(
    level: Level,
    shape: AttentionShape,
    qkv: &[f32],
    queries: Range<usize>,
    scratch: &mut AttentionScratch,
    output: &mut [f32],
) {
    let hidden = shape.hidden();
    assert!(hidden > 0, "attention of no columns");
    assert_eq!(qkv.len() % (3 * hidden), 0, "queries, keys and values side by side");
    let tokens = qkv.len() / (3 * hidden);
    assert!(queries.start <= queries.end && queries.end <= tokens, "queries of the text");
    assert_eq!(output.len(), queries.len() * hidden, "one output row a query");
    for head in 0..shape.heads {
        level.run(Head { shape, index: head, tokens, qkv, queries: queries.clone(), scratch, output });
    }
}

struct Head<'a> {
    shape: AttentionShape,
    index: usize,
    tokens: usize,
    qkv: &'a [f32],
    queries: Range<usize>,
    scratch: &'a mut AttentionScratch,
    output: &'a mut [f32],
}

impl Kernel for Head<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let AttentionShape { head_dim, .. } = self.shape;
        let hidden = self.shape.hidden();
        let width = S::PANEL_VECTORS * LANES;
        let rows = Rows { data: self.qkv, stride: 3 * hidden };
        let query_column = self.index * head_dim;
        let value_width = head_dim.next_multiple_of(width);

        let scratch = self.scratch;
        pack_keys::<S>(rows, self.tokens, hidden + query_column, head_dim, &mut scratch.keys);
        pack_values(simd, rows, self.tokens, 2 * hidden + query_column, head_dim, &mut scratch.values);
        scratch.scores.resize(S::TILE_ROWS * KEY_BLOCK, 0.0);
        scratch.sums.resize(S::TILE_ROWS * value_width, 0.0);

        let packed = PackedHead {
            queries: rows,
            query_column,
            head_dim,
            tokens: self.tokens,
            keys: &scratch.keys,
            values: &scratch.values,
            value_width,
        };
        for first in self.queries.clone().step_by(S::TILE_ROWS) {
            let count = S::TILE_ROWS.min(self.queries.end - first);
            with_tile!(S, count, |N, V| packed.tile::<S, N, V>(simd, first, &mut scratch.scores, &mut scratch.sums,));
            let output = self.output[(first - self.queries.start) * hidden..].chunks_exact_mut(hidden);
            for (row, sums) in output.zip(scratch.sums.chunks_exact(value_width)).take(count) {
                row[query_column..query_column + head_dim].copy_from_slice(&sums[..head_dim]);
            }
        }
    }
}

/// Keys transposed into panels, as a weight is: panel, then head column, then key.
#[inline(always)]
fn pack_keys<S: Simd>(rows: Rows<'_>, tokens: usize, column: usize, head_dim: usize, panels: &mut Vec<Lane>) {
    let width = S::PANEL_VECTORS * LANES;
    panels.clear();
    panels.resize(tokens.div_ceil(width) * head_dim * S::PANEL_VECTORS, Lane::ZERO);
    for (token, row) in rows.data.chunks_exact(rows.stride).enumerate() {
        let (vector, lane) = (token % width / LANES, token % LANES);
        let lines = &mut panels[token / width * head_dim * S::PANEL_VECTORS..][..head_dim * S::PANEL_VECTORS];
        for (line, value) in lines.chunks_exact_mut(S::PANEL_VECTORS).zip(&row[column..column + head_dim]) {
            line[vector].0[lane] = *value;
        }
    }
}

/// Values in panels of columns: panel, then key, then head column, zero beyond the head.
#[inline(always)]
fn pack_values<S: Simd>(
    simd: S,
    rows: Rows<'_>,
    tokens: usize,
    column: usize,
    head_dim: usize,
    panels: &mut Vec<Lane>,
) {
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

/// One head of one text, ready for its queries.
struct PackedHead<'a> {
    queries: Rows<'a>,
    query_column: usize,
    head_dim: usize,
    tokens: usize,
    keys: &'a [Lane],
    values: &'a [Lane],
    value_width: usize,
}

impl PackedHead<'_> {
    /// `N` queries from `first` against all keys; their rows of the result fill `sums` (`[N, value_width]`).
    #[inline(always)]
    fn tile<S: Simd, const N: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        scores: &mut [f32],
        sums: &mut [f32],
    ) {
        let mut largest = [f32::NEG_INFINITY; N];
        let mut totals = [0.0; N];
        for start in (0..self.tokens).step_by(KEY_BLOCK) {
            let keys = start..self.tokens.min(start + KEY_BLOCK);
            self.score::<S, N, V>(simd, first, keys.clone(), scores);
            let mut corrections = [0.0; N];
            for (i, row) in scores.chunks_exact_mut(KEY_BLOCK).take(N).enumerate() {
                corrections[i] = soften(simd, &mut row[..keys.len()], &mut largest[i], &mut totals[i]);
            }
            self.weigh::<S, N, V>(simd, keys, corrections, scores, sums);
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
    fn score<S: Simd, const N: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        keys: Range<usize>,
        scores: &mut [f32],
    ) {
        let width = V * LANES;
        let scale = simd.splat(1.0 / (self.head_dim as f32).sqrt());
        for start in keys.clone().step_by(width) {
            let panel = &self.keys[start / width * self.head_dim * V..][..self.head_dim * V];
            let zero = [[simd.splat(0.0); V]; N];
            let products = multiply::<S, Float32, N, V>(simd, self.queries, first, self.query_column, panel, &[], zero);
            for (i, products) in products.into_iter().enumerate() {
                let row = &mut scores[i * KEY_BLOCK + start - keys.start..][..width];
                store_row::<S, V>(simd, products.map(|product| simd.mul(product, scale)), row);
            }
        }
    }

    /// `sums = sums * correction + weights * values` for the keys of one block; the first block starts from zero.
    #[inline(always)]
    fn weigh<S: Simd, const N: usize, const V: usize>(
        &self,
        simd: S,
        keys: Range<usize>,
        corrections: [f32; N],
        weights: &[f32],
        sums: &mut [f32],
    ) {
        let weights = Rows { data: weights, stride: KEY_BLOCK };
        for (panel, lines) in self.values.chunks_exact(self.tokens * V).enumerate() {
            let column = panel * V * LANES;
            let mut start = [[simd.splat(0.0); V]; N];
            if keys.start > 0 {
                for (i, start) in start.iter_mut().enumerate() {
                    *start = load_row(simd, &sums[i * self.value_width + column..][..V * LANES]);
                    for sum in start {
                        *sum = simd.mul(*sum, simd.splat(corrections[i]));
                    }
                }
            }
            let lines = &lines[keys.start * V..keys.end * V];
            let products = multiply::<S, Float32, N, V>(simd, weights, 0, 0, lines, &[], start);
            for (i, products) in products.into_iter().enumerate() {
                store_row::<S, V>(simd, products, &mut sums[i * self.value_width + column..][..V * LANES]);
            }
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
