//! `corten._native`: the compiled half of the Python package `corten`.
//!
//! Conversions and nothing else: arguments are checked and copied while the GIL is held, the work runs without it
//! through one door (`door::run`), results are moved into numpy without copying, and errors become exceptions by one
//! table (`errors.rs`). No panic reaches Python: it would be an `InternalError`.
//!
//! `python/corten/_native.pyi` describes the module to type checkers and must agree with it.

#![forbid(unsafe_op_in_unsafe_fn)]

mod arguments;
mod arrays_in;
mod cpu_info;
mod document_ids_in;
mod door;
mod encoder;
mod errors;
mod hits_out;
mod index_door;
mod index_errors;
mod sparse_index;
mod sparse_rows_in;
mod texts_in;
mod torch_rows_in;

use pyo3::prelude::*;

/// The compiled half of corten.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::cpu_info::cpu_info;
    #[pymodule_export]
    use super::encoder::Encoder;
    #[pymodule_export]
    use super::errors::{DeviceError, InternalError, ModelFileError};
    #[pymodule_export]
    use super::index_errors::IndexFileError;
    #[pymodule_export]
    use super::sparse_index::SparseIndex;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
