//! Results of a search to numpy arrays.

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use sparse_index::{DocumentIds, Hits};

use crate::errors::shape_error;

/// The number that fills up rows of ids. An index may hold it as an id, so the score decides what is a hit.
const NO_ID: i64 = -1;

/// One query's hits: ids and float32 scores, both `[hits]`.
pub(crate) fn vector_out(py: Python<'_>, hits: Hits) -> PyResult<Bound<'_, PyTuple>> {
    let ids = ids_out(py, hits.ids)?;
    (ids, hits.scores.into_pyarray(py)).into_pyobject(py)
}

/// Several queries' hits: ids and float32 scores, both `[queries, columns]`. Rows with fewer hits are filled up with the
/// id -1 (None where ids are `str`) and the score -inf.
pub(crate) fn matrix_out(
    py: Python<'_>,
    all: Vec<Hits>,
    columns: usize,
    strings: bool,
) -> PyResult<Bound<'_, PyTuple>> {
    let shape = (all.len(), columns);
    let mut scores = Array2::from_elem(shape, f32::NEG_INFINITY);
    for (mut row, hits) in scores.outer_iter_mut().zip(&all) {
        row.iter_mut().zip(&hits.scores).for_each(|(cell, &score)| *cell = score);
    }
    let scores = scores.into_pyarray(py).into_any();
    let ids = if strings {
        let mut ids: Vec<Py<PyAny>> = Vec::with_capacity(columns * all.len());
        for hits in all {
            let DocumentIds::Strings(texts) = hits.ids else { continue };
            let end = ids.len() + columns;
            ids.extend(
                texts
                    .into_iter()
                    .map(|text| Ok(text.into_pyobject(py)?.into_any().unbind()))
                    .collect::<PyResult<Vec<_>>>()?,
            );
            ids.resize_with(end, || py.None());
        }
        Array2::from_shape_vec(shape, ids).map_err(|error| shape_error(&error))?.into_pyarray(py).into_any()
    } else {
        let mut ids = Array2::from_elem(shape, NO_ID);
        for (mut row, hits) in ids.outer_iter_mut().zip(&all) {
            if let DocumentIds::Numbers(numbers) = &hits.ids {
                row.iter_mut().zip(numbers).for_each(|(cell, &number)| *cell = number);
            }
        }
        ids.into_pyarray(py).into_any()
    };
    (ids, scores).into_pyobject(py)
}

/// Ids as an array: int64, or objects of `str`.
pub(crate) fn ids_out(py: Python<'_>, ids: DocumentIds) -> PyResult<Bound<'_, PyAny>> {
    match ids {
        DocumentIds::Numbers(numbers) => Ok(numbers.into_pyarray(py).into_any()),
        DocumentIds::Strings(texts) => {
            let texts: PyResult<Vec<_>> =
                texts.into_iter().map(|text| Ok(text.into_pyobject(py)?.into_any().unbind())).collect();
            Ok(PyArray1::<Py<PyAny>>::from_vec(py, texts?).into_any())
        }
    }
}
