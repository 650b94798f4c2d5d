//! What a layer does with one text beside its products: attention, activation, normalisation, pooling.

use criterion::Criterion;
use kernels::{
    Activation, AttentionScratch, AttentionShape, Format, LayerNorm, Level, PoolingMode, activate, add_layer_norm,
    attention, pool,
};

use crate::numbers::Numbers;
use crate::roofline::Bench;

/// Tokens of a question, of an abstract, and of the longest text of BERT.
const TOKENS: [usize; 3] = [22, 236, 512];
const HEADS: [(&str, AttentionShape); 2] = [
    ("minilm_attention", AttentionShape { heads: 12, head_dim: 32 }),
    ("base_attention", AttentionShape { heads: 12, head_dim: 64 }),
];
/// Arithmetic of some tens of float32 steps on values of size one.
const TOLERANCE: f64 = 1e-5;

/// Queries, keys and values of one text to its attended rows.
pub(crate) fn attentions(criterion: &mut Criterion, level: Level) {
    let mut bench = Bench::new(criterion, level, "attention");
    for (name, shape) in HEADS {
        for tokens in TOKENS {
            let hidden = shape.hidden();
            let qkv = Numbers::new(tokens).take(tokens * 3 * hidden);
            let mut scratch = AttentionScratch::default();
            let mut output = vec![0.0; tokens * hidden];
            attention(level, Format::Float32, shape, &qkv, 0..tokens, &mut scratch, &mut output);
            check_attention(shape, &qkv, tokens, &output);
            bench.run(name, tokens, 4 * tokens * tokens * hidden, || {
                attention(level, Format::Float32, shape, &qkv, 0..tokens, &mut scratch, &mut output);
            });
        }
    }
    bench.finish_with_shares(Format::Float32);
}

/// The last token's row against softmax in float64.
fn check_attention(shape: AttentionShape, qkv: &[f32], tokens: usize, output: &[f32]) {
    let hidden = shape.hidden();
    let part = |token: usize, which: usize, column: usize| f64::from(qkv[(3 * token + which) * hidden + column]);
    for column in (0..hidden).step_by(7) {
        let head = column / shape.head_dim * shape.head_dim;
        let weights: Vec<f64> = (0..tokens)
            .map(|key| {
                let columns = head..head + shape.head_dim;
                let score: f64 = columns.map(|column| part(tokens - 1, 0, column) * part(key, 1, column)).sum();
                (score / (shape.head_dim as f64).sqrt()).exp()
            })
            .collect();
        let values: f64 = weights.iter().enumerate().map(|(key, weight)| weight * part(key, 2, column)).sum();
        near(values / weights.iter().sum::<f64>(), output[(tokens - 1) * hidden + column], "attention");
    }
}

/// Row by row, over the tokens of an abstract in BERT-base.
pub(crate) fn rows(criterion: &mut Criterion, level: Level) {
    let (tokens, hidden) = (236, 768);
    let mut bench = Bench::new(criterion, level, "rows");
    let mut numbers = Numbers::new(1);
    let input = numbers.take(tokens * hidden);

    let exact = ("gelu", Activation::Gelu, gelu as fn(f64) -> f64);
    for (name, activation, reference) in [exact, ("gelu_tanh", Activation::GeluTanh, gelu_tanh)] {
        let mut output = input.clone();
        activate(level, activation, &mut output);
        near(reference(f64::from(input[0])), output[0], name);
        bench.run(name, tokens, tokens * hidden, || {
            output.copy_from_slice(&input);
            activate(level, activation, &mut output);
        });
    }
    let (weight, bias) = (numbers.take(hidden), numbers.take(hidden));
    let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-12 };
    let residual = numbers.take(tokens * hidden);
    let mut output = input.clone();
    add_layer_norm(level, norm, &[&residual], &mut output);
    check_norm(&input[..hidden], &residual[..hidden], (weight[0], bias[0]), output[0]);
    bench.run("residual_layer_norm", tokens, tokens * hidden, || {
        output.copy_from_slice(&input);
        add_layer_norm(level, norm, &[&residual], &mut output);
    });
    let mut row = vec![0.0; hidden];
    pool(PoolingMode::Mean, &input, 0, &mut row);
    let mean = input.iter().step_by(hidden).map(|value| f64::from(*value)).sum::<f64>() / tokens as f64;
    near(mean, row[0], "mean pooling");
    bench.run("mean_pooling", tokens, tokens * hidden, || {
        pool(PoolingMode::Mean, &input, 0, &mut row);
    });
    bench.finish();
}

/// The first value of a normalised row.
fn check_norm(input: &[f32], residual: &[f32], (weight, bias): (f32, f32), found: f32) {
    let sums: Vec<f64> = input.iter().zip(residual).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect();
    let count = sums.len() as f64;
    let mean = sums.iter().sum::<f64>() / count;
    let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / count;
    near(f64::from(weight) * (sums[0] - mean) / variance.sqrt() + f64::from(bias), found, "residual_layer_norm");
}

/// `x (1 + erf(x / sqrt 2)) / 2`, by the power series of erf, which for sizes of at most 1 needs few terms.
fn gelu(x: f64) -> f64 {
    let z = x * std::f64::consts::FRAC_1_SQRT_2;
    let mut power = z;
    let mut erf = 0.0;
    for n in 0..30 {
        erf += power / f64::from(2 * n + 1);
        power *= -z * z / f64::from(n + 1);
    }
    x * (1.0 + erf * std::f64::consts::FRAC_2_SQRT_PI) / 2.0
}

/// The approximation by tanh (arXiv:1606.08415).
fn gelu_tanh(x: f64) -> f64 {
    x * (1.0 + (std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044_715 * x.powi(3))).tanh()) / 2.0
}

fn near(expected: f64, found: f32, name: &str) {
    assert!((expected - f64::from(found)).abs() <= TOLERANCE, "{name}: {found} for {expected}");
}
