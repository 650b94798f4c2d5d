//! Which logits can be the largest of their text and term: the others need not be known exactly.
//!
//! All logits are estimated from products of bytes, four times as fast as float32 (with matrix tiles thirty times), and each
//! estimate has a bound on its error. A token whose estimate is further below the largest one, or below zero, than both
//! bounds is ruled out; of a trained model's logits few in a thousand are left. Those are computed as without a screen, so
//! the weights have the same bits with and without it.
//!
//! The bound: with x' and w' for what the bytes of x and w stand for, `x w - x' w' = (x - x') w + x' (w - w')`, which by
//! Cauchy and Schwarz is at most `|x - x'| |w| + |x'| |w - w'|`. To that comes the rounding of both sums.

use std::ops::Range;

use super::DecoderInput;
use crate::activation::Activation;
use crate::lane::LANES;
use crate::level::Level;
use crate::linear::{KNOWN_SCALES, LinearScratch, OutputColumns, RowErrors, linear_of_prepared};
use crate::packed_matrix::{Format, PackedMatrix, byte_scale, quantized};
use crate::simd::Simd;
use crate::tile::load_row;

/// Rows whose estimates exist at a time. Their bytes, up to 200 KiB, stay in the second-level cache while the panels pass.
pub(super) const ROWS: usize = 192;

/// Terms whose estimates exist at a time: 96 KiB of them, and whole panels at every level.
pub(super) const TERMS: usize = 128;

/// A bound is taken a little larger, for its own rounding.
const ABOVE: f32 = 1.001;

/// Input features above which sums of so many roundings are no longer known to be within the bound.
const MOST_FEATURES: usize = 1 << 16;

/// A decoder in bytes, and how far those are from it.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    pub(super) weight: PackedMatrix,
    /// The length of each term's weights as a vector (the Euclidean norm), rounded up.
    norms: Vec<f32>,
    /// The length of the difference of each term's weights and its bytes, rounded up; infinite where it cannot be told.
    rests: Vec<f32>,
    /// How far operands of the exact product are from float32, as a part of their size: zero, or bfloat16's rounding.
    operand_rounding: f32,
    /// How far both sums together are from exact ones, as a part of the sizes' product.
    sum_rounding: f32,
}

impl Screen {
    /// Whether the bounds hold for so many input features.
    pub(super) fn is_exact_for(input_features: usize) -> bool {
        input_features <= MOST_FEATURES
    }

    /// Of the decoder `weight`, `[terms, input_features]`, which computes in `format`.
    #[expect(clippy::cast_precision_loss, reason = "at most 2^16")]
    pub(super) fn new(level: Level, format: Format, weight: &[f32], terms: usize, input_features: usize) -> Self {
        assert!(Self::is_exact_for(input_features), "at most {MOST_FEATURES} input features");
        let errors = weight.chunks_exact(input_features.max(1)).map(weight_errors);
        let (mut norms, mut rests): (Vec<f32>, Vec<f32>) = errors.unzip();
        norms.resize(terms, 0.0);
        rests.resize(terms, 0.0);
        Self {
            weight: PackedMatrix::pack(level, Format::Int8, weight, terms, input_features),
            norms,
            rests,
            // bfloat16 keeps 8 bits: 2^-9, twice that for safety.
            operand_rounding: if format == Format::Bfloat16 { 1.0 / 256.0 } else { 0.0 },
            // Two roundings of 2^-24 a feature at most, and a few of the estimate; twice that for safety.
            sum_rounding: (input_features as f32 + 16.0) / 4_194_304.0,
        }
    }

    /// Quantizes token vectors, `[tokens, input_features]`, in blocks of [`ROWS`].
    pub(super) fn rows(&self, hidden: &[f32]) -> Vec<ScreenedRows> {
        let blocks = hidden.chunks(ROWS * self.weight.input_features().max(1));
        let screened = blocks.map(|rows| {
            let mut bytes = LinearScratch::default();
            bytes.prepare(&self.weight, rows);
            let errors = bytes.row_errors(&self.weight, rows);
            ScreenedRows { bytes, errors }
        });
        screened.collect()
    }

    /// Estimates the logits of `terms` for the rows of a block: `[rows, terms]`.
    pub(super) fn estimate(
        &self,
        bias: &[f32],
        hidden: &DecoderInput<'_>,
        block: &ScreenedRows,
        rows: &Range<usize>,
        terms: &Range<usize>,
        estimates: &mut Vec<f32>,
    ) {
        let columns = self.weight.input_features();
        estimates.resize(rows.len() * terms.len(), 0.0);
        linear_of_prepared(
            &self.weight,
            bias,
            Activation::Identity,
            &hidden.rows[rows.start * columns..rows.end * columns],
            terms.clone(),
            &block.bytes,
            OutputColumns::all(estimates, terms.len()),
        );
    }
}

/// The lengths of a term's weights and of what their bytes leave.
#[expect(clippy::cast_possible_truncation, reason = "rounded up afterwards")]
fn weight_errors(weights: &[f32]) -> (f32, f32) {
    let scale = byte_scale(weights);
    let (mut norm, mut rest) = ([0.0_f64; 8], [0.0_f64; 8]);
    for weights in weights.chunks(8) {
        for (lane, weight) in weights.iter().enumerate() {
            let difference = f64::from(*weight) - f64::from(scale) * f64::from(quantized(*weight, scale));
            norm[lane] += f64::from(*weight) * f64::from(*weight);
            rest[lane] += difference * difference;
        }
    }
    let length = |lanes: [f64; 8]| lanes.iter().sum::<f64>().sqrt() as f32 * 1.001;
    let is_known = KNOWN_SCALES.contains(&scale) || weights.iter().all(|weight| *weight == 0.0);
    let norm = length(norm);
    (norm, if is_known && norm.is_finite() { length(rest) } else { f32::INFINITY })
}

/// A block of token vectors as bytes.
#[derive(Debug)]
pub(super) struct ScreenedRows {
    bytes: LinearScratch,
    /// One a row.
    errors: Vec<RowErrors>,
}

impl ScreenedRows {
    /// The texts of the block, which starts at row `first` of the input.
    pub(super) fn texts(&self, first: usize, text_of_row: &[u32]) -> Vec<BlockText> {
        let mut start = 0;
        let texts = text_of_row.chunk_by(|one, next| one == next).map(|of_text| {
            let rows = start..start + of_text.len();
            start = rows.end;
            let errors = self.errors[rows.clone()].iter().fold(RowErrors::NONE, |all, errors| all.and(*errors));
            BlockText { text: of_text[0], rows: first + rows.start..first + rows.end, errors }
        });
        texts.collect()
    }
}

/// The rows of one text within a block.
pub(super) struct BlockText {
    text: u32,
    rows: Range<usize>,
    errors: RowErrors,
}

/// Estimates of a block's logits.
pub(super) struct Estimates<'a> {
    pub(super) screen: &'a Screen,
    pub(super) texts: &'a [BlockText],
    /// `[rows, terms]`.
    pub(super) values: &'a [f32],
}

/// The columns of one panel: which terms they are, and where they lie among the estimates.
pub(super) struct PanelColumns<'a> {
    pub(super) bias: &'a [f32],
    pub(super) terms: Range<usize>,
    pub(super) first: usize,
    /// Values from one row of estimates to the next.
    pub(super) stride: usize,
}

impl Estimates<'_> {
    /// Appends to `left`, for each vector of the panel, the rows that may have the largest logit of their text for a term of the vector,
    /// above zero and above what `so_far` gives for the text.
    #[inline(always)]
    pub(super) fn rows_left<'v, S: Simd, const V: usize>(
        &self,
        simd: S,
        panel: &PanelColumns<'_>,
        so_far: impl Fn(u32) -> &'v [f32],
        left: &mut [Vec<usize>],
    ) {
        let width = panel.terms.len();
        let first_row = self.texts.first().map_or(0, |text| text.rows.start);
        let estimates = |row: usize| -> [S::Vector; V] {
            load_row(simd, &self.values[(row - first_row) * panel.stride + panel.first..][..width])
        };
        // Nothing is left for the lanes beyond the last term.
        let mut beyond = [simd.splat(f32::INFINITY); V];
        for (v, beyond) in beyond.iter_mut().enumerate() {
            *beyond = simd.load_partial(&[0.0; LANES][..width.saturating_sub(v * LANES).min(LANES)], f32::INFINITY);
        }
        for text in self.texts {
            let errors = self.errors::<S, V>(simd, text.errors, panel);
            let mut least: [S::Vector; V] = [simd.splat(f32::NEG_INFINITY); V];
            for row in text.rows.clone() {
                for (least, estimate) in least.iter_mut().zip(estimates(row)) {
                    // The second operand where the first is NaN.
                    *least = simd.max(estimate, *least);
                }
            }
            let so_far: [S::Vector; V] = load_row(simd, so_far(text.text));
            for v in 0..V {
                let certain = simd.max(simd.sub(least[v], errors[v]), so_far[v]);
                least[v] = simd.add(simd.sub(certain, errors[v]), beyond[v]);
            }
            for row in text.rows.clone() {
                for ((estimate, least), left) in estimates(row).into_iter().zip(least).zip(&mut *left) {
                    // Not less where either is NaN.
                    if !simd.all_less(estimate, least) {
                        left.push(row);
                    }
                }
            }
        }
    }

    /// Bounds on the errors of a text's estimates for the terms of a panel; infinite where there is none.
    #[inline(always)]
    fn errors<S: Simd, const V: usize>(&self, simd: S, rows: RowErrors, panel: &PanelColumns<'_>) -> [S::Vector; V] {
        let Screen { norms, rests, operand_rounding, sum_rounding, .. } = self.screen;
        let norms: [S::Vector; V] = load_row(simd, &norms[panel.terms.clone()]);
        let rests: [S::Vector; V] = load_row(simd, &rests[panel.terms.clone()]);
        let bias: [S::Vector; V] = load_row(simd, panel.bias);
        let size = rows.quantized + rows.rest;
        let rest = (rows.rest + (operand_rounding + sum_rounding) * size) * (1.0 + operand_rounding) * ABOVE;
        let quantized = simd.splat(rows.quantized * ABOVE);
        // The least is for denormals that bfloat16 products take for zero.
        let (rest, size, least) = (simd.splat(rest), simd.splat(size), simd.splat(1e-30));
        let mut errors = [least; V];
        for v in 0..V {
            let bias = simd.max(bias[v], simd.sub(simd.splat(0.0), bias[v]));
            let of_weight = simd.mul_add(norms[v], simd.splat(*operand_rounding), rests[v]);
            let error = simd.mul_add(rest, norms[v], simd.mul_add(quantized, of_weight, least));
            let error = simd.mul_add(simd.splat(*sum_rounding), bias, error);
            // Sums that may overflow have no bound.
            let largest = simd.mul_add(size, norms[v], bias);
            errors[v] = simd.select_less(largest, simd.splat(1e37), error, simd.splat(f32::INFINITY));
        }
        errors
    }
}
