//! The errors of this crate and the exact words of their messages.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::ids::DocumentId;

/// Why a call failed. The index is then as it was before the call.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// One row of the caller's vectors is not usable.
    #[error("{what}: row {row}: {problem}")]
    Row {
        /// `vectors`, `queries` or `query`.
        what: &'static str,
        /// Its place in the call.
        row: usize,
        /// What is wrong with it.
        problem: RowProblem,
    },
    /// The three arrays of the caller's vectors do not fit together.
    #[error("{what}: {problem}")]
    Layout {
        /// `vectors`, `queries` or `query`.
        what: &'static str,
        /// What was expected and found.
        problem: String,
    },
    /// An argument is out of range.
    #[error("{name}: expected {expected}, found {found}")]
    Argument {
        /// The argument.
        name: &'static str,
        /// What would have been right.
        expected: String,
        /// What was given.
        found: String,
    },
    /// An id is in the index already, or twice in one call.
    #[error("ids: {id} {problem}")]
    DuplicateId {
        /// The id.
        id: DocumentId,
        /// Where its twin is.
        problem: &'static str,
    },
    /// No document of the index has this id.
    #[error("ids: {id} is not in the index")]
    UnknownId {
        /// The id.
        id: DocumentId,
    },
    /// Numbers where the index has strings, or the other way round.
    #[error("ids: expected {expected} as in the index, found {found}")]
    MixedIdKinds {
        /// The kind of the index.
        expected: &'static str,
        /// The kind of the call.
        found: &'static str,
    },
    /// A file is not a readable index.
    #[error(transparent)]
    File(#[from] IndexFileError),
    /// A stored document is not what was stored, which opening without `verify` did not see.
    #[error("document {id}: its row is damaged (hint: open the file with verify=True)")]
    Damaged {
        /// Its id.
        id: DocumentId,
    },
    /// The system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than the index can hold.
    #[error("{what}: expected at most {most}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        most: u64,
    },
    /// There is not enough memory.
    #[error("not enough memory: {bytes} bytes for {what}")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
        /// What for.
        what: &'static str,
    },
    /// `CORTEN_CPU_LEVEL` names no level of this processor.
    #[error(transparent)]
    Level(#[from] kernels::LevelError),
    /// The caller cancelled the call.
    #[error("cancelled")]
    Cancelled,
    /// A mistake in this library.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What is wrong with a row of vectors.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RowProblem {
    /// A term id outside the dimension.
    #[error("expected term ids from 0 to {}, found {term}", u64::from(*dimension).saturating_sub(1))]
    TermOutOfRange {
        /// The term id.
        term: i32,
        /// The number of terms.
        dimension: u32,
    },
    /// A term id is there more than once.
    #[error("expected each term once, found term {term} twice")]
    DuplicateTerm {
        /// The term id.
        term: u32,
    },
    /// NaN or infinity, also where a float64 was beyond float32's range.
    #[error("term {term}: expected a finite weight, found {weight}")]
    NonFinite {
        /// The term id.
        term: u32,
        /// The weight.
        weight: f32,
    },
    /// A document's weight below zero.
    #[error(
        "term {term}: expected a document weight of at least 0, found {weight} (hint: the search skips documents by upper bounds, which a negative weight breaks; in queries it is allowed)"
    )]
    Negative {
        /// The term id.
        term: u32,
        /// The weight.
        weight: f32,
    },
}

/// A file that is not a readable index: which part of it, and what was expected and found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {section}: expected {expected}, found {found}", path.display())]
pub struct IndexFileError {
    /// The file.
    pub path: PathBuf,
    /// The part of it: `header`, `section table` or the name of a section.
    pub section: String,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl IndexFileError {
    pub(crate) fn new(
        path: &Path,
        section: impl fmt::Display,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self {
            path: path.to_owned(),
            section: section.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

impl IndexError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn argument(name: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Argument { name, expected: expected.to_string(), found: found.to_string() }
    }
}
