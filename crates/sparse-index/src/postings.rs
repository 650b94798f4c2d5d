//! The inverted lists of a segment: for each term the documents that have it, in lists by weight.
//!
//! Documents are taken in windows of [`WINDOW`], so that a document's number within its window takes 16 bits and the partial scores of a
//! window stay in the first-level cache. The documents of a frequent term are split into several lists by weight, strongest
//! first: each list has its own upper bound, so a search can leave out a term's many weak documents and keep its few strong ones,
//! and its own unit of weight. A list is stored as numbers with 8-bit weights, or, where it has many documents and a narrow range of
//! weights, as a bitmap a window.

use kernels::{WINDOW, WINDOW_WORDS};

use crate::storage::Buffer;

/// The inverted lists of a segment. Nothing in it is trusted when it comes from a file: every access is checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Postings {
    /// Windows of the segment.
    pub(crate) windows: usize,
    /// `[terms]`: the terms that occur, ascending.
    pub(crate) terms: Buffer<u32>,
    /// `[terms + 1]`: the lists of term i are `term_lists[i]..term_lists[i + 1]`, strongest first.
    pub(crate) term_lists: Buffer<u32>,
    /// `[terms + 1]`: the champions of term i are at `champion_starts[i]..champion_starts[i + 1]`.
    pub(crate) champion_starts: Buffer<u32>,
    /// For each term the documents in which it weighs most.
    pub(crate) champions: Buffer<u32>,
    /// `[lists]`
    pub(crate) lists: Buffer<ListRecord>,
    /// `[lists, windows + 1]`: postings of the list before each window.
    pub(crate) offsets: Buffer<u32>,
    /// Documents within their window, of all lists that are not bitmaps.
    pub(crate) documents: Buffer<u16>,
    /// Their weights in units of the list.
    pub(crate) weights: Buffer<u8>,
    /// `[bitmap lists, windows, WINDOW_WORDS]`
    pub(crate) bitmaps: Buffer<u64>,
}

/// A list's fixed part. Every bit pattern is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct ListRecord {
    /// Where its postings start in `documents` and `weights`, or its first word in `bitmaps`.
    pub(crate) start: u64,
    /// Its largest weight.
    pub(crate) upper: f32,
    /// Its smallest weight.
    pub(crate) lower: f32,
    /// 1 for a bitmap, else 0.
    pub(crate) is_bitmap: u32,
    /// How many documents.
    pub(crate) count: u32,
}

/// How a list's documents are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    /// Documents and 8-bit weights of all windows; weight 255 is the list's upper bound.
    Numbers { documents: &'a [u16], weights: &'a [u8], offsets: &'a [u32] },
    /// The words of all windows; each document's weight counts as the middle of the bounds.
    Bitmap { words: &'a [[u64; WINDOW_WORDS]] },
}

/// One list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    pub(crate) upper: f32,
    pub(crate) lower: f32,
    pub(crate) count: u32,
    pub(crate) body: Body<'a>,
}

impl<'a> List<'a> {
    /// The documents of one window, if the list is stored as numbers.
    #[inline]
    pub(crate) fn numbers(&self, window: usize) -> (&'a [u16], &'a [u8]) {
        let Body::Numbers { documents, weights, offsets } = self.body else { return (&[], &[]) };
        let (Some(&start), Some(&end)) = (offsets.get(window), offsets.get(window + 1)) else { return (&[], &[]) };
        let range = start as usize..end as usize;
        match (documents.get(range.clone()), weights.get(range)) {
            (Some(documents), Some(weights)) => (documents, weights),
            _ => (&[], &[]),
        }
    }

    /// Calls `found` with the number within its window of each document of one window.
    pub(crate) fn each_document(&self, window: usize, mut found: impl FnMut(u16)) {
        match self.body {
            Body::Numbers { .. } => self.numbers(window).0.iter().for_each(|&document| found(document)),
            Body::Bitmap { words } => {
                for (number, &word) in words.get(window).into_iter().flatten().enumerate() {
                    let mut rest = word;
                    while rest != 0 {
                        let document = number * 64 + rest.trailing_zeros() as usize;
                        found(u16::try_from(document).unwrap_or_default());
                        rest &= rest - 1;
                    }
                }
            }
        }
    }
}

impl Postings {
    /// The place of a term among the terms that occur.
    pub(crate) fn find(&self, term: u32) -> Option<usize> {
        self.terms.as_slice().binary_search(&term).ok()
    }

    /// The lists of the term at `place`, strongest first.
    pub(crate) fn lists(&self, place: usize) -> impl Iterator<Item = List<'_>> {
        let bounds = self.term_lists.as_slice();
        let bound = |index: usize| bounds.get(index).map_or(0, |&bound| bound as usize);
        let records = self.lists.as_slice();
        (bound(place)..bound(place + 1).min(records.len())).filter_map(|number| self.list(number, records.get(number)?))
    }

    fn list(&self, number: usize, record: &ListRecord) -> Option<List<'_>> {
        let start = usize::try_from(record.start).ok()?;
        let body = if record.is_bitmap == 1 {
            let end = start.checked_add(self.windows.checked_mul(WINDOW_WORDS)?)?;
            Body::Bitmap { words: self.bitmaps.as_slice().get(start..end)?.as_chunks().0 }
        } else {
            let end = start.checked_add(record.count as usize)?;
            let documents = self.documents.as_slice().get(start..end)?;
            let weights = self.weights.as_slice().get(start..end)?;
            let row = self.windows + 1;
            let offsets = self.offsets.as_slice().get(number.checked_mul(row)?..(number + 1).checked_mul(row)?)?;
            Body::Numbers { documents, weights, offsets }
        };
        // A damaged bound may be any bits; what is not a weight counts as none.
        let usable = record.upper.is_finite() && record.upper > 0.0;
        let lower = if record.lower > 0.0 && record.lower <= record.upper { record.lower } else { 0.0 };
        usable.then_some(List { upper: record.upper, lower, count: record.count, body })
    }

    /// The documents in which the term at `place` weighs most.
    pub(crate) fn champions(&self, place: usize) -> &[u32] {
        let bounds = self.champion_starts.as_slice();
        let bound = |index: usize| bounds.get(index).map_or(0, |&bound| bound as usize);
        self.champions.as_slice().get(bound(place)..bound(place + 1)).unwrap_or_default()
    }

    /// The number within its window and the window of a document.
    pub(crate) fn place(document: u32) -> (usize, u16) {
        let document = document as usize;
        (document / WINDOW, u16::try_from(document % WINDOW).unwrap_or_default())
    }
}
