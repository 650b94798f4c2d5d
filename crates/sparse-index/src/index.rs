//! The index as its users see it.

use std::sync::{Arc, PoisonError, RwLock};

use crate::compare_all::shared_terms;
use crate::error::IndexError;
use crate::file::VERSION;
use crate::id_table::IdRef;
use crate::ids::{DocumentId, DocumentIds};
use crate::options::{Cancel, SharedTerm, Stats};
use crate::rows::{CsrRows, Role, SparseRows};
use crate::scratch_pool::ScratchPool;
use crate::segment::Segment;
use crate::snapshot::Snapshot;
use crate::threads;
use crate::writer_lock::WriterLock;

/// An index over sparse vectors. All methods take `&self` and may be called from any thread at once: each sees the index
/// before or after a change, never between, and none waits for a writer but other writers.
#[derive(Debug)]
pub struct SparseIndex {
    /// Locked only to copy or replace the pointer.
    state: RwLock<Arc<Snapshot>>,
    pub(crate) writer: WriterLock,
    /// What searches have used and others can use again.
    pub(crate) scratches: ScratchPool,
}

impl SparseIndex {
    /// An empty index over `dimension` terms.
    ///
    /// # Errors
    /// [`IndexError::Argument`] unless `dimension` is from 1 to 2^31.
    pub fn new(dimension: u32) -> Result<Self, IndexError> {
        if !(1..=1 << 31).contains(&dimension) {
            return Err(IndexError::argument("dim", "an integer from 1 to 2147483648", dimension));
        }
        Ok(Self::from_snapshot(Snapshot::new(dimension)))
    }

    pub(crate) fn from_snapshot(snapshot: Snapshot) -> Self {
        Self {
            state: RwLock::new(Arc::new(snapshot)),
            writer: WriterLock::default(),
            scratches: ScratchPool::default(),
        }
    }

    /// An index of all `rows`, built at once on `threads` threads (`None`: one a processor). Without `ids` the documents are
    /// numbered from 0; without a `dimension` it is one more than the highest term.
    ///
    /// # Errors
    /// What is wrong with the rows or ids, or [`IndexError::Cancelled`].
    pub fn build(
        rows: CsrRows<'_>,
        ids: Option<DocumentIds>,
        dimension: Option<u32>,
        threads: Option<usize>,
        cancel: &Cancel<'_>,
    ) -> Result<Self, IndexError> {
        // Checks the dimension before the rows.
        dimension.map(Self::new).transpose()?;
        let threads = threads::count(threads)?;
        let rows = SparseRows::check_on(threads, cancel, rows, Role::Documents, dimension)?;
        let index = Self::new(dimension.unwrap_or_else(|| rows.smallest_dimension().max(1)))?;
        index.add_rows(&rows, ids, false, threads, cancel)?;
        Ok(index)
    }

    /// The index as it is now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a changed index in place; the caller holds the writer lock.
    pub(crate) fn replace(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        let old = std::mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), new);
        // Freed after the lock is released.
        drop(old);
    }

    /// Number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.snapshot().len()
    }

    /// Whether there are no documents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of terms.
    #[must_use]
    pub fn dimension(&self) -> u32 {
        self.snapshot().dimension
    }

    /// Whether a document has this id.
    #[must_use]
    pub fn contains(&self, id: &DocumentId) -> bool {
        self.snapshot().find(&IdRef::from(id)).is_some()
    }

    /// The ids of all documents in the order in which they were added; a replaced document counts as added anew.
    #[must_use]
    pub fn ids(&self) -> DocumentIds {
        self.snapshot().ids()
    }

    /// The terms, ascending, and weights of the document with this id, as the index stores them: a weight may differ from what was
    /// added by 2^-22 of itself, and if it is less than 1/64 of the largest by up to 2^-17.
    #[must_use]
    pub fn get(&self, id: &DocumentId) -> Option<(Vec<u32>, Vec<f32>)> {
        let snapshot = self.snapshot();
        let (segment, document) = snapshot.find(&IdRef::from(id))?;
        Some(snapshot.segments.get(segment)?.segment.row(document))
    }

    /// The size of the index.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let snapshot = self.snapshot();
        let segments = || snapshot.segments.iter().map(|view| view.segment.as_ref());
        let stored: usize = segments().map(Segment::len).sum();
        Stats {
            documents: snapshot.len(),
            deleted: stored - snapshot.len().min(stored),
            segments: snapshot.segments.len(),
            non_zeros: segments().map(|segment| segment.non_zeros).sum(),
            dimension: snapshot.dimension,
            bytes: segments().map(Segment::bytes).sum(),
            mapped: segments().any(Segment::is_mapped),
            version: VERSION,
        }
    }

    /// The terms that `query`, one row, shares with the document of this id, by term.
    ///
    /// # Errors
    /// What is wrong with the query, or [`IndexError::UnknownId`].
    pub fn explain(&self, query: CsrRows<'_>, id: &DocumentId) -> Result<Vec<SharedTerm>, IndexError> {
        let query = SparseRows::check(query, Role::Queries("query"), Some(self.dimension()))?;
        if query.len() != 1 {
            return Err(IndexError::argument("query", "one row", query.len()));
        }
        let (terms, weights) = self.get(id).ok_or_else(|| IndexError::UnknownId { id: id.clone() })?;
        Ok(shared_terms(query.row(0), (&terms, &weights)).collect())
    }
}
