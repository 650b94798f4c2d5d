//! From the logits of a batch to one weight a text and term.

use kernels::{TermFormula, TermPooling};

use crate::error::Error;
use crate::lengths::Lengths;
use crate::machine::{Argument, COLUMN_THREADS, Launch, Machine, check, size};
use crate::number::{Number, NumberKind};
use crate::program::{Kernel, Program};

/// The logits of some neighbouring terms.
pub struct LogitChunk<'a, M: Machine, T: Number> {
    /// Without the bias, `[tokens, bias]`.
    pub logits: &'a M::Slice<T>,
    /// One a term of the chunk.
    pub bias: &'a M::Slice<f32>,
    /// The number of its first term.
    pub first_term: usize,
}

/// The program of [`pool_logits`].
#[must_use]
pub fn term_weights_program(number: NumberKind) -> Program {
    Program::new(Kernel::PoolLogits, number, [])
}

/// The weights of the terms of `chunk`, as [`kernels::term_weights`] defines them, into their columns of `output` (`[texts, terms]`).
///
/// # Errors
/// The lengths do not agree, or the launch fails.
pub fn pool_logits<M: Machine, T: Number>(
    machine: &M,
    formula: TermFormula,
    lengths: &Lengths<M>,
    chunk: &LogitChunk<'_, M, T>,
    terms: usize,
    output: &mut M::Slice<f32>,
) -> Result<(), Error> {
    let kernel = Kernel::PoolLogits.name();
    let of_chunk = M::len(chunk.bias);
    check(kernel, "logits", M::len(chunk.logits), lengths.tokens(), of_chunk)?;
    check(kernel, "output", M::len(output), lengths.texts(), terms)?;
    if chunk.first_term.checked_add(of_chunk).is_none_or(|end| end > terms) {
        let found = format!("{of_chunk} from {}", chunk.first_term);
        return Err(Error::Shape { kernel, expected: format!("terms of {terms}"), found });
    }
    if lengths.texts() == 0 || of_chunk == 0 {
        return Ok(());
    }
    let of_chunk = size(kernel, of_chunk)?;
    let launch = Launch {
        program: term_weights_program(T::KIND),
        grid: [size(kernel, lengths.texts())?, of_chunk.div_ceil(COLUMN_THREADS), 1],
        block: [COLUMN_THREADS, 1, 1],
        arguments: vec![
            Argument::Address(machine.address(chunk.logits)),
            Argument::Address(machine.address(chunk.bias)),
            Argument::Address(machine.address(lengths.ends())),
            Argument::Unsigned(of_chunk),
            Argument::Unsigned(u32::from(formula.pooling == TermPooling::Sum)),
            Argument::Unsigned(u32::from(formula.twice)),
            Argument::Unsigned(size(kernel, terms)?),
            Argument::Unsigned(size(kernel, chunk.first_term)?),
            Argument::Address(machine.address_mut(output)),
        ],
    };
    // SAFETY: the arguments are those of term_weights.cu, which reads a row of the chunk a token and writes the chunk's columns of `texts`
    // rows of `terms`, as was checked; lengths are checked when they are made.
    unsafe { machine.launch(&launch) }
}
