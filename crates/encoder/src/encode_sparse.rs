//! Texts to sparse rows: what [`Encoder`] does for a SPLADE model.

use std::sync::Arc;

use models::{Cancel, SpladeModel};

use crate::encoder::Encoder;
use crate::error::EncodeError;
use crate::limits::at_least_one;
use crate::options::SparseOptions;
use crate::rows;
use crate::run::{Call, Stage, Watch};
use crate::sparse_rows::{SparseRow, SparseRows};
use crate::stages::Tokens;
use crate::thread_pool;

/// Most texts of one batch: a batch's rows are dense before they are sparse, 120 KB a text for BERT's vocabulary.
const TEXTS_PER_BATCH: usize = 64;

impl Encoder {
    /// Turns texts into sparse rows of [`Encoder::dimension`] columns, one weight for each term of the vocabulary that the
    /// model finds in the text, in the order of the texts. Promises and `watch` are as for [`Encoder::encode`].
    ///
    /// # Errors
    /// As for [`Encoder::encode`], and [`EncodeError::Family`] if the model gives dense rows.
    pub fn encode_sparse(
        &self,
        texts: Vec<String>,
        options: &SparseOptions,
        watch: &mut Watch<'_>,
    ) -> Result<SparseRows, EncodeError> {
        let model = Arc::clone(self.parts.model.sparse()?);
        at_least_one("batch_size", options.batch_size)?;
        at_least_one("max_active_dims", options.max_active_dims.unwrap_or(1))?;
        let prompt = options.prompt.as_deref().unwrap_or_default();
        let mut rows = vec![SparseRow::default(); texts.len()];
        let mut call = Call::new(thread_pool::pool(self.threads())?, watch);
        let batch_size = options.batch_size.min(TEXTS_PER_BATCH);
        let tokens = self.tokens(&mut call, texts, prompt, self.length_limit(), batch_size)?;
        let most = options.max_active_dims.or(self.settings().max_active_dims).unwrap_or(usize::MAX);
        let stage = Arc::new(EmbedSparse { model, tokens, most });
        call.run(&stage, |call, batch, output| call.finish_texts(stage.tokens.plan.place(batch, output, &mut rows)))?;
        SparseRows::join(rows)
    }

    /// The terms of the vocabulary, one for each column of [`Encoder::encode_sparse`]; empty where the tokenizer has none.
    #[must_use]
    pub fn vocabulary(&self) -> Vec<String> {
        let terms = u32::try_from(self.dimension()).unwrap_or(u32::MAX);
        (0..terms).map(|id| self.parts.tokenizer.token(id).unwrap_or_default()).collect()
    }
}

/// Token ids to sparse rows.
struct EmbedSparse {
    model: Arc<SpladeModel>,
    tokens: Tokens,
    /// Most values of a row.
    most: usize,
}

impl Stage for EmbedSparse {
    type Output = Vec<SparseRow>;

    fn tasks(&self) -> usize {
        self.tokens.plan.batches()
    }

    fn first_text(&self, task: usize) -> usize {
        self.tokens.first_text(task)
    }

    fn workers(&self) -> Option<usize> {
        Some(self.tokens.workers)
    }

    fn work(&self, task: usize, cancel: &Cancel) -> Result<Vec<SparseRow>, EncodeError> {
        let weights = self.model.embed(&self.tokens.batch(task)?, cancel)?;
        let dense = weights.chunks_exact(self.model.terms().max(1));
        rows::check_finite(dense.clone(), self.tokens.plan.texts(task))?;
        Ok(dense.map(|row| SparseRow::of_dense(row, self.most)).collect())
    }
}
