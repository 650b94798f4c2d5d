//! What can go wrong with a model.

use model_files::ModelFileError;
use ops::{DeviceError, LevelError};

/// A model that cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The folder or one of its files.
    #[error(transparent)]
    File(#[from] ModelFileError),
    /// `CORTEN_CPU_LEVEL`.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// The caller set the [`crate::Cancel`] flag.
    #[error("cancelled")]
    Cancelled,
    /// A device that is not there or cannot be used.
    #[error("{0}")]
    Device(DeviceError),
    /// The memory of a device did not suffice; the model can still be used. The text says for what.
    #[error("not enough memory {0}")]
    OutOfMemory(String),
    /// A tensor of unexpected shape or type: a bug of this crate, since files are checked when they are read. Or a device that fails.
    #[error("tensor operation: {0}")]
    Tensor(candle_core::Error),
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        match (ops::out_of_memory(&error), error) {
            (Some(words), _) => Self::OutOfMemory(words),
            // With the variable RUST_BACKTRACE, whose lines are not for a message.
            (None, candle_core::Error::WithBacktrace { inner, .. }) => Self::from(*inner),
            (None, error) => Self::Tensor(error),
        }
    }
}

impl From<DeviceError> for ModelError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::OutOfMemory(words) => Self::OutOfMemory(words),
            DeviceError::Unusable(_) => Self::Device(error),
        }
    }
}
