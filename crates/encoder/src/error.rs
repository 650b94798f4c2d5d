//! The one error type of this crate and the exact words of its messages.

use model_files::ModelFileError;
use models::ModelError;
use rayon::ThreadPoolBuildError;

/// Why loading or encoding failed.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The model folder is missing, malformed or of a kind that is not supported.
    #[error(transparent)]
    File(#[from] ModelFileError),
    /// The forward pass failed.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// An argument is out of range.
    #[error("{name}: expected {expected}, found {found}")]
    Argument {
        /// The argument.
        name: &'static str,
        /// What would have been right.
        expected: String,
        /// What was given.
        found: usize,
    },
    /// The model is of another family than the call is for.
    #[error("expected a model of {expected} vectors, found one of {found} vectors")]
    Family {
        /// What the call gives.
        expected: &'static str,
        /// What the model gives.
        found: &'static str,
    },
    /// A text could not be turned into tokens.
    #[error("texts[{index}]: cannot be tokenised: {message}")]
    Text {
        /// Its place among the texts of the call.
        index: usize,
        /// The tokenizer's words.
        message: String,
    },
    /// The prompt could not be turned into tokens.
    #[error("prompt: cannot be tokenised: {message}")]
    Prompt {
        /// The tokenizer's words.
        message: String,
    },
    /// The model computed a NaN or an infinity.
    #[error(
        "texts[{index}]: expected a finite vector, found NaN or infinity (hint: the weights of this model overflow on this text)"
    )]
    NonFinite {
        /// The lowest such text of the call.
        index: usize,
    },
    /// Token vectors were asked of a model that has none.
    #[error("token_embeddings: a static embedding gives one vector a text, and none a token")]
    NoTokenVectors,
    /// There is not enough memory for the result.
    #[error("not enough memory for the result: {bytes} bytes")]
    OutOfMemory {
        /// How much was asked for; `usize::MAX` if that is not representable.
        bytes: usize,
    },
    /// The system refused to start the threads.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why.
        source: ThreadPoolBuildError,
    },
    /// The caller cancelled the call.
    #[error("cancelled")]
    Cancelled,
    /// A mistake in this library, such as a caught panic.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<ModelError> for EncodeError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::File(error) => Self::File(error),
            ModelError::Cancelled => Self::Cancelled,
            other => Self::Model(Box::new(other)),
        }
    }
}

impl EncodeError {
    /// The place of the text that caused the error, if it was one text.
    pub(crate) fn text_index(&self) -> Option<usize> {
        match self {
            Self::Text { index, .. } | Self::NonFinite { index } => Some(*index),
            _ => None,
        }
    }

    /// Whether nothing else in the call can matter any more.
    pub(crate) fn ends_the_call(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Internal(_))
    }
}
