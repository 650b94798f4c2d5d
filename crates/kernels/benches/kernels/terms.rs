//! The head of SPLADE: the largest logit of each text and term, with the logits of a trained model's size.

use criterion::Criterion;
use kernels::{DecoderInput, Format, Level, TermDecoder, TermFormula, TermPooling, TextRows, term_weights};

use crate::numbers::Numbers;
use crate::roofline::Bench;

/// Terms of one task of the operation.
const TERMS: usize = 512;
/// Tokens: eight abstracts.
const TOKENS: usize = 8 * 236;

/// One part of the vocabulary for some abstracts, as wide as in `MiniLM` and BERT-base. The rates count every logit, whether it
/// was computed or ruled out.
pub(crate) fn terms(criterion: &mut Criterion, level: Level) {
    let formula = TermFormula { pooling: TermPooling::Max, twice: false };
    for format in [Format::Float32, Format::Bfloat16] {
        let name = if format == Format::Float32 { "terms" } else { "terms_bfloat16" };
        let mut bench = Bench::new(criterion, level, name);
        for (name, depth) in [("minilm_terms", 384), ("base_terms", 768)] {
            let mut numbers = Numbers::new(depth);
            let (hidden, weight) = (numbers.take(TOKENS * depth), numbers.take(TERMS * depth));
            // A logit is of size depth^0.5 / 3; about one in a hundred terms of a text is above zero.
            let bias = -(depth as f32).sqrt() / 3.0 * 4.0;
            let decoder = TermDecoder::new(level, format, &weight, vec![bias; TERMS], depth, formula);
            let text_of_row: Vec<u32> = (0..8).flat_map(|text| [text; TOKENS / 8]).collect();
            let mut output = vec![0.0; 8 * TERMS];
            let mut run = || {
                let hidden = &DecoderInput::new(&decoder, &hidden);
                term_weights(&decoder, TextRows { hidden, text_of_row: &text_of_row }, 0..TERMS, &mut output);
            };
            run();
            bench.run(name, TOKENS, 2 * TOKENS * depth * TERMS, run);
            check(&hidden, &weight, bias, depth, format, &output);
        }
        bench.finish_with_shares(format);
    }
}

/// The first text's weights against float64.
fn check(hidden: &[f32], weight: &[f32], bias: f32, depth: usize, format: Format, output: &[f32]) {
    // Logits of size 10: sums of float32 within 1e-5, bfloat16's rounding within 0.05 of them.
    let tolerance = if format == Format::Float32 { 1e-4 } else { 0.3 };
    for (term, found) in output[..TERMS].iter().enumerate() {
        let weights = &weight[term * depth..][..depth];
        let logits = hidden.chunks_exact(depth).take(TOKENS / 8).map(|row| {
            row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() + f64::from(bias)
        });
        let expected = logits.fold(0.0, f64::max).ln_1p();
        assert!((expected - f64::from(*found)).abs() <= tolerance, "term {term}: {found} for {expected}");
    }
}
