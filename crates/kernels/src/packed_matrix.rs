//! A linear layer's weight, packed once into what its level reads.

use std::ops::Range;

use crate::bfloat16::{bfloat16_bits, bfloat16_value};
use crate::lane::{LANES, Lane};
use crate::level::Level;
use crate::simd::{BLOCK, Kernel, Simd, TILE};

/// The numbers that a product is computed with. Inputs, sums and outputs are float32 in each case; the weights are rounded when
/// they are packed, the inputs row by row before the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// float32 as it is.
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
    pub(crate) panels: Panels,
    panel_vectors: usize,
    input_features: usize,
    output_features: usize,
}

/// The number of bfloat16 whose sum is a float32: 24 bits, 8 at a time.
pub(crate) const FLOAT32_PARTS: usize = 3;

/// The lines of a weight that matrix tiles multiply, by format, in the order of [`Tiles`](crate::simd::Tiles): panels of 32 output
/// features, within a panel pairs of tiles.
#[derive(Clone, Debug)]
pub(crate) enum TilePanels {
    /// Each weight as the sum of three bfloat16, the largest first.
    Float32([Vec<Lane<u32>>; FLOAT32_PARTS]),
    Bfloat16(Vec<Lane<u32>>),
    Int8(BytePanels),
}

impl TilePanels {
    /// Tiles of a row of `columns` values.
    pub(crate) fn depth(&self, columns: usize) -> usize {
        match self {
            Self::Float32(_) | Self::Bfloat16(_) => columns.div_ceil(2 * TILE),
            Self::Int8(_) => columns.div_ceil(4 * TILE),
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
    features: usize,
    /// Number of groups, at least one.
    pub(crate) count: usize,
}

impl ByteGroups {
    /// Input features of a group of [`Format::GroupedInt8`].
    const FEATURES: usize = 128;

    /// One group of all features.
    fn one(input_features: usize) -> Self {
        // A multiple of a tile's bytes, so that padding belongs to the group.
        Self { features: input_features.max(1).next_multiple_of(4 * TILE), count: 1 }
    }

    /// Groups of [`Self::FEATURES`].
    fn short(input_features: usize) -> Self {
        Self { features: Self::FEATURES, count: input_features.div_ceil(Self::FEATURES).max(1) }
    }

    /// Features of a group; the last one may have fewer.
    pub(crate) fn features(self) -> usize {
        self.features
    }

    /// Words of four features of a group.
    pub(crate) fn words(self) -> usize {
        self.features / 4
    }
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
        let tiles = tiles && format != Format::GroupedInt8;
        let panel_vectors = if tiles { BLOCK / LANES } else { level.run(PanelVectors) };
        let shape = Shape { tiles, panel_vectors, input_features, output_features };
        let pair = |_, _, [low, high]: [f32; 2]| u32::from(bfloat16_bits(low)) | u32::from(bfloat16_bits(high)) << 16;
        let panels = match (format, tiles) {
            (Format::Float32, false) => {
                Panels::Float32(shape.pack::<1, f32>(weight, Lane::ZERO, |_, _, [value]| value))
            }
            (Format::Float32, true) => {
                let rest = |value: f32| value - bfloat16_value(bfloat16_bits(value));
                Panels::Tiles(TilePanels::Float32([
                    shape.pack(weight, Lane::ZERO_WORDS, pair),
                    shape.pack(weight, Lane::ZERO_WORDS, |output, k, values| pair(output, k, values.map(rest))),
                    shape.pack(weight, Lane::ZERO_WORDS, |output, k, values| {
                        pair(output, k, values.map(rest).map(rest))
                    }),
                ]))
            }
            (Format::Bfloat16, false) => Panels::Bfloat16(shape.pack(weight, Lane::ZERO_WORDS, pair)),
            (Format::Bfloat16, true) => Panels::Tiles(TilePanels::Bfloat16(shape.pack(weight, Lane::ZERO_WORDS, pair))),
            (Format::Int8, false) => Panels::Int8(shape.pack_int8(weight, ByteGroups::one(input_features))),
            (Format::Int8, true) => {
                Panels::Tiles(TilePanels::Int8(shape.pack_int8(weight, ByteGroups::one(input_features))))
            }
            (Format::GroupedInt8, _) => Panels::Int8(shape.pack_int8(weight, ByteGroups::short(input_features))),
        };
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

    /// The numbers that products with it are computed with.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.panels {
            Panels::Float32(_) | Panels::Tiles(TilePanels::Float32(_)) => Format::Float32,
            Panels::Bfloat16(_) | Panels::Tiles(TilePanels::Bfloat16(_)) => Format::Bfloat16,
            Panels::Int8(BytePanels { groups: ByteGroups { features: ByteGroups::FEATURES, .. }, .. }) => {
                Format::GroupedInt8
            }
            Panels::Int8(_) | Panels::Tiles(TilePanels::Int8(_)) => Format::Int8,
        }
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
    /// Lines of groups of `N` input features; `group` makes one from the output feature,
    /// the group's number and its weights, zero beyond the last.
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

    /// Each output feature's largest weight of a group becomes 127.
    fn pack_int8(self, weight: &[f32], groups: ByteGroups) -> BytePanels {
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

struct PanelVectors;

impl Kernel for PanelVectors {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::PANEL_VECTORS
    }
}
