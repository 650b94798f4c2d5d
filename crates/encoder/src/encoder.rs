//! The public type: a loaded model and the calls it answers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model_files::Settings;
use models::{DenseModel, Dtype, Level, ModelError};

use crate::error::EncodeError;
use crate::model::Model;
use crate::options::{DtypeChoice, EncodeOptions, LoadOptions};
use crate::plan::{Plan, TOKEN_BUDGET};
use crate::run::{Call, Watch};
use crate::stages::{Embed, Hidden, TokenIds, Tokenise, Tokens};
use crate::text_tokenizer::TextTokenizer;
use crate::thread_pool;

/// What a loaded model consists of.
pub(crate) struct Parts {
    pub(crate) model: Model,
    pub(crate) tokenizer: TextTokenizer,
    settings: Settings,
    max_position_embeddings: usize,
}

/// A loaded embedding model.
///
/// Any number of threads may call any method at the same time.
pub struct Encoder {
    pub(crate) parts: Arc<Parts>,
    threads: usize,
    dtype: Dtype,
    max_seq_length: AtomicUsize,
}

impl Encoder {
    /// Loads a model folder in sentence-transformers or plain transformers layout.
    ///
    /// # Errors
    /// [`EncodeError::File`] for a folder that is missing, malformed or not supported, [`EncodeError::Argument`] and
    /// [`EncodeError::Threads`] for the threads.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, EncodeError> {
        let threads = options.threads.unwrap_or_else(thread_pool::default_threads);
        let pool = thread_pool::pool(threads)?;
        let dtype = match options.dtype {
            DtypeChoice::Fixed(dtype) => dtype,
            DtypeChoice::Automatic => Dtype::automatic(Level::selected().map_err(ModelError::from)?),
        };
        let mut files = model_files::open(folder)?;
        let config = &files.transformer.config;
        let (vocab_size, max_position_embeddings) = (config.vocab_size, config.max_position_embeddings);
        let tokenizer = TextTokenizer::new(&files.transformer.tokenizer, vocab_size)?;
        let max_seq_length = files.transformer.max_seq_length;
        check_max_seq_length(max_seq_length, &tokenizer, max_position_embeddings)?;
        // The files of the tokenizer are not needed any more, and some are larger than a small model.
        files.transformer.tokenizer.tokenizer_json = None;
        files.transformer.tokenizer.vocab_txt = None;
        let model = pool.install(|| Model::load(dtype, &files))?;
        let settings = files.settings;
        let parts = Arc::new(Parts { model, tokenizer, settings, max_position_embeddings });
        Ok(Self { parts, threads, dtype, max_seq_length: AtomicUsize::new(max_seq_length) })
    }

    /// Turns texts into rows: `[texts.len(), output_dimension]`, row-major float32, in the order of the texts.
    ///
    /// A row has the same bits whatever the other texts, their order, the batch size and the number of threads. At most one
    /// batch more than there are threads is in flight; beyond those a call holds the texts until they are tokens, 4 bytes
    /// per token and the result.
    ///
    /// `watch` is called on this thread about every 50 ms, with the number of texts finished so far, and cancels the call
    /// by returning `Break`. Running tasks then stop after the layer they are in.
    ///
    /// # Errors
    /// [`EncodeError::Argument`] for a batch size or dimension of 0; [`EncodeError::Family`] if the model gives sparse rows;
    /// the error of the lowest text that has one; [`EncodeError::OutOfMemory`] if there is no room for the result;
    /// [`EncodeError::Cancelled`].
    pub fn encode(
        &self,
        texts: Vec<String>,
        options: &EncodeOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<f32>, EncodeError> {
        let model = self.parts.model.dense()?;
        at_least_one("batch_size", options.batch_size)?;
        at_least_one("truncate_dim", options.truncate_dim.unwrap_or(1))?;
        let prompt = options.prompt.as_deref().unwrap_or_default();
        let max_seq_length = self.max_seq_length();
        let dimension = self.output_dimension(options.truncate_dim);
        let mut rows = zeros(texts.len(), dimension)?;

        let mut call = Call::new(thread_pool::pool(self.threads)?, watch);
        let excluded_prompt_tokens = if model.excludes_prompt() {
            let count = self.parts.tokenizer.prompt_tokens(prompt, max_seq_length);
            count.map_err(|message| EncodeError::Prompt { message })?
        } else {
            0
        };
        let tokens = self.tokens(&mut call, texts, prompt, max_seq_length, options.batch_size)?;
        let stage = Arc::new(Embed {
            parts: Arc::clone(&self.parts),
            tokens,
            excluded_prompt_tokens,
            dimension,
            normalize: options.normalize,
        });
        call.run(&stage, |call, batch, output: Vec<f32>| {
            let texts = stage.tokens.plan.texts(batch);
            for (&text, row) in texts.iter().zip(output.chunks_exact(dimension)) {
                if let Some(place) = rows.chunks_exact_mut(dimension).nth(text) {
                    place.copy_from_slice(row);
                }
            }
            call.finish_texts(texts.len());
        })?;
        Ok(rows)
    }

    /// The model's token vectors, special tokens included: for each text `[tokens, hidden_size]`, row-major float32, in
    /// the order of the texts. Pooling and everything after it, `normalize` and `truncate_dim`, do not apply.
    ///
    /// # Errors
    /// As for [`Encoder::encode`].
    pub fn token_embeddings(
        &self,
        texts: Vec<String>,
        options: &EncodeOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        self.parts.model.dense()?;
        at_least_one("batch_size", options.batch_size)?;
        let prompt = options.prompt.as_deref().unwrap_or_default();
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut call = Call::new(thread_pool::pool(self.threads)?, watch);
        let tokens = self.tokens(&mut call, texts, prompt, self.max_seq_length(), options.batch_size)?;
        let stage = Arc::new(Hidden { parts: Arc::clone(&self.parts), tokens });
        call.run(&stage, |call, batch, output: Vec<Vec<f32>>| {
            let texts = stage.tokens.plan.texts(batch);
            for (&text, of_text) in texts.iter().zip(output) {
                if let Some(place) = vectors.get_mut(text) {
                    *place = of_text;
                }
            }
            call.finish_texts(texts.len());
        })?;
        Ok(vectors)
    }

    /// The token ids the model sees, special tokens included, in the order of the texts.
    ///
    /// # Errors
    /// [`EncodeError::Text`] for the lowest text that cannot be tokenised, [`EncodeError::Cancelled`].
    pub fn token_ids(
        &self,
        texts: Vec<String>,
        prompt: Option<&str>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Box<[u32]>>, EncodeError> {
        let mut call = Call::new(thread_pool::pool(self.threads)?, watch);
        self.tokenise(&mut call, texts, prompt.unwrap_or_default(), self.max_seq_length())
    }

    /// Width of the rows of [`Encoder::encode`]: that of the model, cut to `truncate_dim` or, without one, to the
    /// model's own.
    #[must_use]
    pub fn output_dimension(&self, truncate_dim: Option<usize>) -> usize {
        let cut = truncate_dim.or(self.parts.settings.truncate_dim);
        cut.unwrap_or(usize::MAX).min(self.dimension())
    }

    /// Width of the model's vectors before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.parts.model.dimension()
    }

    /// Whether the model's rows are sparse: for [`Encoder::encode_sparse`], not [`Encoder::encode`].
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        self.parts.model.sparse().is_ok()
    }

    /// Width of the token vectors of [`Encoder::token_embeddings`]; 0 for a model that gives none.
    #[must_use]
    pub fn hidden_size(&self) -> usize {
        self.parts.model.dense().map_or(0, DenseModel::hidden_size)
    }

    /// Most tokens of a text, special tokens included; what is longer is cut at the end.
    #[must_use]
    pub fn max_seq_length(&self) -> usize {
        self.max_seq_length.load(Ordering::Relaxed)
    }

    /// Sets the length limit for the calls that start from now on.
    ///
    /// # Errors
    /// [`EncodeError::Argument`] unless it leaves room for the special tokens and is at most the model's number of
    /// positions.
    pub fn set_max_seq_length(&self, max_seq_length: usize) -> Result<(), EncodeError> {
        check_max_seq_length(max_seq_length, &self.parts.tokenizer, self.parts.max_position_embeddings)?;
        self.max_seq_length.store(max_seq_length, Ordering::Relaxed);
        Ok(())
    }

    /// Prompts, similarity function and truncation of the model folder.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// Number of threads that work on this encoder's calls.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The numbers of the layers' products.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    pub(crate) fn tokens(
        &self,
        call: &mut Call<'_, '_>,
        texts: Vec<String>,
        prompt: &str,
        max_seq_length: usize,
        batch_size: usize,
    ) -> Result<Tokens, EncodeError> {
        let ids = self.tokenise(call, texts, prompt, max_seq_length)?;
        let counts: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
        let plan = Plan::new(&counts, TOKEN_BUDGET, batch_size, self.threads);
        Ok(Tokens { ids, plan })
    }

    fn tokenise(
        &self,
        call: &mut Call<'_, '_>,
        texts: Vec<String>,
        prompt: &str,
        max_seq_length: usize,
    ) -> Result<Vec<TokenIds>, EncodeError> {
        let stage = Arc::new(Tokenise::new(&self.parts, texts, prompt, max_seq_length));
        let mut ids = vec![TokenIds::default(); stage.texts()];
        let place = |_: &mut Call<'_, '_>, task: usize, output: Vec<TokenIds>| {
            for (place, of_text) in ids.iter_mut().skip(stage.range(task).start).zip(output) {
                *place = of_text;
            }
        };
        if stage.is_short() {
            call.run_here(&stage, place)?;
        } else {
            call.run(&stage, place)?;
        }
        Ok(ids)
    }
}

/// Checks a length limit against the special tokens and the position table.
fn check_max_seq_length(
    max_seq_length: usize,
    tokenizer: &TextTokenizer,
    max_position_embeddings: usize,
) -> Result<(), EncodeError> {
    let least = tokenizer.special_tokens();
    if (least..=max_position_embeddings).contains(&max_seq_length) {
        return Ok(());
    }
    Err(EncodeError::Argument {
        name: "max_seq_length",
        expected: format!(
            "an integer from {least} (the special tokens) to {max_position_embeddings} (max_position_embeddings)"
        ),
        found: max_seq_length,
    })
}

pub(crate) fn at_least_one(name: &'static str, found: usize) -> Result<(), EncodeError> {
    if found == 0 {
        let expected = "an integer of at least 1".to_owned();
        return Err(EncodeError::Argument { name, expected, found });
    }
    Ok(())
}

/// Memory for the result, or an error instead of the end of the process.
fn zeros(rows: usize, dimension: usize) -> Result<Vec<f32>, EncodeError> {
    let values = rows.saturating_mul(dimension);
    let mut zeros = Vec::new();
    zeros
        .try_reserve_exact(values)
        .map_err(|_| EncodeError::OutOfMemory { bytes: values.saturating_mul(size_of::<f32>()) })?;
    zeros.resize(values, 0.0);
    Ok(zeros)
}
