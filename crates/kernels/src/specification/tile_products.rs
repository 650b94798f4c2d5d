//! Products by matrix tiles: exact in bytes, within their rounding in bfloat16, within their steps in float32, row by row.

use proptest::prelude::*;

use super::layer::Layer;
use super::{Numbers, tile_levels};
use crate::{Activation, Format, Level, LinearScratch, OutputColumns, linear};

fn layers() -> impl Strategy<Value = Layer> {
    let sizes = (1usize..70, 1usize..200, 1usize..100, any::<u64>());
    sizes.prop_map(|(rows, depth, features, seed)| Layer::random(&mut Numbers(seed | 1), rows, depth, features))
}

/// The sum of `|a b|` of each output, and the bias: what rounding errors are relative to.
fn sizes(layer: &Layer) -> Vec<f32> {
    let size = |row: &[f32], weights: &[f32]| row.iter().zip(weights).map(|(a, b)| (a * b).abs()).sum::<f32>();
    layer.rows().flat_map(|row| layer.neurons().map(move |(weights, bias)| size(row, weights) + bias.abs())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_are_exact(layer in layers()) {
        let expected = layer.run(Level::specification(), Format::Int8, Activation::Gelu);
        for level in tile_levels() {
            prop_assert_eq!(&expected, &layer.run(level, Format::Int8, Activation::Gelu), "{:?}", level);
        }
    }

    /// The same products in another order of float32 sums, at most 200 roundings of 2^-24.
    #[test]
    fn bfloat16_keeps_its_digits(layer in layers()) {
        let expected = layer.run(Level::specification(), Format::Bfloat16, Activation::Identity);
        let sizes = sizes(&layer);
        for level in tile_levels() {
            let found = layer.run(level, Format::Bfloat16, Activation::Identity);
            for ((expected, found), size) in expected.iter().zip(&found).zip(&sizes) {
                let difference = (expected - found).abs();
                prop_assert!(difference <= 1.2e-5 * size + 1e-7, "{:?}: {} and {}", level, expected, found);
            }
        }
    }

    /// Rows and features of any size: each has its own unit. A term errs by a step of 2^-24 of the largest number on either side and by
    /// as much as both for the products of digits that are left out: 2^-22 of the largest product. The bias and its sum round by 2^-24.
    #[test]
    fn float32_errs_by_steps_of_the_largest_product(mut layer in layers(), exponents in prop::collection::vec(-60..60i32, 170)) {
        let depth = layer.depth;
        for (numbers, exponent) in layer.input.chunks_mut(depth).chain(layer.weight.chunks_mut(depth)).zip(&exponents) {
            for number in numbers {
                *number *= 2.0_f32.powi(*exponent);
            }
        }
        let largest = |numbers: &[f32]| numbers.iter().fold(0.0, |largest: f64, number| largest.max(f64::from(number.abs())));
        let of_emulated = layer.run(Level::emulated_tiles(), Format::Float32, Activation::Identity);
        let mut found = of_emulated.iter();
        for row in layer.rows() {
            for ((weights, bias), found) in layer.neurons().zip(&mut found) {
                let product: f64 = row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let expected = product + f64::from(bias);
                let step = 2.0_f64.powi(-22) * largest(row) * largest(weights);
                let bound = step * depth as f64 + 2.0_f64.powi(-22) * (product.abs() + f64::from(bias.abs()));
                prop_assert!((f64::from(*found) - expected).abs() <= bound, "{} and {}", expected, found);
            }
        }
        for level in tile_levels() {
            prop_assert_eq!(&of_emulated, &layer.run(level, Format::Float32, Activation::Identity), "{:?}", level);
        }
    }
}

/// One row of them leaves the others as they are.
#[test]
fn rows_and_weights_that_are_not_finite() {
    let mut layer = Layer::random(&mut Numbers(5), 40, 67, 35);
    let before = layer.clone();
    layer.input[2 * 67 + 66] = f32::INFINITY;
    layer.input[33 * 67] = f32::NAN;
    layer.weight[7 * 67 + 3] = f32::NEG_INFINITY;
    for level in tile_levels() {
        let expected = before.run(level, Format::Float32, Activation::Identity);
        for (place, (found, expected)) in
            layer.run(level, Format::Float32, Activation::Identity).iter().zip(expected).enumerate()
        {
            let not_finite = [2, 33].contains(&(place / 35)) || place % 35 == 7;
            assert!(if not_finite { found.is_nan() } else { *found == expected }, "{level:?}, value {place}: {found}");
        }
    }
}

/// Deeper than the tiles that are multiplied at a time, more rows than a block, features from the middle.
#[test]
fn parts_of_a_product() {
    let layer = Layer::random(&mut Numbers(3), 75, 2003, 130);
    for level in tile_levels() {
        for format in [Format::Float32, Format::Bfloat16, Format::Int8, Format::GroupedInt8] {
            let whole = layer.run(level, format, Activation::Identity);
            let packed = layer.packed(level, format);
            let mut part = vec![7.0; 75 * 80];
            let columns = OutputColumns { values: &mut part, stride: 80, first: 3 };
            let scratch = &mut LinearScratch::default();
            linear(&packed, &layer.bias, Activation::Identity, &layer.input, 64..130, scratch, columns);
            for (part, whole) in part.chunks(80).zip(whole.chunks(130)) {
                assert_eq!(part[3..69], whole[64..130], "{level:?} {format:?}");
                assert_eq!((part[2], part[69]), (7.0, 7.0), "columns beside the features stay");
            }
        }
    }
}
