//! Texts to sparse rows: what [`Encoder`] does for a SPLADE model.

use std::sync::Arc;

use models::{Cancel, PendingValues, RaggedBatch, SpladeModel};

use crate::compute::{Compute, place};
use crate::encoder::Encoder;
use crate::error::EncodeError;
use crate::limits::at_least_one;
use crate::options::SparseOptions;
use crate::rows;
use crate::run::{Call, Watch};
use crate::sparse_rows::{SparseRow, SparseRows};
use crate::thread_pool;
use crate::tokenise::Tokenise;

/// Most texts of one batch: a batch's rows are dense before they are sparse, 120 KB a text for BERT's vocabulary.
const TEXTS_PER_BATCH: usize = 64;
/// The same on a device, which smaller batches would leave idle: 31 MB.
const TEXTS_PER_DEVICE_BATCH: usize = 256;

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
        at_least_one("batch_size", options.batch_size.unwrap_or(1))?;
        at_least_one("max_active_dims", options.max_active_dims.unwrap_or(1))?;
        let prompt = options.prompt.as_deref().unwrap_or_default();
        let mut rows = vec![SparseRow::default(); texts.len()];
        let mut call = Call::new(thread_pool::pool(self.threads())?, watch);
        let most_texts = if self.is_on_device() { TEXTS_PER_DEVICE_BATCH } else { TEXTS_PER_BATCH };
        let batch_size = self.texts_per_batch(options.batch_size).min(most_texts);
        let texts = Tokenise::new(&self.parts.tokenizer, texts, prompt, self.length_limit());
        let most = options.max_active_dims.or(self.settings().max_active_dims).unwrap_or(usize::MAX);
        let stage = EmbedSparse { model, most };
        self.run(&mut call, texts, batch_size, stage, |texts, output| place(texts, output, &mut rows))?;
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
    /// Most values of a row.
    most: usize,
}

impl Compute for EmbedSparse {
    type Pending = PendingValues;
    type Output = Vec<SparseRow>;

    fn launch(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<PendingValues, EncodeError> {
        Ok(self.model.launch(batch, cancel)?)
    }

    fn finish(&self, pending: PendingValues, _: &RaggedBatch, texts: &[usize]) -> Result<Vec<SparseRow>, EncodeError> {
        let weights = pending.wait()?;
        let dense = weights.chunks_exact(self.model.terms().max(1));
        rows::check_finite(dense.clone(), texts)?;
        Ok(dense.map(|row| SparseRow::of_dense(row, self.most)).collect())
    }
}
