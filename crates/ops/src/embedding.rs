//! From token ids to the first hidden vectors.

use candle_core::{CpuStorage, CustomOp2, Device, Error, Layout, Result, Shape, Tensor};
use kernels::EmbeddingTables;

use crate::format::Format;
use crate::layer_norm::LayerNorm;
use crate::processor::Processor;
use crate::ragged_batch::RaggedBatch;
use crate::rows::{matrix, result, values_per_task};
use crate::team;

/// BERT's embeddings: word, position and token type 0, summed and normalised.
#[derive(Clone, Debug)]
pub struct Embedding {
    word: Tensor,
    position: Tensor,
    norm: LayerNorm,
    processor: Processor,
}

impl Embedding {
    /// `word` is `[vocabulary, hidden]`, `position` `[positions, hidden]` with the row of token type 0 added to each. On
    /// a device tables and result are in `format`, on the CPU in float32.
    ///
    /// # Errors
    /// The tables are not of the norm's width, or a device has no room for them.
    pub fn new(
        processor: &Processor,
        format: Format,
        word: Vec<f32>,
        position: Vec<f32>,
        norm: LayerNorm,
    ) -> Result<Self> {
        let hidden = norm.columns();
        let table = |name: &str, values: Vec<f32>| {
            if values.is_empty() || !values.len().is_multiple_of(hidden) {
                let found = values.len();
                return Err(Error::Msg(format!(
                    "embedding: expected a {name} table of {hidden} columns, found {found} values"
                )));
            }
            processor.place(Tensor::from_vec(values, ((), hidden), &Device::Cpu)?, format)
        };
        Ok(Self {
            word: table("word", word)?,
            position: table("position", position)?,
            norm,
            processor: processor.clone(),
        })
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
        let op = Forward { embedding: self, token_ids: batch.token_ids(), positions: of_tokens };
        op.check_ids(self.word.dim(0)?)?;
        self.word.apply_op2_no_bwd(&self.position, &op)
    }
}

struct Forward<'a> {
    embedding: &'a Embedding,
    token_ids: &'a [u32],
    /// The place of each token in its text, checked against the position table.
    positions: Vec<u32>,
}

impl Forward<'_> {
    /// Refuses ids without a row in the word table: here, since a device could only fail as a whole.
    fn check_ids(&self, vocabulary: usize) -> Result<()> {
        match self.token_ids.iter().enumerate().find(|(_, id)| **id as usize >= vocabulary) {
            None => Ok(()),
            Some((token, id)) => {
                let message = format!("embedding: token {token}: expected an id below {vocabulary}, found {id}");
                Err(Error::Msg(message))
            }
        }
    }
}

impl CustomOp2 for Forward<'_> {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(
        &self,
        word: &CpuStorage,
        word_layout: &Layout,
        position: &CpuStorage,
        position_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Embedding { norm, processor, .. } = self.embedding;
        let dim = norm.columns();
        let word = matrix(word, word_layout, dim, self.name())?;
        let position = matrix(position, position_layout, dim, self.name())?;
        let mut output = vec![0.0; self.token_ids.len() * dim];
        let per_task = values_per_task(dim);
        let tokens = self.token_ids.chunks(per_task / dim).zip(self.positions.chunks(per_task / dim));
        let tasks = output.chunks_mut(per_task).zip(tokens).collect();
        team::for_each(tasks, |(output, (token_ids, positions)): (&mut [f32], _)| {
            let tables = EmbeddingTables { word, position, dim };
            kernels::embedding_sum(processor.level(), tables, norm.view(), token_ids, positions, output);
        });
        Ok(result(output, dim))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        word: &candle_core::CudaStorage,
        word_layout: &Layout,
        position: &candle_core::CudaStorage,
        position_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let norm = self.embedding.norm.on_cuda()?;
        crate::cuda::embedding(norm, (word, word_layout), (position, position_layout), self.token_ids, &self.positions)
    }
}
