//! Search over learned-sparse vectors, exact and fast: build, add, delete, filter, save, map.
//!
//! [`SparseIndex`] is the whole interface. Readers work on a snapshot; writers replace it.

mod error;
mod ids;
mod index;
mod options;
mod rows;

pub use error::{IndexError, IndexFileError, RowProblem};
pub use ids::{DocumentId, DocumentIds};
pub use index::SparseIndex;
pub use options::{Cancel, Filter, Hits, Mode, SearchOptions, SharedTerm, Stats};
pub use rows::CsrRows;
