//! Forward passes, written over `ops`: each file mirrors one model of the reference and names the file it mirrors.
//!
//! A model reads its tensors from [`model_files::Weights`] by the names of the published checkpoints, and gives rows for
//! a [`ops::RaggedBatch`]. It holds no tokenizer and no threads.

mod bert;
mod bert_hash;
mod cancel;
mod dense_model;
mod dtype;
mod error;
mod head;
mod mlm_head;
mod pending_values;
mod splade_model;
mod static_model;
mod try_device;

pub use cancel::Cancel;
pub use dense_model::DenseModel;
pub use dtype::Dtype;
pub use error::ModelError;
pub use pending_values::PendingValues;
pub use splade_model::SpladeModel;
pub use static_model::StaticModel;

pub use ops::{DeviceError, DeviceProducts, Level, LevelError, Processor, RaggedBatch, Team};
