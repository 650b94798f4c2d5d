//! A linear layer's weight, packed once into what its level reads.

mod byte_panels;
mod digit_panels;

use std::ops::Range;

use crate::bfloat16::bfloat16_bits;
use crate::lane::{LANES, Lane};
use crate::level::Level;
use crate::simd::{BLOCK, Kernel, Simd, TILE};
pub(crate) use byte_panels::{ByteGroups, BytePanels, byte_scale, quantized};
#[cfg(test)]
pub(crate) use digit_panels::digits_of;
pub(crate) use digit_panels::{DIGITS, DigitPanels, MOST_STEPS, STEPS, steps_in_one, unit_of};

/// The numbers that a product is computed with. Inputs, sums and outputs are float32 in each case; the weights are rounded when
/// they are packed, the inputs row by row before the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// float32 as it is; where matrix tiles multiply, in steps of 2^-24 of the largest number of an input row and of an output feature's
    /// weights.
    Float32,
    /// Both sides rounded to bfloat16, sums in float32.
    Bfloat16,
    /// Weights as signed bytes with one scale an output feature, inputs as unsigned bytes with one scale and one zero point a
    /// row, exact integer sums (arXiv:1712.05877).
    Int8,
    /// [`Format::Int8`] by groups of 128 input features: scales and zero points are those of a group, and the groups' sums are
    /// added in float32. For wide inputs, where a few large values would make the steps of all others coarse. Without matrix tiles, which
    /// such short sums would leave idle.
    GroupedInt8,
}

/// A linear layer's weight in the layout its level reads: panels of `PANEL_VECTORS * 16` output features, within a panel one
/// line of the panel's features for each group of input features, zero beyond the last feature of either side. A group is one
/// float32, a pair of bfloat16 or four bytes.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    pub(crate) level: Level,
    format: Format,
    pub(crate) panels: Panels,
    panel_vectors: usize,
    input_features: usize,
    output_features: usize,
}

/// The lines of a weight that matrix tiles multiply, by format, in the order of [`Tiles`](crate::simd::Tiles): panels of 32 output
/// features, within a panel pairs of tiles.
#[derive(Clone, Debug)]
pub(crate) enum TilePanels {
    /// Whole numbers of steps, in three signed bytes.
    Float32(DigitPanels),
    Bfloat16(Vec<Lane<u32>>),
    Int8(BytePanels),
}

impl TilePanels {
    /// Tiles of a row of `columns` values.
    pub(crate) fn depth(&self, columns: usize) -> usize {
        match self {
            Self::Bfloat16(_) => columns.div_ceil(2 * TILE),
            Self::Float32(_) | Self::Int8(_) => columns.div_ceil(4 * TILE),
        }
    }
}

/// The lines of all panels, by format.
#[derive(Clone, Debug)]
pub(crate) enum Panels {
    Float32(Vec<Lane>),
    Bfloat16(Vec<Lane<u32>>),
    Int8(BytePanels),
    Tiles(TilePanels),
}

/// The shape of the panels of one matrix.
#[derive(Clone, Copy)]
struct Shape {
    /// Whether the lines are in the order of tiles.
    tiles: bool,
    panel_vectors: usize,
    input_features: usize,
    output_features: usize,
}

impl PackedMatrix {
    /// Packs `weight`, `[output_features, input_features]` row-major, as `torch.nn.Linear` stores it.
    #[must_use]
    pub fn pack(level: Level, format: Format, weight: &[f32], output_features: usize, input_features: usize) -> Self {
        Self::pack_for(level, level.has_tiles(), format, weight, output_features, input_features)
    }

    /// [`PackedMatrix::pack`] without matrix tiles where the level has some, for kernels that need the sums in registers.
    #[must_use]
    pub fn pack_panels(
        level: Level,
        format: Format,
        weight: &[f32],
        output_features: usize,
        input_features: usize,
    ) -> Self {
        Self::pack_for(level, false, format, weight, output_features, input_features)
    }

    fn pack_for(
        level: Level,
        tiles: bool,
        format: Format,
        weight: &[f32],
        output_features: usize,
        input_features: usize,
    ) -> Self {
        assert_eq!(weight.len(), output_features * input_features, "weight of [output, input] features");
        let tiles = tiles
            && match format {
                Format::Float32 => input_features <= digit_panels::MOST_FEATURES,
                Format::Bfloat16 | Format::Int8 => true,
                Format::GroupedInt8 => false,
            };
        let panel_vectors = if tiles { BLOCK / LANES } else { level.run(PanelVectors) };
        let shape = Shape { tiles, panel_vectors, input_features, output_features };
        let pair = |_, _, [low, high]: [f32; 2]| u32::from(bfloat16_bits(low)) | u32::from(bfloat16_bits(high)) << 16;
        let panels = match (format, tiles) {
            (Format::Float32, false) => {
                Panels::Float32(shape.pack::<1, f32>(weight, Lane::ZERO, |_, _, [value]| value))
            }
            (Format::Float32, true) => Panels::Tiles(TilePanels::Float32(shape.pack_digits(weight))),
            (Format::Bfloat16, false) => Panels::Bfloat16(shape.pack(weight, Lane::ZERO_WORDS, pair)),
            (Format::Bfloat16, true) => Panels::Tiles(TilePanels::Bfloat16(shape.pack(weight, Lane::ZERO_WORDS, pair))),
            (Format::Int8, false) => Panels::Int8(shape.pack_int8(weight, ByteGroups::one(input_features))),
            (Format::Int8, true) => {
                Panels::Tiles(TilePanels::Int8(shape.pack_int8(weight, ByteGroups::one(input_features))))
            }
            (Format::GroupedInt8, _) => Panels::Int8(shape.pack_int8(weight, ByteGroups::short(input_features))),
        };
        Self { level, format, panels, panel_vectors, input_features, output_features }
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

    /// The numbers that products with it are computed with.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Output features of one panel: ranges given to [`linear`](crate::linear) start at a multiple of it.
    #[must_use]
    pub fn panel_width(&self) -> usize {
        self.panel_vectors * LANES
    }
}

/// The slice of panel `panel` over the input groups in `depth`, of panels `depth_of_panel` groups deep.
#[inline(always)]
pub(crate) fn panel_slice<S: Simd, T>(
    lines: &[Lane<T>],
    panel: usize,
    depth_of_panel: usize,
    depth: Range<usize>,
) -> &[Lane<T>] {
    &lines[panel * depth_of_panel * S::PANEL_VECTORS..][depth.start * S::PANEL_VECTORS..depth.end * S::PANEL_VECTORS]
}

impl Shape {
    /// Lines of groups of `N` input features; `group` makes one from the output feature, the group's number and its weights, zero beyond
    /// the last.
    fn pack<const N: usize, T: Copy>(
        self,
        weight: &[f32],
        zero: Lane<T>,
        group: impl Fn(usize, usize, [f32; N]) -> T,
    ) -> Vec<Lane<T>> {
        let width = self.panel_vectors * LANES;
        let groups = self.input_features.div_ceil(N);
        let depth = if self.tiles { groups.next_multiple_of(TILE) } else { groups };
        let lines_of_panel = depth * self.panel_vectors;
        let mut lines = vec![zero; self.output_features.div_ceil(width) * lines_of_panel];
        for (output, row) in weight.chunks_exact(self.input_features.max(1)).enumerate() {
            let (panel, column) = (output / width, output % width);
            let (vector, lane) = (column / LANES, column % LANES);
            let lines = &mut lines[panel * lines_of_panel..][..lines_of_panel];
            for (k, values) in row.chunks(N).enumerate() {
                let mut padded = [0.0; N];
                padded[..values.len()].copy_from_slice(values);
                let place = if self.tiles {
                    (k / TILE * self.panel_vectors + vector) * TILE + k % TILE
                } else {
                    k * self.panel_vectors + vector
                };
                lines[place].0[lane] = group(output, k, padded);
            }
        }
        lines
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
