//! Numbers of rows of a table, in a device's memory.

use crate::error::Error;
use crate::machine::Machine;

/// Numbers of rows, all below a bound: they were checked on the way to the device, so that kernels read inside of a table that
/// has as many rows.
pub struct RowNumbers<M: Machine> {
    values: M::Slice<u32>,
    below: usize,
}

impl<M: Machine> RowNumbers<M> {
    /// Copies `rows`, each a row of a table of `below` rows.
    ///
    /// # Errors
    /// One is not, or the copy fails.
    pub fn upload(machine: &M, rows: &[u32], below: usize) -> Result<Self, Error> {
        if let Some((place, row)) = rows.iter().enumerate().find(|(_, row)| **row as usize >= below) {
            let (expected, found) = (format!("a row below {below}"), format!("{row} at place {place}"));
            return Err(Error::Shape { kernel: "row numbers", expected, found });
        }
        Ok(Self { values: machine.upload(rows)?, below })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        M::len(&self.values)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All are below this.
    pub(crate) fn below(&self) -> usize {
        self.below
    }

    pub(crate) fn values(&self) -> &M::Slice<u32> {
        &self.values
    }
}
