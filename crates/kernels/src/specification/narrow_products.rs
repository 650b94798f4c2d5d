//! Products in bfloat16 and in bytes: the levels against the specification, and that against their definition.

use proptest::prelude::*;

use super::layer::{Layer, layers};
use super::same_bits::compare;
use super::{Numbers, every_level};
use crate::bfloat16::{bfloat16_bits, bfloat16_value};
use crate::{Activation, Format, Level};

const NARROW: [Format; 2] = [Format::Bfloat16, Format::Int8];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn levels_return_the_specifications_bits(layer in layers(), gelu in any::<bool>(), int8 in any::<bool>()) {
        let activation = if gelu { Activation::Gelu } else { Activation::Identity };
        compare(|level| {
            let mut output = layer.run(level, NARROW[usize::from(int8)], activation);
            // Denormal sums may be taken for zero.
            output.iter_mut().filter(|value| value.abs() < f32::MIN_POSITIVE).for_each(|value| *value = 0.0);
            output
        })?;
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
/// the steps of the row and of the output feature, and by a step of zero point.
#[test]
fn int8_errs_by_half_a_step_of_each_operand() {
    let layer = Layer::random(&mut Numbers(29), 9, 130, 40);
    for level in every_level() {
        let found = layer.run(level, Format::Int8, Activation::Identity);
        for (row, found) in layer.rows().zip(found.chunks(layer.features)) {
            let (least, most) = row.iter().fold((0.0_f32, 0.0_f32), |(least, most), x| (least.min(*x), most.max(*x)));
            let step = f64::from(most - least) / 255.0;
            for ((weights, bias), found) in layer.neurons().zip(found) {
                let weight_step = f64::from(weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()))) / 127.0;
                let (mut exact, mut bound) = (f64::from(bias), 1e-4);
                for (a, w) in row.iter().zip(weights) {
                    let (a, w) = (f64::from(*a), f64::from(*w));
                    exact += a * w;
                    bound += a.abs() * weight_step / 2.0 + w.abs() * step + step * weight_step / 2.0;
                }
                assert!((exact - f64::from(*found)).abs() < bound, "{level:?}: {exact} and {found}");
            }
        }
    }
}

/// Zeros stay zeros; an infinity or NaN is not hidden by quantization.
#[test]
fn int8_rows_without_a_range() {
    let layer = Layer::random(&mut Numbers(31), 3, 37, 5);
    let mut input = vec![0.0; 3 * 37];
    input[37 + 4] = f32::NAN;
    input[2 * 37 + 36] = f32::INFINITY;
    let layer = Layer { input, ..layer };
    for level in every_level() {
        if level == Level::scalar() {
            continue;
        }
        let found = layer.run(level, Format::Int8, Activation::Identity);
        assert_eq!(found[..5], layer.bias[..], "{level:?}");
        assert!(found[5..].iter().all(|value| value.is_nan()), "{level:?}: {found:?}");
    }
}
