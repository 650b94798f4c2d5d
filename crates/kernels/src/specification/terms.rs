//! Weights of terms: the levels against the specification, and all against float64.

use proptest::prelude::*;

use super::same_bits::{compare, values};
use super::{Numbers, every_level};
use crate::math::ln_1p;
use crate::simd::{Kernel, Simd};
use crate::{DecoderInput, Format, Level, TermDecoder, TermFormula, TermPooling, TextRows, term_weights};

const FORMATS: [Format; 2] = [Format::Float32, Format::Bfloat16];

const FORMULAS: [TermFormula; 4] = [
    TermFormula { pooling: TermPooling::Max, twice: false },
    TermFormula { pooling: TermPooling::Sum, twice: false },
    TermFormula { pooling: TermPooling::Max, twice: true },
    TermFormula { pooling: TermPooling::Sum, twice: true },
];

/// The text of each row of texts of these lengths.
fn text_of_row(lengths: &[usize]) -> Vec<u32> {
    (0u32..).zip(lengths).flat_map(|(text, length)| std::iter::repeat_n(text, *length)).collect()
}

struct Case {
    lengths: Vec<usize>,
    depth: usize,
    hidden: Vec<f32>,
    decoder: Vec<f32>,
    bias: Vec<f32>,
}

impl Case {
    fn random(numbers: &mut Numbers, lengths: &[usize], depth: usize, terms: usize) -> Self {
        let rows: usize = lengths.iter().sum();
        let (hidden, decoder) = (numbers.take(rows * depth), numbers.take(terms * depth));
        Self { lengths: lengths.to_vec(), depth, hidden, decoder, bias: numbers.take(terms) }
    }

    /// With each token's vector near that of the first token.
    fn alike(mut self) -> Self {
        let (first, rest) = self.hidden.split_at_mut(self.depth);
        for row in rest.chunks_exact_mut(self.depth) {
            row.iter_mut().zip(&*first).for_each(|(value, first)| *value = first + *value / 64.0);
        }
        self
    }

    /// With each bias so much lower.
    fn below_zero(mut self, shift: f32) -> Self {
        self.bias.iter_mut().for_each(|bias| *bias -= shift);
        self
    }

    /// With all logits `factor` times as large.
    fn scaled(mut self, factor: f32) -> Self {
        self.hidden.iter_mut().chain(&mut self.bias).for_each(|value| *value *= factor);
        self
    }

    fn same_with_and_without_screen(&self, format: Format, formula: TermFormula) -> Result<(), TestCaseError> {
        for level in every_level() {
            let (all, left) = (self.weights(level, format, formula), self.screened_weights(level, format, formula));
            for (place, (all, left)) in all.into_iter().zip(left).enumerate() {
                let same = all.to_bits() == left.to_bits() || (all.is_nan() && left.is_nan());
                prop_assert!(same, "{level:?}, weight {place}: {all:e} without, {left:e} with");
            }
        }
        Ok(())
    }

    fn decoder(&self, level: Level, format: Format, formula: TermFormula, screened: bool) -> TermDecoder {
        TermDecoder::with_screen(level, format, &self.decoder, self.bias.clone(), self.depth, formula, screened)
    }

    fn weights_of(&self, decoder: &TermDecoder) -> Vec<f32> {
        let text_of_row = text_of_row(&self.lengths);
        let hidden = DecoderInput::new(decoder, &self.hidden);
        let tokens = TextRows { hidden: &hidden, text_of_row: &text_of_row };
        let mut output = vec![7.0; self.lengths.len() * decoder.terms()];
        term_weights(decoder, tokens, 0..decoder.terms(), &mut output);
        output
    }

    /// With every logit computed.
    fn weights(&self, level: Level, format: Format, formula: TermFormula) -> Vec<f32> {
        self.weights_of(&self.decoder(level, format, formula, false))
    }

    /// With the logits only that the screen leaves.
    fn screened_weights(&self, level: Level, format: Format, formula: TermFormula) -> Vec<f32> {
        self.weights_of(&self.decoder(level, format, formula, true))
    }
}

fn case() -> impl Strategy<Value = Case> {
    (prop::collection::vec(1usize..17, 1..5), 1usize..50, 1usize..80).prop_flat_map(|(lengths, depth, terms)| {
        let rows: usize = lengths.iter().sum();
        (Just(lengths), Just(depth), values(rows * depth), values(terms * depth), values(terms))
            .prop_map(|(lengths, depth, hidden, decoder, bias)| Case { lengths, depth, hidden, decoder, bias })
    })
}

impl std::fmt::Debug for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} tokens, {} wide, {} terms", self.lengths, self.depth, self.bias.len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn each_fused_level_returns_the_specification_s_bits(case in case(), choice in 0usize..4, bfloat16 in any::<bool>()) {
        compare(|level| {
            let mut weights = case.weights(level, FORMATS[usize::from(bfloat16)], FORMULAS[choice]);
            if bfloat16 {
                // Denormal sums may be taken for zero.
                weights.iter_mut().filter(|weight| **weight < f32::MIN_POSITIVE).for_each(|weight| *weight = 0.0);
            }
            weights
        })?;
    }

    #[test]
    fn the_screen_changes_no_bit(case in case(), choice in 0usize..4, bfloat16 in any::<bool>()) {
        case.same_with_and_without_screen(FORMATS[usize::from(bfloat16)], FORMULAS[choice])?;
    }

    /// With few logits above zero, so that the screen rules tokens out, and sizes up to where its bounds end.
    #[test]
    fn the_screen_changes_no_bit_where_it_rules_out(
        lengths in prop::collection::vec(1usize..130, 1..4), depth in 1usize..90, terms in 1usize..200,
        seed in 1u64.., below in 0f32..4.0, size in -34i32..34, bfloat16 in any::<bool>(), alike in any::<bool>(),
    ) {
        let mut case = Case::random(&mut Numbers(seed), &lengths, depth, terms);
        if alike {
            // Few values and tokens about a byte's step apart: the order of logits and that of their estimates differ most.
            case = Case::random(&mut Numbers(seed), &lengths, 1 + depth % 6, terms).alike();
        }
        // Logits are sums of `depth` products of numbers up to 1: of about this size.
        let typical = (depth as f32).sqrt() / 3.0;
        let case = case.below_zero(below * typical).scaled(10f32.powi(size));
        let formula = TermFormula { pooling: TermPooling::Max, twice: false };
        case.same_with_and_without_screen(FORMATS[usize::from(bfloat16)], formula)?;
    }

    #[test]
    fn logarithms(inputs in prop::collection::vec(prop_oneof![
        4 => 0.0f32..10.0, 1 => 0.0f32..1e-3, 1 => 0.0f32..=f32::MAX,
        1 => prop_oneof![Just(0.0f32), Just(1e-45f32), Just(f32::MAX), Just(f32::INFINITY), Just(f32::NAN)],
    ], 16)) {
        compare(|level| level.run(Logarithm(&inputs)))?;
    }
}

struct Logarithm<'a>(&'a [f32]);

impl Kernel for Logarithm<'_> {
    type Output = Vec<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f32> {
        let mut output = Vec::new();
        for values in self.0.as_chunks::<16>().0 {
            let mut lanes = [0.0; 16];
            simd.store(ln_1p(simd, simd.load(values)), &mut lanes);
            output.extend(lanes);
        }
        output
    }
}

#[test]
fn logarithm_within_three_units_in_the_last_place() {
    let mut inputs: Vec<f32> = (0..160_000).map(|i| i as f32 / 10_000.0).collect();
    inputs.extend((0..3_820).map(|i| 10f32.powf(i as f32 / 50.0 - 38.0)));
    for level in every_level() {
        for (x, found) in inputs.iter().zip(level.run(Logarithm(&inputs))) {
            let expected = f64::from(*x).ln_1p();
            let error = (f64::from(found) - expected).abs();
            assert!(error <= 3.6e-7 * expected, "{level:?}: ln_1p({x:e}) = {found:e}, not {expected:e}");
        }
        let mut edges = [0.0f32; 16];
        edges[1..5].copy_from_slice(&[f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN]);
        let found = level.run(Logarithm(&edges));
        assert_eq!((found[0], found[1], found[3]), (0.0, f32::MIN_POSITIVE, f32::INFINITY), "{level:?}");
        assert!((found[2] - 88.722_84).abs() < 1e-4 && found[4].is_nan(), "{level:?}: {found:?}");
    }
}

/// Long enough that the tokens are more than one block, with the formula written out.
#[test]
fn weights_against_float64() {
    let mut numbers = Numbers(23);
    for (lengths, depth, terms) in [(vec![1, 13, 2, 31], 19, 75), (vec![300, 150], 384, 160)] {
        let case = Case::random(&mut numbers, &lengths, depth, terms).below_zero(6.0);
        for formula in FORMULAS {
            let mut expected = vec![0.0f64; lengths.len() * terms];
            for (row, text) in case.hidden.chunks(depth).zip(text_of_row(&lengths)) {
                for term in 0..terms {
                    let weight = &case.decoder[term * depth..][..depth];
                    let products = row.iter().zip(weight).map(|(a, b)| f64::from(*a) * f64::from(*b));
                    let logit = f64::from(case.bias[term]) + products.sum::<f64>();
                    let once = logit.max(0.0).ln_1p();
                    let value = if formula.twice { once.ln_1p() } else { once };
                    let so_far = &mut expected[text as usize * terms + term];
                    match formula.pooling {
                        TermPooling::Max => *so_far = so_far.max(value),
                        TermPooling::Sum => *so_far += value,
                    }
                }
            }
            for level in every_level() {
                for (expected, found) in expected.iter().zip(case.screened_weights(level, Format::Float32, formula)) {
                    // Logits of some 10 with float32 sums of 384 terms: 1e-5 of a weight is ample and tells formulas apart.
                    let error = (expected - f64::from(found)).abs();
                    assert!(error <= 1e-5 * (1.0 + expected), "{level:?} {formula:?}: {found} and {expected}");
                }
            }
        }
    }
}

/// A text's weights do not depend on the texts beside it, nor a term's on the range asked for.
#[test]
fn texts_and_terms_stand_alone() {
    let mut numbers = Numbers(29);
    let (lengths, depth, terms) = ([5, 1, 26, 12, 9], 37, 100);
    let case = Case::random(&mut numbers, &lengths, depth, terms);
    for level in every_level() {
        for (formula, format) in FORMULAS.into_iter().flat_map(|formula| FORMATS.map(|format| (formula, format))) {
            let together = case.weights(level, format, formula);
            let decoder = case.decoder(level, format, formula, true);
            let mut first = 0;
            for (text, length) in lengths.iter().enumerate() {
                let hidden = &case.hidden[first * depth..(first + length) * depth];
                first += length;
                for start in (0..terms).step_by(decoder.panel_width()) {
                    let hidden = &DecoderInput::new(&decoder, hidden);
                    let tokens = TextRows { hidden, text_of_row: &vec![0; *length] };
                    let mut alone = vec![0.0; terms - start];
                    term_weights(&decoder, tokens, start..terms, &mut alone);
                    assert_eq!(alone, together[text * terms + start..(text + 1) * terms], "{level:?} {formula:?}");
                }
            }
        }
    }
}

/// A logit that is not finite shows in its own text and term only, whatever comes after it.
#[test]
fn logits_that_are_not_finite_are_seen() {
    for level in every_level() {
        for (formula, format) in FORMULAS.into_iter().flat_map(|formula| FORMATS.map(|format| (formula, format))) {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let case = Case {
                    lengths: vec![2, 3],
                    depth: 1,
                    hidden: vec![1.0, 2.0, 1.0, bad, 1.0],
                    decoder: vec![1.0; 20],
                    bias: vec![0.0; 20],
                };
                for found in [case.weights(level, format, formula), case.screened_weights(level, format, formula)] {
                    assert!(found[..20].iter().all(|value| value.is_finite()), "{level:?} {formula:?} {bad}");
                    assert!(found[20..].iter().all(|value| value.is_nan()), "{level:?} {formula:?} {bad}: {found:?}");
                }
            }
        }
    }
}
