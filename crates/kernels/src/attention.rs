//! Multi-head self-attention over the tokens of one text (arXiv:1706.03762), with a running softmax.
//!
//! Scores exist for one tile of queries and one block of keys at a time (arXiv:2112.05682, arXiv:2205.14135): nothing of size
//! tokens x tokens is stored. Blocks are counted from the text's start, so the bits depend on the text alone.

mod operands;
mod packed_head;

use std::ops::Range;

use bytemuck::Pod;

use crate::lane::{LANES, Lane};
use crate::level::Level;
use crate::linear::RoundRows;
use crate::packed_matrix::Format;
use crate::product::{Bfloat16, Float32};
use crate::simd::{DotKernel, Dots, Kernel, Simd};
use crate::tile::{Rows, with_tile};
use operands::{Operands, pack_keys};
use packed_head::PackedHead;

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
    float32: HeadBuffers<f32>,
    bfloat16: HeadBuffers<u32>,
    /// Queries, keys and values as pairs of bfloat16.
    rounded: Vec<u32>,
}

/// Working memory of one head.
#[derive(Debug, Default)]
struct HeadBuffers<G> {
    keys: Vec<Lane<G>>,
    values: Vec<Lane<G>>,
    weights: Vec<G>,
    scores: Vec<f32>,
    sums: Vec<f32>,
}

/// `softmax(q k^T / sqrt(head_dim)) v` for each head of one text.
///
/// `qkv` is `[tokens, 3 * hidden]`: queries, keys and values side by side, heads in order within each. `output` receives
/// the rows of the tokens in `queries`, `[queries.len(), hidden]`. The softmax is computed in float32; so are the products, unless
/// `format` is a narrower one, a head has an even number of columns and the level has instructions for bfloat16: then both
/// sides of a product are rounded to bfloat16, with float32 sums.
pub fn attention(
    level: Level,
    format: Format,
    shape: AttentionShape,
    qkv: &[f32],
    queries: Range<usize>,
    scratch: &mut AttentionScratch,
    output: &mut [f32],
) {
    if format != Format::Float32 && level.has_bfloat16() && shape.head_dim.is_multiple_of(2) {
        return attention_of_bfloat16(level, shape, qkv, queries, scratch, output);
    }
    let tokens = tokens_of(shape, qkv, &queries, output);
    let qkv = Rows { data: qkv, stride: 3 * shape.hidden() };
    for index in 0..shape.heads {
        let (queries, buffers, output) = (queries.clone(), &mut scratch.float32, &mut *output);
        level.run(Float32Head(Head { shape, index, tokens, qkv, queries, buffers, output }));
    }
}

/// [`attention`] of heads of an even number of columns with products of bfloat16, at any level.
pub(crate) fn attention_of_bfloat16(
    level: Level,
    shape: AttentionShape,
    qkv: &[f32],
    queries: Range<usize>,
    scratch: &mut AttentionScratch,
    output: &mut [f32],
) {
    assert!(shape.head_dim.is_multiple_of(2), "pairs of columns within a head");
    let tokens = tokens_of(shape, qkv, &queries, output);
    let AttentionScratch { bfloat16, rounded, .. } = scratch;
    let columns = 3 * shape.hidden();
    level.run_dots(RoundRows { rows: qkv, columns, depth: columns / 2, groups: rounded });
    let qkv = Rows { data: rounded.as_slice(), stride: columns / 2 };
    for index in 0..shape.heads {
        let (queries, buffers, output) = (queries.clone(), &mut *bfloat16, &mut *output);
        level.run_dots(Bfloat16Head(Head { shape, index, tokens, qkv, queries, buffers, output }));
    }
}

/// The tokens of a text, of which `queries` are computed.
fn tokens_of(shape: AttentionShape, qkv: &[f32], queries: &Range<usize>, output: &[f32]) -> usize {
    let hidden = shape.hidden();
    assert!(hidden > 0, "attention of no columns");
    assert_eq!(qkv.len() % (3 * hidden), 0, "queries, keys and values side by side");
    let tokens = qkv.len() / (3 * hidden);
    assert!(queries.start <= queries.end && queries.end <= tokens, "queries of the text");
    assert_eq!(output.len(), queries.len() * hidden, "one output row a query");
    tokens
}

struct Head<'a, G> {
    shape: AttentionShape,
    index: usize,
    tokens: usize,
    qkv: Rows<'a, G>,
    queries: Range<usize>,
    buffers: &'a mut HeadBuffers<G>,
    output: &'a mut [f32],
}

struct Float32Head<'a>(Head<'a, f32>);

impl Kernel for Float32Head<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.0.run::<S, Float32>(simd);
    }
}

struct Bfloat16Head<'a>(Head<'a, u32>);

impl DotKernel for Bfloat16Head<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        self.0.run::<S, Bfloat16>(simd);
    }
}

impl<G: Pod> Head<'_, G> {
    #[inline(always)]
    fn run<S: Simd, P: Operands<S, Group = G>>(self, simd: S) {
        let AttentionShape { head_dim, .. } = self.shape;
        let hidden = self.shape.hidden();
        let value_width = head_dim.next_multiple_of(S::PANEL_VECTORS * LANES);
        let column = self.index * head_dim;
        let [queries, keys, values] = [column, hidden + column, 2 * hidden + column].map(|first| first / P::NUMBERS);
        let depth = head_dim / P::NUMBERS;

        let buffers = self.buffers;
        pack_keys::<S, P>(simd, self.qkv, self.tokens, keys, depth, &mut buffers.keys);
        P::pack_values(simd, self.qkv, self.tokens, values, head_dim, &mut buffers.values);
        buffers.scores.resize(S::TILE_ROWS * KEY_BLOCK, 0.0);
        buffers.weights.resize(S::TILE_ROWS * KEY_BLOCK / P::NUMBERS, P::ZERO.0[0]);
        buffers.sums.resize(S::TILE_ROWS * value_width, 0.0);

        let packed = PackedHead {
            queries: self.qkv,
            query_column: queries,
            head_dim,
            depth,
            tokens: self.tokens,
            keys: &buffers.keys,
            values: &buffers.values,
            value_width,
        };
        let HeadBuffers { weights, scores, sums, .. } = buffers;
        for first in self.queries.clone().step_by(S::TILE_ROWS) {
            let count = S::TILE_ROWS.min(self.queries.end - first);
            with_tile!(S, count, |N, V| packed.tile::<S, P, N, V>(simd, first, scores, weights, sums));
            let output = self.output[(first - self.queries.start) * hidden..].chunks_exact_mut(hidden);
            for (row, sums) in output.zip(sums.chunks_exact(value_width)).take(count) {
                row[column..column + head_dim].copy_from_slice(&sums[..head_dim]);
            }
        }
    }
}
