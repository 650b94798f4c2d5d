//! Every level, the scalar one and the specification among them, against plain formulas in float64.

use super::layer::Layer;
use super::{Numbers, every_level};
use crate::math::{erf, exp, exp2_at_most_one};
use crate::simd::{Kernel, Simd};
use crate::{
    Activation, AttentionScratch, AttentionShape, Format, LayerNorm, activate, add_layer_norm, attention, l2_normalize,
};

/// Largest difference relative to `1 + |expected|`.
fn difference(expected: &[f64], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let pairs = expected.iter().zip(found);
    pairs.map(|(a, b)| (a - f64::from(*b)).abs() / (1.0 + a.abs())).fold(0.0, f64::max)
}

enum Function {
    Exp,
    Exp2AtMostOne,
    Erf,
    Round,
}

struct Apply<'a>(Function, &'a [f32]);

impl Kernel for Apply<'_> {
    type Output = Vec<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f32> {
        let one = |x: f32| {
            let mut lanes = [0.0; 16];
            let x = simd.splat(x);
            let value = match self.0 {
                Function::Exp => exp(simd, x),
                Function::Exp2AtMostOne => exp2_at_most_one(simd, x),
                Function::Erf => erf(simd, x),
                Function::Round => simd.round(x),
            };
            simd.store(value, &mut lanes);
            lanes[5]
        };
        self.1.iter().map(|x| one(*x)).collect()
    }
}

/// Halves of either parity up to where there are none, and their neighbours; the same zeros.
#[test]
fn halves_are_rounded_to_even() {
    let halves = (0..24).flat_map(|k| (-3..=3).map(move |j: i8| 2.0_f32.powi(k) + f32::from(j) / 2.0));
    let near = halves.flat_map(|half| [half.next_down(), half, half.next_up()]).chain([f32::MAX, f32::INFINITY, 1e-40]);
    let inputs: Vec<f32> = near.flat_map(|value| [value, -value]).collect();
    for level in every_level() {
        for (x, found) in inputs.iter().zip(level.run(Apply(Function::Round, &inputs))) {
            assert_eq!(found.to_bits(), x.round_ties_even().to_bits(), "{level:?}: {x} becomes {found}");
        }
        assert!(level.run(Apply(Function::Round, &[f32::NAN]))[0].is_nan(), "{level:?}");
    }
}

#[test]
fn exp_within_two_units_in_the_last_place() {
    let inputs: Vec<f32> = (-87_000..88_300).map(|i| i as f32 / 1000.0).collect();
    for level in every_level() {
        for (x, found) in inputs.iter().zip(level.run(Apply(Function::Exp, &inputs))) {
            let expected = f64::from(*x).exp();
            assert!((f64::from(found) / expected - 1.0).abs() < 2.4e-7, "{level:?}: exp({x}) = {found:e}");
        }
        let edges = [f32::NEG_INFINITY, -88.0, 0.0, -0.0, 88.5, f32::INFINITY, f32::NAN, 1e-40];
        let found = level.run(Apply(Function::Exp, &edges));
        assert_eq!(found[..6], [0.0, 0.0, 1.0, 1.0, f32::INFINITY, f32::INFINITY], "{level:?}");
        assert!(found[6].is_nan() && found[7] == 1.0, "{level:?}");
    }
}

#[test]
fn exp2_at_most_one_down_to_the_smallest_normal_number() {
    let inputs: Vec<f32> = (-126_000..=0).map(|i| i as f32 / 1000.0).chain([-0.0, -1e-40]).collect();
    for level in every_level() {
        for (x, found) in inputs.iter().zip(level.run(Apply(Function::Exp2AtMostOne, &inputs))) {
            let expected = f64::from(*x).exp2();
            assert!((f64::from(found) / expected - 1.0).abs() < 2e-7, "{level:?}: 2^{x} = {found:e}");
        }
        let found = level.run(Apply(Function::Exp2AtMostOne, &[-126.5, -1e38, f32::NEG_INFINITY, 0.0, f32::NAN]));
        assert_eq!(found[..4], [f32::MIN_POSITIVE, f32::MIN_POSITIVE, f32::MIN_POSITIVE, 1.0], "{level:?}");
        assert!(found[4].is_nan(), "{level:?}");
    }
}

/// Values of the error function to sixteen digits (mpmath 1.3).
#[expect(clippy::unreadable_literal, reason = "as printed")]
const ERF: [(f32, f64); 10] = [
    (0.0078125, 0.008815282895179189),
    (0.125, 0.1403162048013338),
    (0.5, 0.5204998778130465),
    (0.75, 0.7111556336535151),
    (1.0, 0.8427007929497149),
    (1.5, 0.9661051464753107),
    (2.0, 0.9953222650189527),
    (2.75, 0.9998993780778804),
    (3.5, 0.9999992569016277),
    (3.875, 0.9999999574860559),
];

#[test]
fn erf_within_four_times_ten_to_the_minus_seven() {
    for level in every_level() {
        for (x, expected) in ERF {
            let found = level.run(Apply(Function::Erf, &[x, -x]));
            assert!((f64::from(found[0]) - expected).abs() < 4e-7, "{level:?}: erf({x}) = {}", found[0]);
            assert_eq!(found[0], -found[1], "{level:?}");
        }
        let edges = level.run(Apply(Function::Erf, &[0.0, 5.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]));
        assert_eq!(edges[0], 0.0);
        assert!((edges[1] - 1.0).abs() < 1e-6 && (edges[2] - 1.0).abs() < 1e-6 && (edges[3] + 1.0).abs() < 1e-6);
        assert!(edges[4].is_nan());
    }
}

#[test]
fn activations() {
    let inputs: Vec<f32> = (-160..=160).map(|i| i as f32 / 16.0).collect();
    let gelu_tanh = |x: f64| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + inner.tanh())
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let expected: [(Activation, &dyn Fn(f64) -> f64); 6] = [
        (Activation::Identity, &|x| x),
        (Activation::GeluTanh, &gelu_tanh),
        (Activation::Relu, &|x| x.max(0.0)),
        (Activation::Silu, &|x| x * sigmoid(x)),
        (Activation::Sigmoid, &sigmoid),
        (Activation::Tanh, &f64::tanh),
    ];
    for level in every_level() {
        for (activation, function) in expected {
            let mut values = inputs.clone();
            activate(level, activation, &mut values);
            let expected: Vec<f64> = inputs.iter().map(|x| function(f64::from(*x))).collect();
            assert!(difference(&expected, &values) < 5e-7, "{level:?}, {activation:?}");
        }
        // GELU through erf's table: gelu(x * sqrt 2) = x * sqrt 2 * (1 + erf(x)) / 2.
        for (x, erf) in ERF {
            for sign in [1.0, -1.0] {
                let input = sign * f64::from(x) * std::f64::consts::SQRT_2;
                let mut values = [input as f32];
                activate(level, Activation::Gelu, &mut values);
                let expected = input * (1.0 + sign * erf) / 2.0;
                assert!((f64::from(values[0]) - expected).abs() < 1e-6, "{level:?}: gelu({input})");
            }
        }
    }
}

#[test]
fn linear_layers() {
    let mut numbers = Numbers(3);
    for (rows, depth, features) in [(1, 1, 1), (25, 80, 50), (13, 600, 33), (12, 32, 96)] {
        let layer = Layer::random(&mut numbers, rows, depth, features);
        let product = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
        let sum = |row: &[f32], weights: &[f32]| row.iter().zip(weights).map(product).sum::<f64>();
        let of_row = |row| layer.neurons().map(move |(weights, bias)| f64::from(bias) + sum(row, weights));
        let expected: Vec<f64> = layer.rows().flat_map(of_row).collect();
        for level in every_level() {
            let found = layer.run(level, Format::Float32, Activation::Identity);
            // Rounding of `depth` additions of terms below 1.
            assert!(difference(&expected, &found) < 1e-6 * (depth as f64).sqrt(), "{level:?}");
        }
    }
}

#[test]
fn attention_over_several_key_blocks() {
    let mut numbers = Numbers(5);
    for (heads, head_dim, tokens) in [(1, 1, 1), (2, 25, 37), (3, 40, 300), (1, 64, 520)] {
        let shape = AttentionShape { heads, head_dim };
        let hidden = shape.hidden();
        let qkv: Vec<f32> = numbers.take(tokens * 3 * hidden).iter().map(|value| value * 3.0).collect();
        let part = |token: usize, which: usize, head: usize| {
            &qkv[token * 3 * hidden + which * hidden + head * head_dim..][..head_dim]
        };
        let mut expected = vec![0.0; tokens * hidden];
        for head in 0..heads {
            for query in 0..tokens {
                let score = |key: usize| {
                    let pairs = part(query, 0, head).iter().zip(part(key, 1, head));
                    pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / (head_dim as f64).sqrt()
                };
                let scores: Vec<f64> = (0..tokens).map(score).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
                for (key, score) in scores.iter().enumerate() {
                    let weight = (score - largest).exp() / total;
                    let row = &mut expected[query * hidden + head * head_dim..][..head_dim];
                    row.iter_mut().zip(part(key, 2, head)).for_each(|(sum, v)| *sum += weight * f64::from(*v));
                }
            }
        }
        for level in every_level() {
            let mut output = vec![f32::NAN; tokens * hidden];
            attention(level, Format::Float32, shape, &qkv, 0..tokens, &mut AttentionScratch::default(), &mut output);
            assert!(difference(&expected, &output) < 5e-6, "{level:?}, {shape:?}: {}", difference(&expected, &output));
        }
    }
}

#[test]
fn normalisations() {
    let mut numbers = Numbers(9);
    for dim in [1, 15, 16, 80, 385] {
        let (rows, residual) = (numbers.take(3 * dim), numbers.take(3 * dim));
        let (weight, bias) = (numbers.take(dim), numbers.take(dim));
        let mut expected_norm = Vec::new();
        let mut expected_unit = Vec::new();
        for (row, residual) in rows.chunks(dim).zip(residual.chunks(dim)) {
            let sum: Vec<f64> = row.iter().zip(residual).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect();
            let mean = sum.iter().sum::<f64>() / dim as f64;
            let variance = sum.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / dim as f64;
            let scale = 1.0 / (variance + 1e-3).sqrt();
            let learned = weight.iter().zip(&bias);
            let scaled = sum.iter().zip(learned).map(|(x, (w, b))| (x - mean) * scale * f64::from(*w) + f64::from(*b));
            expected_norm.extend(scaled);
            let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            expected_unit.extend(row.iter().map(|x| f64::from(*x) / norm));
        }
        for level in every_level() {
            let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-3 };
            let mut output = rows.clone();
            add_layer_norm(level, norm, &[&residual], &mut output);
            assert!(difference(&expected_norm, &output) < 2e-6, "{level:?}, {dim}");
            let mut output = rows.clone();
            l2_normalize(level, &mut output, dim);
            assert!(difference(&expected_unit, &output) < 5e-7, "{level:?}, {dim}");
            let mut zero = vec![0.0; dim];
            l2_normalize(level, &mut zero, dim);
            assert_eq!(zero, vec![0.0; dim], "a zero row stays zero");
        }
    }
}
