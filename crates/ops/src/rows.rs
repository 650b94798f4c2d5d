//! What every CPU operation does with its tensors: float32 rows in, float32 rows out.

use candle_core::{CpuStorage, Error, Layout, Result, Shape, WithDType};

/// The refusal of an operation that has nothing to compute with on the CPU.
pub(crate) fn made_for_a_device(op: &str) -> Error {
    Error::Msg(format!("{op}: expected a tensor of the device that the operation was made for, found one of the CPU"))
}

/// The values of a contiguous tensor.
pub(crate) fn values<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout, op: &'static str) -> Result<&'a [T]> {
    let (start, end) = layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op })?;
    let values: &[T] = storage.as_slice()?;
    values.get(start..end).ok_or_else(|| Error::Msg(format!("{op}: the storage ends before the tensor")))
}

/// The values of a contiguous `[rows, columns]` tensor of float32.
pub(crate) fn matrix<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
    columns: usize,
    op: &'static str,
) -> Result<&'a [f32]> {
    check_columns(layout, columns, op)?;
    values(storage, layout, op)
}

/// [`matrix`], to be changed in place.
pub(crate) fn matrix_mut<'a>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
    columns: usize,
    op: &'static str,
) -> Result<&'a mut [f32]> {
    check_columns(layout, columns, op)?;
    let (start, end) = layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op })?;
    let CpuStorage::F32(values) = storage else {
        return Err(Error::Msg(format!("{op}: expected float32 rows")));
    };
    values.get_mut(start..end).ok_or_else(|| Error::Msg(format!("{op}: the storage ends before the tensor")))
}

fn check_columns(layout: &Layout, columns: usize, op: &str) -> Result<()> {
    match layout.shape().dims2()? {
        (_, found) if found == columns => Ok(()),
        (_, found) => Err(Error::Msg(format!("{op}: expected rows of {columns} columns, found {found}"))),
    }
}

/// A `[rows, columns]` result.
pub(crate) fn result(values: Vec<f32>, columns: usize) -> (CpuStorage, Shape) {
    let rows = values.len() / columns.max(1);
    (CpuStorage::F32(values), Shape::from((rows, columns)))
}

/// Rows of one task: enough that the weights are read seldom, few enough that the rows stay in the second-level cache.
/// A multiple of every level's tile.
pub(crate) const ROWS_PER_TASK: usize = 96;

/// Floats of one task of an operation that only passes over its values once.
pub(crate) const VALUES_PER_TASK: usize = 1 << 15;

/// Whole rows of about [`VALUES_PER_TASK`] values.
pub(crate) fn values_per_task(columns: usize) -> usize {
    (VALUES_PER_TASK / columns.max(1)).max(1) * columns
}
