//! The loaded model, by what it gives: dense rows of a BERT or of a static embedding, or sparse ones.

use std::sync::Arc;

use model_files::{Model as ModelFiles, ModelFileError, Settings, Transformer};
use models::{DenseModel, Dtype, Processor, SpladeModel, StaticModel};
use rayon::ThreadPool;

use crate::error::EncodeError;
use crate::text_tokenizer::{TableSize, TextTokenizer};

/// A model of one of the families.
pub(crate) enum Model {
    /// BERT and pooling: rows of floats.
    Dense(Arc<DenseModel>),
    /// A table of token vectors: rows of floats too, but no batches and no token vectors.
    Static(Arc<StaticModel>),
    /// BERT and SPLADE pooling: a few weights of many terms.
    Sparse(Arc<SpladeModel>),
}

/// What a model folder consists of once it is loaded.
pub(crate) struct Parts {
    pub(crate) model: Model,
    pub(crate) tokenizer: Arc<TextTokenizer>,
    pub(crate) settings: Settings,
    /// `None` for a static embedding, which has no positions.
    pub(crate) limits: Option<Limits>,
    /// The numbers of the layers' products; a static embedding has none and is float32 whatever was asked for.
    pub(crate) dtype: Dtype,
}

/// The lengths of texts in tokens, special tokens included.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// The length that texts are cut to.
    pub(crate) max_seq_length: usize,
    /// The most that it can be set to.
    pub(crate) max_position_embeddings: usize,
}

impl Parts {
    /// Reads the tokenizer and, on `pool`, the weights that `files` describes, for `processor` and products in `dtype`.
    ///
    /// # Errors
    /// [`EncodeError::File`], also for a length limit that no text can keep to.
    pub(crate) fn load(
        processor: &Processor,
        dtype: Dtype,
        files: ModelFiles,
        pool: &ThreadPool,
    ) -> Result<Self, EncodeError> {
        match files {
            ModelFiles::Sentence(mut files) => {
                let (tokenizer, limits) = read_tokenizer(&mut files.transformer)?;
                let model = pool.install(|| DenseModel::load(processor, dtype, &files).map_err(EncodeError::from))?;
                let (model, settings) = (Model::Dense(Arc::new(model)), files.settings);
                Ok(Self { model, tokenizer, settings, limits: Some(limits), dtype })
            }
            ModelFiles::Splade(mut files) => {
                let (tokenizer, limits) = read_tokenizer(&mut files.transformer)?;
                let model = pool.install(|| SpladeModel::load(processor, dtype, &files).map_err(EncodeError::from))?;
                let (model, settings) = (Model::Sparse(Arc::new(model)), files.settings);
                Ok(Self { model, tokenizer, settings, limits: Some(limits), dtype })
            }
            ModelFiles::Static(files) => {
                let embedding = &files.embedding;
                let from = format!("from {:?} of the weights", embedding.tokens_from);
                let table = TableSize { rows: embedding.tokens, from: &from };
                let tokenizer = Arc::new(TextTokenizer::of_static_embedding(&embedding.tokenizer, table)?);
                let model = pool.install(|| StaticModel::load(processor, &files).map_err(EncodeError::from))?;
                let (model, settings) = (Model::Static(Arc::new(model)), files.settings);
                Ok(Self { model, tokenizer, settings, limits: None, dtype: Dtype::Float32 })
            }
        }
    }
}

/// The tokenizer of a BERT, and its limits.
fn read_tokenizer(transformer: &mut Transformer) -> Result<(Arc<TextTokenizer>, Limits), ModelFileError> {
    let config = &transformer.config;
    let tokenizer = TextTokenizer::new(&transformer.tokenizer, config.vocab_size)?;
    let limits =
        Limits { max_seq_length: transformer.max_seq_length, max_position_embeddings: config.max_position_embeddings };
    let least = tokenizer.special_tokens();
    if limits.max_seq_length < least {
        let (file, field) = transformer.max_seq_length_from.clone();
        let expected = format!("an integer of at least {least}, since every text has {least} special tokens");
        let found = limits.max_seq_length.to_string();
        return Err(ModelFileError::Field { file, field, expected, found, hint: None });
    }
    // Its files are not needed any more, and some are larger than a small model.
    transformer.tokenizer.tokenizer_json = None;
    transformer.tokenizer.vocab_txt = None;
    Ok((Arc::new(tokenizer), limits))
}

impl Model {
    /// Columns of the model's rows.
    pub(crate) fn dimension(&self) -> usize {
        match self {
            Self::Dense(model) => model.dimension(),
            Self::Static(model) => model.dimension(),
            Self::Sparse(model) => model.terms(),
        }
    }

    /// The model for a call that gives sparse rows.
    ///
    /// # Errors
    /// [`EncodeError::Family`].
    pub(crate) fn sparse(&self) -> Result<&Arc<SpladeModel>, EncodeError> {
        match self {
            Self::Dense(_) | Self::Static(_) => Err(EncodeError::Family { expected: "sparse", found: "dense" }),
            Self::Sparse(model) => Ok(model),
        }
    }

    /// The model for a call that gives token vectors.
    ///
    /// # Errors
    /// [`EncodeError::Family`] for sparse rows, [`EncodeError::NoTokenVectors`].
    pub(crate) fn of_token_vectors(&self) -> Result<&Arc<DenseModel>, EncodeError> {
        match self {
            Self::Dense(model) => Ok(model),
            Self::Static(_) => Err(EncodeError::NoTokenVectors),
            Self::Sparse(_) => Err(EncodeError::Family { expected: "dense", found: "sparse" }),
        }
    }
}
