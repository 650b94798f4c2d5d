//! From the token vectors of texts to one weight for each term of a vocabulary, without ever storing a logit.
//!
//! The decoder of a masked language model gives every token a logit for every term: `[tokens, terms]`, which for a batch of
//! abstracts is a gigabyte. SPLADE (arXiv:2107.05720, arXiv:2109.10086) then keeps one number a text and term. Here that
//! number is brought up to date while the logits are still in the registers of the product.
//!
//! Reference: `SpladePooling` of sentence-transformers (`sparse_encoder/modules/splade_pooling.py`).

use std::ops::Range;

use crate::lane::{LANES, Lane};
use crate::linear::RoundRows;
use crate::math::ln_1p;
use crate::packed_matrix::{PackedMatrix, Panels, panel_slice};
use crate::product::{Bfloat16, Float32, Product};
use crate::simd::{DotKernel, Dots, Kernel, Simd};
use crate::tile::{Rows, load_row, multiply, store_row, with_tile};

/// Bytes of token vectors over which one panel of the decoder passes before the next one does. They stay in the second-level
/// cache with the panel, and are enough that reading the decoder, which fits in no cache, takes no time of its own.
const BLOCK_BYTES: usize = 384 * 1024;

/// How the logits of a text's tokens become one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermFormula {
    /// What is taken over the tokens.
    pub pooling: TermPooling,
    /// Whether a logit x becomes `ln(1 + ln(1 + max(x, 0)))` (`log1p_relu`) and not `ln(1 + max(x, 0))` (`relu`).
    pub twice: bool,
}

/// What is taken over the tokens of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermPooling {
    /// The largest value. The logarithm rises, so it is taken once, of the largest logit.
    Max,
    /// The sum, token by token in their order.
    Sum,
}

/// Token vectors in the numbers that a decoder multiplies: see [`DecoderInput::new`].
#[derive(Debug)]
pub struct DecoderInput<'a>(Groups<'a>);

#[derive(Debug)]
enum Groups<'a> {
    Float32(&'a [f32]),
    Bfloat16(Vec<u32>),
}

impl<'a> DecoderInput<'a> {
    /// Rounds `hidden`, `[tokens, input_features]`, as `decoder` needs it.
    #[must_use]
    pub fn new(decoder: &PackedMatrix, hidden: &'a [f32]) -> Self {
        let columns = decoder.input_features();
        match &decoder.panels {
            Panels::Float32(_) => Self(Groups::Float32(hidden)),
            Panels::Bfloat16(_) => {
                let (mut groups, depth) = (Vec::new(), columns.div_ceil(2));
                decoder.level.run_dots(RoundRows { rows: hidden, columns, depth, groups: &mut groups, part: 0 });
                Self(Groups::Bfloat16(groups))
            }
            Panels::Int8(_) | Panels::Tiles(_) => unreachable!("a decoder is packed in panels of floats"),
        }
    }
}

/// Token vectors of several texts, one text after another.
#[derive(Clone, Copy, Debug)]
pub struct TextRows<'a> {
    /// `[tokens, input_features]`.
    pub hidden: &'a DecoderInput<'a>,
    /// The text of each token, from 0, never falling.
    pub text_of_row: &'a [u32],
}

/// The weights of the terms in `terms` for each text: `output` is `[texts, terms.len()]`, row-major. All weights are zero
/// or more; NaN where a logit was not finite.
///
/// `decoder` is `[terms, input_features]`, packed by [`PackedMatrix::pack_panels`] in float32 or bfloat16, and `bias` has one value
/// a term. A logit is one chain of multiply-adds from the bias, as in [`linear`](crate::linear); so a text's weights depend
/// neither on the texts beside it nor on `terms`.
pub fn term_weights(
    decoder: &PackedMatrix,
    bias: &[f32],
    formula: TermFormula,
    tokens: TextRows<'_>,
    terms: Range<usize>,
    output: &mut [f32],
) {
    let width = terms.len();
    assert!(terms.start.is_multiple_of(decoder.panel_width()), "terms from the start of a panel");
    assert!(terms.start <= terms.end && terms.end <= decoder.output_features(), "terms of the decoder");
    assert_eq!(bias.len(), decoder.output_features(), "one bias a term");
    if output.is_empty() {
        return;
    }
    assert!(output.len().is_multiple_of(width), "output rows of the terms' number");
    let texts = output.len() / width;
    assert!(tokens.text_of_row.iter().all(|text| (*text as usize) < texts), "one output row a text");
    output.fill(0.0);
    let text_of_row = tokens.text_of_row;
    match (&decoder.panels, &tokens.hidden.0) {
        (Panels::Float32(panels), Groups::Float32(hidden)) => {
            let depth = decoder.input_features();
            assert_eq!(hidden.len(), text_of_row.len() * depth, "one row a token");
            let hidden = Rows { data: hidden, stride: depth };
            decoder.level.run(Float32Terms(TermWeights { panels, bias, formula, hidden, text_of_row, terms, output }));
        }
        (Panels::Bfloat16(panels), Groups::Bfloat16(groups)) => {
            let depth = decoder.input_features().div_ceil(2);
            assert_eq!(groups.len(), text_of_row.len() * depth, "one row a token");
            let hidden = Rows { data: groups.as_slice(), stride: depth };
            decoder.level.run_dots(Bfloat16Terms(TermWeights {
                panels,
                bias,
                formula,
                hidden,
                text_of_row,
                terms,
                output,
            }));
        }
        _ => unreachable!("an input made for this decoder"),
    }
}

/// The weights of a decoder of groups `G`.
struct TermWeights<'a, G> {
    panels: &'a [Lane<G>],
    bias: &'a [f32],
    formula: TermFormula,
    hidden: Rows<'a, G>,
    text_of_row: &'a [u32],
    terms: Range<usize>,
    output: &'a mut [f32],
}

struct Float32Terms<'a>(TermWeights<'a, f32>);

impl Kernel for Float32Terms<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.0.run::<S, Float32>(simd);
    }
}

struct Bfloat16Terms<'a>(TermWeights<'a, u32>);

impl DotKernel for Bfloat16Terms<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        self.0.run::<S, Bfloat16>(simd);
    }
}

impl<G: Copy> TermWeights<'_, G> {
    #[inline(always)]
    fn run<S: Simd, P: Product<S, Group = G, Sum = S::Vector>>(mut self, simd: S) {
        let depth = self.hidden.stride;
        let rows = self.text_of_row.len();
        let panel_width = S::PANEL_VECTORS * LANES;
        let block_rows = (BLOCK_BYTES / size_of::<G>() / depth.max(1) / S::TILE_ROWS).max(1) * S::TILE_ROWS;
        for start in (0..rows).step_by(block_rows) {
            let block = start..rows.min(start + block_rows);
            for column in self.terms.clone().step_by(panel_width) {
                let end = self.terms.end.min(column + panel_width);
                let panel = Panel {
                    hidden: self.hidden,
                    lines: panel_slice::<S, G>(self.panels, column / panel_width, depth, 0..depth),
                    bias: &self.bias[column..end],
                    text_of_row: self.text_of_row,
                    columns: column - self.terms.start..end - self.terms.start,
                    stride: self.terms.len(),
                };
                for first in block.clone().step_by(S::TILE_ROWS) {
                    let count = S::TILE_ROWS.min(block.end - first);
                    with_tile!(S, count, |N, V| panel.tile::<S, P, N, V>(simd, self.formula, first, self.output));
                }
            }
        }
        if self.formula.pooling == TermPooling::Max {
            self.take_logarithms(simd);
        }
    }

    /// From the largest logit, or zero, to the weight.
    #[inline(always)]
    fn take_logarithms<S: Simd>(&mut self, simd: S) {
        let (vectors, rest) = self.output.as_chunks_mut::<LANES>();
        for values in vectors {
            let weight = logarithm(simd, self.formula.twice, simd.load(values));
            simd.store(weight, values);
        }
        if !rest.is_empty() {
            let weight = logarithm(simd, self.formula.twice, simd.load_partial(rest, 0.0));
            simd.store_partial(weight, rest);
        }
    }
}

/// `ln(1 + x)` or `ln(1 + ln(1 + x))` for x of at least zero.
#[inline(always)]
fn logarithm<S: Simd>(simd: S, twice: bool, x: S::Vector) -> S::Vector {
    let once = ln_1p(simd, x);
    if twice { ln_1p(simd, once) } else { once }
}

/// One panel of the decoder and where its weights go.
struct Panel<'a, G> {
    hidden: Rows<'a, G>,
    lines: &'a [Lane<G>],
    bias: &'a [f32],
    text_of_row: &'a [u32],
    columns: Range<usize>,
    stride: usize,
}

impl<G: Copy> Panel<'_, G> {
    /// The logits of `N` tokens from `first`, and what they make of their texts' values so far.
    #[inline(always)]
    fn tile<S: Simd, P: Product<S, Group = G, Sum = S::Vector>, const N: usize, const V: usize>(
        &self,
        simd: S,
        formula: TermFormula,
        first: usize,
        output: &mut [f32],
    ) {
        let bias: [S::Vector; V] = load_row(simd, self.bias);
        let logits = multiply::<S, P, N, V>(simd, self.hidden, first, 0, self.lines, &[], [bias; N]);
        for (logits, text) in logits.into_iter().zip(&self.text_of_row[first..first + N]) {
            let values = &mut output[*text as usize * self.stride..][self.columns.clone()];
            let mut pooled: [S::Vector; V] = load_row(simd, values);
            // Not `array::from_fn`: that is not inlined around so much code, and then nor are the intrinsics.
            for (so_far, logit) in pooled.iter_mut().zip(logits) {
                *so_far = pool(simd, formula, logit, *so_far);
            }
            store_row(simd, pooled, values);
        }
    }
}

/// Takes one more token's logits into the values so far, which start from zero. A NaN stays.
#[inline(always)]
fn pool<S: Simd>(simd: S, formula: TermFormula, logits: S::Vector, so_far: S::Vector) -> S::Vector {
    // Zero if the logit is finite, else NaN, which the additions below keep.
    let poison = simd.sub(logits, logits);
    match formula.pooling {
        // `max` returns its second operand where either is NaN.
        TermPooling::Max => simd.max(logits, simd.add(so_far, poison)),
        TermPooling::Sum => {
            let positive = simd.max(logits, simd.splat(0.0));
            simd.add(so_far, simd.add(logarithm(simd, formula.twice, positive), poison))
        }
    }
}
