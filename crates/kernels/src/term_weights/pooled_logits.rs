//! Logits of some rows and terms, taken into their texts' values tile by tile.

use std::ops::Range;

use super::screen::{Estimates, PanelColumns};
use super::{TermFormula, TermPooling, logarithm};
use crate::lane::{LANES, Lane};
use crate::packed_matrix::panel_slice;
use crate::product::{Bfloat16, Float32, Product};
use crate::simd::{DotKernel, Dots, Kernel, Simd};
use crate::tile::{Rows, load_row, multiply_rows, store_row, with_tile};

/// Bytes of token vectors over which one panel of the decoder passes before the next one does. They stay in the second-level
/// cache with the panel, and are enough that reading the decoder, which fits in no cache, takes no time of its own.
const BLOCK_BYTES: usize = 384 * 1024;

/// Where logits go.
pub(super) struct Place<'a> {
    /// The text of each row.
    pub(super) texts: &'a [u32],
    /// The term of the first column.
    pub(super) first_term: usize,
    /// Values from one text to the next.
    pub(super) stride: usize,
    /// `[texts, stride]`: the values so far.
    pub(super) output: &'a mut [f32],
}

/// The logits of `terms` for `rows`, by a decoder of groups `G`.
pub(super) struct PooledLogits<'a, 'o, G> {
    pub(super) panels: &'a [Lane<G>],
    pub(super) bias: &'a [f32],
    pub(super) formula: TermFormula,
    pub(super) hidden: Rows<'a, G>,
    pub(super) rows: Range<usize>,
    pub(super) terms: Range<usize>,
    /// Estimates of these logits: only rows that they leave are multiplied.
    pub(super) left: Option<Estimates<'a>>,
    pub(super) place: &'a mut Place<'o>,
}

/// The output is how many rows were multiplied, over all panels.
pub(super) struct Float32Logits<'a, 'o>(pub(super) PooledLogits<'a, 'o, f32>);

impl Kernel for Float32Logits<'_, '_> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        self.0.run::<S, Float32>(simd)
    }
}

/// As [`Float32Logits`].
pub(super) struct Bfloat16Logits<'a, 'o>(pub(super) PooledLogits<'a, 'o, u32>);

impl DotKernel for Bfloat16Logits<'_, '_> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) -> usize {
        self.0.run::<S, Bfloat16>(simd)
    }
}

impl<G: Copy> PooledLogits<'_, '_, G> {
    #[inline(always)]
    fn run<S: Simd, P: Product<S, Group = G, Sum = S::Vector>>(self, simd: S) -> usize {
        let Self { panels, bias, formula, hidden, rows, terms, left, place } = self;
        let depth = hidden.stride;
        let panel_width = S::PANEL_VECTORS * LANES;
        let first_term = place.first_term;
        let panel = |column: usize| {
            let end = terms.end.min(column + panel_width);
            Panel {
                hidden,
                lines: panel_slice::<S, G>(panels, column / panel_width, depth, 0..depth),
                bias: &bias[column..end],
                columns: column - first_term..end - first_term,
            }
        };
        let Some(left) = left else {
            let block_rows = (BLOCK_BYTES / size_of::<G>() / depth.max(1) / S::TILE_ROWS).max(1) * S::TILE_ROWS;
            for start in rows.clone().step_by(block_rows) {
                let block = start..rows.end.min(start + block_rows);
                for column in terms.clone().step_by(panel_width) {
                    let panel = panel(column);
                    for first in block.clone().step_by(S::TILE_ROWS) {
                        let count = S::TILE_ROWS.min(block.end - first);
                        with_tile!(S, count, |N, V| {
                            let rows: [usize; N] = std::array::from_fn(|i| first + i);
                            panel.tile::<S, P, N, V, V>(simd, formula, rows, 0, place);
                        });
                    }
                }
            }
            return rows.len() * terms.len().div_ceil(panel_width);
        };
        let (mut rows_left, mut vectors) = (vec![Vec::new(); S::PANEL_VECTORS], 0);
        for column in terms.clone().step_by(panel_width) {
            let panel = panel(column);
            let columns = PanelColumns {
                bias: panel.bias,
                terms: column..column + panel.bias.len(),
                first: column - terms.start,
                stride: terms.len(),
            };
            rows_left.iter_mut().for_each(Vec::clear);
            let so_far = |text: u32| &place.output[text as usize * place.stride..][panel.columns.clone()];
            if S::PANEL_VECTORS == 2 {
                left.rows_left::<S, 2>(simd, &columns, so_far, &mut rows_left);
            } else {
                left.rows_left::<S, 1>(simd, &columns, so_far, &mut rows_left);
            }
            // A bound that is not known rules nothing out, not even beyond the last term.
            for (vector, rows) in rows_left.iter().enumerate().take(panel.bias.len().div_ceil(LANES)) {
                vectors += rows.len();
                for rows in rows.chunks(S::TILE_ROWS) {
                    with_tile!(S, rows.len(), |N, V| {
                        let rows: [usize; N] = std::array::from_fn(|i| rows[i]);
                        panel.tile::<S, P, N, 1, V>(simd, formula, rows, vector, place);
                    });
                }
            }
        }
        vectors.div_ceil(S::PANEL_VECTORS)
    }
}

/// One panel of the decoder and where its weights go.
struct Panel<'a, G> {
    hidden: Rows<'a, G>,
    lines: &'a [Lane<G>],
    bias: &'a [f32],
    columns: Range<usize>,
}

impl<G: Copy> Panel<'_, G> {
    /// The logits of `N` rows for `V` of the panel's `W` vectors, from vector `first` on, and what they make of their texts' values so
    /// far.
    #[inline(always)]
    fn tile<S: Simd, P: Product<S, Group = G, Sum = S::Vector>, const N: usize, const V: usize, const W: usize>(
        &self,
        simd: S,
        formula: TermFormula,
        rows: [usize; N],
        first: usize,
        place: &mut Place<'_>,
    ) {
        let terms = first * LANES..self.bias.len().min((first + V) * LANES);
        let columns = self.columns.start + terms.start..self.columns.start + terms.end;
        let bias: [S::Vector; V] = load_row(simd, &self.bias[terms]);
        let mut of_tile: [&[G]; N] = [&[]; N];
        for (of_tile, row) in of_tile.iter_mut().zip(rows) {
            *of_tile = &self.hidden.data[row * self.hidden.stride..];
        }
        let logits = multiply_rows::<S, P, N, V, W>(simd, of_tile, self.lines, first, &[], [bias; N]);
        for (logits, row) in logits.into_iter().zip(rows) {
            let values = &mut place.output[place.texts[row] as usize * place.stride..][columns.clone()];
            let mut pooled: [S::Vector; V] = load_row(simd, values);
            for (so_far, logit) in pooled.iter_mut().zip(logits) {
                *so_far = pool(simd, formula, logit, *so_far);
            }
            store_row(simd, pooled, values);
        }
    }
}

/// Takes one more token's logits into the values so far, which start from zero. A NaN stays.
#[inline(always)]
fn pool<S: Simd>(simd: S, formula: TermFormula, logits: S::Vector, so_far: S::Vector) -> S::Vector {
    // Zero if the logit is finite, else NaN, which the additions below keep.
    let poison = simd.sub(logits, logits);
    match formula.pooling {
        // `max` returns its second operand where either is NaN.
        TermPooling::Max => simd.max(logits, simd.add(so_far, poison)),
        TermPooling::Sum => {
            let positive = simd.max(logits, simd.splat(0.0));
            simd.add(so_far, simd.add(logarithm(simd, formula.twice, positive), poison))
        }
    }
}
