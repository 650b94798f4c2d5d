//! The index as its users see it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::error::IndexError;
use crate::ids::{DocumentId, DocumentIds};
use crate::options::{Cancel, Filter, Hits, Mode, SearchOptions, SharedTerm, Stats};
use crate::rows::{CsrRows, Role, SparseRows};

/// An index over sparse vectors. All methods take `&self` and may be called from any thread at once.
#[derive(Debug)]
pub struct SparseIndex {
    state: RwLock<Arc<State>>,
    writer: Mutex<()>,
}

#[derive(Clone, Debug)]
struct State {
    dimension: u32,
    documents: Vec<(DocumentId, Vec<u32>, Vec<f32>)>,
    next: i64,
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
        Ok(Self {
            state: RwLock::new(Arc::new(State { dimension, documents: Vec::new(), next: 0 })),
            writer: Mutex::new(()),
        })
    }

    /// An index of all `rows`, built at once on `threads` threads (`None`: one a processor). Without `ids` the documents are numbered from 0; without a
    /// `dimension` it is one more than the highest term.
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
        let _ = threads;
        let checked = SparseRows::check(rows, Role::Documents, dimension)?;
        let index = Self::new(dimension.unwrap_or_else(|| checked.smallest_dimension().max(1)))?;
        index.add(rows, ids, false, cancel)?;
        Ok(index)
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    /// Adds documents: all of them, searchable when this returns, or none. Without `ids` they are numbered from the number of documents ever added.
    /// With `upsert` a document whose id is in the index is replaced.
    ///
    /// # Errors
    /// What is wrong with the rows or ids, or [`IndexError::Cancelled`].
    pub fn add(
        &self,
        rows: CsrRows<'_>,
        ids: Option<DocumentIds>,
        upsert: bool,
        cancel: &Cancel<'_>,
    ) -> Result<(), IndexError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = cancel;
        let mut state = State::clone(&self.snapshot());
        let rows = SparseRows::check(rows, Role::Documents, Some(state.dimension))?;
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let ids = ids.unwrap_or_else(|| DocumentIds::Numbers((state.next..state.next + count).collect()));
        if ids.len() != rows.len() {
            return Err(IndexError::argument("ids", format!("{} ids, one for each row", rows.len()), ids.len()));
        }
        for row in 0..rows.len() {
            let Some(id) = ids.get(row) else { continue };
            if let Some(place) = state.documents.iter().position(|document| document.0 == id) {
                if !upsert {
                    return Err(IndexError::DuplicateId { id, problem: "is in the index already" });
                }
                state.documents.remove(place);
            }
            let (terms, weights) = rows.row(row);
            state.documents.push((id, terms.to_vec(), weights.to_vec()));
        }
        state.next += count;
        self.replace(state);
        Ok(())
    }

    /// Deletes the documents with these ids: all, or none if one of them is unknown. Returns how many.
    ///
    /// # Errors
    /// [`IndexError::UnknownId`], [`IndexError::MixedIdKinds`].
    pub fn delete(&self, ids: &DocumentIds) -> Result<usize, IndexError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::clone(&self.snapshot());
        for index in 0..ids.len() {
            let Some(id) = ids.get(index) else { continue };
            let place = state.documents.iter().position(|document| document.0 == id);
            let Some(place) = place else { return Err(IndexError::UnknownId { id }) };
            state.documents.remove(place);
        }
        self.replace(state);
        Ok(ids.len())
    }

    /// Rewrites the index as one segment without deleted documents.
    ///
    /// # Errors
    /// [`IndexError::Cancelled`].
    pub fn compact(&self, threads: Option<usize>, cancel: &Cancel<'_>) -> Result<(), IndexError> {
        let _ = (threads, cancel);
        Ok(())
    }

    /// The best documents for each query.
    ///
    /// # Errors
    /// What is wrong with the queries or options, or [`IndexError::Cancelled`].
    pub fn search(
        &self,
        queries: CsrRows<'_>,
        options: &SearchOptions<'_>,
        cancel: &Cancel<'_>,
    ) -> Result<Vec<Hits>, IndexError> {
        let _ = cancel;
        let state = self.snapshot();
        let queries = SparseRows::check(queries, Role::Queries("queries"), Some(state.dimension))?;
        if options.k == 0 {
            return Err(IndexError::argument("k", "an integer of at least 1", options.k));
        }
        if let Mode::Approximate { recall } = options.mode
            && !(recall > 0.0 && recall <= 1.0)
        {
            return Err(IndexError::argument("recall", "a number above 0 and at most 1", recall));
        }
        let mut answers = Vec::new();
        for query in 0..queries.len() {
            let mut found: Vec<(f32, DocumentId)> = Vec::new();
            for (place, (id, terms, weights)) in state.documents.iter().enumerate() {
                let allowed = match options.filter {
                    None => true,
                    Some(Filter::Mask(mask)) => mask.get(place) == Some(&true),
                    Some(Filter::Ids(ids)) => (0..ids.len()).any(|index| ids.get(index).as_ref() == Some(id)),
                };
                let shared = shared_terms(queries.row(query), (terms, weights));
                if allowed && !shared.is_empty() {
                    #[expect(clippy::cast_possible_truncation, reason = "scores are float32")]
                    found.push((shared.iter().map(|term| term.product).sum::<f64>() as f32, id.clone()));
                }
            }
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            found.truncate(options.k);
            let strings = matches!(state.documents.first(), Some((DocumentId::String(_), ..)));
            let (mut numbers, mut names, mut scores) = (Vec::new(), Vec::new(), Vec::new());
            for (score, id) in found {
                scores.push(score);
                match id {
                    DocumentId::Number(number) => numbers.push(number),
                    DocumentId::String(name) => names.push(name),
                }
            }
            let ids = if strings { DocumentIds::Strings(names) } else { DocumentIds::Numbers(numbers) };
            answers.push(Hits { ids, scores });
        }
        Ok(answers)
    }

    /// Number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.snapshot().documents.len()
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
        self.snapshot().documents.iter().any(|document| document.0 == *id)
    }

    /// The ids of all documents in the order in which they were added.
    #[must_use]
    pub fn ids(&self) -> DocumentIds {
        let state = self.snapshot();
        let (mut numbers, mut names) = (Vec::new(), Vec::new());
        for (id, ..) in &state.documents {
            match id {
                DocumentId::Number(number) => numbers.push(*number),
                DocumentId::String(name) => names.push(name.clone()),
            }
        }
        if names.is_empty() { DocumentIds::Numbers(numbers) } else { DocumentIds::Strings(names) }
    }

    /// The terms, ascending, and weights of the document with this id, as the index stores them.
    #[must_use]
    pub fn get(&self, id: &DocumentId) -> Option<(Vec<u32>, Vec<f32>)> {
        let state = self.snapshot();
        state
            .documents
            .iter()
            .find(|document| document.0 == *id)
            .map(|(_, terms, weights)| (terms.clone(), weights.clone()))
    }

    /// The size of the index.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.snapshot();
        Stats { documents: state.documents.len(), dimension: state.dimension, version: 1, ..Stats::default() }
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
        Ok(shared_terms(query.row(0), (&terms, &weights)))
    }

    /// Writes the index to `path`: when this returns the file survives a power cut; until then what was there before is untouched.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Cancelled`].
    pub fn save(&self, path: &Path, cancel: &Cancel<'_>) -> Result<(), IndexError> {
        let _ = (path, cancel);
        Err(IndexError::Internal("not written yet".to_owned()))
    }

    /// Opens a file of [`SparseIndex::save`], mapped or read into memory; with `verify` all checksums are compared.
    ///
    /// # Errors
    /// [`IndexError::File`] for a file that is not an index, [`IndexError::Io`].
    pub fn open(path: &Path, mmap: bool, verify: bool) -> Result<Self, IndexError> {
        let _ = (path, mmap, verify);
        Err(IndexError::Internal("not written yet".to_owned()))
    }
}

fn shared_terms(query: (&[u32], &[f32]), document: (&[u32], &[f32])) -> Vec<SharedTerm> {
    let mut shared = Vec::new();
    let mut place = 0;
    for (&term, &query_weight) in query.0.iter().zip(query.1) {
        while document.0.get(place).is_some_and(|other| *other < term) {
            place += 1;
        }
        if let (Some(other), Some(&document_weight)) = (document.0.get(place), document.1.get(place))
            && *other == term
        {
            let product = f64::from(query_weight) * f64::from(document_weight);
            shared.push(SharedTerm { term, query_weight, document_weight, product });
        }
    }
    shared
}
