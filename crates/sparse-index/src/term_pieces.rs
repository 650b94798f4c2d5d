//! The lists of a term from its entries, and of one term after another.

use kernels::{WINDOW, WINDOW_WORDS};

use crate::error::IndexError;
use crate::postings::{FEWEST_FOR_CHAMPIONS, ListRecord, Postings};
use crate::ranked::Ranked;
use crate::split_lists::plan_lists;
use crate::term_table::TermTable;

/// Best documents remembered for each term.
const CHAMPIONS: usize = 8;
/// Most lists of a term that are numbers: the counts of a window are summed in the quarters of a word.
pub(crate) const MOST_NUMBERS: usize = 4;

/// The lists of some terms.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    terms: Vec<u32>,
    lists_of_term: Vec<u32>,
    champions_of_term: Vec<u32>,
    champions: Vec<u32>,
    lists: Vec<ListRecord>,
    counts: Vec<u16>,
    pub(crate) documents: Vec<u16>,
    pub(crate) weights: Vec<u8>,
    bitmaps: Vec<u64>,
    scratch: Scratch,
}

/// What making a term's lists needs for each of its entries.
#[derive(Debug, Default)]
struct Scratch {
    /// The bits of the weights, in the order of documents or inverted and partly sorted.
    weights: Vec<u32>,
    /// The list of each entry.
    lists: Vec<u8>,
    /// The weights as lists store them.
    bytes: Vec<u8>,
}

impl Piece {
    /// Adds the lists of a term from its entries, at least one, in the order of documents.
    pub(crate) fn add_term(&mut self, term: u32, entries: &[Ranked], windows: usize) {
        self.terms.push(term);
        self.add_champions(entries);
        let (cuts, numbers) = self.scratch.cuts(windows, entries);
        self.scratch.weights.clear();
        self.scratch.weights.extend(entries.iter().map(|entry| entry.rank()));
        let mut lists = self.scratch.split(&cuts);
        // Each cut is a weight, which is in its list, but for the last: that list may be empty.
        if lists.len() > 1 && lists.last().is_some_and(|list| list.count == 0) {
            lists.pop();
        }
        let numbers = numbers.min(lists.len());
        for list in lists.iter_mut().take(numbers) {
            list.lower = 0.0;
        }
        let per_weight = 255.0 / lists.first().map_or(0.0, |list| f64::from(list.upper));
        let bytes = self.scratch.weights.iter().map(|&bits| to_byte(f64::from(f32::from_bits(bits)) * per_weight));
        if lists.len() == 1 {
            let first = self.counts.len();
            self.counts.resize(first + windows, 0);
            let counts = self.counts.get_mut(first..).unwrap_or_default();
            for entry in entries {
                if let Some(count) = counts.get_mut(entry.document() as usize / WINDOW) {
                    *count = count.saturating_add(1);
                }
            }
            self.documents.extend(entries.iter().map(|entry| in_window(entry.document())));
            self.weights.extend(bytes);
        } else {
            self.scratch.bytes.clear();
            self.scratch.bytes.extend(bytes);
            self.add_windows(entries, lists.len() - numbers, numbers, windows);
        }
        self.lists_of_term.push(u32::try_from(lists.len()).unwrap_or(0));
        self.lists.extend(lists);
    }

    /// Adds the documents in which a term weighs most, heaviest first.
    fn add_champions(&mut self, entries: &[Ranked]) {
        let mut champions = 0;
        if entries.len() >= FEWEST_FOR_CHAMPIONS as usize {
            champions = CHAMPIONS;
            let mut best = [Ranked::default(); CHAMPIONS];
            for &entry in entries {
                if entry > best[CHAMPIONS - 1] {
                    let place = best.partition_point(|other| *other > entry);
                    best[place..].rotate_right(1);
                    best[place] = entry;
                }
            }
            self.champions.extend(best.map(Ranked::document));
        }
        self.champions_of_term.push(u32::try_from(champions).unwrap_or(0));
    }

    /// Adds the documents of a term whose entries' lists are known: `numbers` that are numbers, then `bitmaps`.
    fn add_windows(&mut self, entries: &[Ranked], bitmaps: usize, numbers: usize, windows: usize) {
        let first_bitmap = self.bitmaps.len();
        self.bitmaps.resize(first_bitmap + bitmaps * windows * WINDOW_WORDS, 0);
        let bitmaps = self.bitmaps.get_mut(first_bitmap..).unwrap_or_default();
        // What an entry of each list adds to four sums of 16 bits, which a window's documents fit.
        let mut ones = [0_u64; 16];
        for (list, one) in ones.iter_mut().enumerate().take(numbers.min(MOST_NUMBERS)) {
            *one = 1 << (16 * list);
        }
        let (mut entries, mut lists, mut bytes) = (entries, &*self.scratch.lists, &*self.scratch.bytes);
        for window in 0..windows {
            let count = entries.partition_point(|entry| entry.document() as usize / WINDOW <= window);
            let sums =
                lists.iter().take(count).fold(0_u64, |sums, &list| sums.wrapping_add(ones[usize::from(list % 16)]));
            // Where the next document of each list goes.
            let mut next = [0; MOST_NUMBERS];
            let mut end = self.documents.len();
            for (list, next) in next.iter_mut().enumerate().take(numbers) {
                let [low, high, ..] = (sums >> (16 * list)).to_le_bytes();
                let count = u16::from_le_bytes([low, high]);
                self.counts.push(count);
                *next = end;
                end += usize::from(count);
            }
            self.documents.resize(end, 0);
            self.weights.resize(end, 0);
            for ((entry, &list), &byte) in entries.iter().zip(lists).zip(bytes).take(count) {
                let document = entry.document();
                if let Some(next) = next.get_mut(..numbers).and_then(|next| next.get_mut(usize::from(list))) {
                    if let (Some(to), Some(weight)) = (self.documents.get_mut(*next), self.weights.get_mut(*next)) {
                        (*to, *weight) = (in_window(document), byte);
                    }
                    *next += 1;
                } else {
                    let word = (usize::from(list) - numbers) * windows * WINDOW_WORDS + document as usize / 64;
                    if let Some(word) = bitmaps.get_mut(word) {
                        *word |= 1 << (document % 64);
                    }
                }
            }
            (entries, lists, bytes) = (&entries[count..], &lists[count..], &bytes[count..]);
        }
    }

    /// Puts another piece behind this one and leaves it empty.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.terms.append(&mut other.terms);
        self.lists_of_term.append(&mut other.lists_of_term);
        self.champions_of_term.append(&mut other.champions_of_term);
        self.champions.append(&mut other.champions);
        self.lists.append(&mut other.lists);
        self.counts.append(&mut other.counts);
        self.documents.append(&mut other.documents);
        self.weights.append(&mut other.weights);
        self.bitmaps.append(&mut other.bitmaps);
    }

    /// The inverted lists of a segment, of which this is all.
    pub(crate) fn finish(mut self, windows: usize) -> Result<Postings, IndexError> {
        self.documents.shrink_to_fit();
        self.weights.shrink_to_fit();
        let bounds = |counts: &[u32]| {
            let ends = counts.iter().scan(0, |end, count| {
                *end += count;
                Some(*end)
            });
            std::iter::once(0).chain(ends).collect()
        };
        let table = TermTable {
            term_lists: bounds(&self.lists_of_term),
            champion_starts: bounds(&self.champions_of_term),
            terms: self.terms,
            lists: self.lists,
        };
        let mut postings = Postings {
            windows,
            table,
            champions: self.champions.into(),
            counts: self.counts.into(),
            documents: self.documents.into(),
            weights: self.weights.into(),
            bitmaps: self.bitmaps.into(),
            ..Postings::default()
        };
        let fit = postings.find_starts();
        fit.map(|()| postings).ok_or_else(|| IndexError::Internal("inverted lists that do not fit".to_owned()))
    }
}

impl Scratch {
    /// The bits of the smallest weight of each list but the last, whose cut is 0; and how many lists are numbers.
    fn cuts(&mut self, windows: usize, entries: &[Ranked]) -> (Vec<u32>, usize) {
        let plan = plan_lists(windows, entries.len());
        let ranks: Vec<usize> = plan.iter().map(|(end, _)| *end).filter(|end| *end < entries.len()).collect();
        self.weights.clear();
        if !ranks.is_empty() {
            // Inverted, so that the heaviest are first.
            self.weights.extend(entries.iter().map(|entry| !entry.rank()));
            place_ranks(&mut self.weights, &ranks, 0);
        }
        // The lists are cut at weights, so equal weights stay together.
        let (mut cuts, mut numbers) = (Vec::with_capacity(plan.len()), 0);
        for (end, is_bitmap) in plan {
            let cut = self.weights.get(end).map_or(0, |inverted| !inverted);
            if cuts.last().is_none_or(|&last| cut < last) {
                cuts.push(cut);
                numbers += usize::from(!is_bitmap);
            }
        }
        (cuts, numbers)
    }

    /// Finds the list of each weight and what is stored of each list.
    fn split(&mut self, cuts: &[u32]) -> Vec<ListRecord> {
        self.lists.clear();
        self.lists.resize(self.weights.len(), 0);
        let (smallest, largest) = self
            .weights
            .iter()
            .fold((u32::MAX, 0), |(smallest, largest), &weight| (weight.min(smallest), weight.max(largest)));
        let mut records = Vec::with_capacity(cuts.len());
        let (mut count, mut upper) = (u32::try_from(self.weights.len()).unwrap_or(u32::MAX), largest);
        for &cut in cuts.iter().take(cuts.len().saturating_sub(1)) {
            // How many are below, and the largest of them.
            let (mut below, mut largest) = (0, 0);
            for (list, &weight) in self.lists.iter_mut().zip(&self.weights) {
                let is_below = weight < cut;
                *list += u8::from(is_below);
                below += u32::from(is_below);
                largest = if is_below { weight } else { 0 }.max(largest);
            }
            records.push(ListRecord { upper: f32::from_bits(upper), lower: f32::from_bits(cut), count: count - below });
            (count, upper) = (below, largest);
        }
        records.push(ListRecord { upper: f32::from_bits(upper), lower: f32::from_bits(smallest), count });
        records
    }
}

/// Sorts so far that at each of `ranks`, which ascend, is what a sorted array has there. Positions count from `first`.
fn place_ranks(values: &mut [u32], ranks: &[usize], first: usize) {
    let middle = ranks.len() / 2;
    let Some(&rank) = ranks.get(middle) else { return };
    let (left, _, right) = values.select_nth_unstable(rank - first);
    place_ranks(left, &ranks[..middle], first);
    place_ranks(right, &ranks[middle + 1..], rank + 1);
}

/// A document's number within its window.
#[inline]
fn in_window(document: u32) -> u16 {
    u16::try_from(document as usize % WINDOW).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
#[inline]
fn to_byte(value: f64) -> u8 {
    // Halves go up, without a call of a library.
    let whole = value as u8;
    whole.saturating_add(u8::from(value - f64::from(whole) >= 0.5))
}
