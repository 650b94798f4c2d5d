//! The mean of some rows of a table for each text.

use crate::error::Error;
use crate::lengths::Lengths;
use crate::machine::{Argument, COLUMN_THREADS, Launch, Machine, check, size};
use crate::number::{Number, NumberKind};
use crate::program::{Kernel, Program};
use crate::row_numbers::RowNumbers;

/// The rows of all texts, one text after another, and what each is multiplied by.
pub struct BagRows<'a, M: Machine> {
    /// Their numbers in the table.
    pub numbers: &'a RowNumbers<M>,
    /// One a row; without it, 1.
    pub weights: Option<&'a M::Slice<f32>>,
}

/// The program of [`embedding_bag_mean`].
#[must_use]
pub fn embedding_bag_program(number: NumberKind) -> Program {
    Program::new(Kernel::EmbeddingBagMean, number, [])
}

/// The mean of each text's rows of `table` (`[rows, table_columns]`), as [`kernels::embedding_bag_mean`] defines it: its first columns,
/// as many as fill `output`, `[texts, columns]`.
///
/// # Errors
/// The lengths do not agree, the rows are not known to be in the table, or the launch fails.
pub fn embedding_bag_mean<M: Machine, T: Number>(
    machine: &M,
    table: &M::Slice<T>,
    table_columns: usize,
    rows: &BagRows<'_, M>,
    lengths: &Lengths<M>,
    output: &mut M::Slice<f32>,
) -> Result<(), Error> {
    let kernel = Kernel::EmbeddingBagMean.name();
    let texts = lengths.texts();
    let columns = M::len(output) / texts.max(1);
    check(kernel, "a table", M::len(table), rows.numbers.below(), table_columns)?;
    check(kernel, "rows", rows.numbers.len(), lengths.tokens(), 1)?;
    check(kernel, "output", M::len(output), texts, columns)?;
    if let Some(weights) = rows.weights {
        check(kernel, "weights", M::len(weights), lengths.tokens(), 1)?;
    }
    if columns > table_columns {
        let expected = format!("at most {table_columns} columns");
        return Err(Error::Shape { kernel, expected, found: columns.to_string() });
    }
    if texts == 0 || columns == 0 {
        return Ok(());
    }
    let columns = size(kernel, columns)?;
    let launch = Launch {
        program: embedding_bag_program(T::KIND),
        grid: [size(kernel, texts)?, columns.div_ceil(COLUMN_THREADS), 1],
        block: [COLUMN_THREADS, 1, 1],
        arguments: vec![
            Argument::Address(machine.address(table)),
            Argument::Address(machine.address(rows.numbers.values())),
            Argument::Address(rows.weights.map_or(0, |weights| machine.address(weights))),
            Argument::Address(machine.address(lengths.ends())),
            Argument::Unsigned(size(kernel, table_columns)?),
            Argument::Unsigned(columns),
            Argument::Address(machine.address_mut(output)),
        ],
    };
    // SAFETY: the arguments are those of embedding_bag.cu, which reads one row number and weight a token, rows below the table's number of
    // rows, and writes `texts` rows of `columns`, as was checked; lengths are checked when they are made.
    unsafe { machine.launch(&launch) }
}
