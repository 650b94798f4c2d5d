//! What the head of a masked language model multiplies: its decoder, and token vectors in the decoder's numbers.

use super::screen::{Screen, ScreenedRows};
use super::{TermFormula, TermPooling};
use crate::level::Level;
use crate::linear::RoundRows;
use crate::packed_matrix::{Format, PackedMatrix, Panels};

/// The decoder of a masked language model, with its bias and what becomes of the logits.
#[derive(Clone, Debug)]
pub struct TermDecoder {
    pub(super) weight: PackedMatrix,
    /// Where largest logits are wanted and products of bytes are much faster.
    pub(super) screen: Option<Screen>,
    pub(super) bias: Vec<f32>,
    pub(super) formula: TermFormula,
}

impl TermDecoder {
    /// Packs `weight`, `[terms, input_features]` row-major, in float32 or bfloat16; `bias` has one value a term.
    #[must_use]
    pub fn new(
        level: Level,
        format: Format,
        weight: &[f32],
        bias: Vec<f32>,
        input_features: usize,
        formula: TermFormula,
    ) -> Self {
        let screened = level.has_byte_products() && Screen::is_exact_for(input_features);
        Self::with_screen(level, format, weight, bias, input_features, formula, screened)
    }

    /// [`TermDecoder::new`] with a screen, if logits are pooled by their largest, or without one.
    pub(crate) fn with_screen(
        level: Level,
        format: Format,
        weight: &[f32],
        bias: Vec<f32>,
        input_features: usize,
        formula: TermFormula,
        screened: bool,
    ) -> Self {
        assert_ne!(format, Format::Int8, "weights of terms are made in float32 or bfloat16");
        let screened = screened && formula.pooling == TermPooling::Max;
        Self {
            screen: screened.then(|| Screen::new(level, format, weight, bias.len(), input_features)),
            weight: PackedMatrix::pack_panels(level, format, weight, bias.len(), input_features),
            bias,
            formula,
        }
    }

    /// The size of the vocabulary.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.bias.len()
    }

    /// Columns of a token's vector.
    #[must_use]
    pub fn input_features(&self) -> usize {
        self.weight.input_features()
    }

    /// Terms of one panel: ranges given to [`term_weights`](super::term_weights) start at a multiple of it.
    #[must_use]
    pub fn panel_width(&self) -> usize {
        let of_screen = self.screen.as_ref().map_or(1, |screen| screen.weight.panel_width());
        self.weight.panel_width().max(of_screen)
    }
}

/// Token vectors in the numbers that a decoder multiplies.
#[derive(Debug)]
pub struct DecoderInput<'a> {
    /// `[tokens, input_features]`.
    pub(super) rows: &'a [f32],
    pub(super) groups: Groups,
    /// Blocks of rows for the screen, if the decoder has one.
    pub(super) screened: Vec<ScreenedRows>,
}

/// What the decoder's own products read.
#[derive(Debug)]
pub(super) enum Groups {
    /// The rows as they are.
    Float32,
    Bfloat16(Vec<u32>),
}

impl<'a> DecoderInput<'a> {
    /// Rounds `hidden`, `[tokens, input_features]`, as `decoder` needs it.
    #[must_use]
    pub fn new(decoder: &TermDecoder, hidden: &'a [f32]) -> Self {
        let columns = decoder.input_features();
        let groups = match &decoder.weight.panels {
            Panels::Float32(_) => Groups::Float32,
            Panels::Bfloat16(_) => {
                let (mut groups, depth) = (Vec::new(), columns.div_ceil(2));
                let rows = RoundRows { rows: hidden, columns, depth, groups: &mut groups };
                decoder.weight.level.run_dots(rows);
                Groups::Bfloat16(groups)
            }
            Panels::Int8(_) | Panels::Tiles(_) => unreachable!("a decoder is packed in panels of floats"),
        };
        let screened = decoder.screen.as_ref().map_or_else(Vec::new, |screen| screen.rows(hidden));
        Self { rows: hidden, groups, screened }
    }
}
