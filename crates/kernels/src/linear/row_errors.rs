//! How far the bytes of quantized rows are from the rows.

use std::ops::Range;

use super::{LinearScratch, RowRange};
use crate::lane::LANES;
use crate::packed_matrix::PackedMatrix;
use crate::simd::{Kernel, Simd};

/// Scales outside count as unknown: near the ends of float32 products with them are no longer exact to rounding.
pub(crate) const KNOWN_SCALES: Range<f32> = 1e-30..1e30;

/// Sizes of rows as vectors (Euclidean norms), each rounded up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowErrors {
    /// The longest of the quantized rows.
    pub(crate) quantized: f32,
    /// The longest difference of a row and its quantized form; infinite where that cannot be told.
    pub(crate) rest: f32,
}

impl RowErrors {
    /// Of no row.
    pub(crate) const NONE: Self = Self { quantized: 0.0, rest: 0.0 };

    /// Of the rows of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { quantized: self.quantized.max(other.quantized), rest: self.rest.max(other.rest) }
    }
}

impl LinearScratch {
    /// The errors of each of `rows`, which were prepared for the bytes of `weight`.
    pub(crate) fn row_errors(&self, weight: &PackedMatrix, rows: &[f32]) -> Vec<RowErrors> {
        let columns = weight.input_features().max(1);
        let words = self.groups.len() / self.ranges.len().max(1);
        let rows = rows.chunks_exact(columns).zip(self.groups.chunks_exact(words.max(1)));
        let errors = rows.zip(&self.ranges).map(|((row, words), range)| {
            let bytes = bytemuck::cast_slice(words);
            weight.level.run(RowError { row, bytes, range: *range })
        });
        errors.collect()
    }
}

struct RowError<'a> {
    row: &'a [f32],
    bytes: &'a [u8],
    range: RowRange,
}

impl Kernel for RowError<'_> {
    type Output = RowErrors;
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "a bound, with room for it")]
    fn run<S: Simd>(self, _: S) -> RowErrors {
        let Self { row, bytes, range: RowRange { scale, zero_point } } = self;
        // In units of the scale, so that nothing underflows or overflows.
        let inverse = 1.0 / scale;
        let zero_point = zero_point as f32;
        let (mut whole, mut rest) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let mut add = |lane: usize, value: f32, byte: u8| {
            let steps = f32::from(byte) - zero_point;
            let difference = value * inverse - steps;
            whole[lane] += steps * steps;
            rest[lane] += difference * difference;
        };
        let (vectors, last) = row.as_chunks::<LANES>();
        let (bytes, last_bytes) = bytes.as_chunks::<LANES>();
        for (values, bytes) in vectors.iter().zip(bytes) {
            for lane in 0..LANES {
                add(lane, values[lane], bytes[lane]);
            }
        }
        let last_bytes = bytes.get(vectors.len()).map_or(last_bytes, <[u8; LANES]>::as_slice);
        for (lane, (value, byte)) in last.iter().zip(last_bytes).enumerate() {
            add(lane, *value, *byte);
        }
        if !KNOWN_SCALES.contains(&scale) {
            return RowErrors { quantized: 0.0, rest: f32::INFINITY };
        }
        // A step of a value is at most 255.5 and wrong by 2^-23 of that twice, less than 1e-4; the sums are short by less than 1e-3.
        let length = (row.len() as f32).sqrt();
        let norm = |lanes: [f32; LANES]| lanes.iter().sum::<f32>().sqrt() * 1.001;
        RowErrors { quantized: norm(whole) * scale, rest: (norm(rest) + 1e-4 * length) * scale }
    }
}
