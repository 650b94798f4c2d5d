//! Products by matrix tiles: exact in bytes, within their rounding in bfloat16 and float32, row by row.

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

    /// bfloat16: the same products in another order of float32 sums, at most 200 roundings of 2^-24. float32: six
    /// products' sums of as many terms.
    #[test]
    fn floats_keep_their_digits(layer in layers()) {
        let sizes = sizes(&layer);
        for (format, bound) in [(Format::Bfloat16, 1.2e-5), (Format::Float32, 1.2e-5)] {
            let expected = layer.run(Level::specification(), format, Activation::Identity);
            for level in tile_levels() {
                let found = layer.run(level, format, Activation::Identity);
                for ((expected, found), size) in expected.iter().zip(&found).zip(&sizes) {
                    let difference = (expected - found).abs();
                    prop_assert!(difference <= bound * size + 1e-7, "{:?} {:?}: {} and {}", level, format, expected, found);
                }
            }
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
