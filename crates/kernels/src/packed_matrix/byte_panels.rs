//! Weights as bytes with scales.

use super::Shape;
use crate::lane::{LANES, Lane};
use crate::simd::TILE;

/// Weights as bytes, and what turns their sums into numbers.
#[derive(Clone, Debug)]
pub(crate) struct BytePanels {
    pub(crate) lines: Vec<Lane<u32>>,
    /// The parts of the depth that have scales of their own.
    pub(crate) groups: ByteGroups,
    /// What one unit of each output feature's weights is worth, for one group after another within a panel, padded to whole panels.
    pub(crate) scales: Vec<Lane>,
    /// The sum of each output feature's packed weights of each group, a signed integer, in the same order.
    pub(crate) sums: Vec<Lane<u32>>,
}

/// The input features of a product of bytes in groups that have scales of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteGroups {
    /// Features of a group; the last one may have fewer.
    pub(crate) features: usize,
    /// Number of groups, at least one.
    pub(crate) count: usize,
}

impl ByteGroups {
    /// Input features of a group of [`Format::GroupedInt8`](super::Format::GroupedInt8).
    const FEATURES: usize = 128;

    /// One group of all features.
    pub(super) fn one(input_features: usize) -> Self {
        // A multiple of a tile's bytes, so that padding belongs to the group.
        Self { features: input_features.max(1).next_multiple_of(4 * TILE), count: 1 }
    }

    /// Groups of [`Self::FEATURES`].
    pub(super) fn short(input_features: usize) -> Self {
        Self { features: Self::FEATURES, count: input_features.div_ceil(Self::FEATURES).max(1) }
    }

    /// Words of four features of a group.
    pub(crate) fn words(self) -> usize {
        self.features / 4
    }
}

impl Shape {
    /// Each output feature's largest weight of a group becomes 127.
    pub(super) fn pack_int8(self, weight: &[f32], groups: ByteGroups) -> BytePanels {
        // Sums stay below 2^31 in size: depth * 255 * 127.
        assert!(self.input_features <= 1 << 16, "at most 65,536 input features");
        let width = self.panel_vectors * LANES;
        let padded = self.output_features.div_ceil(width) * groups.count * self.panel_vectors;
        let mut scales = vec![Lane::ZERO; padded];
        let mut sums = vec![Lane::ZERO_WORDS; padded];
        let line = |output: usize, group: usize| {
            (output / width * groups.count + group) * self.panel_vectors + output % width / LANES
        };
        for (output, row) in weight.chunks_exact(self.input_features.max(1)).enumerate() {
            for (group, weights) in row.chunks(groups.features).enumerate() {
                let scale = byte_scale(weights);
                let sum: i32 = weights.iter().map(|value| i32::from(quantized(*value, scale))).sum();
                scales[line(output, group)].0[output % LANES] = scale;
                sums[line(output, group)].0[output % LANES] = sum.cast_unsigned();
            }
        }
        let lines = self.pack(weight, Lane::ZERO_WORDS, |output, word, values: [f32; 4]| {
            let scale = scales[line(output, word / groups.words())].0[output % LANES];
            u32::from_le_bytes(values.map(|value| quantized(value, scale).cast_unsigned()))
        });
        BytePanels { lines, groups, scales, sums }
    }
}

/// What one unit of these weights is worth in bytes.
pub(crate) fn byte_scale(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) / 127.0
}

/// A weight in units of `scale`.
#[expect(clippy::cast_possible_truncation, reason = "rounded to -127..=127")]
pub(crate) fn quantized(weight: f32, scale: f32) -> i8 {
    if scale > 0.0 { (weight / scale).round() as i8 } else { 0 }
}
