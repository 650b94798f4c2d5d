//! Python's texts to Rust's: the one place where a caller's strings are read.
//!
//! Everything is copied while the GIL is held, so what another thread does to the list afterwards does not matter.

use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMapping, PyString};

/// Copies any iterable of `str` (list, tuple, generator, numpy array, pandas Series ...).
///
/// # Errors
/// `TypeError` if it is no such iterable (a single `str`, `bytes` and mappings are refused, since their items are hardly
/// what is meant) or for the first item that is no `str`; `ValueError` for the first item that is not valid Unicode;
/// whatever the iterable itself raises.
pub(crate) fn texts_in(texts: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Some(hint) = misleading(texts) {
        return Err(not_iterable(texts, hint));
    }
    let items = texts.try_iter().map_err(|_| not_iterable(texts, ""))?;
    // Only a hint, and one that a caller's class can get wrong: never trusted for more than a first allocation.
    let mut copied = Vec::with_capacity(texts.len().unwrap_or(0).min(1 << 20));
    for (index, item) in items.enumerate() {
        copied.push(text_in(&item?, || format!("texts[{index}]"))?);
    }
    Ok(copied)
}

/// Copies the prompt of a call.
///
/// # Errors
/// `TypeError` for anything but `str` and `None`, `ValueError` for what is not valid Unicode.
pub(crate) fn prompt_in(prompt: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    prompt.map(|prompt| text_in(prompt, || "prompt".to_owned())).transpose()
}

/// Copies one `str`, or an instance of a subclass such as `numpy.str_`.
pub(crate) fn text_in(item: &Bound<'_, PyAny>, place: impl Fn() -> String) -> PyResult<String> {
    let Ok(text) = item.cast::<PyString>() else {
        let hint = if is_bytes(item) { " (hint: decode it first, e.g. text.decode(\"utf-8\"))" } else { "" };
        let message = format!("{}: expected str, got {}{hint}", place(), type_name(item));
        return Err(PyTypeError::new_err(message));
    };
    text.extract::<String>().map_err(|error| {
        let py = item.py();
        if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
            return error;
        }
        let found = match error.value(py).getattr("start").and_then(|start| start.extract::<usize>()) {
            Ok(character) => format!("lone surrogate at character {character}"),
            Err(_) => "lone surrogate".to_owned(),
        };
        PyValueError::new_err(format!("{}: not valid Unicode ({found})", place()))
    })
}

/// A hint if the object is iterable but its items are hardly the texts that are meant.
fn misleading(texts: &Bound<'_, PyAny>) -> Option<&'static str> {
    if texts.is_instance_of::<PyString>() {
        Some(" (hint: put a single text in a list, [text])")
    } else if is_bytes(texts) {
        Some(" (hint: decode it first, e.g. [text.decode(\"utf-8\")])")
    } else if texts.cast::<PyMapping>().is_ok() {
        Some(" (hint: pass its keys or values, e.g. list(texts.values()))")
    } else {
        None
    }
}

fn not_iterable(texts: &Bound<'_, PyAny>, hint: &str) -> PyErr {
    PyTypeError::new_err(format!("texts: expected an iterable of str, got {}{hint}", type_name(texts)))
}

fn is_bytes(item: &Bound<'_, PyAny>) -> bool {
    item.is_instance_of::<PyBytes>() || item.is_instance_of::<PyByteArray>()
}

/// The name of an object's type, as Python's own messages give it.
pub(crate) fn type_name(item: &Bound<'_, PyAny>) -> String {
    item.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
