//! A linear layer and its input, as the tests of products run it.

use std::ops::Range;

use proptest::prelude::*;

use super::Numbers;
use super::same_bits::{finite, values};
use crate::{Activation, Format, Level, LinearScratch, OutputColumns, PackedMatrix, linear};

/// What the output holds before a product: a NaN that no sum gives, so that a value left out or added to shows.
const UNWRITTEN: f32 = f32::from_bits(0x7fc0_5afe);

/// `input` is `[rows, depth]`, `weight` `[features, depth]`, `bias` `[features]`.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) depth: usize,
    pub(super) features: usize,
    pub(super) input: Vec<f32>,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Layer {
    /// Numbers from -1 to 1.
    pub(super) fn random(numbers: &mut Numbers, rows: usize, depth: usize, features: usize) -> Self {
        let (input, weight) = (numbers.take(rows * depth), numbers.take(features * depth));
        Self { depth, features, input, weight, bias: numbers.take(features) }
    }

    /// The rows of the input.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.input.chunks(self.depth)
    }

    /// Each feature's weights and bias.
    pub(super) fn neurons(&self) -> impl Iterator<Item = (&[f32], f32)> {
        self.weight.chunks(self.depth).zip(self.bias.iter().copied())
    }

    /// The same layer over one row.
    pub(super) fn of_row(&self, row: &[f32]) -> Self {
        Self { input: row.to_vec(), ..self.clone() }
    }

    pub(super) fn packed(&self, level: Level, format: Format) -> PackedMatrix {
        PackedMatrix::pack(level, format, &self.weight, self.features, self.depth)
    }

    /// `[rows, features]`.
    pub(super) fn run(&self, level: Level, format: Format, activation: Activation) -> Vec<f32> {
        self.run_range(&self.packed(level, format), activation, 0..self.features)
    }

    /// `[rows, range.len()]`: some features, from the first of a panel on.
    pub(super) fn run_range(&self, packed: &PackedMatrix, activation: Activation, range: Range<usize>) -> Vec<f32> {
        let mut output = vec![UNWRITTEN; self.rows().count() * range.len()];
        let columns = OutputColumns::all(&mut output, range.len());
        linear(packed, &self.bias, activation, &self.input, range, &mut LinearScratch::default(), columns);
        assert!(output.iter().all(|value| value.to_bits() != UNWRITTEN.to_bits()), "every value is written");
        output
    }
}

/// Layers whose input holds everything that float32 has, and whose weights are finite.
pub(super) fn layers() -> impl Strategy<Value = Layer> {
    let sizes = (1usize..28, 1usize..150, 1usize..80);
    sizes.prop_flat_map(|(rows, depth, features)| {
        let weight = prop::collection::vec(finite(), features * depth);
        (values(rows * depth), weight, values(features)).prop_map(move |(input, weight, bias)| Layer {
            depth,
            features,
            input,
            weight,
            bias,
        })
    })
}
