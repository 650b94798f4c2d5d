//! The kinds of tasks a call is made of.

use std::ops::Range;
use std::sync::Arc;

use models::{Cancel, DenseModel, RaggedBatch};

use crate::error::EncodeError;
use crate::plan::Plan;
use crate::rows;
use crate::run::Stage;
use crate::text_tokenizer::TextTokenizer;

/// Bytes of text in one task of [`Tokenise`]: a few milliseconds of work.
const BYTES_PER_TASK: usize = 16 * 1024;

/// Texts in one task of [`Tokenise`], however short they are.
const TEXTS_PER_TASK: usize = 512;

/// The texts of each tokenising task, neighbours together.
pub(crate) fn tasks_of(texts: &[String], prompt: &str) -> Vec<Range<usize>> {
    let mut tasks = Vec::new();
    let mut start = 0;
    let mut bytes = 0_usize;
    for (index, text) in texts.iter().enumerate() {
        bytes = bytes.saturating_add(prompt.len()).saturating_add(text.len());
        if bytes >= BYTES_PER_TASK || index - start + 1 == TEXTS_PER_TASK {
            tasks.push(start..index + 1);
            start = index + 1;
            bytes = 0;
        }
    }
    if start < texts.len() {
        tasks.push(start..texts.len());
    }
    tasks
}

/// Token ids of one text.
pub(crate) type TokenIds = Box<[u32]>;

/// Texts to token ids, `[CLS]` and `[SEP]` included.
pub(crate) struct Tokenise {
    tokenizer: Arc<TextTokenizer>,
    texts: Vec<String>,
    prompt: String,
    max_seq_length: usize,
    /// The texts of each task.
    tasks: Vec<Range<usize>>,
}

impl Tokenise {
    pub(crate) fn new(tokenizer: &Arc<TextTokenizer>, texts: Vec<String>, prompt: &str, max_seq_length: usize) -> Self {
        let tasks = tasks_of(&texts, prompt);
        Self { tokenizer: Arc::clone(tokenizer), texts, prompt: prompt.to_owned(), max_seq_length, tasks }
    }

    /// Number of texts.
    pub(crate) fn texts(&self) -> usize {
        self.texts.len()
    }

    /// Whether the work is shorter than waking another thread up would be.
    pub(crate) fn is_short(&self) -> bool {
        self.tasks.len() <= 1
    }

    /// The indices of the texts of a task.
    pub(crate) fn range(&self, task: usize) -> Range<usize> {
        self.tasks.get(task).cloned().unwrap_or_default()
    }
}

impl Stage for Tokenise {
    type Output = Vec<TokenIds>;

    fn tasks(&self) -> usize {
        self.tasks.len()
    }

    fn first_text(&self, task: usize) -> usize {
        self.range(task).start
    }

    fn work(&self, task: usize, cancel: &Cancel) -> Result<Vec<TokenIds>, EncodeError> {
        let range = self.range(task);
        let texts = self.texts.get(range.clone()).unwrap_or_default();
        let mut ids = Vec::with_capacity(texts.len());
        for (index, text) in range.zip(texts) {
            cancel.check()?;
            let text = self.tokenizer.token_ids(&self.prompt, text, self.max_seq_length);
            ids.push(text.map_err(|message| EncodeError::Text { index, message })?);
        }
        Ok(ids)
    }
}

/// The texts of a call as tokens, and how they are batched.
pub(crate) struct Tokens {
    pub(crate) ids: Vec<TokenIds>,
    pub(crate) plan: Plan,
    /// Batches that are computed at once.
    pub(crate) workers: usize,
}

impl Tokens {
    pub(crate) fn first_text(&self, batch: usize) -> usize {
        self.plan.texts(batch).iter().copied().min().unwrap_or(0)
    }

    /// Number of tokens of each text of a batch.
    fn counts(&self, batch: usize) -> impl Iterator<Item = usize> {
        let texts = self.plan.texts(batch).iter();
        texts.map(|&text| self.ids.get(text).map_or(0, |ids| ids.len()))
    }

    /// The token ids of a batch, one text after another.
    pub(crate) fn batch(&self, batch: usize) -> Result<RaggedBatch, EncodeError> {
        let mut ids = Vec::with_capacity(self.counts(batch).sum());
        let mut cumulative_lengths = vec![0];
        for &text in self.plan.texts(batch) {
            ids.extend_from_slice(self.ids.get(text).map_or(&[], |ids| &**ids));
            let end = u32::try_from(ids.len())
                .map_err(|_| EncodeError::Internal("a batch of more than 2^32 tokens".to_owned()))?;
            cumulative_lengths.push(end);
        }
        let ragged = RaggedBatch::new(ids, cumulative_lengths)
            .map_err(|error| EncodeError::Internal(format!("a malformed batch: {error}")))?;
        // The last batches are split, so that no thread waits for the last text.
        let others = batch.saturating_add(rayon::current_num_threads()) < self.plan.batches();
        Ok(if others { ragged.beside_others() } else { ragged })
    }
}

/// Token ids to finished rows, `[texts of the batch, dimension]`.
pub(crate) struct Embed {
    pub(crate) model: Arc<DenseModel>,
    pub(crate) tokens: Tokens,
    pub(crate) excluded_prompt_tokens: usize,
    pub(crate) dimension: usize,
    pub(crate) normalize: bool,
}

impl Stage for Embed {
    type Output = Vec<f32>;

    fn tasks(&self) -> usize {
        self.tokens.plan.batches()
    }

    fn first_text(&self, task: usize) -> usize {
        self.tokens.first_text(task)
    }

    fn workers(&self) -> Option<usize> {
        Some(self.tokens.workers)
    }

    fn work(&self, task: usize, cancel: &Cancel) -> Result<Vec<f32>, EncodeError> {
        let model = &self.model;
        let rows = model.embed(&self.tokens.batch(task)?, self.excluded_prompt_tokens, cancel)?;
        rows::check_finite(rows.chunks_exact(model.dimension().max(1)), self.tokens.plan.texts(task))?;
        // In the reference's order: modules, truncation, normalisation.
        let mut rows = rows::truncate(rows, model.dimension(), self.dimension);
        if self.normalize {
            model.normalize(&mut rows, self.dimension);
        }
        Ok(rows)
    }
}

/// Token ids to token vectors: for each text of the batch `[tokens, hidden_size]`.
pub(crate) struct Hidden {
    pub(crate) model: Arc<DenseModel>,
    pub(crate) tokens: Tokens,
}

impl Stage for Hidden {
    type Output = Vec<Vec<f32>>;

    fn tasks(&self) -> usize {
        self.tokens.plan.batches()
    }

    fn first_text(&self, task: usize) -> usize {
        self.tokens.first_text(task)
    }

    fn workers(&self) -> Option<usize> {
        Some(self.tokens.workers)
    }

    fn work(&self, task: usize, cancel: &Cancel) -> Result<Vec<Vec<f32>>, EncodeError> {
        let model = &self.model;
        let width = model.hidden_size();
        let vectors = model.hidden(&self.tokens.batch(task)?, cancel)?;
        let texts = self.tokens.plan.texts(task);
        let mut rest = vectors.as_slice();
        let mut split = Vec::with_capacity(texts.len());
        for count in self.tokens.counts(task) {
            let Some((of_text, others)) = rest.split_at_checked(count.saturating_mul(width)) else {
                let message = format!("the model returned {} values for token vectors", vectors.len());
                return Err(EncodeError::Internal(message));
            };
            split.push(of_text.to_vec());
            rest = others;
        }
        rows::check_finite(split.iter().map(Vec::as_slice), texts)?;
        Ok(split)
    }
}
