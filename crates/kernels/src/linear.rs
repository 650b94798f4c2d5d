//! Linear layers: `output = activation(input * weight^T + bias)` with weights packed once.
//!
//! The blocking follows Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008): a slice of a
//! weight panel stays in the first-level cache while all input rows pass over it.

use std::ops::Range;

use crate::activation::{Activation, activate_with};
use crate::lane::{LANES, Lane};
use crate::level::Level;
use crate::simd::{Kernel, Simd};
use crate::tile::{Rows, load_row, multiply, store_row, with_tile};

/// Depth of a panel slice in vectors of 64 bytes: 48 KiB, a first-level cache of today. The slice is streamed in order, so
/// what does not fit comes from the second level in time, while fewer slices mean fewer passes over the output.
const SLICE_VECTORS: usize = 768;

/// A linear layer's weight in the layout its level reads: panels of `PANEL_VECTORS * 16` output features, within a panel one
/// line of the panel's features for each input feature, zero beyond the last output feature.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    level: Level,
    panels: Vec<Lane>,
    panel_vectors: usize,
    input_features: usize,
    output_features: usize,
}

impl PackedMatrix {
    /// Packs `weight`, `[output_features, input_features]` row-major, as `torch.nn.Linear` stores it.
    #[must_use]
    pub fn pack(level: Level, weight: &[f32], output_features: usize, input_features: usize) -> Self {
        assert_eq!(weight.len(), output_features * input_features, "weight of [output, input] features");
        let panel_vectors = level.run(PanelVectors);
        let width = panel_vectors * LANES;
        let mut panels = vec![Lane::ZERO; output_features.div_ceil(width) * input_features * panel_vectors];
        for (output, row) in weight.chunks_exact(input_features.max(1)).enumerate() {
            let (panel, column) = (output / width, output % width);
            let (vector, lane) = (column / LANES, column % LANES);
            let lines = &mut panels[panel * input_features * panel_vectors..][..input_features * panel_vectors];
            for (line, value) in lines.chunks_exact_mut(panel_vectors).zip(row) {
                line[vector].0[lane] = *value;
            }
        }
        Self { level, panels, panel_vectors, input_features, output_features }
    }

    /// Columns of the input.
    #[must_use]
    pub fn input_features(&self) -> usize {
        self.input_features
    }

    /// Columns of the output.
    #[must_use]
    pub fn output_features(&self) -> usize {
        self.output_features
    }

    /// Output features of one panel: ranges given to [`linear`] start at a multiple of it.
    #[must_use]
    pub fn panel_width(&self) -> usize {
        self.panel_vectors * LANES
    }

    /// The slice of panel `panel` over the input features in `depth`.
    #[inline(always)]
    fn slice(&self, panel: usize, depth: Range<usize>) -> &[Lane] {
        let lines = &self.panels[panel * self.input_features * self.panel_vectors..];
        &lines[depth.start * self.panel_vectors..depth.end * self.panel_vectors]
    }
}

struct PanelVectors;

impl Kernel for PanelVectors {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::PANEL_VECTORS
    }
}

/// `output = activation(input * weight^T + bias)` for the output features in `features`.
///
/// `input` is `[rows, input_features]`, `bias` has all `output_features` values, `output` is `[rows, features.len()]`.
/// Each output is one chain of multiply-adds from the bias, over the input features in order.
pub fn linear(
    weight: &PackedMatrix,
    bias: &[f32],
    activation: Activation,
    input: &[f32],
    features: Range<usize>,
    output: &mut [f32],
) {
    let width = features.len();
    assert!(features.start.is_multiple_of(weight.panel_width()), "features from the start of a panel");
    assert!(features.start <= features.end && features.end <= weight.output_features, "features of the weight");
    assert_eq!(bias.len(), weight.output_features, "one bias an output feature");
    if width == 0 || output.is_empty() {
        return;
    }
    assert_eq!(output.len() % width, 0, "output rows of the features' number");
    assert_eq!(input.len(), output.len() / width * weight.input_features, "one input row an output row");
    weight.level.run(Linear { weight, bias, activation, input, features, output });
}

struct Linear<'a> {
    weight: &'a PackedMatrix,
    bias: &'a [f32],
    activation: Activation,
    input: &'a [f32],
    features: Range<usize>,
    output: &'a mut [f32],
}

impl Kernel for Linear<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let depth = self.weight.input_features;
        let slice = SLICE_VECTORS / S::PANEL_VECTORS;
        // No input features: one empty slice, so that the bias is written.
        for start in (0..depth.max(1)).step_by(slice) {
            let end = depth.min(start + slice);
            for column in self.features.clone().step_by(S::PANEL_VECTORS * LANES) {
                self.panel(simd, column, start..end);
            }
        }
    }
}

impl Linear<'_> {
    /// All rows times one slice of the panel that starts at output feature `column`.
    #[inline(always)]
    fn panel<S: Simd>(&mut self, simd: S, column: usize, depth: Range<usize>) {
        let width = self.features.len();
        let rows = self.output.len() / width;
        let panel_width = S::PANEL_VECTORS * LANES;
        let panel = self.weight.slice(column / panel_width, depth.clone());
        let end = self.features.end.min(column + panel_width);
        let block = Block {
            input: Rows { data: self.input, stride: self.weight.input_features },
            depth_start: depth.start,
            panel,
            bias: &self.bias[column..end],
            columns: column - self.features.start..end - self.features.start,
            stride: width,
        };
        let last = depth.end == self.weight.input_features;
        for first in (0..rows).step_by(S::TILE_ROWS) {
            let count = S::TILE_ROWS.min(rows - first);
            with_tile!(S, count, |N, V| block.tile::<S, N, V>(simd, first, self.output));
            if last && self.activation != Activation::Identity {
                for row in first..first + count {
                    let values = &mut self.output[row * width..][block.columns.clone()];
                    activate_with(simd, self.activation, values);
                }
            }
        }
    }
}

/// One panel slice and where its products go.
struct Block<'a> {
    input: Rows<'a>,
    depth_start: usize,
    panel: &'a [Lane],
    bias: &'a [f32],
    columns: Range<usize>,
    stride: usize,
}

impl Block<'_> {
    /// `N` rows from `first`: sums start from the bias, or go on from what an earlier slice left in `output`.
    #[inline(always)]
    fn tile<S: Simd, const N: usize, const V: usize>(&self, simd: S, first: usize, output: &mut [f32]) {
        let sums: [[S::Vector; V]; N] = if self.depth_start == 0 {
            [load_row(simd, self.bias); N]
        } else {
            std::array::from_fn(|i| load_row(simd, &output[(first + i) * self.stride..][self.columns.clone()]))
        };
        let sums = multiply::<S, N, V>(simd, self.input, first, self.depth_start, self.panel, sums);
        for (i, sums) in sums.into_iter().enumerate() {
            store_row(simd, sums, &mut output[(first + i) * self.stride..][self.columns.clone()]);
        }
    }
}
