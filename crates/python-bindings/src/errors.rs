//! The one table from this library's errors to Python's exceptions.

use std::io;
use std::path::Path;

use encoder::{EncodeError, ModelError, ModelFileError as FileError};
use pyo3::exceptions::{
    PyFileNotFoundError, PyKeyboardInterrupt, PyMemoryError, PyNotADirectoryError, PyOSError, PyRuntimeError,
    PyValueError,
};
use pyo3::prelude::*;

#[cfg(not(feature = "cuda"))]
mod exceptions {
    use pyo3::create_exception;
    use pyo3::exceptions::{PyRuntimeError, PyValueError};

    create_exception!(
        corten,
        ModelFileError,
        PyValueError,
        "A model folder or one of its files is malformed or of a kind that is not supported."
    );
    create_exception!(corten, DeviceError, PyRuntimeError, "The device asked for is not there or cannot be used.");
    create_exception!(
        corten,
        InternalError,
        PyRuntimeError,
        "A mistake in Corten itself. Please report it, with the message and what led to it."
    );
}

/// The same exceptions, so that one `except` is for both modules.
#[cfg(feature = "cuda")]
mod exceptions {
    pyo3::import_exception!(corten._native, ModelFileError);
    pyo3::import_exception!(corten._native, DeviceError);
    pyo3::import_exception!(corten._native, InternalError);
}

pub(crate) use exceptions::{DeviceError, InternalError, ModelFileError};

/// `ENOENT`, the same number on every supported system.
const NO_SUCH_FILE: i32 = 2;
/// `ENOTDIR`, likewise.
const NOT_A_DIRECTORY: i32 = 20;

/// The exception for an error of a call.
pub(crate) fn to_python(py: Python<'_>, error: &EncodeError) -> PyErr {
    let message = error.to_string();
    match error {
        EncodeError::File(error) => file_error(py, error),
        EncodeError::Argument { .. }
        | EncodeError::Family { .. }
        | EncodeError::Text { .. }
        | EncodeError::Prompt { .. }
        | EncodeError::NoTokenVectors
        | EncodeError::Dtype { .. }
        | EncodeError::NonFinite { .. } => PyValueError::new_err(message),
        EncodeError::Device(_) => DeviceError::new_err(message),
        EncodeError::OutOfMemory(_) => PyMemoryError::new_err(message),
        // What Python's own threads raise when the system has none left.
        EncodeError::Threads { .. } => PyRuntimeError::new_err(message),
        EncodeError::Cancelled => PyKeyboardInterrupt::new_err(()),
        EncodeError::Model(error) => match **error {
            // The environment variable that selects the level.
            ModelError::Level(_) => PyValueError::new_err(message),
            _ => internal(&format!("internal error: {message}")),
        },
        EncodeError::Internal(_) => internal(&message),
    }
}

/// The exception for a mistake of this library.
pub(crate) fn internal(message: &str) -> PyErr {
    InternalError::new_err(format!("{message} (hint: this is a bug in Corten, please report it)"))
}

/// The exception for a model folder.
fn file_error(py: Python<'_>, error: &FileError) -> PyErr {
    match error {
        FileError::FolderNotFound { path } => {
            PyFileNotFoundError::new_err((NO_SUCH_FILE, "no such model folder", path.as_os_str().to_owned()))
        }
        FileError::NotAFolder { path, found } => {
            let message = format!("expected a model folder, found {found}");
            PyNotADirectoryError::new_err((NOT_A_DIRECTORY, message, path.as_os_str().to_owned()))
        }
        FileError::MissingFile { file, hint } => {
            let hint = hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
            let message = format!("expected a file, found nothing{hint}");
            PyFileNotFoundError::new_err((NO_SUCH_FILE, message, file.as_os_str().to_owned()))
        }
        FileError::Io { file, source } => os_error(py, file, source).unwrap_or_else(|exception| exception),
        FileError::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
        // Every other variant is about what the folder holds.
        _ => ModelFileError::new_err(error.to_string()),
    }
}

/// `OSError` with the system's number, from which Python chooses the subclass such as `PermissionError`.
pub(crate) fn os_error(py: Python<'_>, file: &Path, source: &io::Error) -> PyResult<PyErr> {
    if source.kind() == io::ErrorKind::InvalidInput {
        // A path with a NUL character, for which Python's own open() raises this.
        return Ok(PyValueError::new_err(format!("{}: {source}", file.display())));
    }
    let Some(number) = source.raw_os_error() else {
        return Ok(PyOSError::new_err(format!("{}: {source}", file.display())));
    };
    if cfg!(windows) {
        // The number is one of Windows', which goes last; Python derives errno from it.
        return Ok(PyOSError::new_err((0, source.to_string(), file.as_os_str().to_owned(), number)));
    }
    let message: String = py.import("os")?.call_method1("strerror", (number,))?.extract()?;
    Ok(PyOSError::new_err((number, message, file.as_os_str().to_owned())))
}

/// The exception for a result whose number of values does not fit its shape.
pub(crate) fn shape_error(error: &numpy::ndarray::ShapeError) -> PyErr {
    internal(&format!("internal error: {error}"))
}
