//! The bias of a product and the function after it.

use kernels::Activation;

use crate::error::Error;
use crate::machine::{Argument, Launch, Machine, check, size};
use crate::number::{Number, NumberKind};
use crate::program::{Kernel, Program};

/// Threads of a block, which has a row.
const THREADS: u32 = 256;

/// The program of [`add_bias_activate`].
#[must_use]
pub fn activation_program(number: NumberKind, activation: Activation) -> Program {
    let name = match activation {
        Activation::Identity => "IDENTITY",
        Activation::Gelu => "GELU",
        Activation::GeluTanh => "GELU_TANH",
        Activation::Relu => "RELU",
        Activation::Silu => "SILU",
        Activation::Sigmoid => "SIGMOID",
        Activation::Tanh => "TANH",
    };
    Program::new(Kernel::AddBiasActivate, number, [format!("ACTIVATION_{name}")])
}

/// `rows = activation(rows + bias)` in place; `rows` is `[n, bias]`.
///
/// # Errors
/// The lengths do not agree, or the launch fails.
pub fn add_bias_activate<M: Machine, T: Number>(
    machine: &M,
    activation: Activation,
    bias: &M::Slice<f32>,
    rows: &mut M::Slice<T>,
) -> Result<(), Error> {
    let kernel = Kernel::AddBiasActivate.name();
    let columns = M::len(bias);
    let count = M::len(rows) / columns.max(1);
    check(kernel, "rows", M::len(rows), count, columns)?;
    if count == 0 {
        return Ok(());
    }
    let launch = Launch {
        program: activation_program(T::KIND, activation),
        grid: [size(kernel, count)?, 1, 1],
        block: [THREADS, 1, 1],
        arguments: vec![
            Argument::Address(machine.address_mut(rows)),
            Argument::Address(machine.address(bias)),
            Argument::Unsigned(size(kernel, columns)?),
        ],
    };
    // SAFETY: the arguments are those of activation.cu, which touches `count` rows and one bias of `columns` values, as was checked;
    // only `rows` is written.
    unsafe { machine.launch(&launch) }
}
