//! Adding up the partial scores of a window of documents in 16-bit fixed point.

use crate::level::Level;
use crate::simd::{Kernel, Simd};
use crate::sparse_row::zeros;

/// Documents of a window. Its accumulators fill 32 KiB, which the first-level cache holds beside the postings that stream by.
pub const WINDOW: usize = 16_384;

/// 64-bit words of a window's bitmap.
pub const WINDOW_WORDS: usize = WINDOW / 64;

/// Documents looked at together for one that reaches the limit.
const BLOCK: usize = 128;
/// Postings added in one step of the loop.
const STRIP: usize = 8;

/// What is added to the scores of a window.
#[derive(Clone, Copy, Debug)]
pub enum Addition<'a> {
    /// `weights[i] * factor / 256`, rounded down, to document `documents[i]` of the window.
    Postings {
        /// Documents of the window, each once.
        documents: &'a [u16],
        /// One for each document.
        weights: &'a [u8],
        /// In units of 1/256.
        factor: u16,
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
                Addition::Postings { documents, weights, factor } => {
                    assert_eq!(documents.len(), weights.len(), "one weight for each document");
                    add_postings(self.scores, documents, weights, factor);
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
fn add_postings(scores: &mut [u16; 1 << 16], documents: &[u16], weights: &[u8], factor: u16) {
    let (document_strips, last_documents) = documents.as_chunks::<STRIP>();
    let (weight_strips, last_weights) = weights.as_chunks::<STRIP>();
    for (documents, weights) in document_strips.iter().zip(weight_strips) {
        for lane in 0..STRIP {
            let score = &mut scores[usize::from(documents[lane])];
            *score = score.wrapping_add(product(weights[lane], factor));
        }
    }
    for (&document, &weight) in last_documents.iter().zip(last_weights) {
        let score = &mut scores[usize::from(document)];
        *score = score.wrapping_add(product(weight, factor));
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
    fn run<S: Simd>(mut self, _: S) {
        let mut limit = self.limit.max(1);
        let (blocks, _) = self.scores[..WINDOW].as_chunks_mut::<BLOCK>();
        for (number, block) in blocks.iter_mut().enumerate() {
            // The largest first: one pass without branches.
            if block.iter().fold(0, |largest, &score| largest.max(score)) >= limit {
                for (place, &score) in block.iter().enumerate() {
                    if score >= limit {
                        limit = (self.found)(number * BLOCK + place, score).max(1);
                    }
                }
            }
            *block = [0; BLOCK];
        }
    }
}
