//! Products in bfloat16 and in bytes: the levels against the specification, and that against their definition.

use std::ops::Range;

use proptest::prelude::*;

use super::layer::{Layer, layers};
use super::same_bits::{compare, values};
use super::{Numbers, every_level};
use crate::attention::attention_of_bfloat16;
use crate::bfloat16::{bfloat16_bits, bfloat16_value};
use crate::{
    Activation, AttentionScratch, AttentionShape, Format, Level, LinearScratch, OutputColumns, PreparedColumns,
    attention, linear_of_columns,
};

const NARROW: [Format; 3] = [Format::Bfloat16, Format::Int8, Format::GroupedInt8];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn levels_return_the_specifications_bits(layer in layers(), gelu in any::<bool>(), format in prop::sample::select(&NARROW)) {
        let activation = if gelu { Activation::Gelu } else { Activation::Identity };
        compare(|level| {
            let mut output = layer.run(level, format, activation);
            // Denormal sums may be taken for zero.
            output.iter_mut().filter(|value| value.abs() < f32::MIN_POSITIVE).for_each(|value| *value = 0.0);
            output
        })?;
    }
}

/// Attention by products of bfloat16 for the rows of `queries`. Denormal products may be taken for zero, so what is far below any
/// value but their sums is zero here.
fn narrow_attention(level: Level, shape: AttentionShape, qkv: &[f32], queries: Range<usize>) -> Vec<f32> {
    let mut output = vec![f32::NAN; queries.len() * shape.hidden()];
    attention_of_bfloat16(level, shape, qkv, queries, &mut AttentionScratch::default(), &mut output);
    output.iter_mut().filter(|value| value.abs() < 1e-30).for_each(|value| *value = 0.0);
    output
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn attention_of_even_heads(
        (shape, tokens, qkv) in (1usize..4, 1usize..21, 1usize..50).prop_flat_map(|(heads, half, tokens)| {
            let shape = AttentionShape { heads, head_dim: 2 * half };
            (Just(shape), Just(tokens), values(tokens * 3 * shape.hidden()))
        }),
        first in 0usize..50,
    ) {
        compare(|level| narrow_attention(level, shape, &qkv, first.min(tokens)..tokens))?;
    }
}

/// Rounding of queries, keys, values and weights to bfloat16, 2^-9 each: scores of size 1 err by about 2^-8 relative to their
/// terms, weights by as much, and outputs, averages of values below 1, by less than 2%. Blocks of keys, odd tokens and part of the
/// queries are among the cases. Where a head is odd the products are float32.
#[test]
fn attention_of_bfloat16_is_near_that_of_float32() {
    let mut numbers = Numbers(31);
    for (heads, head_dim, tokens) in [(1, 2, 1), (2, 26, 37), (3, 40, 301), (1, 64, 519)] {
        let shape = AttentionShape { heads, head_dim };
        let qkv = numbers.take(tokens * 3 * shape.hidden());
        for level in every_level() {
            let mut expected = vec![f32::NAN; tokens * shape.hidden()];
            attention(level, Format::Float32, shape, &qkv, 0..tokens, &mut AttentionScratch::default(), &mut expected);
            let found = narrow_attention(level, shape, &qkv, 0..tokens);
            let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 0.02 && (tokens == 1 || worst > 0.0), "{level:?}, {shape:?}: {worst}");
            let last = narrow_attention(level, shape, &qkv, tokens / 2..tokens);
            assert_eq!(last, found[tokens / 2 * shape.hidden()..], "{level:?}, {shape:?}");

            let mut chosen = vec![f32::NAN; expected.len()];
            attention(level, Format::Int8, shape, &qkv, 0..tokens, &mut AttentionScratch::default(), &mut chosen);
            let products = if level.has_bfloat16() { found } else { expected };
            assert_eq!(chosen, products, "{level:?}, {shape:?}");
        }
    }
    let shape = AttentionShape { heads: 2, head_dim: 25 };
    let qkv = numbers.take(9 * 3 * shape.hidden());
    for level in every_level() {
        let [narrow, float32] = [Format::Bfloat16, Format::Float32].map(|format| {
            let mut output = vec![f32::NAN; 9 * shape.hidden()];
            attention(level, format, shape, &qkv, 0..9, &mut AttentionScratch::default(), &mut output);
            output
        });
        assert_eq!(narrow, float32, "{level:?}");
    }
}

/// Deeper than a panel slice.
#[test]
fn long_sums_do_not_depend_on_blocks() {
    let layer = Layer::random(&mut Numbers(5), 13, 2003, 35);
    for format in NARROW {
        compare(|level| layer.run(level, format, Activation::Identity)).unwrap();
    }
}

#[test]
fn a_row_stands_alone() {
    let layer = Layer::random(&mut Numbers(17), 29, 75, 100);
    for level in every_level() {
        for format in NARROW {
            let together = layer.run(level, format, Activation::Gelu);
            for (row, together) in layer.rows().zip(together.chunks(layer.features)) {
                let alone = layer.of_row(row).run(level, format, Activation::Gelu);
                assert_eq!(alone, together, "{level:?} {format:?}");
            }
        }
    }
}

/// An input whose columns were prepared apart, where they may be, gives the bits of the whole one.
#[test]
fn columns_prepared_apart() {
    let layer = Layer::random(&mut Numbers(41), 14, 643, 35);
    for level in every_level() {
        for (format, unit) in [(Format::Bfloat16, 2), (Format::GroupedInt8, 128), (Format::Int8, 643)] {
            let packed = layer.packed(level, format);
            assert_eq!(packed.format(), format);
            if !packed.splits_at(0) {
                continue;
            }
            assert_eq!(packed.splits_at(256), unit <= 128, "{level:?} {format:?}");
            assert!(!packed.splits_at(unit / 2 + 128), "{level:?} {format:?}");
            let ends = if unit <= 128 { vec![0, 128, 512, 643] } else { vec![0, 643] };
            let prepared: Vec<PreparedColumns> = ends
                .array_windows()
                .map(|[start, end]| {
                    let columns: Vec<f32> = layer.rows().flat_map(|row| &row[*start..*end]).copied().collect();
                    PreparedColumns::new(&packed, &columns, end - start)
                })
                .collect();
            let parts: Vec<&PreparedColumns> = prepared.iter().collect();
            let mut output = vec![f32::NAN; 14 * 35];
            let columns = OutputColumns::all(&mut output, 35);
            let scratch = &mut LinearScratch::default();
            linear_of_columns(&packed, &layer.bias, Activation::Gelu, &parts, 0..35, scratch, columns);
            assert_eq!(output, layer.run(level, format, Activation::Gelu), "{level:?} {format:?}");
        }
    }
}

/// bfloat16 is the product of rounded operands: float32 sums of 301 terms of at most 1 err by less than 301 * 2^-24 * 301 / 2.
#[test]
fn bfloat16_rounds_operands_only() {
    let layer = Layer::random(&mut Numbers(23), 7, 301, 33);
    let rounded = |values: &[f32]| -> Vec<f64> {
        values.iter().map(|value| f64::from(bfloat16_value(bfloat16_bits(*value)))).collect()
    };
    let (input, weight) = (rounded(&layer.input), rounded(&layer.weight));
    let expected = input.chunks(layer.depth).flat_map(|row| {
        weight
            .chunks(layer.depth)
            .zip(&layer.bias)
            .map(|(weights, bias)| f64::from(*bias) + row.iter().zip(weights).map(|(a, b)| a * b).sum::<f64>())
    });
    let expected: Vec<f64> = expected.collect();
    for level in every_level() {
        for (expected, found) in expected.iter().zip(layer.run(level, Format::Bfloat16, Activation::Identity)) {
            assert!((expected - f64::from(found)).abs() < 3e-3, "{level:?}: {expected} and {found}");
        }
    }
}

/// An int8 product errs by half a step of each operand: the sum of `|a| ws / 2 + |w| as / 2 + as ws / 4`, with `as` and `ws`
/// the steps of the row and of the output feature, and by a step of zero point. By groups the steps are those of the group: large
/// numbers in the second group whose products are zero do not show.
#[test]
fn int8_errs_by_half_a_step_of_each_operand() {
    const DEPTH: usize = 300;
    for (input_scale, weight_scale) in [(1.0, 1.0), (1e3, 0.0), (0.0, 1e3)] {
        let mut layer = Layer::random(&mut Numbers(29), 9, DEPTH, 40);
        for (values, scale) in [(&mut layer.input, input_scale), (&mut layer.weight, weight_scale)] {
            values.chunks_mut(DEPTH).flat_map(|row| &mut row[128..256]).for_each(|value| *value *= scale);
        }
        for (format, group) in [(Format::Int8, DEPTH), (Format::GroupedInt8, 128)] {
            for level in every_level() {
                let found = layer.run(level, format, Activation::Identity);
                let outputs = layer.rows().flat_map(|row| layer.neurons().map(move |neuron| (row, neuron)));
                for ((row, (weights, bias)), found) in outputs.zip(found) {
                    let groups =
                        row.chunks(group).zip(weights.chunks(group)).map(|(row, weights)| int8_product(row, weights));
                    let (exact, bound) = groups.fold((f64::from(bias), 1e-4), |(exact, bound), (product, error)| {
                        (exact + product, bound + error)
                    });
                    assert!((exact - f64::from(found)).abs() < bound, "{level:?}, {format:?}: {exact} and {found}");
                }
            }
        }
    }
}

/// A sum of products, and how far bytes may be from it.
fn int8_product(row: &[f32], weights: &[f32]) -> (f64, f64) {
    let (least, most) = row.iter().fold((0.0_f32, 0.0_f32), |(least, most), x| (least.min(*x), most.max(*x)));
    let step = f64::from(most - least) / 255.0;
    let weight_step = f64::from(weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()))) / 127.0;
    row.iter().zip(weights).fold((0.0, 0.0), |(exact, bound), (a, w)| {
        let (a, w) = (f64::from(*a), f64::from(*w));
        (exact + a * w, bound + a.abs() * weight_step / 2.0 + w.abs() * step + step * weight_step / 2.0)
    })
}

/// Zeros stay zeros; an infinity or NaN is not hidden by quantization.
#[test]
fn int8_rows_without_a_range() {
    for (format, depth) in [(Format::Int8, 37), (Format::GroupedInt8, 137)] {
        let layer = Layer::random(&mut Numbers(31), 3, depth, 5);
        let mut input = vec![0.0; 3 * depth];
        input[depth + 4] = f32::NAN;
        input[2 * depth + depth - 1] = f32::INFINITY;
        let layer = Layer { input, ..layer };
        for level in every_level() {
            if level == Level::scalar() {
                continue;
            }
            let found = layer.run(level, format, Activation::Identity);
            assert_eq!(found[..5], layer.bias[..], "{level:?}");
            assert!(found[5..].iter().all(|value| value.is_nan()), "{level:?}: {found:?}");
        }
    }
}
