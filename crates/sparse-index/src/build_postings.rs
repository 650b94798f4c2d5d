//! From rows to inverted lists.
//!
//! Terms are split into ranges of about equal size. Each range is one task: it gathers its entries of all rows by term, then makes
//! the lists of one term after the other. Rows ascend by term, so a range is one piece of each row.

use std::ops::Range;
use std::sync::Mutex;

use kernels::WINDOW;

use crate::error::IndexError;
use crate::gather_terms::Gatherer;
use crate::options::Cancel;
use crate::postings::Postings;
use crate::rows::SparseRows;
use crate::term_pieces::Piece;
use crate::threads::{self, lock, looked};

/// Ranges for each thread of a small collection: one that ends last then waits for little.
const RANGES_OF_A_THREAD: usize = 4;
/// Entries of a range at least about.
const FEWEST_ENTRIES: usize = 1 << 14;
/// Entries of a range at most about, but for large collections: bounds the memory beside the rows and the result, and how far apart they lie.
const RANGE_ENTRIES: usize = 1 << 22;
/// Each row is looked at for each range, so the number of ranges must not grow with that of rows.
const MOST_RANGES: usize = 64;

/// Makes the inverted lists of `rows`, whose weights are stored in units of `2^exponents`.
pub(crate) fn build(
    rows: &SparseRows<'_>,
    exponents: &[Option<i16>],
    dimension: u32,
    threads: usize,
    cancel: &Cancel<'_>,
) -> Result<Postings, IndexError> {
    let windows = rows.len().div_ceil(WINDOW);
    let counts = count_terms(rows, dimension, threads, cancel)?;
    let ranges = split_terms(&counts, rows.non_zeros(), threads);
    let mut all = Piece::default();
    all.documents.reserve_exact(rows.non_zeros());
    all.weights.reserve_exact(rows.non_zeros());
    let spare = Mutex::new(Vec::new());
    let make = |gatherer: &mut Gatherer, task: usize| {
        let range = ranges.get(task).cloned().unwrap_or_default();
        let mut piece: Piece = lock(&spare).pop().unwrap_or_default();
        let first = u32::try_from(range.start).unwrap_or(u32::MAX);
        gatherer.gather(rows, exponents, &counts, range, cancel)?;
        for (index, (term, entries)) in (first..).zip(gatherer.terms()).enumerate() {
            looked(index, cancel)?;
            if !entries.is_empty() {
                piece.add_term(term, entries, windows);
            }
        }
        Ok(piece)
    };
    let take = |mut piece: Piece| {
        all.append(&mut piece);
        lock(&spare).push(piece);
    };
    threads::in_order(threads, ranges.len(), cancel, || Gatherer::new(rows.len()), make, take)?;
    all.finish(windows)
}

/// The number of documents of each term up to the highest.
fn count_terms(
    rows: &SparseRows<'_>,
    dimension: u32,
    threads: usize,
    cancel: &Cancel<'_>,
) -> Result<Vec<usize>, IndexError> {
    let part = rows.len().div_ceil(threads.max(1)).max(1);
    let parts = threads::map(threads, rows.len().div_ceil(part), cancel, |task| {
        // Grows to the highest term that occurs: a dimension may be far larger.
        let mut counts: Vec<usize> = Vec::new();
        for row in task * part..rows.len().min((task + 1) * part) {
            looked(row, cancel)?;
            let terms = rows.row(row).0;
            if let Some(&last) = terms.last()
                && last < dimension
                && last as usize >= counts.len()
            {
                counts.resize(last as usize + 1, 0);
            }
            // A term that is not counted is one that the caller writes into the rows meanwhile.
            for &term in terms {
                if let Some(count) = counts.get_mut(term as usize) {
                    *count += 1;
                }
            }
        }
        Ok(counts)
    })?;
    let mut total = Vec::new();
    for counts in parts {
        if total.len() < counts.len() {
            total.resize(counts.len(), 0);
        }
        total.iter_mut().zip(&counts).for_each(|(sum, count)| *sum += count);
    }
    Ok(total)
}

/// Ranges of terms with about the same number of entries, several for each thread.
fn split_terms(counts: &[usize], entries: usize, threads: usize) -> Vec<Range<usize>> {
    let most = (entries / threads.saturating_mul(RANGES_OF_A_THREAD).max(1)).max(FEWEST_ENTRIES);
    let most = most.min(RANGE_ENTRIES.max(entries / MOST_RANGES));
    let mut ranges = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (term, count) in counts.iter().enumerate() {
        sum += count;
        if sum >= most {
            ranges.push(start..term + 1);
            (start, sum) = (term + 1, 0);
        }
    }
    ranges.push(start..counts.len());
    ranges
}
