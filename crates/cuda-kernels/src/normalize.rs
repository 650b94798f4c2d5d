//! Scaling rows to unit length.

use crate::error::Error;
use crate::machine::{Argument, Launch, Machine, ROWS_PER_BLOCK, WARP, check, size};
use crate::number::NumberKind;
use crate::program::{Kernel, Program};

/// The program of [`l2_normalize`].
#[must_use]
pub fn normalize_program() -> Program {
    Program::new(Kernel::L2Normalize, NumberKind::Float32, [])
}

/// Divides each row of `rows` (`[n, columns]`) by its Euclidean norm, in place; a zero row stays zero.
///
/// # Errors
/// The length is not of whole rows, or the launch fails.
pub fn l2_normalize<M: Machine>(machine: &M, rows: &mut M::Slice<f32>, columns: usize) -> Result<(), Error> {
    let kernel = Kernel::L2Normalize.name();
    let count = M::len(rows) / columns.max(1);
    check(kernel, "rows", M::len(rows), count, columns)?;
    if count == 0 {
        return Ok(());
    }
    let launch = Launch {
        program: normalize_program(),
        grid: [size(kernel, count)?.div_ceil(ROWS_PER_BLOCK), 1, 1],
        block: [WARP, ROWS_PER_BLOCK, 1],
        arguments: vec![
            Argument::Address(machine.address_mut(rows)),
            Argument::Unsigned(size(kernel, columns)?),
            Argument::Unsigned(size(kernel, count)?),
        ],
    };
    // SAFETY: the arguments are those of normalize.cu, which touches `count` rows of `columns` values, as was checked.
    unsafe { machine.launch(&launch) }
}
