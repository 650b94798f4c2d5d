//! What the library found out about the processor.

use encoder::Level;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A dict of "level", the instructions in use; "detected", the best this processor has; "features", what it has of the
/// instruction sets that matter here; "threads", the number of threads an encoder uses unless told otherwise.
#[pyfunction]
#[pyo3(signature = ())]
pub(crate) fn cpu_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let level = Level::selected().map_err(|error| PyValueError::new_err(error.to_string()))?;
    let info = PyDict::new(py);
    info.set_item("level", level.name())?;
    info.set_item("detected", Level::detected().name())?;
    info.set_item("features", Level::instruction_sets())?;
    info.set_item("threads", encoder::default_threads())?;
    Ok(info)
}
