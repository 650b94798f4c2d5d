//! `corten._native.SparseIndex`: every method converts, calls [`index_door::run`] and converts.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};
use sparse_index::{DocumentIds, Hits, Mode, SearchOptions};

use crate::arguments::{optional_positive_integer, path_in, positive_integer};
use crate::document_ids_in::{FilterIn, document_id_in, document_ids_in, filter_in, one_or_more_ids_in};
use crate::hits_out::{ids_out, matrix_out, vector_out};
use crate::index_door::{self, Length};
use crate::sparse_rows_in::{RowsIn, rows_in};
use crate::texts_in::type_name;

/// Work of one query on one document takes about this many nanoseconds at most, averaged over an index.
const LONG_BATCH: usize = 1_000_000;

/// Sparse vectors and the means to search them. Any number of threads may use it at the same time.
#[pyclass(frozen, module = "corten._native")]
pub(crate) struct SparseIndex(sparse_index::SparseIndex);

#[pymethods]
impl SparseIndex {
    /// Makes an empty index.
    #[new]
    fn new(py: Python<'_>, dim: &Bound<'_, PyAny>) -> PyResult<Self> {
        let dimension = dimension_in(dim)?;
        index_door::run(py, Length::Short, |_| sparse_index::SparseIndex::new(dimension)).map(Self)
    }

    /// Makes an index of vectors.
    #[staticmethod]
    #[pyo3(signature = (vectors, ids = None, dim = None, *, threads = None))]
    fn build(
        py: Python<'_>,
        vectors: &Bound<'_, PyAny>,
        ids: Option<&Bound<'_, PyAny>>,
        dim: Option<&Bound<'_, PyAny>>,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let dimension = dim.map(dimension_in).transpose()?;
        let threads = optional_positive_integer(threads, "threads")?;
        let vectors = rows_in("vectors", vectors)?;
        let dimension = match (dimension, vectors.columns) {
            (None, Some(columns)) => Some(narrowed(columns)),
            (dimension, _) => dimension,
        };
        if let Some(dimension) = dimension {
            check_width("vectors", &vectors, dimension)?;
        }
        let ids = ids.map(|ids| document_ids_in("ids", ids)).transpose()?;
        let rows = vectors.rows();
        index_door::run(py, Length::Long, |cancel| {
            sparse_index::SparseIndex::build(rows, ids, dimension, threads, cancel)
        })
        .map(Self)
    }

    /// Adds documents, all or none.
    #[pyo3(signature = (vectors, ids = None, *, upsert = false))]
    fn add(
        &self,
        py: Python<'_>,
        vectors: &Bound<'_, PyAny>,
        ids: Option<&Bound<'_, PyAny>>,
        upsert: bool,
    ) -> PyResult<()> {
        let vectors = rows_in("vectors", vectors)?;
        check_width("vectors", &vectors, self.0.dimension())?;
        let ids = ids.map(|ids| document_ids_in("ids", ids)).transpose()?;
        let rows = vectors.rows();
        index_door::run(py, Length::Long, |cancel| self.0.add(rows, ids, upsert, cancel))
    }

    /// Deletes one document or several, all or none.
    fn delete(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<usize> {
        let ids = one_or_more_ids_in("ids", ids)?;
        index_door::run(py, Length::Long, |_| self.0.delete(&ids))
    }

    /// Rewrites the index without deleted documents.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        index_door::run(py, Length::Long, |cancel| self.0.compact(None, cancel))
    }

    /// Finds the best documents for each query.
    #[pyo3(signature = (queries, k, *, exact, recall, filter = None, threads = None))]
    #[expect(clippy::too_many_arguments, reason = "they are the keyword arguments of the Python method")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        k: &Bound<'py, PyAny>,
        exact: bool,
        recall: &Bound<'py, PyAny>,
        filter: Option<&Bound<'py, PyAny>>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let filter = filter.map(filter_in).transpose()?;
        let mut options = SearchOptions {
            k: positive_integer(k, "k")?,
            mode: mode_in(exact, recall)?,
            filter: filter.as_ref().map(FilterIn::filter),
            threads: optional_positive_integer(threads, "threads")?,
        };
        // Copied: queries are small, and the index may then rely on what it has checked.
        let queries = rows_in("queries", queries)?.into_owned();
        check_width("queries", &queries, self.0.dimension())?;
        let documents = self.0.len();
        let count = queries.len();
        if count <= 1 {
            // Asking the system how many threads there may be takes longer than a small search.
            options.threads = Some(1);
        }
        let long = count > 1 && count.saturating_mul(documents) > LONG_BATCH;
        let length = if long { Length::Long } else { Length::Short };
        let rows = queries.rows();
        let mut hits = index_door::run(py, length, |cancel| self.0.search(rows, &options, cancel))?;
        if queries.one
            && let Some(hits) = hits.pop()
        {
            return vector_out(py, hits);
        }
        // A document may have been added since it was counted.
        let longest = hits.iter().map(|hits| hits.scores.len()).max().unwrap_or(0);
        let columns = options.k.min(documents).max(longest);
        let strings = hits.iter().any(has_strings);
        matrix_out(py, hits, columns, strings)
    }

    /// Writes the index to a file.
    fn save(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = path_in(path)?;
        index_door::run(py, Length::Long, |cancel| self.0.save(&path, cancel))
    }

    /// Opens a file.
    #[staticmethod]
    #[pyo3(signature = (path, *, mmap = true, verify = false))]
    fn open(py: Python<'_>, path: &Bound<'_, PyAny>, mmap: bool, verify: bool) -> PyResult<Self> {
        let path = path_in(path)?;
        index_door::run(py, Length::Long, |_| sparse_index::SparseIndex::open(&path, mmap, verify)).map(Self)
    }

    /// A document's weights by term, or None.
    fn get<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let id = document_id_in("id", id)?;
        let Some((terms, weights)) = py.detach(|| self.0.get(&id)) else { return Ok(None) };
        let document = PyDict::new(py);
        for (term, weight) in terms.into_iter().zip(weights) {
            document.set_item(term, weight)?;
        }
        Ok(Some(document))
    }

    /// The ids of all documents in the order in which they were added.
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        ids_out(py, py.detach(|| self.0.ids()))
    }

    /// The size of the index.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = py.detach(|| self.0.stats());
        let result = PyDict::new(py);
        result.set_item("documents", stats.documents)?;
        result.set_item("deleted", stats.deleted)?;
        result.set_item("segments", stats.segments)?;
        result.set_item("non_zeros", stats.non_zeros)?;
        result.set_item("dim", stats.dimension)?;
        result.set_item("bytes", stats.bytes)?;
        result.set_item("mapped", stats.mapped)?;
        result.set_item("file_version", stats.version)?;
        Ok(result)
    }

    /// The terms that a query shares with a document, the largest product first: (term, query weight, document weight,
    /// product).
    fn explain(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        id: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<(u32, f32, f32, f64)>> {
        let query = rows_in("query", query)?.into_owned();
        check_width("query", &query, self.0.dimension())?;
        let id = document_id_in("id", id)?;
        let rows = query.rows();
        let mut terms = index_door::run(py, Length::Short, |_| self.0.explain(rows, &id))?;
        terms.sort_by(|one, other| other.product.total_cmp(&one.product));
        Ok(terms.into_iter().map(|term| (term.term, term.query_weight, term.document_weight, term.product)).collect())
    }

    /// The number of dimensions.
    #[getter]
    fn dimension(&self) -> u32 {
        self.0.dimension()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __contains__(&self, id: &Bound<'_, PyAny>) -> bool {
        // As for a dict: what cannot be an id is not in it.
        document_id_in("id", id).is_ok_and(|id| self.0.contains(&id))
    }
}

fn has_strings(hits: &Hits) -> bool {
    matches!(hits.ids, DocumentIds::Strings(_))
}

/// A number of dimensions. What is too large for the index is left for the index to refuse.
fn dimension_in(dim: &Bound<'_, PyAny>) -> PyResult<u32> {
    positive_integer(dim, "dim").map(narrowed)
}

fn narrowed(dimension: usize) -> u32 {
    u32::try_from(dimension).unwrap_or(u32::MAX)
}

/// Refuses a matrix of another width than the index: its columns are another model's terms.
fn check_width(what: &str, rows: &RowsIn<'_>, dimension: u32) -> PyResult<()> {
    match rows.columns {
        Some(columns) if u32::try_from(columns) != Ok(dimension) => {
            Err(PyValueError::new_err(format!("{what}: expected {dimension} columns, found {columns}")))
        }
        _ => Ok(()),
    }
}

/// Exact, or the recall that is aimed at, which the index checks.
fn mode_in(exact: bool, recall: &Bound<'_, PyAny>) -> PyResult<Mode> {
    if exact {
        return Ok(Mode::Exact);
    }
    if recall.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("recall: expected a number, got bool"));
    }
    let refused = |_| PyTypeError::new_err(format!("recall: expected a number, got {}", type_name(recall)));
    recall.extract().map(|recall| Mode::Approximate { recall }).map_err(refused)
}
