//! What can go wrong with a model.

use model_files::ModelFileError;
use ops::LevelError;

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
    /// A tensor of unexpected shape or type: a bug of this crate, since files are checked when they are read.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
}
