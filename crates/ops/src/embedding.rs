//! From token ids to the first hidden vectors.

use candle_core::{CpuStorage, CustomOp3, Device, Error, Layout, Result, Shape, Tensor};
use kernels::{EmbeddingTables, Level};
use rayon::prelude::*;

use crate::layer_norm::LayerNorm;
use crate::ragged_batch::RaggedBatch;
use crate::rows::{matrix, result, values, values_per_task};

/// BERT's embeddings: word, position and token type 0, summed and normalised.
#[derive(Clone, Debug)]
pub struct Embedding {
    word: Tensor,
    position: Tensor,
    norm: LayerNorm,
    level: Level,
}

impl Embedding {
    /// `word` is `[vocabulary, hidden]`, `position` `[positions, hidden]` with the row of token type 0 added to each.
    ///
    /// # Errors
    /// The tables are not of the norm's width.
    pub fn new(level: Level, word: Vec<f32>, position: Vec<f32>, norm: LayerNorm) -> Result<Self> {
        let hidden = norm.columns();
        let table = |name: &str, values: Vec<f32>| {
            if values.is_empty() || !values.len().is_multiple_of(hidden) {
                let found = values.len();
                return Err(Error::Msg(format!(
                    "embedding: expected a {name} table of {hidden} columns, found {found} values"
                )));
            }
            Tensor::from_vec(values, ((), hidden), &Device::Cpu)
        };
        Ok(Self { word: table("word", word)?, position: table("position", position)?, norm, level })
    }

    /// The hidden vectors of all tokens, `[tokens, hidden]`.
    ///
    /// # Errors
    /// A token id has no row in the word table, or a text has more tokens than the position table has rows.
    pub fn forward(&self, batch: &RaggedBatch) -> Result<Tensor> {
        let positions = self.position.dim(0)?;
        let mut of_tokens = Vec::with_capacity(batch.tokens());
        for (text, range) in batch.text_ranges().enumerate() {
            if range.len() > positions {
                let found = range.len();
                return Err(Error::Msg(format!(
                    "embedding: text {text} of the batch: expected at most {positions} tokens, found {found}"
                )));
            }
            of_tokens.extend((0_u32..).take(range.len()));
        }
        let token_ids = Tensor::new(batch.token_ids(), &Device::Cpu)?;
        let op = Forward { positions: of_tokens, norm: &self.norm, level: self.level };
        self.word.apply_op3_no_bwd(&self.position, &token_ids, &op)
    }
}

struct Forward<'a> {
    /// The place of each token in its text, checked against the position table.
    positions: Vec<u32>,
    norm: &'a LayerNorm,
    level: Level,
}

impl CustomOp3 for Forward<'_> {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(
        &self,
        word: &CpuStorage,
        word_layout: &Layout,
        position: &CpuStorage,
        position_layout: &Layout,
        token_ids: &CpuStorage,
        token_ids_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dim = self.norm.columns();
        let word = matrix(word, word_layout, dim, self.name())?;
        let position = matrix(position, position_layout, dim, self.name())?;
        let token_ids: &[u32] = values(token_ids, token_ids_layout, self.name())?;
        let vocabulary = word.len() / dim;
        if let Some((token, id)) = token_ids.iter().enumerate().find(|(_, id)| **id as usize >= vocabulary) {
            return Err(Error::Msg(format!("embedding: token {token}: expected an id below {vocabulary}, found {id}")));
        }
        let mut output = vec![0.0; token_ids.len() * dim];
        let per_task = values_per_task(dim);
        let tokens = token_ids.par_chunks(per_task / dim).zip(self.positions.par_chunks(per_task / dim));
        output.par_chunks_mut(per_task).zip(tokens).for_each(|(output, (token_ids, positions))| {
            let tables = EmbeddingTables { word, position, dim };
            kernels::embedding_sum(self.level, tables, self.norm.view(), token_ids, positions, output);
        });
        Ok(result(output, dim))
    }
}
