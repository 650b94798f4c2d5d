//! Adding up the partial scores of a window of documents in 16-bit fixed point.

use crate::level::Level;
use crate::prefetch::prefetch_line;
use crate::simd::{Kernel, Simd};
use crate::sparse_row::zeros;

/// Documents of a window. Its accumulators fill 32 KiB, which the first-level cache holds beside the postings that stream by.
pub const WINDOW: usize = 16_384;

/// 64-bit words of a window's bitmap.
pub const WINDOW_WORDS: usize = WINDOW / 64;

/// Postings added in one step of the loop.
pub const STRIP: usize = 8;
/// Document numbers of a cache line.
const LINE: usize = 32;
/// Documents looked at together for one that reaches the limit.
const BLOCK: usize = 64;

/// What is added to the scores of a window.
#[derive(Clone, Copy, Debug)]
pub enum Addition<'a> {
    /// `weights[i] * factor / 256`, rounded down, to document `documents[i]` of the window, for the first `count`.
    Postings {
        /// Documents of the window, each once. What follows the first `count`, here and in `weights`, changes nothing; with
        /// [`STRIP`] more of them the last step is as fast as the others.
        documents: &'a [u16],
        /// One for each document.
        weights: &'a [u8],
        /// How many are added.
        count: usize,
        /// In units of 1/256.
        factor: u16,
        /// How far behind these the next postings of the list lie in the arrays: as many and some more are asked for. Changes nothing else.
        ahead: usize,
    },
    /// `value` to the documents whose bit is set: bit i of word w is document `64 * w + i`.
    Bitmap {
        /// One bit a document.
        words: &'a [u64; WINDOW_WORDS],
        /// What is added.
        value: u16,
    },
}

/// The partial scores of one window, all zero between windows.
///
/// There is room for every 16-bit document number, though only the first [`WINDOW`] are used: whatever a damaged file holds,
/// an addition stays inside, and what it spoils beyond the window is never read.
#[derive(Clone, Debug)]
pub struct WindowScores(Box<[u16; 1 << 16]>);

impl Default for WindowScores {
    fn default() -> Self {
        Self(zeros())
    }
}

impl WindowScores {
    /// Adds everything that `additions` yields. Sums wrap.
    pub fn add<'a>(&mut self, level: Level, additions: impl Iterator<Item = Addition<'a>>) {
        level.run(Add { scores: &mut self.0, additions });
    }

    /// Gives `found` each document of the window whose score is at least `limit` (and above 0), in order, and sets all
    /// scores to zero. `found` returns the limit for the documents after it.
    pub fn drain(&mut self, level: Level, limit: u16, found: impl FnMut(usize, u16) -> u16) {
        level.run(Drain { scores: &mut self.0, limit, found });
    }
}

struct Add<'s, I> {
    scores: &'s mut [u16; 1 << 16],
    additions: I,
}

impl<'a, I: Iterator<Item = Addition<'a>>> Kernel for Add<'_, I> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for addition in self.additions {
            match addition {
                Addition::Postings { documents, weights, count, factor, ahead } => {
                    assert!(count <= documents.len().min(weights.len()), "a document and a weight for each of {count}");
                    add_postings(self.scores, documents, weights, count, factor, ahead);
                }
                Addition::Bitmap { words, value } => {
                    let (blocks, _) = self.scores[..WINDOW].as_chunks_mut::<64>();
                    for (block, &word) in blocks.iter_mut().zip(words) {
                        simd.add_where(block, word, value);
                    }
                }
            }
        }
    }
}

/// `weight * factor / 256`, as the high half of a 16-bit product.
#[inline(always)]
fn product(weight: u8, factor: u16) -> u16 {
    // At most 255 * 65535 / 256, which fits 16 bits.
    ((u32::from(u16::from(weight) << 8) * u32::from(factor)) >> 16) as u16
}

#[inline(always)]
fn add_strip(scores: &mut [u16; 1 << 16], documents: &[u16; STRIP], weights: &[u8; STRIP], factor: u16) {
    for lane in 0..STRIP {
        let score = &mut scores[usize::from(documents[lane])];
        *score = score.wrapping_add(product(weights[lane], factor));
    }
}

#[inline(always)]
fn add_postings(
    scores: &mut [u16; 1 << 16],
    documents: &[u16],
    weights: &[u8],
    count: usize,
    factor: u16,
    ahead: usize,
) {
    let whole = count / STRIP * STRIP;
    let mut first = 0;
    // A line of memory at a time. What is asked for follows the postings: a fixed number of lines would be too few for a frequent term and
    // too many for the others.
    while first + LINE < whole {
        let next = first.saturating_add(ahead);
        prefetch_line(documents, next);
        prefetch_line(weights, next);
        let (documents, weights) = (&documents[first..first + LINE], &weights[first..first + LINE]);
        for (documents, weights) in documents.as_chunks::<STRIP>().0.iter().zip(weights.as_chunks::<STRIP>().0) {
            add_strip(scores, documents, weights, factor);
        }
        first += LINE;
    }
    // One line more than there are here: the next postings begin within a line, and may be some more.
    for next in [first, first + LINE].map(|place| place.saturating_add(ahead)) {
        prefetch_line(documents, next);
        prefetch_line(weights, next);
    }
    let (left, their_weights) = (&documents[first..whole], &weights[first..whole]);
    for (documents, weights) in left.as_chunks::<STRIP>().0.iter().zip(their_weights.as_chunks::<STRIP>().0) {
        add_strip(scores, documents, weights, factor);
    }
    // The last as one more strip, whose weights beyond the end become zero: how often a loop of single postings ends where cannot
    // be foreseen, and each wrong guess costs more than these.
    if let (Some(documents), Some(weights)) =
        (documents[whole..].first_chunk::<STRIP>(), weights[whole..].first_chunk::<STRIP>())
    {
        let kept = (1_u64 << (8 * (count - whole))) - 1;
        add_strip(scores, documents, &(u64::from_le_bytes(*weights) & kept).to_le_bytes(), factor);
    } else {
        for (&document, &weight) in documents[whole..count].iter().zip(&weights[whole..count]) {
            let score = &mut scores[usize::from(document)];
            *score = score.wrapping_add(product(weight, factor));
        }
    }
}

struct Drain<'a, F> {
    scores: &'a mut [u16; 1 << 16],
    limit: u16,
    found: F,
}

impl<F: FnMut(usize, u16) -> u16> Kernel for Drain<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut limit = self.limit.max(1);
        let (blocks, _) = self.scores[..WINDOW].as_chunks_mut::<BLOCK>();
        for (number, block) in blocks.iter_mut().enumerate() {
            let mut reached = simd.at_least(block, limit);
            while reached != 0 {
                let place = reached.trailing_zeros() as usize;
                reached &= reached - 1;
                // The limit may have risen since.
                if let Some(&score) = block.get(place).filter(|score| **score >= limit) {
                    limit = (self.found)(number * BLOCK + place, score).max(1);
                }
            }
            *block = [0; BLOCK];
        }
    }
}
