//! The linear layers of all-MiniLM-L6-v2 and of BERT-base, for the rows of one question and of four abstracts.

use criterion::Criterion;
use kernels::{Activation, Level, PackedMatrix, linear};

use crate::numbers::Numbers;
use crate::roofline::Bench;

/// Tokens of a question, and of four abstracts of 236 tokens.
const ROWS: [usize; 2] = [22, 944];

/// A linear layer: what it is for, its input and output features, and the activation that its epilogue applies.
struct Layer {
    name: &'static str,
    input: usize,
    output: usize,
    activation: Activation,
}

const LAYERS: [Layer; 8] = [
    Layer { name: "minilm_query_key_value", input: 384, output: 1152, activation: Activation::Identity },
    Layer { name: "minilm_attention_output", input: 384, output: 384, activation: Activation::Identity },
    Layer { name: "minilm_feed_forward_in", input: 384, output: 1536, activation: Activation::Gelu },
    Layer { name: "minilm_feed_forward_out", input: 1536, output: 384, activation: Activation::Identity },
    Layer { name: "base_query_key_value", input: 768, output: 2304, activation: Activation::Identity },
    Layer { name: "base_attention_output", input: 768, output: 768, activation: Activation::Identity },
    Layer { name: "base_feed_forward_in", input: 768, output: 3072, activation: Activation::Gelu },
    Layer { name: "base_feed_forward_out", input: 3072, output: 768, activation: Activation::Identity },
];

/// All layers, the results of each looked at once.
pub(crate) fn products(criterion: &mut Criterion, level: Level) {
    let mut bench = Bench::new(criterion, level, "products");
    for layer in &LAYERS {
        let mut numbers = Numbers::new(layer.input * layer.output);
        let (weight, bias) = (numbers.take(layer.output * layer.input), numbers.take(layer.output));
        let packed = PackedMatrix::pack(level, &weight, layer.output, layer.input);
        for rows in ROWS {
            let input = numbers.take(rows * layer.input);
            let mut output = vec![0.0; rows * layer.output];
            linear(&packed, &bias, Activation::Identity, &input, 0..layer.output, &mut output);
            check(layer, &weight, &bias, &input, &output);
            bench.run(layer.name, rows, 2 * rows * layer.input * layer.output, || {
                linear(&packed, &bias, layer.activation, &input, 0..layer.output, &mut output);
            });
        }
    }
    bench.finish_with_shares();
}

/// Some outputs against sums in float64. A chain of n roundings is off by at most n half units in the last place of
/// the sum of the sizes of what is added.
fn check(layer: &Layer, weight: &[f32], bias: &[f32], input: &[f32], output: &[f32]) {
    for (index, found) in output.iter().enumerate().step_by(997) {
        let (row, feature) = (index / layer.output, index % layer.output);
        let inputs = &input[row * layer.input..][..layer.input];
        let weights = &weight[feature * layer.input..][..layer.input];
        let products = inputs.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b));
        let expected = f64::from(bias[feature]) + products.clone().sum::<f64>();
        let size = f64::from(bias[feature]).abs() + products.map(f64::abs).sum::<f64>();
        let bound = layer.input as f64 * f64::from(f32::EPSILON) / 2.0 * size;
        assert!((f64::from(*found) - expected).abs() <= bound, "{}: {found} for {expected}", layer.name);
    }
}
