//! From rows to inverted lists.
//!
//! Terms are split into ranges of about equal size. Each range is one task: it gathers its entries of all rows by term, then makes
//! the lists of one term after the other. Rows ascend by term, so a range is one piece of each row.

use std::ops::Range;

use kernels::{WINDOW, WINDOW_WORDS};

use crate::error::IndexError;
use crate::forward::stored_weight;
use crate::options::Cancel;
use crate::postings::{FEWEST_FOR_CHAMPIONS, ListRecord, Postings};
use crate::rows::SparseRows;
use crate::split_lists::plan_lists;
use crate::term_table::TermTable;
use crate::threads::{self, looked};

/// Best documents remembered for each term.
const CHAMPIONS: usize = 8;
/// Entries of a range of terms, at most about: bounds the memory beside the rows and the result.
const RANGE_ENTRIES: usize = 1 << 25;

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
    let pieces = threads::map(threads, ranges.len(), cancel, |task| {
        let range = ranges.get(task).cloned().unwrap_or_default();
        Piece::build(rows, exponents, &counts, range, windows, cancel)
    })?;
    join(pieces, windows)
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

/// Ranges of terms with about the same number of entries, at least one for each thread.
fn split_terms(counts: &[usize], entries: usize, threads: usize) -> Vec<Range<usize>> {
    let most = (entries / threads.max(1)).clamp(1 << 12, RANGE_ENTRIES);
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

/// The lists of a range of terms.
#[derive(Default)]
struct Piece {
    terms: Vec<u32>,
    lists_of_term: Vec<u32>,
    champions_of_term: Vec<u32>,
    champions: Vec<u32>,
    lists: Vec<ListRecord>,
    counts: Vec<u16>,
    documents: Vec<u16>,
    weights: Vec<u8>,
    bitmaps: Vec<u64>,
}

impl Piece {
    fn build(
        rows: &SparseRows<'_>,
        exponents: &[Option<i16>],
        counts: &[usize],
        range: Range<usize>,
        windows: usize,
        cancel: &Cancel<'_>,
    ) -> Result<Self, IndexError> {
        let counts = counts.get(range.clone()).unwrap_or_default();
        let mut starts = vec![0; counts.len() + 1];
        for (index, count) in counts.iter().enumerate() {
            starts[index + 1] = starts[index] + count;
        }
        let mut entries = vec![(0_u32, 0_f32); starts[counts.len()]];
        let mut next = starts.clone();
        for row in 0..rows.len() {
            looked(row, cancel)?;
            let (terms, weights) = rows.row(row);
            let first = terms.partition_point(|&term| (term as usize) < range.start);
            let document = u32::try_from(row).unwrap_or(u32::MAX);
            for (&term, &weight) in terms.iter().zip(weights).skip(first) {
                if term as usize >= range.end {
                    break;
                }
                let Some(place) = next.get_mut(term as usize - range.start) else { break };
                if let Some(entry) = entries.get_mut(*place) {
                    *entry = (document, stored_weight(weight, exponents.get(row).copied().flatten()));
                }
                *place += 1;
            }
        }
        let mut piece = Self::default();
        piece.documents.reserve_exact(entries.len());
        piece.weights.reserve_exact(entries.len());
        let mut sorted = Vec::new();
        for (index, bounds) in starts.windows(2).enumerate() {
            looked(index, cancel)?;
            let entries = &entries[bounds[0]..bounds[1]];
            if !entries.is_empty() {
                piece.terms.push(u32::try_from(range.start + index).unwrap_or(u32::MAX));
                piece.add_term(entries, windows, &mut sorted);
            }
        }
        Ok(piece)
    }

    /// Adds the lists of a term from its documents, ascending, and weights.
    fn add_term(&mut self, entries: &[(u32, f32)], windows: usize, sorted: &mut Vec<(u32, f32)>) {
        sorted.clear();
        sorted.extend_from_slice(entries);
        let heaviest = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let mut champions = 0;
        if sorted.len() >= FEWEST_FOR_CHAMPIONS as usize {
            champions = CHAMPIONS;
            sorted.select_nth_unstable_by(CHAMPIONS, heaviest);
            self.champions.extend(sorted.iter().take(CHAMPIONS).map(|entry| entry.0));
        }
        self.champions_of_term.push(u32::try_from(champions).unwrap_or(0));
        // The lists are cut at weights, so equal weights stay together: the smallest weight of each.
        let plan = plan_lists(windows, sorted.len());
        let (mut cuts, mut numbers) = (Vec::with_capacity(plan.len()), 0);
        let mut parted = 0;
        for (end, is_bitmap) in plan {
            let mut cut = 0.0;
            if end < sorted.len() {
                // All before `parted` are heavier than those after it.
                cut = sorted[parted..].select_nth_unstable_by(end - parted, heaviest).1.1;
                parted = end;
            }
            if cuts.last().is_none_or(|&last| cut < last) {
                cuts.push(cut);
                numbers += usize::from(!is_bitmap);
            }
        }
        self.add_lists(entries, &cuts, numbers, windows);
    }

    /// Adds lists that end at these weights, the first `numbers` of them as numbers.
    fn add_lists(&mut self, entries: &[(u32, f32)], cuts: &[f32], numbers: usize, windows: usize) {
        let list_of = |weight: f32| cuts.iter().take_while(|cut| weight < **cut).count().min(cuts.len() - 1);
        let mut lists = vec![ListRecord { lower: f32::INFINITY, ..ListRecord::default() }; cuts.len()];
        for &(_, weight) in entries {
            let list = &mut lists[list_of(weight)];
            list.upper = list.upper.max(weight);
            list.lower = list.lower.min(weight);
            list.count += 1;
        }
        // Each cut is a weight, which is in its list, but for the last: that list may be empty.
        if lists.len() > 1 && lists.last().is_some_and(|list| list.count == 0) {
            lists.pop();
        }
        let numbers = numbers.min(lists.len());
        let per_weight = 255.0 / f64::from(lists[0].upper);
        let first_bitmap = self.bitmaps.len();
        self.bitmaps.resize(first_bitmap + (lists.len() - numbers) * windows * WINDOW_WORDS, 0);
        let mut runs: Vec<(Vec<u16>, Vec<u8>)> = vec![(Vec::new(), Vec::new()); numbers];
        let mut next = 0;
        for window in 0..windows {
            let end = next + entries[next..].partition_point(|entry| entry.0 as usize / WINDOW <= window);
            for &(document, weight) in &entries[next..end] {
                let list = list_of(weight);
                if let Some((documents, weights)) = runs.get_mut(list) {
                    documents.push(u16::try_from(document as usize % WINDOW).unwrap_or(0));
                    weights.push(to_byte(f64::from(weight) * per_weight));
                } else {
                    let word = first_bitmap + (list - numbers) * windows * WINDOW_WORDS + document as usize / 64;
                    self.bitmaps[word] |= 1 << (document % 64);
                }
            }
            for (documents, weights) in &mut runs {
                self.counts.push(u16::try_from(documents.len()).unwrap_or(u16::MAX));
                self.documents.append(documents);
                self.weights.append(weights);
            }
            next = end;
        }
        for list in lists.iter_mut().take(numbers) {
            list.lower = 0.0;
        }
        self.lists_of_term.push(u32::try_from(lists.len()).unwrap_or(0));
        self.lists.extend(lists);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, from 0 to 255")]
fn to_byte(value: f64) -> u8 {
    value.round() as u8
}

/// Puts the pieces one after another.
fn join(pieces: Vec<Piece>, windows: usize) -> Result<Postings, IndexError> {
    let mut all = Piece::default();
    let (mut term_lists, mut champion_starts) = (vec![0], vec![0]);
    all.documents.reserve_exact(pieces.iter().map(|piece| piece.documents.len()).sum());
    all.weights.reserve_exact(pieces.iter().map(|piece| piece.weights.len()).sum());
    for piece in pieces {
        let extend = |bounds: &mut Vec<u32>, counts: &[u32]| {
            let mut last = bounds.last().copied().unwrap_or(0);
            bounds.extend(counts.iter().map(|count| {
                last += count;
                last
            }));
        };
        extend(&mut term_lists, &piece.lists_of_term);
        extend(&mut champion_starts, &piece.champions_of_term);
        all.terms.extend(piece.terms);
        all.champions.extend(piece.champions);
        all.lists.extend(piece.lists);
        all.counts.extend(piece.counts);
        all.documents.extend(piece.documents);
        all.weights.extend(piece.weights);
        all.bitmaps.extend(piece.bitmaps);
    }
    let mut postings = Postings {
        windows,
        table: TermTable { terms: all.terms, term_lists, champion_starts, lists: all.lists },
        champions: all.champions.into(),
        counts: all.counts.into(),
        documents: all.documents.into(),
        weights: all.weights.into(),
        bitmaps: all.bitmaps.into(),
        ..Postings::default()
    };
    let fit = postings.find_starts();
    fit.map(|()| postings).ok_or_else(|| IndexError::Internal("inverted lists that do not fit".to_owned()))
}
