//! One-dimensional numpy arrays to slices: borrowed where the dtype fits, converted and checked where it does not.

use numpy::{
    Element, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::texts_in::type_name;

/// The values of an array: the caller's memory, or a converted copy.
pub(crate) enum Values<'py, T: Element> {
    /// A C-contiguous array of the dtype that is wanted.
    Borrowed(PyReadonlyArray1<'py, T>),
    /// Anything else, converted.
    Owned(Vec<T>),
}

impl<'py, T: Element + Copy> Values<'py, T> {
    /// The values.
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            // `borrow` made sure that the array is contiguous.
            Self::Borrowed(array) => array.as_slice().unwrap_or_default(),
            Self::Owned(values) => values,
        }
    }

    /// The values in memory that nothing else can reach.
    pub(crate) fn into_owned(self) -> Vec<T> {
        match self {
            Self::Borrowed(array) => array.as_slice().unwrap_or_default().to_vec(),
            Self::Owned(values) => values,
        }
    }

    /// The array itself if its dtype is `T`, copied only where its values do not lie side by side.
    fn borrow(array: &Bound<'py, PyAny>) -> Option<Self> {
        let array = array.cast::<PyArray1<T>>().ok()?;
        let array = array.try_readonly().ok()?;
        if array.as_slice().is_ok() {
            return Some(Self::Borrowed(array));
        }
        Some(Self::Owned(array.as_array().iter().copied().collect()))
    }
}

/// Row offsets or ids: integers of any width.
///
/// # Errors
/// `TypeError` for what is not integers, `ValueError` for more than one dimension or a number beyond 63 bits.
pub(crate) fn integers_in<'py>(place: &str, array: &Bound<'py, PyAny>) -> PyResult<Values<'py, i64>> {
    if let Some(values) = Values::<i64>::borrow(array) {
        return Ok(values);
    }
    if let Some(values) = Values::<i32>::borrow(array) {
        return Ok(Values::Owned(values.as_slice().iter().copied().map(i64::from).collect()));
    }
    let array = as_array(place, array)?;
    if let Some(values) = Values::<i64>::borrow(array.as_any()) {
        return Ok(values);
    }
    if let Some(values) = Values::<u64>::borrow(array.as_any()) {
        let signed = |(index, &value): (usize, &u64)| {
            i64::try_from(value).map_err(|_| {
                PyValueError::new_err(format!("{place}[{index}]: expected an integer below 2**63, found {value}"))
            })
        };
        return values.as_slice().iter().enumerate().map(signed).collect::<PyResult<_>>().map(Values::Owned);
    }
    match array.dtype().kind() {
        b'i' | b'u' => Ok(Values::Owned(converted::<i64>(&array, "int64")?)),
        // What numpy makes of an empty list.
        _ if array.len() == 0 => Ok(Values::Owned(Vec::new())),
        _ => Err(wrong_dtype(place, &array, "integers")),
    }
}

/// Term ids, int32 unless they have to be converted.
///
/// # Errors
/// As for [`integers_in`]. `Ok(Err((position, value)))` for the first value that is no int32, so that the caller can
/// name its row.
pub(crate) fn term_ids_in<'py>(
    place: &str,
    array: &Bound<'py, PyAny>,
) -> PyResult<Result<Values<'py, i32>, (usize, i64)>> {
    if let Some(values) = Values::<i32>::borrow(array) {
        return Ok(Ok(values));
    }
    let values = integers_in(place, array)?;
    let narrow = |(position, &value): (usize, &i64)| i32::try_from(value).map_err(|_| (position, value));
    Ok(values.as_slice().iter().enumerate().map(narrow).collect::<Result<_, _>>().map(Values::Owned))
}

/// Weights: float32 unless they have to be rounded. What is beyond float32's range becomes infinite.
///
/// # Errors
/// `TypeError` for what is not real numbers, `ValueError` for more than one dimension.
pub(crate) fn weights_in<'py>(place: &str, array: &Bound<'py, PyAny>) -> PyResult<Values<'py, f32>> {
    if let Some(values) = Values::<f32>::borrow(array) {
        return Ok(values);
    }
    let array = as_array(place, array)?;
    if let Some(values) = Values::<f32>::borrow(array.as_any()) {
        return Ok(values);
    }
    match array.dtype().kind() {
        b'f' | b'i' | b'u' | b'b' => {
            let values = converted::<f64>(&array, "float64")?;
            Ok(Values::Owned(values.into_iter().map(rounded).collect()))
        }
        _ => Err(wrong_dtype(place, &array, "real numbers")),
    }
}

/// The nearest float32.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted; the index refuses infinities")]
pub(crate) fn rounded(value: f64) -> f32 {
    value as f32
}

/// Whatever numpy makes of the object, which must have one dimension.
fn as_array<'py>(place: &str, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    let array = py
        .import("numpy")?
        .call_method1("asarray", (object,))
        .map_err(|_| PyTypeError::new_err(format!("{place}: expected an array, got {}", type_name(object))))?;
    let array = array.cast_into::<PyUntypedArray>()?;
    if array.ndim() != 1 {
        let message = format!("{place}: expected an array of 1 dimension, found {}", array.ndim());
        return Err(PyValueError::new_err(message));
    }
    Ok(array)
}

fn converted<T: Element + Copy>(array: &Bound<'_, PyUntypedArray>, dtype: &str) -> PyResult<Vec<T>> {
    let array = array.call_method1("astype", (dtype,))?;
    Ok(array.cast_into::<PyArray1<T>>()?.readonly().as_array().iter().copied().collect())
}

fn wrong_dtype(place: &str, array: &Bound<'_, PyUntypedArray>, expected: &str) -> PyErr {
    PyTypeError::new_err(format!("{place}: expected {expected}, found {}", array.dtype()))
}
