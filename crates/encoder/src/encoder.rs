//! The public type: a loaded model and the calls it answers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model_files::Settings;
use models::{DenseModel, Dtype, StaticModel};

use crate::compute::{Batches, Compute, place};
use crate::embed::{Embed, Hidden};
use crate::error::EncodeError;
use crate::limits::{at_least_one, check_max_seq_length, zeros};
use crate::model::{Model, Parts};
use crate::options::{Device, EncodeOptions, LoadOptions};
use crate::plan::{Budget, Plan};
use crate::processor::choose;
use crate::run::{Call, Watch};
use crate::short_call::ShortCall;
use crate::static_texts::{self, StaticCall};
use crate::thread_pool;
use crate::tokenise::{TokenIds, Tokenise};

/// Most texts of a batch on the CPU where the caller does not say, the reference's.
const TEXTS_PER_BATCH: usize = 32;

/// A loaded embedding model.
///
/// Any number of threads may call any method at the same time.
pub struct Encoder {
    pub(crate) parts: Parts,
    threads: usize,
    /// Never [`Device::Auto`].
    device: Device,
    /// `usize::MAX` for a static embedding, whose texts are never cut here.
    max_seq_length: AtomicUsize,
}

impl Encoder {
    /// Loads a model folder in sentence-transformers, plain transformers or model2vec layout.
    ///
    /// # Errors
    /// [`EncodeError::File`] for a folder that is missing, malformed or not supported, [`EncodeError::Device`] for a
    /// device that is not there or cannot be used, [`EncodeError::Dtype`], [`EncodeError::Argument`] and [`EncodeError::Threads`] for the threads.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, EncodeError> {
        let threads = options.threads.unwrap_or_else(thread_pool::default_threads);
        let pool = thread_pool::pool(threads)?;
        let (processor, device, dtype) = choose(options)?;
        let parts = Parts::load(&processor, dtype, model_files::open(folder)?, &pool)?;
        let max_seq_length = AtomicUsize::new(parts.limits.map_or(usize::MAX, |limits| limits.max_seq_length));
        Ok(Self { parts, threads, device, max_seq_length })
    }

    /// Turns texts into rows: `[texts.len(), output_dimension]`, row-major float32, in the order of the texts.
    ///
    /// On the CPU a row has the same bits whatever the other texts, their order, the batch size and the number of threads. At most one
    /// batch more than there are threads is in flight, on a device four; beyond those a call holds the texts until they are tokens, 4 bytes
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
        at_least_one("batch_size", options.batch_size.unwrap_or(1))?;
        at_least_one("truncate_dim", options.truncate_dim.unwrap_or(1))?;
        let mut call = Call::new(thread_pool::pool(self.threads)?, watch);
        match &self.parts.model {
            Model::Dense(model) => self.encode_dense(model, &mut call, texts, options),
            Model::Static(model) => self.encode_static(model, &mut call, texts, options),
            Model::Sparse(_) => Err(EncodeError::Family { expected: "dense", found: "sparse" }),
        }
    }

    fn encode_dense(
        &self,
        model: &Arc<DenseModel>,
        call: &mut Call<'_, '_>,
        texts: Vec<String>,
        options: &EncodeOptions,
    ) -> Result<Vec<f32>, EncodeError> {
        let dimension = self.output_dimension(options.truncate_dim);
        let mut rows = zeros(texts.len(), dimension)?;
        let (prompt, max_seq_length) = (options.prompt.as_deref().unwrap_or_default(), self.length_limit());
        let excluded_prompt_tokens = if model.excludes_prompt() {
            let count = self.parts.tokenizer.prompt_tokens(prompt, max_seq_length);
            count.map_err(|message| EncodeError::Prompt { message })?
        } else {
            0
        };
        let embed = Embed { model: Arc::clone(model), excluded_prompt_tokens, dimension, normalize: options.normalize };
        let texts = Tokenise::new(&self.parts.tokenizer, texts, prompt, max_seq_length);
        self.run(call, texts, self.texts_per_batch(options.batch_size), embed, |texts, output: Vec<f32>| {
            for (&text, row) in texts.iter().zip(output.chunks_exact(dimension)) {
                if let Some(place) = rows.chunks_exact_mut(dimension).nth(text) {
                    place.copy_from_slice(row);
                }
            }
        })?;
        Ok(rows)
    }

    fn encode_static(
        &self,
        model: &Arc<StaticModel>,
        call: &mut Call<'_, '_>,
        texts: Vec<String>,
        options: &EncodeOptions,
    ) -> Result<Vec<f32>, EncodeError> {
        let dimension = self.output_dimension(options.truncate_dim);
        let mut rows = zeros(texts.len(), dimension)?;
        let (model, tokenizer) = (Arc::clone(model), Arc::clone(&self.parts.tokenizer));
        let (prompt, normalize) = (options.prompt.clone().unwrap_or_default(), options.normalize);
        let job = StaticCall { model, tokenizer, texts, prompt, dimension, normalize };
        static_texts::encode(call, job, &mut rows)?;
        Ok(rows)
    }

    /// The model's token vectors, special tokens included: for each text `[tokens, hidden_size]`, row-major float32, in
    /// the order of the texts. Pooling and everything after it, `normalize` and `truncate_dim`, do not apply.
    ///
    /// # Errors
    /// As for [`Encoder::encode`], and [`EncodeError::NoTokenVectors`] for a static embedding.
    pub fn token_embeddings(
        &self,
        texts: Vec<String>,
        options: &EncodeOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let model = self.parts.model.of_token_vectors()?;
        at_least_one("batch_size", options.batch_size.unwrap_or(1))?;
        let prompt = options.prompt.as_deref().unwrap_or_default();
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut call = Call::new(thread_pool::pool(self.threads)?, watch);
        let texts = Tokenise::new(&self.parts.tokenizer, texts, prompt, self.length_limit());
        let hidden = Hidden { model: Arc::clone(model) };
        self.run(&mut call, texts, self.texts_per_batch(options.batch_size), hidden, |texts, output| {
            place(texts, output, &mut vectors);
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
        let stage = Tokenise::new(&self.parts.tokenizer, texts, prompt.unwrap_or_default(), self.length_limit());
        tokenise(&mut call, stage)
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

    /// Width of the token vectors of [`Encoder::token_embeddings`]; `None` for a model that gives none.
    #[must_use]
    pub fn hidden_size(&self) -> Option<usize> {
        self.parts.model.of_token_vectors().ok().map(|model| model.hidden_size())
    }

    /// Most tokens of a text, special tokens included; what is longer is cut at the end. `None` for a static embedding,
    /// whose texts count whole unless its tokenizer itself cuts them.
    #[must_use]
    pub fn max_seq_length(&self) -> Option<usize> {
        self.parts.limits.map(|_| self.length_limit())
    }

    pub(crate) fn length_limit(&self) -> usize {
        self.max_seq_length.load(Ordering::Relaxed)
    }

    /// Sets the length limit for the calls that start from now on.
    ///
    /// # Errors
    /// [`EncodeError::Argument`] unless it leaves room for the special tokens and is at most the model's number of
    /// positions; always for a static embedding, as in the reference.
    pub fn set_max_seq_length(&self, max_seq_length: usize) -> Result<(), EncodeError> {
        let Some(limits) = self.parts.limits else {
            return Err(EncodeError::Argument {
                name: "max_seq_length",
                expected: "none for a static embedding, whose texts count whole".to_owned(),
                found: max_seq_length,
            });
        };
        check_max_seq_length(max_seq_length, &self.parts.tokenizer, limits.max_position_embeddings)?;
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

    /// The numbers of the layers' products. A static embedding has none: it takes any dtype and is float32.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.parts.dtype
    }

    /// The most texts of a batch. Where the caller does not say, a device takes as many as fill one: its tokens are what counts there.
    pub(crate) fn texts_per_batch(&self, batch_size: Option<usize>) -> usize {
        batch_size.unwrap_or(if self.is_on_device() { usize::MAX } else { TEXTS_PER_BATCH })
    }

    pub(crate) fn is_on_device(&self) -> bool {
        matches!(self.device, Device::Cuda(_))
    }

    /// Tokenises and computes all texts, and gives the places of the texts of each batch and its output to `place`.
    pub(crate) fn run<C: Compute>(
        &self,
        call: &mut Call<'_, '_>,
        texts: Tokenise,
        batch_size: usize,
        compute: C,
        mut place: impl FnMut(&[usize], C::Output),
    ) -> Result<(), EncodeError> {
        let mut place_and_count = |call: &mut Call<'_, '_>, texts: &[usize], output| {
            place(texts, output);
            call.finish_texts(texts.len());
        };
        if self.is_on_device() {
            let limits = (Budget::of_device(), batch_size);
            return call.run_on_device(&texts, limits, &compute, place_and_count);
        }
        let short = ShortCall::begin(call.pool(), texts.texts(), || texts.bytes());
        let ids = tokenise(call, texts)?;
        let counts: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
        let plan = Plan::new(&counts, Budget::of_threads(self.threads), batch_size);
        let stage = Arc::new(Batches { compute, ids, plan });
        let place = |call: &mut Call<'_, '_>, batch, output| place_and_count(call, stage.plan.texts(batch), output);
        // What is not short after all lets its helpers go first.
        match short.filter(|_| ShortCall::is_short(counts.iter().sum())) {
            Some(short) => short.lead(|| call.run_here(&stage, place)),
            None => call.run(&stage, place),
        }
    }
}

/// The token ids of all texts.
fn tokenise(call: &mut Call<'_, '_>, texts: Tokenise) -> Result<Vec<TokenIds>, EncodeError> {
    let mut ids = vec![TokenIds::default(); texts.texts()];
    let stage = Arc::new(texts);
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
