//! `corten._native`: the compiled half of the Python package `corten`.
//!
//! Conversions and nothing else: arguments are checked and copied while the GIL is held, the work runs without it
//! through one door (`door::run`), results are moved into numpy without copying, and errors become exceptions by one
//! table (`errors.rs`). No panic reaches Python: it would be an `InternalError`.
//!
//! `python/corten/_native.pyi` describes the module to type checkers and must agree with it.
//!
//! With the feature `cuda` this is `corten_cuda._native`, which has nothing but the `Encoder`: it is loaded beside
//! `corten._native`, whose exceptions it raises, only when a GPU is asked for.

#![forbid(unsafe_op_in_unsafe_fn)]

mod arguments;
mod door;
mod encoder;
mod errors;
mod texts_in;

#[cfg(not(feature = "cuda"))]
mod arrays_in;
#[cfg(not(feature = "cuda"))]
mod cpu_info;
#[cfg(not(feature = "cuda"))]
mod document_ids_in;
#[cfg(not(feature = "cuda"))]
mod hits_out;
#[cfg(not(feature = "cuda"))]
mod index_door;
#[cfg(not(feature = "cuda"))]
mod index_errors;
#[cfg(not(feature = "cuda"))]
mod sparse_index;
#[cfg(not(feature = "cuda"))]
mod sparse_rows_in;
#[cfg(not(feature = "cuda"))]
mod torch_rows_in;

use pyo3::prelude::*;

/// The compiled half of corten.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::encoder::Encoder;

    #[cfg(not(feature = "cuda"))]
    #[pymodule_export]
    use super::cpu_info::cpu_info;
    #[cfg(not(feature = "cuda"))]
    #[pymodule_export]
    use super::errors::{DeviceError, InternalError, ModelFileError};
    #[cfg(not(feature = "cuda"))]
    #[pymodule_export]
    use super::index_errors::IndexFileError;
    #[cfg(not(feature = "cuda"))]
    #[pymodule_export]
    use super::sparse_index::SparseIndex;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
