//! A linear layer over few rows, split by the columns of its output.

use std::ops::Range;

use kernels::{Activation, LinearScratch, OutputColumns};

use super::{Linear, Part};
use crate::scratch::{Scratch, values_of, with_scratch};
use crate::team;

impl Linear {
    /// Whether [`Linear::columns_here`] computes these columns of the output by themselves.
    pub(crate) fn has_columns(&self, columns: &Range<usize>) -> bool {
        self.parts.iter().any(|part| part.features(columns).is_some())
    }

    /// Some columns of the product of some rows on this thread, into `output`; nothing unless [`Linear::has_columns`].
    pub(crate) fn columns_here(
        &self,
        columns: Range<usize>,
        activation: Activation,
        input: &[f32],
        scratch: &mut LinearScratch,
        output: OutputColumns<'_>,
    ) {
        let part = self.parts.iter().find_map(|part| Some((part, part.features(&columns)?)));
        if let Some((Part { packed, bias, .. }, features)) = part {
            kernels::linear(packed, bias, activation, input, features, scratch, output);
        }
    }

    /// The product of few rows, each thread with its own part of the weight: `input` in parts of its columns, `[rows, some]` each, to
    /// such parts of the output. Each thread puts the input together for itself: much of it comes from another one's cache.
    pub(crate) fn parts_of_product(&self, activation: Activation, input: Vec<Vec<f32>>, rows: usize) -> Vec<Vec<f32>> {
        let tasks: Vec<Range<usize>> = self.parts.iter().flat_map(|part| part.split(team::threads())).collect();
        let layer = self.clone();
        team::map(tasks, move |columns| {
            let mut output = vec![0.0; rows * columns.len()];
            with_scratch(|Scratch { linear, wide, .. }| {
                let input = match &*input {
                    [whole] => whole,
                    parts => {
                        let whole = values_of(wide, rows * layer.input_features);
                        join(parts, rows, whole);
                        &*whole
                    }
                };
                let place = OutputColumns::all(&mut output, columns.len());
                layer.columns_here(columns.clone(), activation, input, linear, place);
            });
            output
        })
    }
}

/// [`join`] into rows of their own.
pub(crate) fn joined(parts: &[Vec<f32>], rows: usize) -> Vec<f32> {
    let mut whole = vec![0.0; parts.iter().map(Vec::len).sum()];
    join(parts, rows, &mut whole);
    whole
}

/// Parts of one matrix, `[rows, some of the columns]` each, side by side in `whole`.
fn join(parts: &[Vec<f32>], rows: usize, whole: &mut [f32]) {
    let width = whole.len() / rows.max(1);
    for (row, whole) in whole.chunks_exact_mut(width.max(1)).enumerate() {
        let mut rest = whole;
        for part in parts {
            let columns = part.len() / rows;
            let (place, after) = rest.split_at_mut(columns);
            place.copy_from_slice(&part[row * columns..(row + 1) * columns]);
            rest = after;
        }
    }
}

impl Part {
    /// The columns of the output in `threads` ranges of whole panels, fewer where there are not enough.
    fn split(&self, threads: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (first, end) = (self.column, self.column + self.bias.len());
        let width = self.bias.len().div_ceil(threads).next_multiple_of(self.packed.panel_width());
        (first..end).step_by(width).map(move |start| start..end.min(start + width))
    }

    /// The features that are these columns of the output, if they are whole panels of this part.
    fn features(&self, columns: &Range<usize>) -> Option<Range<usize>> {
        let features = columns.start.checked_sub(self.column)?..columns.end.checked_sub(self.column)?;
        let whole = |feature: usize| feature.is_multiple_of(self.packed.panel_width()) || feature == self.bias.len();
        (features.end <= self.bias.len() && whole(features.start) && whole(features.end)).then_some(features)
    }
}
