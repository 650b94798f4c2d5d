//! The arithmetic of the forward pass: slices in, slices out, no tensors and no threads.
//!
//! Every kernel is written once, over sixteen logical lanes (the private `Simd` trait), and compiled for each
//! [`Level`]. The lanes, the order of every sum and the fused multiply-adds are the same at each level, so all
//! levels with fused multiply-add return the same bits as the specification, and a row's bits do not depend
//! on the rows beside it. [`Level::scalar`] rounds products before it adds them (processors without
//! fused multiply-add would emulate it, slowly), so it agrees to rounding error only.
//!
//! Products may be computed in bfloat16 or 8-bit integers ([`Format`]): rounding and order are defined as well, so that levels agree but
//! for denormals.
//!
//! Matrices are float32, row-major. Kernels check lengths with `assert!` at their door: a wrong length is a
//! bug of the caller, never a property of user input.

#![cfg_attr(
    not(any(test, feature = "emulated-tiles", target_arch = "x86_64")),
    expect(dead_code, unused_variables, clippy::needless_pass_by_value, reason = "only x86-64 has a level with tiles")
)]

mod activation;
mod attention;
mod bfloat16;
mod embedding;
mod embedding_bag;
mod lane;
mod layer_norm;
mod level;
mod linear;
mod math;
mod normalize;
mod packed_matrix;
mod pooling;
mod prefetch;
mod product;
mod simd;
mod sparse_row;
mod sparse_window;
#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "tests of arithmetic"
)]
mod specification;
mod term_weights;
mod tile;

pub use activation::{Activation, activate};
pub use attention::{AttentionScratch, AttentionShape, attention};
pub use embedding::{EmbeddingTables, embedding_sum};
pub use embedding_bag::{VectorTable, embedding_bag_mean};
pub use layer_norm::{LayerNorm, add_layer_norm, layer_norm};
pub use level::{Level, LevelError};
pub use linear::{LinearScratch, OutputColumns, PreparedColumns, linear, linear_of_columns, side_by_side};
pub use normalize::l2_normalize;
pub use packed_matrix::{Format, PackedMatrix};
pub use pooling::{PoolingMode, pool};
pub use prefetch::{prefetch, prefetch_line, prefetch_lines};
pub use sparse_row::{
    PackedRow, PackedWeights, QueryTable, RowScratch, SHORT_WEIGHT_FRACTION, row_dot, short_weight, unpack_terms,
};
pub use sparse_window::{Addition, STRIP, WINDOW, WINDOW_WORDS, WindowScores};
pub use term_weights::{DecoderInput, TermDecoder, TermFormula, TermPooling, TextRows, term_weights};
