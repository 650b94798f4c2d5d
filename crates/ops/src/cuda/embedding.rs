//! BERT's embeddings.

use candle_core::backend::BackendStorage;
use candle_core::{CudaStorage, Layout, Result, Shape};
use cuda_kernels::{EmbeddingTables, RowNumbers};

use super::blocks::CudaNorm;
use super::{with_number, wrap};

/// `norm(word[id] + position[p])` for each token. A table's storage and layout follow each other.
pub(crate) fn embedding(
    norm: &CudaNorm,
    (word, word_layout): (&CudaStorage, &Layout),
    (position, position_layout): (&CudaStorage, &Layout),
    token_ids: &[u32],
    positions: &[u32],
) -> Result<(CudaStorage, Shape)> {
    const OP: &str = "embedding";
    let cuda = &norm.cuda;
    let (vocabulary, columns) = word_layout.shape().dims2()?;
    let (rows, _) = position_layout.shape().dims2()?;
    let token_ids = RowNumbers::upload(&cuda.gpu, token_ids, vocabulary).map_err(wrap)?;
    let positions = RowNumbers::upload(&cuda.gpu, positions, rows).map_err(wrap)?;
    with_number!(word.dtype(), OP, |T| {
        let tables = EmbeddingTables {
            word: cuda.slice::<T>(word, word_layout, OP)?,
            position: cuda.slice::<T>(position, position_layout, OP)?,
        };
        let mut output = cuda.reserve::<T>(token_ids.len(), columns)?;
        cuda_kernels::embedding_layer_norm(&cuda.gpu, &tables, &norm.view(), &token_ids, &positions, &mut output)
            .map_err(wrap)?;
        Ok(cuda.result(output, token_ids.len(), columns))
    })
}
