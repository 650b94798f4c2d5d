//! The lists of one term, as a query sees them.

use kernels::{WINDOW, WINDOW_WORDS};

use crate::postings::ListRecord;

/// One term's lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TermLists<'a> {
    /// Strongest first, bitmaps last.
    pub(crate) lists: &'a [ListRecord],
    /// How many of them are numbers.
    pub(crate) numbers: usize,
    /// `[windows, numbers]`, and up to three of what follows: four are read at once.
    pub(crate) counts: &'a [u16],
    /// The term's, and up to a strip of what follows, which the kernel likes to read.
    pub(crate) documents: &'a [u16],
    pub(crate) weights: &'a [u8],
    /// `[lists - numbers, windows]`
    pub(crate) bitmaps: &'a [[u64; WINDOW_WORDS]],
}

impl<'a> TermLists<'a> {
    /// Documents of all lists.
    pub(crate) fn count(&self) -> u64 {
        self.lists.iter().map(|list| u64::from(list.count)).sum()
    }

    /// The windows of list number `list`, which is a bitmap.
    pub(crate) fn bitmap(&self, list: usize, windows: usize) -> &'a [[u64; WINDOW_WORDS]] {
        let first = list.saturating_sub(self.numbers).saturating_mul(windows);
        self.bitmaps.get(first..first.saturating_add(windows)).unwrap_or_default()
    }

    /// Calls `found` with each document and, of lists that are numbers, its weight; of bitmaps, 0.
    pub(crate) fn each(&self, windows: usize, mut found: impl FnMut(u32, u8)) {
        let mut position = 0;
        for window in 0..windows {
            let first = u32::try_from(window * WINDOW).unwrap_or(u32::MAX);
            let count = self.in_window(window, self.numbers);
            let (documents, weights) = self.from(position, count);
            position += count;
            for (&document, &weight) in documents.iter().zip(weights).take(count) {
                found(first.saturating_add(u32::from(document)), weight);
            }
            for list in self.numbers..self.lists.len() {
                for (&word, number) in self.bitmap(list, windows).get(window).into_iter().flatten().zip(0..) {
                    let mut rest = word;
                    while rest != 0 {
                        found(first.saturating_add(number * 64 + rest.trailing_zeros()), 0);
                        rest &= rest - 1;
                    }
                }
            }
        }
    }

    /// Documents of a window in the first `lists` lists, which are numbers.
    #[expect(clippy::inline_always, reason = "called for every list of every window, from a kernel")]
    #[inline(always)]
    pub(crate) fn in_window(&self, window: usize, lists: usize) -> usize {
        let first = window * self.numbers;
        // All at once where there are no more than four, as a rule: the end of a loop over two or three cannot be foreseen.
        if lists <= 4
            && let Some(four) = self.counts.get(first..).and_then(|counts| counts.first_chunk::<4>())
        {
            return four
                .iter()
                .enumerate()
                .map(|(place, &count)| if place < lists { usize::from(count) } else { 0 })
                .sum();
        }
        self.counts.get(first..first + lists).unwrap_or_default().iter().map(|&count| usize::from(count)).sum()
    }

    /// The documents and weights from `start` on, at least `count` of them; none if there are fewer.
    #[expect(clippy::inline_always, reason = "called for every list of every window, from a kernel")]
    #[inline(always)]
    pub(crate) fn from(&self, start: usize, count: usize) -> (&'a [u16], &'a [u8]) {
        let (documents, weights) = (self.documents.get(start..), self.weights.get(start..));
        let both = documents.zip(weights).filter(|(documents, weights)| documents.len().min(weights.len()) >= count);
        both.unwrap_or_default()
    }

    /// Asks for the first documents and weights from `start` on, 192 of each: those of a search's first window.
    pub(crate) fn prefetch(&self, start: usize) {
        kernels::prefetch_lines::<_, 6>(self.documents, start);
        kernels::prefetch_lines::<_, 3>(self.weights, start);
    }

    /// Documents of the windows before `window`, of all lists that are numbers.
    pub(crate) fn before(&self, window: usize) -> usize {
        self.in_window(0, window * self.numbers)
    }
}
