//! The arithmetic of the forward pass on a CUDA device: slices of its memory in, slices of its memory out.
//!
//! The kernels are the files of `src/cuda`. They are compiled when a model is loaded, by nvrtc ([`Nvrtc`]), for the device's own
//! architecture and the model's own sizes ([`Program`]).
//!
//! Each kernel has a safe function here, which checks every length, describes the launch and hands it to a [`Machine`]. A machine is a CUDA
//! device (`Gpu`, with the feature `cuda`), or, in the tests, this processor: the same files compiled by g++ behind a header that emulates
//! blocks, warps and tensor cores. So sizes, the order of arguments and the arithmetic are tested without a GPU, against the
//! specification, which is the crate `kernels`.
//!
//! Activations are float32, float16 or bfloat16 ([`Number`]); every sum is float32. Matrices are row-major.

mod activation;
mod attention;
#[cfg(feature = "cuda")]
mod download;
mod embedding;
mod embedding_bag;
mod error;
#[cfg(feature = "cuda")]
mod fused_product;
#[cfg(feature = "cuda")]
mod gpu;
mod layer_norm;
mod lengths;
mod machine;
mod normalize;
mod number;
mod nvrtc;
mod pooling;
mod program;
mod row_numbers;
mod term_weights;

pub use activation::{activation_program, add_bias_activate};
pub use attention::{WIDEST_HEAD, attention, attention_program};
#[cfg(feature = "cuda")]
pub use download::Download;
pub use embedding::{EmbeddingTables, embedding_layer_norm, embedding_program};
pub use embedding_bag::{BagRows, embedding_bag_mean, embedding_bag_program};
pub use error::Error;
#[cfg(feature = "cuda")]
pub use fused_product::{Float32Products, FusedLinear, FusedProducts};
#[cfg(feature = "cuda")]
pub use gpu::{Gpu, OLDEST_CAPABILITY};
pub use layer_norm::{LayerNorm, add_layer_norm, layer_norm_program};
pub use lengths::Lengths;
pub use machine::{Argument, Launch, Machine};
pub use normalize::{l2_normalize, normalize_program};
pub use number::{Element, Number, NumberKind};
pub use nvrtc::Nvrtc;
pub use pooling::{PoolingOutput, pool, pooling_program};
pub use program::{INSTRUCTIONS, Kernel, Program};
pub use row_numbers::RowNumbers;
pub use term_weights::{LogitChunk, pool_logits, term_weights_program};
