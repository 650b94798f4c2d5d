//! The one error type of this crate and the exact words of its messages.

use model_files::ModelFileError;
use models::ModelError;

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
    /// The device cannot compute in this dtype.
    #[error("dtype: expected {expected}, found '{found}'")]
    Dtype {
        /// Those it can.
        expected: &'static str,
        /// What was asked for.
        found: &'static str,
    },
    /// The device asked for is not there or cannot be used. The text says what was found.
    #[error("device: {0}")]
    Device(String),
    /// There is not enough memory, of the machine or of its device. The text says for what. The encoder can still be used.
    #[error("not enough memory {0}")]
    OutOfMemory(String),
    /// The system refused to start the threads.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
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
            ModelError::Device(error) => Self::Device(error.to_string()),
            ModelError::OutOfMemory(words) => Self::OutOfMemory(words),
            other => Self::Model(Box::new(other)),
        }
    }
}

impl EncodeError {
    /// No room for the result; `bytes` is `usize::MAX` if their number is not representable.
    pub(crate) fn no_memory_for_result(bytes: usize) -> Self {
        Self::OutOfMemory(format!("for the result: {bytes} bytes"))
    }

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
