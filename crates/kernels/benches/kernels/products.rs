//! The linear layers of all-MiniLM-L6-v2 and of BERT-base, for the rows of one question and of four abstracts.

use criterion::Criterion;
use kernels::{Activation, Format, Level, LinearScratch, OutputColumns, PackedMatrix, linear};

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

/// All layers in all formats, the results of each looked at once.
pub(crate) fn products(criterion: &mut Criterion, level: Level) {
    for (format, name) in [
        (Format::Float32, "float32"),
        (Format::Bfloat16, "bfloat16"),
        (Format::Int8, "int8"),
        (Format::GroupedInt8, "grouped_int8"),
    ] {
        let mut bench = Bench::new(criterion, level, &format!("products_{name}"));
        for layer in &LAYERS {
            one_layer(&mut bench, level, format, layer);
        }
        bench.finish_with_shares(format);
    }
}

fn one_layer(bench: &mut Bench<'_>, level: Level, format: Format, layer: &Layer) {
    let mut numbers = Numbers::new(layer.input * layer.output);
    let (weight, bias) = (numbers.take(layer.output * layer.input), numbers.take(layer.output));
    let packed = PackedMatrix::pack(level, format, &weight, layer.output, layer.input);
    let mut scratch = LinearScratch::default();
    for rows in ROWS {
        let input = numbers.take(rows * layer.input);
        let mut output = vec![0.0; rows * layer.output];
        let mut run = |activation, output: &mut [f32]| {
            let output = OutputColumns::all(output, layer.output);
            linear(&packed, &bias, activation, &input, 0..layer.output, &mut scratch, output);
        };
        run(Activation::Identity, &mut output);
        check(format, layer, &weight, &bias, &input, &output);
        bench.run(layer.name, rows, 2 * rows * layer.input * layer.output, || run(layer.activation, &mut output));
    }
}

/// How far a product of two numbers of size one may be off, by format: nothing in float32, two roundings to 8 bits of
/// mantissa in bfloat16, and in int8 half a step of 1/127 on one side and half a step of 2/255 on the other.
fn rounding(format: Format) -> f64 {
    match format {
        Format::Float32 => 0.0,
        Format::Bfloat16 => 2.0 / 256.0,
        Format::Int8 | Format::GroupedInt8 => 0.5 / 127.0 + 1.0 / 255.0,
    }
}

/// Some outputs against sums in float64. A chain of n roundings is off by at most n half units in the last place of the
/// sum of the sizes of what is added. Products that are rounded by themselves go astray by about the root of n times
/// what one does: three times the most that one can is far more than these inputs need, and far less than a sum.
fn check(format: Format, layer: &Layer, weight: &[f32], bias: &[f32], input: &[f32], output: &[f32]) {
    for (index, found) in output.iter().enumerate().step_by(997) {
        let (row, feature) = (index / layer.output, index % layer.output);
        let inputs = &input[row * layer.input..][..layer.input];
        let weights = &weight[feature * layer.input..][..layer.input];
        let products = inputs.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b));
        let expected = f64::from(bias[feature]) + products.clone().sum::<f64>();
        let size = f64::from(bias[feature]).abs() + products.map(f64::abs).sum::<f64>();
        let depth = layer.input as f64;
        let bound = depth * f64::from(f32::EPSILON) / 2.0 * size + 3.0 * depth.sqrt() * rounding(format);
        assert!((f64::from(*found) - expected).abs() <= bound, "{}: {found} for {expected}", layer.name);
    }
}
