//! A linear layer over few rows, split by the columns of its output.

use std::ops::Range;

use kernels::{Activation, LinearScratch, OutputColumns, PreparedColumns, side_by_side};

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

    /// The columns of the output that each thread of a team makes.
    pub(crate) fn tasks(&self) -> Vec<Range<usize>> {
        self.parts.iter().flat_map(|part| part.split(team::threads())).collect()
    }

    /// How a thread that has made some columns of this layer's input for all rows passes them on. `columns` are those of all threads.
    pub(crate) fn input_parts(&self, columns: &[Range<usize>]) -> impl Fn(Vec<f32>, usize) -> InputPart + use<> {
        let layer = self.clone();
        let splits = |part: &Part| columns.iter().all(|columns| part.packed.splits_at(columns.start));
        let is_prepared = matches!(&*layer.parts, [part] if splits(part));
        move |columns, rows| match &*layer.parts {
            [part] if is_prepared => {
                InputPart::Prepared(PreparedColumns::new(&part.packed, &columns, columns.len() / rows.max(1)))
            }
            _ => InputPart::Rows(columns),
        }
    }

    /// The product of few rows, each thread with its own part of the weight: `input` in parts of its columns, to parts of the output's,
    /// `[rows, some]` each, of which `finish` makes what is wanted. Each thread puts the input together for itself: much of
    /// it comes from another one's cache.
    pub(crate) fn parts_of_product<R: Send + 'static>(
        &self,
        activation: Activation,
        input: Vec<InputPart>,
        rows: usize,
        finish: impl Fn(Vec<f32>) -> R + Send + Sync + 'static,
    ) -> Vec<R> {
        let layer = self.clone();
        team::map(self.tasks(), move |columns| {
            let mut output = vec![0.0; rows * columns.len()];
            let place = OutputColumns::all(&mut output, columns.len());
            with_scratch(|scratch| layer.columns_of_parts(columns.clone(), activation, &input, rows, scratch, place));
            finish(output)
        })
    }

    /// [`Linear::columns_here`] of an input in parts.
    fn columns_of_parts(
        &self,
        columns: Range<usize>,
        activation: Activation,
        input: &[InputPart],
        rows: usize,
        Scratch { linear, wide, .. }: &mut Scratch,
        output: OutputColumns<'_>,
    ) {
        if let [InputPart::Rows(whole)] = input {
            return self.columns_here(columns, activation, whole, linear, output);
        }
        let prepared: Option<Vec<&PreparedColumns>> = input.iter().map(InputPart::prepared).collect();
        if let ([Part { packed, bias, .. }], Some(prepared)) = (&*self.parts, prepared) {
            return kernels::linear_of_columns(packed, bias, activation, &prepared, columns, linear, output);
        }
        let parts: Vec<&[f32]> = input.iter().filter_map(InputPart::rows).collect();
        let whole = values_of(wide, rows * self.input_features);
        side_by_side(&parts, rows, whole);
        self.columns_here(columns, activation, whole, linear, output);
    }
}

/// Some columns of a product's input for all rows.
#[derive(Debug)]
pub(crate) enum InputPart {
    /// `[rows, some]`.
    Rows(Vec<f32>),
    /// In the numbers of the product.
    Prepared(PreparedColumns),
}

impl InputPart {
    fn rows(&self) -> Option<&[f32]> {
        match self {
            Self::Rows(rows) => Some(rows),
            Self::Prepared(_) => None,
        }
    }

    fn prepared(&self) -> Option<&PreparedColumns> {
        match self {
            Self::Rows(_) => None,
            Self::Prepared(columns) => Some(columns),
        }
    }
}

/// [`side_by_side`] in rows of their own.
pub(crate) fn joined(parts: &[Vec<f32>], rows: usize) -> Vec<f32> {
    let mut whole = vec![0.0; parts.iter().map(Vec::len).sum()];
    side_by_side(&slices(parts), rows, &mut whole);
    whole
}

/// The parts as they are.
pub(crate) fn slices(parts: &[Vec<f32>]) -> Vec<&[f32]> {
    parts.iter().map(Vec::as_slice).collect()
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
