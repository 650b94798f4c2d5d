//! Layer normalisation, with the bias and the residual sum before it.

use crate::error::Error;
use crate::machine::{Argument, Launch, Machine, ROWS_PER_BLOCK, WARP, check, size};
use crate::number::{Number, NumberKind};
use crate::program::{Kernel, Program};

/// The widest row: a lane holds a thirty-second of it in registers.
const WIDEST_ROW: usize = 4096;

/// The learned parts of a normalisation over rows of as many columns.
pub struct LayerNorm<'a, M: Machine> {
    /// Scale of each column.
    pub weight: &'a M::Slice<f32>,
    /// Shift of each column.
    pub bias: &'a M::Slice<f32>,
    /// Added to the variance before the root.
    pub epsilon: f32,
}

impl<M: Machine> LayerNorm<'_, M> {
    /// Columns.
    ///
    /// # Errors
    /// There are none or too many, or not as many biases as weights.
    pub(crate) fn columns(&self, kernel: &'static str) -> Result<usize, Error> {
        let columns = M::len(self.weight);
        check(kernel, "biases", M::len(self.bias), 1, columns)?;
        if columns == 0 {
            let expected = "rows of at least one column".to_owned();
            return Err(Error::Shape { kernel, expected, found: "none".to_owned() });
        }
        check_width(columns)?;
        Ok(columns)
    }
}

/// Refuses rows too wide for a warp.
fn check_width(columns: usize) -> Result<(), Error> {
    if columns > WIDEST_ROW {
        return Err(Error::TooLarge { what: "columns of a layer normalisation", most: WIDEST_ROW, found: columns });
    }
    Ok(())
}

/// The program of [`add_layer_norm`] for rows of `columns`.
///
/// # Errors
/// They are too wide.
pub fn layer_norm_program(number: NumberKind, columns: usize) -> Result<Program, Error> {
    row_program(Kernel::AddLayerNorm, number, columns)
}

/// The program of a kernel that has a row across a warp.
///
/// # Errors
/// It is too wide.
pub(crate) fn row_program(kernel: Kernel, number: NumberKind, columns: usize) -> Result<Program, Error> {
    check_width(columns)?;
    Ok(Program::new(kernel, number, [format!("COLUMNS {columns}")]))
}

/// `output = layer_norm(rows + rows_bias + residual)`, all but the bias (`[columns]`) of `[n, columns]`; what is `None` is not added.
///
/// # Errors
/// The lengths do not agree, or the launch fails.
pub fn add_layer_norm<M: Machine, T: Number>(
    machine: &M,
    norm: &LayerNorm<'_, M>,
    rows: &M::Slice<T>,
    rows_bias: Option<&M::Slice<f32>>,
    residual: Option<&M::Slice<T>>,
    output: &mut M::Slice<T>,
) -> Result<(), Error> {
    let kernel = Kernel::AddLayerNorm.name();
    let columns = norm.columns(kernel)?;
    let count = M::len(rows) / columns;
    check(kernel, "rows", M::len(rows), count, columns)?;
    check(kernel, "output", M::len(output), count, columns)?;
    if let Some(bias) = rows_bias {
        check(kernel, "a bias", M::len(bias), 1, columns)?;
    }
    if let Some(residual) = residual {
        check(kernel, "a residual", M::len(residual), count, columns)?;
    }
    if count == 0 {
        return Ok(());
    }
    let launch = Launch {
        program: layer_norm_program(T::KIND, columns)?,
        grid: [size(kernel, count)?.div_ceil(ROWS_PER_BLOCK), 1, 1],
        block: [WARP, ROWS_PER_BLOCK, 1],
        arguments: vec![
            Argument::Address(machine.address(rows)),
            Argument::Address(rows_bias.map_or(0, |bias| machine.address(bias))),
            Argument::Address(residual.map_or(0, |residual| machine.address(residual))),
            Argument::Address(machine.address(norm.weight)),
            Argument::Address(machine.address(norm.bias)),
            Argument::Float(norm.epsilon),
            Argument::Unsigned(size(kernel, count)?),
            Argument::Address(machine.address_mut(output)),
        ],
    };
    // SAFETY: the arguments are those of layer_norm.cu, which touches `count` rows of `columns` values of `rows`, `residual` and
    // `output` and `columns` values of the others, as was checked; only `output` is written.
    unsafe { machine.launch(&launch) }
}
