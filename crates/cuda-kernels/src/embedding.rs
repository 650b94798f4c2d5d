//! The sum of BERT's three embeddings, normalised.

use crate::error::Error;
use crate::layer_norm::{LayerNorm, row_program};
use crate::machine::{Argument, Launch, Machine, ROWS_PER_BLOCK, WARP, check, size};
use crate::number::{Number, NumberKind};
use crate::program::{Kernel, Program};
use crate::row_numbers::RowNumbers;

/// BERT's embedding tables, rows of as many columns as the normalisation after them has.
pub struct EmbeddingTables<'a, M: Machine, T: Number> {
    /// `[vocabulary, columns]`.
    pub word: &'a M::Slice<T>,
    /// `[positions, columns]`, with the row of token type 0 already added.
    pub position: &'a M::Slice<T>,
}

/// The program of [`embedding_layer_norm`] for tables of `columns`.
///
/// # Errors
/// They are too wide.
pub fn embedding_program(number: NumberKind, columns: usize) -> Result<Program, Error> {
    row_program(Kernel::EmbeddingLayerNorm, number, columns)
}

/// `LayerNorm(word[id] + position[p])` for each token, into `output` (`[tokens, columns]`).
///
/// # Errors
/// The lengths do not agree, the rows are not known to be in the tables, or the launch fails.
pub fn embedding_layer_norm<M: Machine, T: Number>(
    machine: &M,
    tables: &EmbeddingTables<'_, M, T>,
    norm: &LayerNorm<'_, M>,
    token_ids: &RowNumbers<M>,
    positions: &RowNumbers<M>,
    output: &mut M::Slice<T>,
) -> Result<(), Error> {
    let kernel = Kernel::EmbeddingLayerNorm.name();
    let columns = norm.columns(kernel)?;
    let tokens = token_ids.len();
    check(kernel, "a word table", M::len(tables.word), token_ids.below(), columns)?;
    check(kernel, "a position table", M::len(tables.position), positions.below(), columns)?;
    check(kernel, "positions", positions.len(), tokens, 1)?;
    check(kernel, "output", M::len(output), tokens, columns)?;
    if tokens == 0 {
        return Ok(());
    }
    let launch = Launch {
        program: embedding_program(T::KIND, columns)?,
        grid: [size(kernel, tokens)?.div_ceil(ROWS_PER_BLOCK), 1, 1],
        block: [WARP, ROWS_PER_BLOCK, 1],
        arguments: vec![
            Argument::Address(machine.address(token_ids.values())),
            Argument::Address(machine.address(positions.values())),
            Argument::Address(machine.address(tables.word)),
            Argument::Address(machine.address(tables.position)),
            Argument::Address(machine.address(norm.weight)),
            Argument::Address(machine.address(norm.bias)),
            Argument::Float(norm.epsilon),
            Argument::Unsigned(size(kernel, tokens)?),
            Argument::Address(machine.address_mut(output)),
        ],
    };
    // SAFETY: the arguments are those of embedding.cu, which reads `tokens` row numbers, which are below the numbers of rows of the
    // tables, and writes `tokens` rows of `output`, as was checked.
    unsafe { machine.launch(&launch) }
}
