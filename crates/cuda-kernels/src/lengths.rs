//! Where the texts of a batch end, in a device's memory.

use crate::error::Error;
use crate::machine::Machine;

/// The places where the texts of a batch begin and end. What kernels do with them is inside of the batch because they were
/// checked on the way to the device.
pub struct Lengths<M: Machine> {
    ends: M::Slice<u32>,
    texts: usize,
    tokens: usize,
    longest: usize,
}

impl<M: Machine> Lengths<M> {
    /// Text i has the tokens from `ends[i]` up to, not including, `ends[i + 1]`.
    ///
    /// # Errors
    /// `ends` does not start at 0 or falls, or the copy fails.
    pub fn upload(machine: &M, ends: &[u32]) -> Result<Self, Error> {
        let (Some(0), Some(tokens), true) = (ends.first(), ends.last(), ends.is_sorted()) else {
            return Err(Error::Shape {
                kernel: "lengths",
                expected: "0, then numbers that do not fall".to_owned(),
                found: format!("{ends:?}"),
            });
        };
        let longest = ends.array_windows().map(|[start, end]| end - start).max().unwrap_or(0);
        Ok(Self {
            ends: machine.upload(ends)?,
            texts: ends.len() - 1,
            tokens: *tokens as usize,
            longest: longest as usize,
        })
    }

    /// Number of texts.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.texts
    }

    /// Number of tokens of all texts.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Tokens of the longest text.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// `[texts + 1]`.
    pub(crate) fn ends(&self) -> &M::Slice<u32> {
        &self.ends
    }
}
