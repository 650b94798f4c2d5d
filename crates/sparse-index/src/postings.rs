//! The inverted lists of a segment: for each term the documents that have it, in lists by weight.
//!
//! Documents are taken in windows of [`kernels::WINDOW`], so that a document's number within its window takes 16 bits and the partial scores
//! of a window stay in the first-level cache. The documents of a frequent term are split into several lists by weight, strongest
//! first, each with its own upper bound: a search can leave out a term's many weak documents and keep its few strong ones.
//!
//! Lists are stored in one of two ways. As numbers: 16 bits for the document and 8 for the weight, in units of the term's largest
//! weight / 255; the lists of a term lie beside each other in each window, so that the first few are one run. Or, for a weak list of
//! many documents, as one bitmap a window, with the middle of its bounds for every weight.

use kernels::WINDOW_WORDS;

use crate::storage::Buffer;
use crate::term_lists::TermLists;
use crate::term_table::TermTable;

/// Terms with fewer documents have no stored champions: their documents are looked through instead.
pub(crate) const FEWEST_FOR_CHAMPIONS: u32 = 256;

/// The inverted lists of a segment. Nothing in it is trusted when it comes from a file: every access is checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Postings {
    /// Windows of the segment.
    pub(crate) windows: usize,
    pub(crate) table: TermTable,
    /// For each frequent term the documents in which it weighs most, heaviest first.
    pub(crate) champions: Buffer<u32>,
    /// For each term `[windows, lists that are numbers]`: the documents of a list in a window.
    pub(crate) counts: Buffer<u16>,
    /// For each term, window and list the documents within their window.
    pub(crate) documents: Buffer<u16>,
    /// Their weights.
    pub(crate) weights: Buffer<u8>,
    /// `[bitmaps, windows, WINDOW_WORDS]`
    pub(crate) bitmaps: Buffer<u64>,
    /// Where each term's parts lie, from `lists`. Not stored.
    pub(crate) starts: Vec<TermStart>,
    /// The place of every term up to the highest, see [`find_places`]. Not stored.
    pub(crate) places: Vec<u32>,
}

/// What is stored of a list besides its documents. Every bit pattern is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct ListRecord {
    /// Its largest weight.
    pub(crate) upper: f32,
    /// The smallest weight of a bitmap; 0 of a list that is numbers.
    pub(crate) lower: f32,
    /// How many documents.
    pub(crate) count: u32,
}

impl ListRecord {
    pub(crate) fn is_bitmap(&self) -> bool {
        self.lower > 0.0
    }

    /// The bounds are weights.
    pub(crate) fn is_usable(&self) -> bool {
        self.upper > 0.0 && self.upper.is_finite() && self.lower >= 0.0 && self.lower <= self.upper
    }
}

/// A term's part of the arrays: all that finding it takes, in one cache line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TermStart {
    counts: usize,
    documents: usize,
    bitmaps: usize,
    /// Documents of the lists that are numbers.
    entries: u32,
    /// Its first list, how many lists, and how many of them are numbers.
    first_list: u32,
    lists: u32,
    numbers: u32,
}

impl Postings {
    /// Finds where each term's parts lie. Returns whether the lists fit the other arrays, and each other.
    pub(crate) fn find_starts(&mut self) -> Option<()> {
        if !self.table.is_sound(self.champions.as_slice().len()) {
            return None;
        }
        let mut starts = Vec::with_capacity(self.table.terms.len());
        let mut next = TermStart::default();
        for bounds in self.table.term_lists.windows(2) {
            let lists = self.table.lists.get(bounds[0] as usize..bounds[1] as usize)?;
            let numbers = lists.iter().take_while(|list| !list.is_bitmap()).count();
            let mut entries = 0_u32;
            for (number, list) in lists.iter().enumerate() {
                if list.is_bitmap() != (number >= numbers) {
                    return None;
                }
                if !list.is_bitmap() {
                    entries = entries.checked_add(list.count)?;
                }
            }
            (next.entries, next.first_list) = (entries, bounds[0]);
            (next.lists, next.numbers) = (bounds[1] - bounds[0], u32::try_from(numbers).ok()?);
            starts.push(next);
            next.documents = next.documents.checked_add(entries as usize)?;
            next.counts = next.counts.checked_add(numbers.checked_mul(self.windows)?)?;
            next.bitmaps = next.bitmaps.checked_add((lists.len() - numbers).checked_mul(self.windows)?)?;
        }
        self.starts = starts;
        self.places = find_places(&self.table.terms);
        let fits = next.counts == self.counts.as_slice().len()
            && next.documents == self.documents.as_slice().len()
            && next.bitmaps.checked_mul(WINDOW_WORDS)? == self.bitmaps.as_slice().len();
        fits.then_some(())
    }

    pub(crate) fn view(&self) -> PostingsView<'_> {
        PostingsView {
            windows: self.windows,
            terms: &self.table.terms,
            champion_starts: &self.table.champion_starts,
            champions: self.champions.as_slice(),
            lists: &self.table.lists,
            counts: self.counts.as_slice(),
            documents: self.documents.as_slice(),
            weights: self.weights.as_slice(),
            bitmaps: self.bitmaps.as_slice().as_chunks().0,
            starts: &self.starts,
            places: &self.places,
        }
    }
}

/// Instead of a place: the term does not occur.
const NO_PLACE: u32 = u32::MAX;

/// A table of the places of terms where it is not much larger than the terms, else nothing. One look instead of fifteen that wait for each
/// other: on cold caches these take a twentieth of a search.
fn find_places(terms: &[u32]) -> Vec<u32> {
    let length = terms.iter().max().map_or(0, |&highest| highest as usize + 1);
    if length > terms.len().saturating_mul(8) {
        return Vec::new();
    }
    let mut places = vec![NO_PLACE; length];
    for (&term, place) in terms.iter().zip(0..) {
        if let Some(entry) = places.get_mut(term as usize) {
            *entry = place;
        }
    }
    places
}

/// `end` and up to `more` entries of what follows in an array of `length`, if that goes so far.
fn padded(end: usize, more: usize, length: usize) -> Option<usize> {
    (end <= length).then_some((end + more).min(length))
}

/// The arrays of [`Postings`], found once for a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostingsView<'a> {
    pub(crate) windows: usize,
    terms: &'a [u32],
    champion_starts: &'a [u32],
    champions: &'a [u32],
    lists: &'a [ListRecord],
    counts: &'a [u16],
    documents: &'a [u16],
    weights: &'a [u8],
    bitmaps: &'a [[u64; WINDOW_WORDS]],
    starts: &'a [TermStart],
    places: &'a [u32],
}

impl<'a> PostingsView<'a> {
    /// The place of a term among the terms that occur.
    pub(crate) fn find(&self, term: u32) -> Option<usize> {
        if self.places.is_empty() {
            return self.terms.binary_search(&term).ok();
        }
        self.places.get(term as usize).filter(|place| **place != NO_PLACE).map(|place| *place as usize)
    }

    /// Asks for what [`PostingsView::lists`] will need: first for a term's place, then for its lists.
    #[inline]
    pub(crate) fn prefetch(&self, place: usize) {
        kernels::prefetch_lines::<_, 2>(self.starts, place);
    }

    /// See [`PostingsView::prefetch`].
    #[inline]
    pub(crate) fn prefetch_lists(&self, place: usize) {
        if let Some(start) = self.starts.get(place) {
            kernels::prefetch_lines::<_, 2>(self.lists, start.first_list as usize);
            kernels::prefetch_lines::<_, 2>(self.counts, start.counts);
            kernels::prefetch_line(self.documents, start.documents);
            kernels::prefetch_line(self.weights, start.documents);
        }
    }

    /// The lists of the term at `place`; none if the arrays do not fit each other.
    pub(crate) fn lists(&self, place: usize) -> Option<TermLists<'a>> {
        let start = self.starts.get(place)?;
        let (first, numbers) = (start.first_list as usize, start.numbers as usize);
        let lists = self.lists.get(first..first + start.lists as usize)?;
        if lists.is_empty() {
            return None;
        }
        let numbers_in_all = numbers * self.windows;
        let of_documents =
            start.documents..padded(start.documents + start.entries as usize, kernels::STRIP, self.documents.len())?;
        let of_counts = start.counts..padded(start.counts + numbers_in_all, 3, self.counts.len())?;
        Some(TermLists {
            lists,
            numbers,
            counts: self.counts.get(of_counts)?,
            documents: self.documents.get(of_documents.clone())?,
            weights: self.weights.get(of_documents)?,
            bitmaps: self.bitmaps.get(start.bitmaps..start.bitmaps + (lists.len() - numbers) * self.windows)?,
        })
    }

    /// Appends up to `most` documents in which the term at `place` weighs most.
    pub(crate) fn champions(&self, place: usize, lists: &TermLists<'a>, most: usize, documents: &mut Vec<u32>) {
        if lists.count() >= u64::from(FEWEST_FOR_CHAMPIONS) {
            let bound = |index: usize| self.champion_starts.get(index).map_or(0, |&bound| bound as usize);
            let stored = self.champions.get(bound(place)..bound(place + 1)).unwrap_or_default();
            documents.extend(stored.iter().take(most));
            return;
        }
        let mut all = Vec::with_capacity(FEWEST_FOR_CHAMPIONS as usize);
        lists.each(self.windows, |document, weight| all.push((weight, document)));
        if most < all.len() {
            all.select_nth_unstable_by(most, |a, b| b.cmp(a));
        }
        documents.extend(all.iter().take(most).map(|(_, document)| document));
    }
}
