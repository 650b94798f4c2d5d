//! Self-attention over the tokens of each text.

use kernels::AttentionShape;

use crate::error::Error;
use crate::lengths::Lengths;
use crate::machine::{Argument, Launch, Machine, WARP, check, size};
use crate::number::{Number, NumberKind};
use crate::program::{Kernel, Program};

/// The widest head: a block's keys and values of it fit into shared memory.
pub const WIDEST_HEAD: usize = 512;
/// The widest head of the kernel with tensor cores, whose lanes hold sums for all of its columns in registers.
const WIDEST_HEAD_IN_TILES: usize = 128;

/// Threads of a block of `attention.cu`, each with a query.
const QUERIES: u32 = 64;
/// Warps of a block of `attention_tiles.cu`.
const WARPS: u32 = 4;
/// Queries of a block of `attention_tiles.cu`.
const QUERIES_IN_TILES: u32 = 16 * WARPS;
/// The most blocks that a grid can be high or deep.
const MOST_BLOCKS: u32 = 65_535;

/// The program of [`attention`] for heads of `head_dim` columns.
///
/// # Errors
/// They are too wide.
pub fn attention_program(number: NumberKind, head_dim: usize) -> Result<Program, Error> {
    if head_dim > WIDEST_HEAD {
        return Err(Error::TooLarge { what: "columns of an attention head", most: WIDEST_HEAD, found: head_dim });
    }
    let in_tiles = number != NumberKind::Float32 && head_dim <= WIDEST_HEAD_IN_TILES;
    let kernel = if in_tiles { Kernel::AttentionTiles } else { Kernel::Attention };
    Ok(Program::new(kernel, number, [format!("HEAD_DIM {head_dim}")]))
}

/// `softmax(q k^T / sqrt(head_dim)) v` for each head within each text: `qkv` is `[tokens, 3 * hidden]`, queries, keys and values side by
/// side, `output` `[tokens, hidden]`.
///
/// # Errors
/// The lengths do not agree, or the launch fails.
pub fn attention<M: Machine, T: Number>(
    machine: &M,
    shape: AttentionShape,
    lengths: &Lengths<M>,
    qkv: &M::Slice<T>,
    output: &mut M::Slice<T>,
) -> Result<(), Error> {
    let AttentionShape { heads, head_dim } = shape;
    let program = attention_program(T::KIND, head_dim)?;
    let kernel = program.kernel().name();
    let hidden = heads.saturating_mul(head_dim);
    check(kernel, "queries, keys and values", M::len(qkv), lengths.tokens(), hidden.saturating_mul(3))?;
    check(kernel, "output", M::len(output), lengths.tokens(), hidden)?;
    if lengths.tokens() == 0 || hidden == 0 {
        return Ok(());
    }
    let (block, queries) = match program.kernel() {
        Kernel::AttentionTiles => ([WARP, WARPS, 1], QUERIES_IN_TILES),
        _ => ([QUERIES, 1, 1], QUERIES),
    };
    let grid =
        [size(kernel, lengths.texts())?, size(kernel, heads)?, size(kernel, lengths.longest())?.div_ceil(queries)];
    if grid[1] > MOST_BLOCKS || grid[2] > MOST_BLOCKS {
        return Err(Error::TooLarge {
            what: "heads or blocks of queries of a text",
            most: MOST_BLOCKS as usize,
            found: grid[1].max(grid[2]) as usize,
        });
    }
    let launch = Launch {
        program,
        grid,
        block,
        arguments: vec![
            Argument::Address(machine.address(qkv)),
            Argument::Address(machine.address(lengths.ends())),
            Argument::Unsigned(grid[1]),
            Argument::Float(scale(head_dim)),
            Argument::Address(machine.address_mut(output)),
        ],
    };
    // SAFETY: the arguments are those of both kernels, which read and write the rows of each text below `tokens`, of as many columns as
    // was checked; lengths are checked when they are made.
    unsafe { machine.launch(&launch) }
}

/// What a score is multiplied by so that 2 to its power is the softmax's e to the power of it over the root of `head_dim`.
#[expect(clippy::cast_precision_loss, reason = "heads have far fewer than 2^24 columns")]
fn scale(head_dim: usize) -> f32 {
    std::f32::consts::LOG2_E / (head_dim as f32).sqrt()
}
