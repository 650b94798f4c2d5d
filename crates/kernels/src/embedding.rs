//! The sum of BERT's three embeddings, normalised.

use crate::layer_norm::{LayerNorm, add, normalize};
use crate::level::Level;
use crate::simd::{Kernel, Simd};

/// BERT's embedding tables, rows of `dim` values.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingTables<'a> {
    /// `[vocabulary, dim]`.
    pub word: &'a [f32],
    /// `[positions, dim]`, with the row of token type 0 already added: every token of a single text has that type.
    pub position: &'a [f32],
    /// Columns.
    pub dim: usize,
}

/// `LayerNorm(word[id] + position[p])` for each token, into `output` (`[tokens, dim]`). `positions[i]` is the place of
/// token i in its text, from 0.
///
/// # Panics
/// An id or position has no row: callers check them first.
pub fn embedding_sum(
    level: Level,
    tables: EmbeddingTables<'_>,
    norm: LayerNorm<'_>,
    token_ids: &[u32],
    positions: &[u32],
    output: &mut [f32],
) {
    assert_eq!(norm.weight.len(), tables.dim, "layer norm of the tables' width");
    assert_eq!(norm.bias.len(), tables.dim, "layer norm of the tables' width");
    assert_eq!(token_ids.len(), positions.len(), "token ids and positions");
    assert_eq!(output.len(), token_ids.len() * tables.dim, "one output row a token");
    level.run(EmbeddingSum { tables, norm, token_ids, positions, output });
}

struct EmbeddingSum<'a> {
    tables: EmbeddingTables<'a>,
    norm: LayerNorm<'a>,
    token_ids: &'a [u32],
    positions: &'a [u32],
    output: &'a mut [f32],
}

impl Kernel for EmbeddingSum<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let dim = self.tables.dim;
        let rows = self.output.chunks_exact_mut(dim);
        for ((row, &token_id), &position) in rows.zip(self.token_ids).zip(self.positions) {
            row.copy_from_slice(&self.tables.word[token_id as usize * dim..][..dim]);
            add(simd, row, &self.tables.position[position as usize * dim..][..dim]);
            normalize(simd, self.norm, row);
        }
    }
}
