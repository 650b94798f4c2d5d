//! The table from the index's errors to Python's exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyKeyError, PyKeyboardInterrupt, PyMemoryError, PyValueError};
use pyo3::prelude::*;
use sparse_index::{DocumentId, IndexError};

use crate::errors::{internal, os_error};

create_exception!(corten, IndexFileError, PyValueError, "A file is not an index, or is damaged.");

/// The exception for an error of a call.
pub(crate) fn to_python(py: Python<'_>, error: IndexError) -> PyErr {
    let message = error.to_string();
    match error {
        IndexError::Row { .. }
        | IndexError::Layout { .. }
        | IndexError::Argument { .. }
        | IndexError::DuplicateId { .. }
        | IndexError::MixedIdKinds { .. }
        | IndexError::TooLarge { .. }
        // The environment variable that selects the level.
        | IndexError::Level(_) => PyValueError::new_err(message),
        // As dict does: the key itself.
        IndexError::UnknownId { id: DocumentId::Number(number) } => PyKeyError::new_err(number),
        IndexError::UnknownId { id: DocumentId::String(text) } => PyKeyError::new_err(text),
        IndexError::File(_) | IndexError::Damaged { .. } => IndexFileError::new_err(message),
        IndexError::Io { path, source } => os_error(py, &path, &source).unwrap_or_else(|exception| exception),
        IndexError::OutOfMemory { .. } => PyMemoryError::new_err(message),
        IndexError::Cancelled => PyKeyboardInterrupt::new_err(()),
        IndexError::Internal(_) => internal(&message),
    }
}
