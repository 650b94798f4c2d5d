//! Ids of documents from Python, alone or many, and filters, which are ids or a mask.

use numpy::{PyArray1, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyMapping, PyString};
use sparse_index::{DocumentId, DocumentIds, Filter};

use crate::arrays_in::integers_in;
use crate::texts_in::{text_in, type_name};

/// One id.
///
/// # Errors
/// `TypeError` for anything but `str` and integers (numpy's too), `ValueError` for an integer beyond 64 bits or a `str`
/// that is not valid Unicode.
pub(crate) fn document_id_in(place: &str, id: &Bound<'_, PyAny>) -> PyResult<DocumentId> {
    if id.is_instance_of::<PyString>() {
        return Ok(DocumentId::String(text_in(id, || place.to_owned())?));
    }
    if !id.is_instance_of::<PyBool>() {
        match id.extract::<i64>() {
            Ok(number) => return Ok(DocumentId::Number(number)),
            Err(error) if error.is_instance_of::<PyOverflowError>(id.py()) => {
                let message = format!("{place}: expected an integer of at most 64 bits, found {}", id.str()?);
                return Err(PyValueError::new_err(message));
            }
            Err(_) => {}
        }
    }
    Err(PyTypeError::new_err(format!("{place}: expected int or str, got {}", type_name(id))))
}

/// Any iterable of ids, all int or all str.
///
/// # Errors
/// `TypeError` for what is no such iterable; otherwise as for [`document_id_in`].
pub(crate) fn document_ids_in(name: &str, ids: &Bound<'_, PyAny>) -> PyResult<DocumentIds> {
    if let Ok(array) = ids.cast::<PyUntypedArray>()
        && matches!(array.dtype().kind(), b'i' | b'u')
    {
        return Ok(DocumentIds::Numbers(integers_in(name, ids)?.into_owned()));
    }
    let refused =
        || PyTypeError::new_err(format!("{name}: expected an iterable of int or str, got {}", type_name(ids)));
    if ids.is_instance_of::<PyString>() || ids.cast::<PyMapping>().is_ok() {
        return Err(refused());
    }
    let mut items = ids.try_iter().map_err(|_| refused())?.enumerate().peekable();
    let strings = matches!(items.peek(), Some((_, Ok(first))) if first.is_instance_of::<PyString>());
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    for (index, item) in items {
        let item = item?;
        match (document_id_in(&format!("{name}[{index}]"), &item)?, strings) {
            (DocumentId::Number(number), false) => numbers.push(number),
            (DocumentId::String(text), true) => texts.push(text),
            (_, strings) => {
                let expected = if strings { "str" } else { "int" };
                let message = format!("{name}[{index}]: expected {expected} as before it, got {}", type_name(&item));
                return Err(PyTypeError::new_err(message));
            }
        }
    }
    Ok(if strings { DocumentIds::Strings(texts) } else { DocumentIds::Numbers(numbers) })
}

/// One id or an iterable of them.
///
/// # Errors
/// As for [`document_ids_in`].
pub(crate) fn one_or_more_ids_in(name: &str, ids: &Bound<'_, PyAny>) -> PyResult<DocumentIds> {
    if ids.is_instance_of::<PyString>() || ids.extract::<i64>().is_ok() && !ids.is_instance_of::<PyBool>() {
        return Ok(match document_id_in(name, ids)? {
            DocumentId::Number(number) => DocumentIds::Numbers(vec![number]),
            DocumentId::String(text) => DocumentIds::Strings(vec![text]),
        });
    }
    document_ids_in(name, ids)
}

/// The documents that a search may find, copied from Python.
pub(crate) enum FilterIn {
    Ids(DocumentIds),
    Mask(Vec<bool>),
}

impl FilterIn {
    /// The filter as the index takes it.
    pub(crate) fn filter(&self) -> Filter<'_> {
        match self {
            Self::Ids(ids) => Filter::Ids(ids),
            Self::Mask(mask) => Filter::Mask(mask),
        }
    }
}

/// A mask of bools, or else ids.
///
/// # Errors
/// As for [`document_ids_in`]; `ValueError` for a mask of more than one dimension.
pub(crate) fn filter_in(filter: &Bound<'_, PyAny>) -> PyResult<FilterIn> {
    // A list or a pandas Series of bools is a mask too: ids are never bool.
    let listed = if filter.is_instance_of::<PyUntypedArray>() || !first_is_bool(filter) {
        filter.clone()
    } else {
        filter.py().import("numpy")?.call_method1("asarray", (filter,))?
    };
    if let Ok(array) = listed.cast::<PyUntypedArray>()
        && array.dtype().kind() == b'b'
    {
        let mask = array.cast::<PyArray1<bool>>().map_err(|_| {
            PyValueError::new_err(format!("filter: expected a mask of 1 dimension, found {}", array.ndim()))
        })?;
        return Ok(FilterIn::Mask(mask.try_readonly()?.as_array().iter().copied().collect()));
    }
    document_ids_in("filter", filter).map(FilterIn::Ids)
}

/// Whether the first item is a bool, Python's or numpy's.
fn first_is_bool(items: &Bound<'_, PyAny>) -> bool {
    // By an iterator of a sequence, which leaves the sequence as it was, unlike that of an iterator.
    let first = items.hasattr("__getitem__").unwrap_or(false).then(|| items.try_iter().ok()?.next()?.ok()).flatten();
    first.is_some_and(|first| matches!(type_name(&first).as_str(), "bool" | "bool_"))
}
