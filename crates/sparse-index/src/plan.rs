//! Which lists of a query are read, and what the others can add to a score at most.

use kernels::{WINDOW, WINDOW_WORDS};

use crate::postings::{Body, List};

/// What a bitmap's window costs, in postings: measured, about the time of a twentieth of a window's documents.
const BITMAP_COST: u64 = (WINDOW / 64) as u64;
/// The sum of all upper bounds in fixed point, less one for each term, must stay below this: 16 bits.
const FULL_SCALE: f64 = 65_535.0;

/// One term of a query in a segment.
#[derive(Clone, Debug)]
pub(crate) struct QueryTerm<'a> {
    pub(crate) weight: f64,
    /// Strongest first.
    pub(crate) lists: Vec<List<'a>>,
    /// Where its champions are.
    pub(crate) place: usize,
}

impl QueryTerm<'_> {
    /// What the term adds to a score at most, from its list number `first` on.
    pub(crate) fn bound(&self, first: usize) -> f64 {
        self.lists.get(first).map_or(0.0, |list| self.weight * f64::from(list.upper))
    }
}

/// How one list's weights become additions to 16-bit scores.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scan<'a> {
    Numbers { list: List<'a>, factor: u16 },
    Bitmap { words: &'a [[u64; WINDOW_WORDS]], value: u16 },
}

/// The lists to read for a query, and the error of their sum.
///
/// A document's scanned part s (over the lists that are read) and its 16-bit sum a obey `s * scale <= a + error`, and its score is
/// at most `s + rest`. So a document whose score is at least t has `a >= (t - rest) * scale - error`, which [`Plan::limit`] returns.
///
/// Proof, for one list, with c the exact addition `weight * query weight * scale`:
/// - Numbers: the byte b is the weight in units of upper/255, rounded, so `c = (b + d) F / 256` with |d| <= 1/2 and
///   F = query weight * upper/255 * scale * 256; the factor f is F rounded; the kernel adds floor(b f / 256). Hence
///   `c - a <= F/512 + b/512 + 1 <= F/512 + 1.5`, and `a - c <= F/512 + 1/2`.
/// - Bitmap: the kernel adds the rounded middle of the bounds, so `|c - a| <= query weight * (upper - lower)/2 * scale + 1/2`.
///
/// A document is in at most one list of a term, so the error is the sum over terms of the largest error of its lists. Sums do not
/// overflow: `scale` makes the sum of the upper bounds 65,535 less one for each term, and no list exceeds its bound by more than
/// one half. One more is added to the error for the rounding of these computations themselves, which are in float64.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) scans: Vec<Scan<'a>>,
    pub(crate) scale: f64,
    pub(crate) error: f64,
    pub(crate) rest: f64,
}

impl<'a> Plan<'a> {
    /// Leaves out lists while their bounds sum to at most `budget`: first those that save most for what they may add.
    pub(crate) fn new(terms: &[QueryTerm<'a>], budget: f64) -> Self {
        let kept = choose(terms, budget);
        let rest = terms.iter().zip(&kept).map(|(term, &kept)| term.bound(kept)).sum();
        let total: f64 = terms.iter().zip(&kept).filter(|(_, kept)| **kept > 0).map(|(term, _)| term.bound(0)).sum();
        let read = kept.iter().filter(|kept| **kept > 0).count();
        #[expect(clippy::cast_precision_loss, reason = "a number of terms below 2^32")]
        let scale = if total > 0.0 { (FULL_SCALE - read as f64) / total } else { 0.0 };
        let mut plan = Self { scans: Vec::new(), scale, error: 1.0, rest };
        for (term, &kept) in terms.iter().zip(&kept) {
            let errors = term.lists.iter().take(kept).map(|list| plan.add(term.weight, *list));
            plan.error += errors.fold(0.0, f64::max);
        }
        plan
    }

    /// Adds a list; returns how much its sums may be too low.
    fn add(&mut self, query_weight: f64, list: List<'a>) -> f64 {
        let (upper, lower) = (f64::from(list.upper), f64::from(list.lower));
        match list.body {
            Body::Numbers { .. } => {
                let exact = query_weight * upper / 255.0 * self.scale * 256.0;
                self.scans.push(Scan::Numbers { list, factor: to_u16(exact) });
                exact / 512.0 + 1.5
            }
            Body::Bitmap { words } => {
                let value = to_u16(query_weight * f64::midpoint(upper, lower) * self.scale);
                self.scans.push(Scan::Bitmap { words, value });
                query_weight * (upper - lower) / 2.0 * self.scale + 0.5
            }
        }
    }

    /// The least 16-bit sum of a document whose score is at least `score`; beyond 65,535 there is no such document. Zero
    /// means that documents without any posting that is read are among them.
    pub(crate) fn limit(&self, score: f64) -> u32 {
        // Half a unit of float32 lower, since scores are compared after rounding.
        let exact = (score * (1.0 - f64::from(f32::EPSILON)) - self.rest) * self.scale - self.error;
        to_u32(exact.ceil())
    }

    /// The highest score that a document with this 16-bit sum can have.
    pub(crate) fn upper_bound(&self, sum: u16) -> f64 {
        (f64::from(sum) + self.error) / self.scale + self.rest
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; NaN becomes 0")]
fn to_u16(value: f64) -> u16 {
    value.round() as u16
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; NaN becomes 0")]
fn to_u32(value: f64) -> u32 {
    value as u32
}

/// How many lists of each term are kept, from the strongest.
fn choose(terms: &[QueryTerm<'_>], budget: f64) -> Vec<usize> {
    let mut kept: Vec<usize> = terms.iter().map(|term| term.lists.len()).collect();
    let mut left = budget;
    // For each term the cost that leaving out its weakest kept list saves, for each unit of what it may add.
    let gain = |term: &QueryTerm<'_>, kept: usize| {
        let list = term.lists.get(kept.checked_sub(1)?)?;
        let cost = match list.body {
            Body::Numbers { .. } => u64::from(list.count),
            Body::Bitmap { words } => BITMAP_COST * words.len() as u64,
        };
        let price = term.bound(kept - 1) - term.bound(kept);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let ratio = cost as f64 / price.max(f64::MIN_POSITIVE);
        Some((ratio, price))
    };
    let mut gains: Vec<_> = terms.iter().map(|term| gain(term, term.lists.len())).collect();
    while left > 0.0 {
        let best = gains.iter().enumerate().filter_map(|(index, gain)| gain.map(|(ratio, price)| (index, ratio, price)));
        let Some((index, _, price)) = best.max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        if price > left {
            gains[index] = None;
            continue;
        }
        left -= price;
        kept[index] -= 1;
        gains[index] = gain(&terms[index], kept[index]);
    }
    kept
}
