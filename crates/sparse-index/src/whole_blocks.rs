//! Writing a file in blocks that begin at multiples of their length.

use std::io::{self, Write};

/// Bytes of a block: that of a huge page where others have 4 KiB.
///
/// A system that caches files in pieces as large as they were written maps such a block as one huge page. A search of a large index touches
/// hundreds of places, and finding each of them in a table of small pages takes a tenth of it.
const BLOCK: usize = 1 << 21;

/// Writes whole blocks; what does not fill one waits. Begins at the start of a file.
pub(crate) struct WholeBlocks<W> {
    target: W,
    /// What is not written yet, less than a block: the end of all that was given.
    waiting: Vec<u8>,
}

impl<W: Write> WholeBlocks<W> {
    pub(crate) fn new(target: W) -> Self {
        Self { target, waiting: Vec::with_capacity(BLOCK) }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if !self.waiting.is_empty() {
            let (first, rest) = bytes.split_at(bytes.len().min(BLOCK - self.waiting.len()));
            self.waiting.extend_from_slice(first);
            bytes = rest;
            if self.waiting.len() < BLOCK {
                return Ok(());
            }
            self.target.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        let (whole, rest) = bytes.split_at(bytes.len() / BLOCK * BLOCK);
        self.target.write_all(whole)?;
        self.waiting.extend_from_slice(rest);
        Ok(())
    }

    /// Writes what is left and returns the file.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.target.write_all(&self.waiting)?;
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the writes, and their bytes.
    #[derive(Default)]
    struct Writes(Vec<usize>, Vec<u8>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_write_but_the_last_ends_at_a_block() -> io::Result<()> {
        let bytes: Vec<u8> = (0..=250).cycle().take(4 * BLOCK + 5).collect();
        for lengths in
            [vec![bytes.len()], vec![1, BLOCK - 1, 7], vec![64, 2 * BLOCK, 3], vec![BLOCK, BLOCK + 1], vec![]]
        {
            let mut blocks = WholeBlocks::new(Writes::default());
            let mut rest = bytes.as_slice();
            for length in lengths {
                let (first, after) = rest.split_at(length);
                blocks.push(first)?;
                rest = after;
            }
            blocks.push(rest)?;
            let Writes(lengths, written) = blocks.finish()?;
            assert!(written == bytes);
            let (last, others) = lengths.split_last().unwrap_or((&0, &[]));
            assert_eq!((*last, others.iter().all(|length| length % BLOCK == 0)), (5, true), "{lengths:?}");
        }
        Ok(())
    }
}
