//! From the token vectors of texts to one weight for each term of a vocabulary, without ever storing all logits.
//!
//! The decoder of a masked language model gives every token a logit for every term: `[tokens, terms]`, which for a batch of
//! abstracts is a gigabyte. SPLADE (arXiv:2107.05720, arXiv:2109.10086) then keeps one number a text and term. Here that
//! number is brought up to date while the logits are still in the registers of the product.
//!
//! Where the number is the largest logit, most logits need not be known: see [`screen`].
//!
//! Reference: `SpladePooling` of sentence-transformers (`sparse_encoder/modules/splade_pooling.py`).

mod decoder;
mod pooled_logits;
mod screen;

use std::ops::Range;

pub use decoder::{DecoderInput, TermDecoder};

use crate::lane::LANES;
use crate::math::ln_1p;
use crate::packed_matrix::Panels;
use crate::simd::{Kernel, Simd};
use crate::tile::Rows;
use decoder::Groups;
use pooled_logits::{Bfloat16Logits, Float32Logits, Place, PooledLogits};
use screen::{BlockText, Estimates, Screen, ScreenedRows};

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
/// A logit is one chain of multiply-adds from the bias, as in [`linear`](crate::linear()); so a text's weights depend
/// neither on the texts beside it nor on `terms`. The screen only leaves out logits that are not the largest.
pub fn term_weights(decoder: &TermDecoder, tokens: TextRows<'_>, terms: Range<usize>, output: &mut [f32]) {
    let width = terms.len();
    assert!(terms.start.is_multiple_of(decoder.panel_width()), "terms from the start of a panel");
    assert!(terms.start <= terms.end && terms.end <= decoder.terms(), "terms of the decoder");
    if output.is_empty() {
        return;
    }
    assert!(output.len().is_multiple_of(width), "output rows of the terms' number");
    let texts = output.len() / width;
    let TextRows { hidden, text_of_row } = tokens;
    assert!(text_of_row.iter().all(|text| (*text as usize) < texts), "one output row a text");
    let rows = text_of_row.len();
    assert_eq!(hidden.rows.len(), rows * decoder.input_features(), "one row a token");
    output.fill(0.0);
    let mut place = Place { texts: text_of_row, first_term: terms.start, stride: width, output };
    match &decoder.screen {
        Some(screen) => {
            decoder.pool_screened(screen, hidden, &terms, &mut place);
        }
        None => {
            decoder.pool_logits(hidden, 0..rows, terms, None, &mut place);
        }
    }
    if decoder.formula.pooling == TermPooling::Max {
        decoder.weight.level.run(Logarithms { twice: decoder.formula.twice, values: output });
    }
}

impl TermDecoder {
    /// Takes the logits of `terms` that the screen leaves into their texts' values: some terms after another, since their part of
    /// the decoder then stays in the cache while the rows pass. Returns how many rows were multiplied, over all panels.
    fn pool_screened(
        &self,
        screen: &Screen,
        hidden: &DecoderInput<'_>,
        terms: &Range<usize>,
        place: &mut Place<'_>,
    ) -> usize {
        let mut blocks: Vec<ScreenedBlock<'_>> = Vec::with_capacity(hidden.screened.len());
        for (index, screened) in hidden.screened.iter().enumerate() {
            let first = index * screen::ROWS;
            let rows = first..place.texts.len().min(first + screen::ROWS);
            let texts = screened.texts(first, &place.texts[rows.clone()]);
            blocks.push(ScreenedBlock { rows, screened, texts, pays: true });
        }
        let (mut multiplied, mut estimates) = (0, Vec::new());
        for start in terms.clone().step_by(screen::TERMS) {
            let chunk = start..terms.end.min(start + screen::TERMS);
            for ScreenedBlock { rows, screened, texts, pays } in &mut blocks {
                if *pays {
                    screen.estimate(&self.bias, hidden, screened, rows, &chunk, &mut estimates);
                }
                let left = pays.then_some(Estimates { screen, texts, values: &estimates });
                let of_chunk = self.pool_logits(hidden, rows.clone(), chunk.clone(), left, place);
                multiplied += of_chunk;
                // A screen that leaves more than half does not pay.
                *pays = *pays && 2 * of_chunk <= rows.len() * chunk.len().div_ceil(self.weight.panel_width());
            }
        }
        multiplied
    }

    /// Takes the logits of `terms` for `rows`, or for those of them that are left, into their texts' values. Returns how many
    /// rows were multiplied, over all panels.
    fn pool_logits(
        &self,
        hidden: &DecoderInput<'_>,
        rows: Range<usize>,
        terms: Range<usize>,
        left: Option<Estimates<'_>>,
        place: &mut Place<'_>,
    ) -> usize {
        let Self { weight, bias, formula, .. } = self;
        let (formula, depth) = (*formula, weight.input_features());
        match (&weight.panels, &hidden.groups) {
            (Panels::Float32(panels), Groups::Float32) => {
                let hidden = Rows { data: hidden.rows, stride: depth };
                let logits = PooledLogits { panels, bias, formula, hidden, rows, terms, left, place };
                weight.level.run(Float32Logits(logits))
            }
            (Panels::Bfloat16(panels), Groups::Bfloat16(groups)) => {
                let hidden = Rows { data: groups.as_slice(), stride: depth.div_ceil(2) };
                let logits = PooledLogits { panels, bias, formula, hidden, rows, terms, left, place };
                weight.level.run_dots(Bfloat16Logits(logits))
            }
            _ => unreachable!("an input made for this decoder"),
        }
    }
}

/// Rows of a call, as the screen takes them.
struct ScreenedBlock<'a> {
    rows: Range<usize>,
    screened: &'a ScreenedRows,
    texts: Vec<BlockText>,
    /// Whether the screen ruled out enough of the terms before.
    pays: bool,
}

/// From the largest logits, or zero, to the weights.
struct Logarithms<'a> {
    twice: bool,
    values: &'a mut [f32],
}

impl Kernel for Logarithms<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (vectors, rest) = self.values.as_chunks_mut::<LANES>();
        for values in vectors {
            let weight = logarithm(simd, self.twice, simd.load(values));
            simd.store(weight, values);
        }
        if !rest.is_empty() {
            let weight = logarithm(simd, self.twice, simd.load_partial(rest, 0.0));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Level};

    /// Most logits below zero, as those of a trained model: with random numbers up to 1 a logit is of size 64^0.5 / 3 = 2.7.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "below 2^16")]
    fn the_screen_leaves_few_rows() {
        let (rows, depth, terms) = (screen::ROWS + 60, 64, 256);
        let mut state = 1_u64;
        let mut number = |_: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 48) as f32 / 32_768.0 - 1.0
        };
        let hidden: Vec<f32> = (0..rows * depth).map(&mut number).collect();
        let weight: Vec<f32> = (0..terms * depth).map(&mut number).collect();
        let formula = TermFormula { pooling: TermPooling::Max, twice: false };
        for level in Level::available() {
            let bias = vec![-6.0; terms];
            let decoder = TermDecoder::with_screen(level, Format::Float32, &weight, bias, depth, formula, true);
            let input = DecoderInput::new(&decoder, &hidden);
            let text_of_row: Vec<u32> = (0..rows).map(|row| u32::from(row >= 100)).collect();
            let mut output = vec![0.0; 2 * terms];
            let mut place = Place { texts: &text_of_row, first_term: 0, stride: terms, output: &mut output };
            let Some(screen) = &decoder.screen else { panic!("a decoder with a screen") };
            let multiplied = decoder.pool_screened(screen, &input, &(0..terms), &mut place);
            let all = rows * terms / decoder.weight.panel_width();
            assert!(multiplied > 0 && multiplied < all / 4, "{level:?}: {multiplied} of {all}");
        }
    }
}
