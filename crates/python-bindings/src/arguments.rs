//! Checked arguments from Python, other than texts.

use std::path::PathBuf;

use encoder::{Device, DeviceProducts, DtypeChoice};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::errors::DeviceError;
use crate::texts_in::type_name;

/// An argument as the caller gave it, unlike an `Option` with `None` apart from nothing given.
#[derive(Default)]
pub(crate) struct Given<'py>(Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(argument: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self(Some(argument.to_owned())))
    }
}

impl Given<'_> {
    /// The positive integer given, or `None` if nothing was.
    ///
    /// # Errors
    /// As for [`positive_integer`].
    pub(crate) fn positive_integer(self, name: &str) -> PyResult<Option<usize>> {
        self.0.map(|value| positive_integer(&value, name)).transpose()
    }

    /// The bool given (Python's or numpy's), or false if nothing was.
    ///
    /// # Errors
    /// `TypeError` for anything else.
    pub(crate) fn bool_or_false(self, name: &str) -> PyResult<bool> {
        let Some(value) = self.0 else { return Ok(false) };
        value.extract().map_err(|_| wrong_type(&value, name, "bool"))
    }

    /// The dtype of the name given, or the default if nothing was.
    ///
    /// # Errors
    /// `ValueError` for anything else.
    pub(crate) fn dtype_or_default(self) -> PyResult<DtypeChoice> {
        let Some(value) = self.0 else { return Ok(DtypeChoice::default()) };
        let choice = value.extract::<String>().ok().and_then(|name| DtypeChoice::from_name(&name));
        choice.ok_or_else(|| {
            PyValueError::new_err(format!("dtype: expected {}, found {}", DtypeChoice::NAMES, shown(&value)))
        })
    }

    /// The products of the name given, or the default if nothing was.
    ///
    /// # Errors
    /// `ValueError` for anything else.
    pub(crate) fn products_or_default(self) -> PyResult<DeviceProducts> {
        let Some(value) = self.0 else { return Ok(DeviceProducts::default()) };
        let choice = value.extract::<String>().ok().and_then(|name| DeviceProducts::from_name(&name));
        choice.ok_or_else(|| {
            PyValueError::new_err(format!("products: expected {}, found {}", DeviceProducts::NAMES, shown(&value)))
        })
    }

    /// The device of the name given, or the CPU if nothing was. Not "auto": `corten/device.py` chooses, before it loads
    /// one of the two modules.
    ///
    /// # Errors
    /// `DeviceError` for anything else.
    pub(crate) fn device_or_cpu(self) -> PyResult<Device> {
        let Some(value) = self.0 else { return Ok(Device::Cpu) };
        let device = value.extract::<String>().ok().and_then(|name| Device::from_name(&name));
        device.filter(|&device| device != Device::Auto).ok_or_else(|| {
            DeviceError::new_err(format!("device: expected \"cpu\", \"cuda\" or \"cuda:N\", found {}", shown(&value)))
        })
    }
}

/// An integer of at least 1. Anything with `__index__` counts (numpy's integers do), except `bool`; what is too large for
/// this machine is the largest number there is.
///
/// # Errors
/// `ValueError` for anything else.
pub(crate) fn positive_integer(value: &Bound<'_, PyAny>, name: &str) -> PyResult<usize> {
    let refused =
        || PyValueError::new_err(format!("{name}: expected an integer of at least 1, found {}", shown(value)));
    if value.is_instance_of::<PyBool>() {
        return Err(refused());
    }
    match value.extract::<usize>() {
        Ok(0) => Err(refused()),
        Ok(number) => Ok(number),
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => Err(refused()),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            if value.lt(0)? {
                Err(refused())
            } else {
                Ok(usize::MAX)
            }
        }
        Err(error) => Err(error),
    }
}

/// [`positive_integer`], or `None` for Python's `None`.
///
/// # Errors
/// As for [`positive_integer`].
pub(crate) fn optional_positive_integer(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Option<usize>> {
    value.map(|value| positive_integer(value, name)).transpose()
}

/// The path of a model folder.
///
/// # Errors
/// `TypeError` for anything but `str` and `os.PathLike` of `str`.
pub(crate) fn path_in(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    path.extract().map_err(|_| wrong_type(path, "path", "str or os.PathLike"))
}

/// The function that watches a call.
///
/// # Errors
/// `TypeError` for what cannot be called.
pub(crate) fn progress_in(progress: Option<Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    match progress {
        Some(progress) if !progress.is_callable() => Err(wrong_type(&progress, "progress", "a callable")),
        progress => Ok(progress.map(Bound::unbind)),
    }
}

fn wrong_type(value: &Bound<'_, PyAny>, name: &str, expected: &str) -> PyErr {
    PyTypeError::new_err(format!("{name}: expected {expected}, got {}", type_name(value)))
}

/// A value as Python shows it, else its type.
fn shown(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(|_| type_name(value), |found| found.to_string())
}
