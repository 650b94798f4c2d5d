//! What a search is asked for, and what it answers.

use crate::ids::DocumentIds;

/// Told by the caller whether to stop; asked from any thread, at least every 50 ms or so of work.
pub type Cancel<'a> = dyn Fn() -> bool + Sync + 'a;

/// How a search trades time for certainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// The same documents as a comparison with every document.
    Exact,
    /// About this share of the exact documents, over 0 and at most 1.
    Approximate {
        /// The share that is aimed at.
        recall: f32,
    },
}

/// The documents that a search may find.
#[derive(Clone, Copy, Debug)]
pub enum Filter<'a> {
    /// Those with these ids; ids that are not in the index are ignored.
    Ids(&'a DocumentIds),
    /// One entry for each document, in the order of [`crate::SparseIndex::ids`].
    Mask(&'a [bool]),
}

/// The arguments of a search.
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions<'a> {
    /// How many documents a query gets at most, from 1.
    pub k: usize,
    /// Exact or approximate.
    pub mode: Mode,
    /// Where given, only these documents.
    pub filter: Option<Filter<'a>>,
    /// Threads for the queries of a batch, from 1; `None` for one a processor.
    pub threads: Option<usize>,
}

impl Default for SearchOptions<'_> {
    fn default() -> Self {
        Self { k: 10, mode: Mode::Exact, filter: None, threads: None }
    }
}

/// The answer to one query: documents that share a term with it, best first, equal scores by ascending id.
#[derive(Clone, Debug, PartialEq)]
pub struct Hits {
    /// Their ids.
    pub ids: DocumentIds,
    /// Their inner products with the query, one for each id.
    pub scores: Vec<f32>,
}

/// One line of an explanation: a term that the query and the document share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedTerm {
    /// The term id.
    pub term: u32,
    /// Its weight in the query.
    pub query_weight: f32,
    /// Its weight in the document, as the index stores it.
    pub document_weight: f32,
    /// What it adds to the score.
    pub product: f64,
}

/// The size of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Documents that a search can find.
    pub documents: usize,
    /// Deleted documents whose rows are still stored.
    pub deleted: usize,
    /// Parts the index is searched in.
    pub segments: usize,
    /// Weights of the documents, deleted ones included.
    pub non_zeros: u64,
    /// Number of terms.
    pub dimension: u32,
    /// Bytes in memory or in the mapped file.
    pub bytes: u64,
    /// Whether any of it lies in a mapped file.
    pub mapped: bool,
    /// The version of the file format that [`crate::SparseIndex::save`] writes.
    pub version: u32,
}
