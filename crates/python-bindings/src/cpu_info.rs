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
    info.set_item("features", features())?;
    info.set_item("threads", encoder::default_threads())?;
    Ok(info)
}

/// The names of the instruction sets of this processor, as in `/proc/cpuinfo` but for underscores.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512dq", is_x86_feature_detected!("avx512dq")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ]
    .into_iter()
    .filter_map(|(name, detected)| detected.then_some(name))
    .collect()
}

/// The names of the instruction sets of this processor.
#[cfg(target_arch = "aarch64")]
fn features() -> Vec<&'static str> {
    [("neon", std::arch::is_aarch64_feature_detected!("neon"))]
        .into_iter()
        .filter_map(|(name, detected)| detected.then_some(name))
        .collect()
}

/// None are told apart on other processors.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<&'static str> {
    Vec::new()
}
