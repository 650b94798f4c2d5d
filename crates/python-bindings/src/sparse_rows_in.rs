//! Sparse rows from Python: the one place where documents and queries for a `SparseIndex` are read.
//!
//! What kind of object it is decides how it is taken apart; the index checks what is in it.

use numpy::PyUntypedArray;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};
use sparse_index::CsrRows;

use crate::arrays_in::{Values, integers_in, rounded, term_ids_in, weights_in};
use crate::texts_in::type_name;
use crate::torch_rows_in;

/// What is taken, for error messages.
const EXPECTED: &str = "SparseEmbeddings, a scipy sparse matrix, a torch sparse tensor, a tuple (indptr, indices, \
                        values), or a dict {term id: weight} or a list of them";

/// Rows in compressed form, borrowed from Python where possible. Their contents are not checked.
pub(crate) struct RowsIn<'py> {
    pub(crate) indptr: Values<'py, i64>,
    pub(crate) indices: Values<'py, i32>,
    pub(crate) values: Values<'py, f32>,
    /// The width of a matrix; the other kinds have none.
    pub(crate) columns: Option<usize>,
    /// Whether this is one row rather than several: a dict, a vector, or a matrix of one row. A list is several.
    pub(crate) one: bool,
}

impl<'py> RowsIn<'py> {
    /// The rows as the index takes them.
    pub(crate) fn rows(&self) -> CsrRows<'_> {
        CsrRows { indptr: self.indptr.as_slice(), indices: self.indices.as_slice(), values: self.values.as_slice() }
    }

    /// The number of rows, if the row offsets are sound.
    pub(crate) fn len(&self) -> usize {
        self.indptr.as_slice().len().saturating_sub(1)
    }

    /// The same rows in memory that no other thread of Python's can change.
    pub(crate) fn into_owned(self) -> Self {
        Self {
            indptr: Values::Owned(self.indptr.into_owned()),
            indices: Values::Owned(self.indices.into_owned()),
            values: Values::Owned(self.values.into_owned()),
            ..self
        }
    }

    /// Rows from their three arrays; `shape` is that of the matrix they came in.
    pub(crate) fn from_arrays(what: &str, arrays: [&Bound<'py, PyAny>; 3], shape: Option<&[usize]>) -> PyResult<Self> {
        let [indptr, indices, values] = arrays;
        let indptr = integers_in(&format!("{what}: indptr"), indptr)?;
        let indices = term_ids_in(&format!("{what}: indices"), indices)?
            .map_err(|(position, term)| no_term_id(what, row_of(indptr.as_slice(), position), term))?;
        let values = weights_in(&format!("{what}: values"), values)?;
        let rows = indptr.as_slice().len().saturating_sub(1);
        let columns = match shape {
            None => None,
            Some([columns]) => Some(*columns),
            Some([of_shape, columns]) if *of_shape == rows => Some(*columns),
            Some([of_shape, _]) => {
                let found = indptr.as_slice().len();
                let message =
                    format!("{what}: indptr: expected {} numbers for {of_shape} rows, found {found}", of_shape + 1);
                return Err(PyValueError::new_err(message));
            }
            Some(shape) => {
                let message = format!("{what}: expected a matrix or a vector, found {} dimensions", shape.len());
                return Err(PyValueError::new_err(message));
            }
        };
        Ok(Self { indptr, indices, values, columns, one: rows == 1 })
    }
}

/// Takes sparse rows apart; `what` is the argument's name.
///
/// # Errors
/// `TypeError` for an object that is no sparse rows, `ValueError` for arrays that cannot be; whatever the object's own
/// methods raise.
pub(crate) fn rows_in<'py>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<RowsIn<'py>> {
    let py = object.py();
    if let Ok(tuple) = object.cast::<PyTuple>()
        && let Ok([indptr, indices, values]) = <[Bound<'py, PyAny>; 3]>::try_from(tuple.iter().collect::<Vec<_>>())
        && !values.is_instance_of::<PyDict>()
    {
        return RowsIn::from_arrays(what, [&indptr, &indices, &values], None);
    }
    // scipy's classes, old and new, of any format. One of them is a dict.
    if object.hasattr(intern!(py, "tocsr"))? {
        let matrix = object.call_method0(intern!(py, "tocsr"))?;
        let shape: Vec<usize> = matrix.getattr(intern!(py, "shape"))?.extract()?;
        let [indptr, indices, values] = attributes(&matrix, ["indptr", "indices", "data"])?;
        return RowsIn::from_arrays(what, [&indptr, &indices, &values], Some(&shape));
    }
    if let Ok(row) = object.cast::<PyMapping>() {
        let mut rows = DictRows::new(what);
        rows.push(row.as_any())?;
        return Ok(RowsIn { one: true, ..rows.finish() });
    }
    if object.is_instance_of::<PyUntypedArray>() {
        return Err(refused(what, object, " (hint: scipy.sparse.csr_array(array) makes a dense array sparse)"));
    }
    if object.hasattr(intern!(py, "indptr"))? {
        let shape: Vec<usize> = object.getattr(intern!(py, "shape"))?.extract()?;
        let [indptr, indices, values] = attributes(object, ["indptr", "indices", "values"])?;
        return RowsIn::from_arrays(what, [&indptr, &indices, &values], Some(&shape));
    }
    if object.hasattr(intern!(py, "layout"))? {
        return torch_rows_in::rows_in(what, object);
    }
    if object.is_instance_of::<PyString>() {
        return Err(refused(what, object, " (hint: an Encoder with a SPLADE model makes vectors of texts)"));
    }
    let items = object.try_iter().map_err(|_| refused(what, object, ""))?;
    let mut rows = DictRows::new(what);
    for item in items {
        rows.push(&item?)?;
    }
    Ok(rows.finish())
}

/// The error for an object that is no sparse rows.
pub(crate) fn refused(what: &str, object: &Bound<'_, PyAny>, hint: &str) -> PyErr {
    PyTypeError::new_err(format!("{what}: expected {EXPECTED}, got {}{hint}", type_name(object)))
}

fn attributes<'py>(object: &Bound<'py, PyAny>, names: [&str; 3]) -> PyResult<[Bound<'py, PyAny>; 3]> {
    let [first, second, third] = names;
    Ok([object.getattr(first)?, object.getattr(second)?, object.getattr(third)?])
}

fn no_term_id(what: &str, row: usize, term: i64) -> PyErr {
    PyValueError::new_err(format!("{what}: row {row}: expected a term id from 0 to {}, found {term}", i32::MAX))
}

/// The row in which a position of `indices` lies.
fn row_of(indptr: &[i64], position: usize) -> usize {
    indptr.iter().skip(1).take_while(|&&end| usize::try_from(end).is_ok_and(|end| end <= position)).count()
}

/// Rows given as dicts.
struct DictRows<'a> {
    what: &'a str,
    indptr: Vec<i64>,
    indices: Vec<i32>,
    values: Vec<f32>,
}

impl<'a> DictRows<'a> {
    fn new(what: &'a str) -> Self {
        Self { what, indptr: vec![0], indices: Vec::new(), values: Vec::new() }
    }

    fn push(&mut self, row: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = self.indptr.len() - 1;
        if let Ok(row) = row.cast::<PyDict>() {
            for (term, weight) in row {
                self.push_weight(number, &term, &weight)?;
            }
        } else if let Ok(row) = row.cast::<PyMapping>() {
            for pair in row.items()? {
                let (term, weight) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
                self.push_weight(number, &term, &weight)?;
            }
        } else {
            let message =
                format!("{}[{number}]: expected a dict {{term id: weight}}, got {}", self.what, type_name(row));
            return Err(PyTypeError::new_err(message));
        }
        self.indptr.push(i64::try_from(self.indices.len())?);
        Ok(())
    }

    fn push_weight(&mut self, row: usize, term: &Bound<'_, PyAny>, weight: &Bound<'_, PyAny>) -> PyResult<()> {
        let what = self.what;
        let Ok(id) = term.extract::<i64>() else {
            let message = format!("{what}: row {row}: expected integers as term ids, got {}", type_name(term));
            return Err(PyTypeError::new_err(message));
        };
        let Ok(value) = weight.extract::<f64>() else {
            let message = format!("{what}: row {row}: term {id}: expected a number, got {}", type_name(weight));
            return Err(PyTypeError::new_err(message));
        };
        self.indices.push(i32::try_from(id).map_err(|_| no_term_id(what, row, id))?);
        self.values.push(rounded(value));
        Ok(())
    }

    fn finish<'py>(self) -> RowsIn<'py> {
        RowsIn {
            indptr: Values::Owned(self.indptr),
            indices: Values::Owned(self.indices),
            values: Values::Owned(self.values),
            columns: None,
            one: false,
        }
    }
}
