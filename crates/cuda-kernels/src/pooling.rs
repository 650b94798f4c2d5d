//! From the token vectors of a batch to one vector a text.

use kernels::PoolingMode;

use crate::error::Error;
use crate::lengths::Lengths;
use crate::machine::{Argument, COLUMN_THREADS, Launch, Machine, check, size};
use crate::number::{Number, NumberKind};
use crate::program::{Kernel, Program};

/// Where one mode's vectors go: a part of the columns of `[texts, width]`.
pub struct PoolingOutput<'a, M: Machine> {
    /// `[texts, width]`.
    pub rows: &'a mut M::Slice<f32>,
    /// Columns of all modes.
    pub width: usize,
    /// The first column of this one.
    pub first_column: usize,
}

/// The program of [`pool`].
#[must_use]
pub fn pooling_program(number: NumberKind) -> Program {
    Program::new(Kernel::Pool, number, [])
}

/// The number of a mode in pooling.cu.
fn number_of(mode: PoolingMode) -> u32 {
    match mode {
        PoolingMode::Cls => 0,
        PoolingMode::Max => 1,
        PoolingMode::Mean => 2,
        PoolingMode::MeanSqrtLen => 3,
        PoolingMode::WeightedMean => 4,
        PoolingMode::LastToken => 5,
    }
}

/// Pools `hidden` (`[tokens, columns]`) as [`kernels::pool`] does, leaving out the first `excluded` tokens of each text.
///
/// # Errors
/// The lengths do not agree, or the launch fails.
pub fn pool<M: Machine, T: Number>(
    machine: &M,
    mode: PoolingMode,
    lengths: &Lengths<M>,
    hidden: &M::Slice<T>,
    excluded: usize,
    output: &mut PoolingOutput<'_, M>,
) -> Result<(), Error> {
    let kernel = Kernel::Pool.name();
    let (texts, tokens) = (lengths.texts(), lengths.tokens());
    if texts == 0 || tokens == 0 {
        let expected = "texts of tokens".to_owned();
        return Err(Error::Shape { kernel, expected, found: format!("{texts} of {tokens}") });
    }
    let columns = M::len(hidden) / tokens;
    check(kernel, "token vectors", M::len(hidden), tokens, columns)?;
    check(kernel, "output", M::len(output.rows), texts, output.width)?;
    if columns == 0 || output.first_column.checked_add(columns).is_none_or(|end| end > output.width) {
        let expected = format!("columns inside of {}", output.width);
        return Err(Error::Shape { kernel, expected, found: format!("{columns} from {}", output.first_column) });
    }
    let columns = size(kernel, columns)?;
    let launch = Launch {
        program: pooling_program(T::KIND),
        grid: [size(kernel, texts)?, columns.div_ceil(COLUMN_THREADS), 1],
        block: [COLUMN_THREADS, 1, 1],
        arguments: vec![
            Argument::Address(machine.address(hidden)),
            Argument::Address(machine.address(lengths.ends())),
            Argument::Unsigned(columns),
            // Texts are shorter than 2^32 tokens, so no more can be left out.
            Argument::Unsigned(u32::try_from(excluded).unwrap_or(u32::MAX)),
            Argument::Unsigned(number_of(mode)),
            Argument::Unsigned(size(kernel, output.width)?),
            Argument::Unsigned(size(kernel, output.first_column)?),
            Argument::Address(machine.address_mut(output.rows)),
        ],
    };
    // SAFETY: the arguments are those of pooling.cu, which reads rows below `tokens` and writes `columns` values from `first_column` on of
    // `texts` rows of `width`, as was checked; lengths are checked when they are made.
    unsafe { machine.launch(&launch) }
}
