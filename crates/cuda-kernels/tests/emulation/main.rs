//! The kernels against the specification, without a GPU: `src/cuda` compiled by g++ behind a header that emulates one (`machine.hpp`),
//! launched by the same functions that launch on a device, and compared with the crate `kernels` over odd sizes and ragged batches.
//!
//! Not held here: what the hardware itself does (the conversions and the layout of tiles in instructions.cuh, which follow the PTX manual on
//! both sides), races that the emulation's orders of threads do not show, and speed.

#![expect(clippy::unwrap_used, reason = "tests")]

mod attention;
mod machine;
mod numbers;
mod refusals;
mod rows;
mod texts;
