//! Each fused level returns the specification's bits.

use std::ops::Range;

use proptest::prelude::*;

use super::layer::{Layer, layers};
use super::{Numbers, every_level, fused_levels};
use crate::lane::LANES;
use crate::simd::{Kernel, Simd};
use crate::{
    Activation, AttentionScratch, AttentionShape, EmbeddingTables, Format, LayerNorm, Level, VectorTable, activate,
    add_layer_norm, attention, embedding_bag_mean, embedding_sum, l2_normalize, layer_norm,
};

/// Any float32 now and then, else one of ordinary size, so that most results are finite.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -4.0f32..4.0,
        2 => Just(0.0f32),
        1 => prop_oneof![Just(-0.0f32), Just(f32::MIN_POSITIVE / 8.0), Just(-1e-42f32), Just(1e30f32), Just(-1e30f32)],
        1 => prop_oneof![Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(f32::NAN), Just(f32::MAX)],
    ]
}

pub(super) fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![20 => -2.0f32..2.0, 1 => Just(0.0f32), 1 => Just(1e-40f32)]
}

/// The bits of a finite binary16 number, denormals among them.
fn half() -> impl Strategy<Value = u16> {
    prop_oneof![8 => any::<u16>(), 1 => 0u16..0x400, 1 => 0x8000u16..0x8400]
        .prop_map(|bits| if bits & 0x7c00 == 0x7c00 { bits & 0x83ff } else { bits })
}

pub(super) fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![9 => finite(), 1 => value()], count)
}

fn same(expected: &[f32], found: &[f32], level: Level) -> Result<(), TestCaseError> {
    prop_assert_eq!(expected.len(), found.len());
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        let equal = expected.to_bits() == found.to_bits() || (expected.is_nan() && found.is_nan());
        prop_assert!(equal, "{level:?}, value {index}: {expected:e} and {found:e}");
    }
    Ok(())
}

/// Runs `kernel` for the specification and for each fused level and compares.
pub(super) fn compare(kernel: impl Fn(Level) -> Vec<f32>) -> Result<(), TestCaseError> {
    let expected = kernel(Level::specification());
    for level in fused_levels() {
        same(&expected, &kernel(level), level)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn activations(input in prop::collection::vec(value(), 0..70), offset in 0usize..3, choice in 0usize..7) {
        compare(|level| {
            let mut values = input.clone();
            let start = offset.min(values.len());
            activate(level, Activation::ALL[choice], &mut values[start..]);
            values
        })?;
    }

    #[test]
    fn linear_layers(layer in layers(), choice in 0usize..7) {
        compare(|level| layer.run(level, Format::Float32, Activation::ALL[choice]))?;
    }

    #[test]
    fn attention_of_odd_heads(
        (shape, tokens, qkv) in (1usize..4, 1usize..42, 1usize..50).prop_flat_map(|(heads, head_dim, tokens)| {
            let shape = AttentionShape { heads, head_dim };
            (Just(shape), Just(tokens), values(tokens * 3 * shape.hidden()))
        }),
        first in 0usize..50,
    ) {
        let queries = first.min(tokens)..tokens;
        compare(|level| {
            let mut output = vec![0.0; queries.len() * shape.hidden()];
            attention(level, Format::Float32, shape, &qkv, queries.clone(), &mut AttentionScratch::default(), &mut output);
            output
        })?;
    }

    #[test]
    fn layer_norms(
        (dim, rows, residual, weight, bias) in (1usize..80, 1usize..5).prop_flat_map(|(dim, rows)| (
            Just(dim), values(rows * dim), values(rows * dim), values(dim), values(dim))),
    ) {
        let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-12 };
        compare(|level| {
            let mut plain = rows.clone();
            layer_norm(level, norm, &mut plain);
            let mut summed = rows.clone();
            add_layer_norm(level, norm, &[&residual], &mut summed);
            let columns = |part: Range<usize>| -> Vec<f32> {
                residual.chunks(dim).flat_map(|row| &row[part.clone()]).copied().collect()
            };
            let parts = [columns(0..dim / 3), columns(dim / 3..dim)];
            let mut summed_of_parts = rows.clone();
            add_layer_norm(level, norm, &parts.each_ref().map(Vec::as_slice), &mut summed_of_parts);
            same(&summed, &summed_of_parts, level).unwrap();
            [plain, summed].concat()
        })?;
    }

    #[test]
    fn embeddings(
        (dim, word, position, ids) in (1usize..50).prop_flat_map(|dim| (
            Just(dim), values(9 * dim), values(4 * dim), prop::collection::vec((0u32..9, 0u32..4), 0..7))),
    ) {
        let (token_ids, positions): (Vec<u32>, Vec<u32>) = ids.into_iter().unzip();
        let (weight, bias) = (vec![1.5; dim], vec![-0.25; dim]);
        let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-5 };
        compare(|level| {
            let mut output = vec![0.0; token_ids.len() * dim];
            let tables = EmbeddingTables { word: &word, position: &position, dim };
            embedding_sum(level, tables, norm, &token_ids, &positions, &mut output);
            output
        })?;
    }

    #[test]
    fn embedding_bags(
        (dim, table, rows, weights) in (1usize..150).prop_flat_map(|dim| (
            Just(dim), values(9 * dim), prop::collection::vec(0u32..9, 0..12), prop::collection::vec(finite(), 12))),
        bits in prop::collection::vec(half(), 9 * 150),
        offset in 0usize..3,
        width in 0usize..150,
        weighted in any::<bool>(),
    ) {
        let width = width.min(dim);
        // Off their alignment, as rows of any number of columns are.
        let (table, bits) = ([&vec![0.0; offset][..], &table].concat(), [&vec![0; offset][..], &bits].concat());
        let weights = weighted.then(|| &weights[..rows.len()]);
        compare(|level| {
            let mut output = vec![f32::NAN; 2 * width];
            let (from_f32, from_f16) = output.split_at_mut(width);
            embedding_bag_mean(level, VectorTable::F32(&table[offset..]), dim, &rows, weights, from_f32);
            embedding_bag_mean(level, VectorTable::F16(&bits[offset..]), dim, &rows, weights, from_f16);
            output
        })?;
    }

    #[test]
    fn unit_rows((dim, rows) in (1usize..80, 1usize..4).prop_flat_map(|(dim, rows)| (Just(dim), values(rows * dim)))) {
        compare(|level| {
            let mut output = rows.clone();
            l2_normalize(level, &mut output, dim);
            output
        })?;
    }
}

/// Deeper than one panel slice and longer than one key block: the sums must go on where they stopped.
#[test]
fn long_sums_do_not_depend_on_blocks() {
    let mut numbers = Numbers(7);
    let layer = Layer::random(&mut numbers, 13, 1100, 35);
    compare(|level| layer.run(level, Format::Float32, Activation::Gelu)).unwrap();

    let shape = AttentionShape { heads: 2, head_dim: 25 };
    let qkv = numbers.take(600 * 3 * shape.hidden());
    compare(|level| {
        let mut output = vec![0.0; 600 * shape.hidden()];
        attention(level, Format::Float32, shape, &qkv, 0..600, &mut AttentionScratch::default(), &mut output);
        output
    })
    .unwrap();
}

/// A row's bits do not depend on the rows beside it, and a feature's not on the range asked for.
#[test]
fn rows_and_features_stand_alone() {
    let mut numbers = Numbers(11);
    let layer = Layer::random(&mut numbers, 29, 75, 100);
    for level in every_level() {
        let packed = layer.packed(level, Format::Float32);
        let together = layer.run(level, Format::Float32, Activation::Gelu);
        for (row, together) in layer.rows().zip(together.chunks(layer.features)) {
            let row = layer.of_row(row);
            for start in (0..layer.features).step_by(packed.panel_width()) {
                let alone = row.run_range(&packed, Activation::Gelu, start..layer.features);
                assert_eq!(alone, together[start..], "{level:?}");
            }
        }
        let shape = AttentionShape { heads: 3, head_dim: 5 };
        let qkv = numbers.take(30 * 3 * shape.hidden());
        let mut scratch = AttentionScratch::default();
        let mut together = vec![0.0; 30 * shape.hidden()];
        attention(level, Format::Float32, shape, &qkv, 0..30, &mut scratch, &mut together);
        for first in [1, 7, 12, 29] {
            let mut part = vec![0.0; (30 - first) * shape.hidden()];
            attention(level, Format::Float32, shape, &qkv, first..30, &mut scratch, &mut part);
            assert_eq!(part, together[first * shape.hidden()..], "{level:?}");
        }
    }
}

struct Transpose([[u32; LANES]; LANES]);

impl Kernel for Transpose {
    type Output = [[u32; LANES]; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        simd.transpose(&self.0)
    }
}

/// Any bits, those of NaN among them, go where they belong.
#[test]
fn rows_become_columns() {
    let rows: [[u32; LANES]; LANES] = std::array::from_fn(|row| {
        std::array::from_fn(|column| u32::try_from(row * LANES + column).unwrap().wrapping_mul(0x7fa0_1235))
    });
    for level in every_level() {
        for (column, values) in level.run(Transpose(rows)).iter().enumerate() {
            assert_eq!(*values, rows.map(|row| row[column]), "{level:?}, column {column}");
        }
    }
}
