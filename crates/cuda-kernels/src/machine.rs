//! Where kernels run, and what they are told.

use crate::error::Error;
use crate::number::Element;
use crate::program::Program;

/// Something with memory and kernels: a CUDA device, or its emulation.
pub trait Machine {
    /// Some elements of its memory, alive until dropped.
    type Slice<T: Element>;

    /// Number of elements.
    fn len<T: Element>(slice: &Self::Slice<T>) -> usize;

    /// The address of the first element, for a kernel that reads.
    fn address<T: Element>(&self, slice: &Self::Slice<T>) -> u64;

    /// The address of the first element, for a kernel that writes.
    fn address_mut<T: Element>(&self, slice: &mut Self::Slice<T>) -> u64;

    /// A copy of `values`.
    ///
    /// # Errors
    /// There is no memory, or the copy fails.
    fn upload<T: Element>(&self, values: &[T]) -> Result<Self::Slice<T>, Error>;

    /// `len` elements of unspecified values.
    ///
    /// # Errors
    /// There is no memory.
    fn reserve<T: Element>(&self, len: usize) -> Result<Self::Slice<T>, Error>;

    /// Runs a kernel after what was launched before.
    ///
    /// # Safety
    /// The arguments are those of the kernel, and with them it reads and writes inside of slices of this machine only, and writes none
    /// that is not borrowed mutably.
    ///
    /// # Errors
    /// The program does not compile, or the machine refuses the launch.
    unsafe fn launch(&self, launch: &Launch) -> Result<(), Error>;
}

/// A kernel and all that it is told.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What to run.
    pub program: Program,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// In the kernel's order.
    pub arguments: Vec<Argument>,
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// The address of a slice, or 0 for none.
    Address(u64),
    /// An integer.
    Unsigned(u32),
    /// A float32.
    Float(f32),
}

/// Threads of a block whose threads each have a column.
pub(crate) const COLUMN_THREADS: u32 = 128;
/// Lanes of a warp.
pub(crate) const WARP: u32 = 32;
/// Rows of a block whose warps each have a row.
pub(crate) const ROWS_PER_BLOCK: u32 = 4;

/// A size as kernels take it.
///
/// # Errors
/// It is larger than they can count.
pub(crate) fn size(kernel: &'static str, found: usize) -> Result<u32, Error> {
    u32::try_from(found).map_err(|_| Error::Shape {
        kernel,
        expected: "a size below 2^32".to_owned(),
        found: found.to_string(),
    })
}

/// Refuses a slice of another length than `[rows, columns]`.
///
/// # Errors
/// [`Error::Shape`], naming the slice.
pub(crate) fn check(kernel: &'static str, name: &str, found: usize, rows: usize, columns: usize) -> Result<(), Error> {
    if Some(found) == rows.checked_mul(columns) {
        return Ok(());
    }
    let expected = format!("{name} of [{rows}, {columns}]");
    Err(Error::Shape { kernel, expected, found: format!("{found} values") })
}
