//! Search over learned-sparse vectors, exact and fast: build, add, delete, filter, save, map.
//!
//! [`SparseIndex`] is the whole interface. Readers work on a snapshot; writers replace it.

mod approximate;
mod bits;
mod build_postings;
mod compare_all;
mod error;
mod file;
mod forward;
mod gather_terms;
mod id_table;
mod ids;
mod index;
mod mapping;
mod open;
mod open_segment;
mod options;
mod pack_rows;
mod plan;
mod postings;
mod ranked;
mod rows;
mod save;
mod scan_windows;
mod scratch_pool;
mod search;
mod search_segment;
mod segment;
mod snapshot;
mod split_lists;
mod storage;
mod term_lists;
mod term_pieces;
mod term_table;
#[cfg(test)]
mod tests;
mod threads;
mod top_k;
mod tuning;
mod whole_blocks;
mod write;
mod writer_lock;

pub use error::{IndexError, IndexFileError, RowProblem};
pub use ids::{DocumentId, DocumentIds};
pub use index::SparseIndex;
pub use options::{Cancel, Filter, Hits, Mode, SearchOptions, SharedTerm, Stats};
pub use rows::CsrRows;
