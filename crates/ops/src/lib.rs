//! The operations of the forward pass on Candle tensors: one model file for every backend.
//!
//! Each operation is a Candle custom op: `cpu_fwd` splits the rows of its input over the current rayon pool and calls
//! `kernels`; `cuda_fwd`, with the feature `cuda`, launches `cuda_kernels`. Which is meant is said when an operation is made
//! ([`Processor`]). Callers run a forward pass inside the pool they own
//! (`ThreadPool::install`), never on rayon's global one, or, for one short text, as the leader of a [`Team`].
//!
//! Texts are ragged: the tokens of a batch lie one text after another without padding ([`RaggedBatch`]), so no text's
//! result depends on its neighbours, and no result depends on how the rows were split: kernels promise that.

#[cfg(feature = "cuda")]
mod cuda;
mod embedding;
mod embedding_bag;
mod feed_forward;
mod format;
mod layer_norm;
mod linear;
mod normalize;
mod pending_values;
mod pooling;
mod processor;
mod ragged_batch;
mod rows;
mod scratch;
mod self_attention;
mod team;
mod term_weights;

#[cfg(feature = "cuda")]
pub use cuda::out_of_memory;
pub use embedding::Embedding;
pub use embedding_bag::{EmbeddingBag, StaticTable};
pub use feed_forward::FeedForward;
pub use format::Format;
pub use kernels::{Activation, Level, LevelError, PoolingMode, TermFormula, TermPooling, l2_normalize};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use normalize::normalize;
pub use pending_values::PendingValues;
pub use pooling::Pooling;
#[cfg(not(feature = "cuda"))]
pub use processor::out_of_memory;
pub use processor::{DeviceError, DeviceProducts, Processor};
pub use ragged_batch::{RaggedBatch, RaggedBatchError};
pub use self_attention::SelfAttention;
pub use team::Team;
pub use term_weights::TermWeights;
