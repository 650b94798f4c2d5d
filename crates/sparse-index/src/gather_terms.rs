//! The entries of a range of terms, by term.
//!
//! They lie in one array, small enough that the places where the terms' next entries go stay in the caches, and used again for
//! the thread's next range.

use std::ops::Range;

use crate::error::IndexError;
use crate::options::Cancel;
use crate::pack_rows::Unit;
use crate::ranked::Ranked;
use crate::rows::SparseRows;
use crate::threads::looked;

/// Rows asked for ahead of their use.
const AHEAD: usize = 16;

/// Gathers ranges of terms, each behind the one before.
#[derive(Debug)]
pub(crate) struct Gatherer {
    /// `[rows]`: how many entries of each row lie before the end of the last range.
    passed: Vec<u32>,
    /// Those of the last range by term, ranked by the bits of their weights, and what an earlier one left.
    entries: Vec<Ranked>,
    /// `[terms of the range + 1]`: where the entries of a term start.
    starts: Vec<usize>,
    /// `[terms of the range]`: where a term's next entry goes.
    next: Vec<usize>,
}

impl Gatherer {
    pub(crate) fn new(rows: usize) -> Self {
        Self { passed: vec![0; rows], entries: Vec::new(), starts: Vec::new(), next: Vec::new() }
    }

    /// Gathers the entries of all rows in `range`, with the weights that rows store. `counts` are those of all terms, `exponents` the units
    /// of the rows.
    pub(crate) fn gather(
        &mut self,
        rows: &SparseRows<'_>,
        exponents: &[Option<i16>],
        counts: &[usize],
        range: Range<usize>,
        cancel: &Cancel<'_>,
    ) -> Result<(), IndexError> {
        self.starts.clear();
        self.next.clear();
        let mut length = 0;
        for count in counts.get(range.clone()).unwrap_or_default() {
            self.starts.push(length);
            self.next.push(length);
            length += count;
        }
        self.starts.push(length);
        if self.entries.len() < length {
            self.entries = vec![Ranked::default(); length];
        }
        let first = u32::try_from(range.start).unwrap_or(u32::MAX);
        let end = u32::try_from(range.end).unwrap_or(u32::MAX);
        for (document, exponent) in (0..).zip(exponents) {
            let row = document as usize;
            looked(row, cancel)?;
            if let Some(&passed) = self.passed.get(row + AHEAD) {
                rows.prefetch(row + AHEAD, passed as usize);
            }
            let Some(passed) = self.passed.get_mut(row) else { break };
            let (terms, weights) = rows.row(row);
            // What the ranges of other threads have.
            let mut place = *passed as usize;
            while terms.get(place).is_some_and(|&term| term < first) {
                place += 1;
            }
            let unit = exponent.map(Unit::new);
            while let (Some(&term), Some(&weight)) = (terms.get(place), weights.get(place))
                && term < end
            {
                let stored = unit.map_or(weight, |unit| unit.stored(weight));
                // An entry without a place is one that the caller writes into the rows meanwhile.
                if let Some(next) = self.next.get_mut(term.wrapping_sub(first) as usize) {
                    if let Some(entry) = self.entries.get_mut(*next) {
                        // Above zero, so the bits are in the order of weights.
                        *entry = Ranked::new(stored.to_bits(), document);
                    }
                    *next += 1;
                }
                place += 1;
            }
            *passed = u32::try_from(place).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    /// The entries of each term of the last range, in the order of documents.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &[Ranked]> {
        self.starts.windows(2).map(|bounds| self.entries.get(bounds[0]..bounds[1]).unwrap_or_default())
    }
}
