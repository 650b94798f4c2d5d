//! Sparse tensors of torch, by their methods alone: torch itself is not needed.

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;

use crate::arrays_in::integers_in;
use crate::sparse_rows_in::{RowsIn, refused};

/// Takes a tensor of layout `sparse_coo` or `sparse_csr` apart.
///
/// # Errors
/// `TypeError` for another layout, `ValueError` for more than two dimensions; whatever torch raises.
pub(crate) fn rows_in<'py>(what: &str, tensor: &Bound<'py, PyAny>) -> PyResult<RowsIn<'py>> {
    let layout = tensor.getattr("layout")?.str()?;
    let tensor = tensor.call_method0("detach")?.call_method0("cpu")?;
    let shape: Vec<usize> = tensor.getattr("shape")?.extract()?;
    // The tensors may be of 16-bit floats, for which numpy has no dtype.
    let weights =
        |tensor: &Bound<'py, PyAny>| tensor.call_method0("values")?.call_method0("float")?.call_method0("numpy");
    match layout.to_str()? {
        "torch.sparse_csr" => {
            let indptr = tensor.call_method0("crow_indices")?.call_method0("numpy")?;
            let indices = tensor.call_method0("col_indices")?.call_method0("numpy")?;
            RowsIn::from_arrays(what, [&indptr, &indices, &weights(&tensor)?], Some(&shape))
        }
        "torch.sparse_coo" => {
            // Sorts by row and column and adds up what is there twice, as every operation of torch's would.
            let tensor = tensor.call_method0("coalesce")?;
            let coordinates = tensor.call_method0("indices")?.call_method0("numpy")?;
            let values = weights(&tensor)?;
            let last = coordinates.get_item(shape.len().saturating_sub(1))?;
            let indptr = match shape.as_slice() {
                [_] => vec![0, i64::try_from(values.len()?)?],
                [rows, _] => offsets(integers_in(what, &coordinates.get_item(0)?)?.as_slice(), *rows)?,
                _ => {
                    let message = format!("{what}: expected a matrix or a vector, found {} dimensions", shape.len());
                    return Err(PyValueError::new_err(message));
                }
            };
            let indptr = numpy::PyArray1::from_vec(tensor.py(), indptr);
            RowsIn::from_arrays(what, [indptr.as_any(), &last, &values], Some(&shape))
        }
        _ => Err(refused(what, &tensor, " of another layout (hint: tensor.to_sparse() makes a dense tensor sparse)")),
    }
}

/// The row offsets of sorted row numbers.
fn offsets(row_numbers: &[i64], rows: usize) -> PyResult<Vec<i64>> {
    let mut offsets = Vec::new();
    let length = rows.saturating_add(1);
    offsets.try_reserve_exact(length).map_err(|_| PyMemoryError::new_err(format!("no memory for {rows} rows")))?;
    offsets.resize(length, 0);
    for &row in row_numbers {
        let count = usize::try_from(row).ok().and_then(|row| offsets.get_mut(row + 1));
        *count.ok_or_else(|| PyValueError::new_err("a row number beyond the tensor's shape"))? += 1;
    }
    let mut total = 0;
    for offset in &mut offsets {
        total += *offset;
        *offset = total;
    }
    Ok(offsets)
}
