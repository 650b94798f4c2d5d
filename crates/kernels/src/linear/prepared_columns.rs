//! The input of a product prepared by parts of its columns, each by the thread that made it.

use std::ops::Range;

use super::{LinearScratch, OutputColumns, RowRange, linear_of_prepared};
use crate::activation::Activation;
use crate::packed_matrix::{PackedMatrix, Panels};

/// Some columns of all rows of a product's input, in the numbers that its weight multiplies: a half or a quarter of the memory of the rows.
#[derive(Debug)]
pub struct PreparedColumns {
    /// `[rows, words of the columns]`.
    words: Vec<u32>,
    /// `[groups of the columns, rows]`, for bytes.
    ranges: Vec<RowRange>,
}

impl PackedMatrix {
    /// Whether columns of the input from `column` on can be prepared without those before: always or never at zero, and further on where
    /// a pair of bfloat16 or a group of bytes starts.
    #[must_use]
    pub fn splits_at(&self, column: usize) -> bool {
        match &self.panels {
            Panels::Bfloat16(_) => column.is_multiple_of(2),
            Panels::Int8(panels) => column.is_multiple_of(panels.groups.features),
            Panels::Float32(_) | Panels::Tiles(_) => false,
        }
    }
}

impl PreparedColumns {
    /// Prepares `columns`, `[rows, width]`, for `weight`, which splits where they start and where they end, if that is not the input's end.
    #[must_use]
    pub fn new(weight: &PackedMatrix, columns: &[f32], width: usize) -> Self {
        assert!(weight.splits_at(0), "a weight whose input can be split");
        let mut scratch = LinearScratch::default();
        scratch.prepare_columns(weight, columns, width);
        Self { words: scratch.groups, ranges: scratch.ranges }
    }
}

/// [`linear`](super::linear) of an input in parts side by side, all made for `weight`.
pub fn linear_of_columns(
    weight: &PackedMatrix,
    bias: &[f32],
    activation: Activation,
    input: &[&PreparedColumns],
    features: Range<usize>,
    scratch: &mut LinearScratch,
    output: OutputColumns<'_>,
) {
    let rows = output.values.len() / output.stride.max(1);
    let words: Vec<&[u32]> = input.iter().map(|part| &*part.words).collect();
    scratch.groups.resize(words.iter().map(|words| words.len()).sum(), 0);
    side_by_side(&words, rows, &mut scratch.groups);
    scratch.ranges.clear();
    for part in input {
        scratch.ranges.extend_from_slice(&part.ranges);
    }
    linear_of_prepared(weight, bias, activation, &[], features, scratch, output);
}

/// Parts of one matrix, `[rows, some of the columns]` each, side by side in `whole`, `[rows, columns]`.
pub fn side_by_side<T: Copy>(parts: &[&[T]], rows: usize, whole: &mut [T]) {
    let width = whole.len() / rows.max(1);
    for (row, mut rest) in whole.chunks_exact_mut(width.max(1)).enumerate() {
        for part in parts {
            let columns = part.len() / rows;
            let (place, after) = rest.split_at_mut(columns);
            place.copy_from_slice(&part[row * columns..][..columns]);
            rest = after;
        }
    }
}
