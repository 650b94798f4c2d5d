//! Which lists of a query are read, and what the others can add to a score at most.

use kernels::{Addition, Level, WINDOW_WORDS, WindowScores};

use crate::term_lists::TermLists;

/// The sum of all upper bounds in fixed point, and one for each term: so that a factor, 256/255 of a bound, fits 16 bits too.
const FULL_SCALE: f64 = 65_279.0;
/// What a window of a bitmap costs to add, in postings: measured.
const BITMAP_COST: f64 = 300.0;

/// One term of a query in a segment.
#[derive(Clone, Debug)]
pub(crate) struct QueryTerm<'a> {
    pub(crate) weight: f64,
    pub(crate) lists: TermLists<'a>,
    /// Its place among the terms of the segment.
    pub(crate) place: usize,
}

impl QueryTerm<'_> {
    /// What the term adds to a score at most, from its list number `first` on.
    pub(crate) fn bound(&self, first: usize) -> f64 {
        self.lists.lists.get(first).map_or(0.0, |list| self.weight * f64::from(list.upper))
    }
}

/// How a term's lists become additions to 16-bit scores.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scan<'a> {
    /// The first `kept` of its lists that are numbers; `position` is where the next window begins, in which they have `count`.
    Numbers {
        lists: TermLists<'a>,
        kept: usize,
        position: usize,
        count: usize,
        factor: u16,
    },
    Bitmap {
        words: &'a [[u64; WINDOW_WORDS]],
        value: u16,
    },
}

impl<'a> Scan<'a> {
    /// What is added in `window`; windows come one after the other.
    #[expect(clippy::inline_always, reason = "called for every list of every window, from a kernel")]
    #[inline(always)]
    pub(crate) fn next(&mut self, window: usize) -> Addition<'a> {
        match self {
            Self::Numbers { lists, kept, position, count, factor } => {
                let (documents, weights) = lists.from(*position, *count);
                let ahead = lists.in_window(window, lists.numbers);
                let count_here = (*count).min(documents.len());
                let addition = Addition::Postings { documents, weights, count: count_here, factor: *factor, ahead };
                *position += ahead;
                *count = lists.in_window(window + 1, *kept);
                addition
            }
            Self::Bitmap { words, value } => match words.get(window) {
                Some(words) => Addition::Bitmap { words, value: *value },
                None => Addition::Postings { documents: &[], weights: &[], count: 0, factor: 0, ahead: 0 },
            },
        }
    }
}

/// The lists to read for a query, and the error of their sum.
///
/// A document's scanned part s (over the lists that are read) and its 16-bit sum a obey `s * scale <= a + error`, and its score is
/// at most `s + rest`. So a document whose score is at least t has `a >= (t - rest) * scale - error`, which [`Plan::limit`] returns.
///
/// Proof, for one document in one term's list, with c the exact addition `weight * query weight * scale`:
/// - Numbers: the byte b is the weight in units of upper/255, rounded, so `c = (b + d) F / 256` with |d| <= 1/2 and
///   `F = query weight * upper/255 * scale * 256`; the factor f is F rounded; the kernel adds a = floor(b f / 256). Hence
///   `c - a <= F/512 + b/512 + 1 <= F/512 + 1.5` and `a - c <= F/512 + b/512 <= F/512 + 0.5`.
/// - Bitmap: the kernel adds the rounded middle of the bounds, so `|c - a| <= query weight * (upper - lower)/2 * scale + 1/2`.
///
/// A document is in at most one list of a term, so the error is the sum over terms of the largest error of its lists. Sums do not
/// overflow: `scale` makes the sum of the upper bounds 65,279 less one for each term, and no addition exceeds its bound by more
/// than one half; nor does a factor, which is at most 256/255 of that. One more is added to the error for the rounding of these computations themselves, which are in float64.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) scans: Vec<Scan<'a>>,
    pub(crate) scale: f64,
    pub(crate) error: f64,
    pub(crate) rest: f64,
    /// Postings of all windows that are left out, a bitmap counted as what it costs.
    pub(crate) saved: f64,
}

impl<'a> Plan<'a> {
    /// For the windows from `window` on. Leaves out lists while their bounds sum to at most `budget`: first those that save most for
    /// what they may add.
    pub(crate) fn new(terms: &[QueryTerm<'a>], choices: &Choices, budget: f64, window: usize, windows: usize) -> Self {
        let (kept, saved) = choices.within(budget);
        let rest = terms.iter().zip(&kept).map(|(term, &kept)| term.bound(kept)).sum();
        let total: f64 = terms.iter().zip(&kept).filter(|(_, kept)| **kept > 0).map(|(term, _)| term.bound(0)).sum();
        let read = kept.iter().filter(|kept| **kept > 0).count();
        #[expect(clippy::cast_precision_loss, reason = "a number of terms below 2^32")]
        let scale = if total > 0.0 { (FULL_SCALE - read as f64) / total } else { 0.0 };
        let mut plan = Self { scans: Vec::with_capacity(read + 8), scale, error: 1.0, rest, saved };
        for (term, &kept) in terms.iter().zip(&kept) {
            plan.error += plan.read(term, kept, window, windows);
        }
        plan
    }

    /// Reads the first `kept` lists of a term; returns how much its additions may be too low.
    fn read(&mut self, term: &QueryTerm<'a>, kept: usize, window: usize, windows: usize) -> f64 {
        let lists = term.lists;
        let mut error = 0.0;
        let numbers = lists.numbers.min(kept);
        if numbers > 0 {
            let exact = term.bound(0) / 255.0 * self.scale * 256.0;
            let position = lists.before(window);
            lists.prefetch(position);
            let count = lists.in_window(window, numbers);
            self.scans.push(Scan::Numbers { lists, kept: numbers, position, count, factor: to_u16(exact) });
            error = exact / 512.0 + 1.5;
        }
        for (number, list) in lists.lists.iter().enumerate().take(kept).skip(lists.numbers) {
            let (upper, lower) = (f64::from(list.upper), f64::from(list.lower));
            let value = to_u16(term.weight * f64::midpoint(upper, lower) * self.scale);
            self.scans.push(Scan::Bitmap { words: lists.bitmap(number, windows), value });
            error = f64::max(error, term.weight * (upper - lower) / 2.0 * self.scale + 0.5);
        }
        error
    }

    /// Adds what is read in `window` to its sums; windows come one after the other.
    pub(crate) fn add(&mut self, level: Level, window: usize, scores: &mut WindowScores) {
        scores.add(
            level,
            self.scans.iter_mut().map(
                #[inline(always)]
                |scan| scan.next(window),
            ),
        );
    }

    /// The least 16-bit sum of a document whose score is at least `score`; beyond 65,535 there is no such document. Zero
    /// means that documents without any posting that is read may be among them.
    pub(crate) fn limit(&self, score: f64) -> u32 {
        // Two units of float32 lower, since scores are compared after rounding.
        let exact = (score * (1.0 - f64::from(f32::EPSILON)) - self.rest) * self.scale - self.error;
        to_u32(exact.ceil())
    }

    /// The least 16-bit sum of a document that can equal one whose sum is `sum`: a sum is too high by no more than the error, too.
    pub(crate) fn limit_beside(&self, sum: u16) -> u16 {
        let exact = f64::from(sum) * (1.0 - f64::from(f32::EPSILON)) - 2.0 * self.error - self.rest * self.scale;
        u16::try_from(to_u32(exact.floor())).unwrap_or(u16::MAX)
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

/// Neighbouring lists of a term that are left out together.
#[derive(Clone, Copy, Debug)]
struct Choice {
    /// What leaving them out saves, for each unit of what that may add to a score.
    ratio: f64,
    cost: f64,
    price: f64,
    term: usize,
    /// Lists of the term before and after.
    before: usize,
    after: usize,
}

/// What may be left out of a query's lists, in the order in which it is: the same for every budget.
#[derive(Debug)]
pub(crate) struct Choices {
    /// The lists of each term.
    lists: Vec<usize>,
    sorted: Vec<Choice>,
}

impl Choices {
    /// Those of `terms`, if anything is to be left out at all.
    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    pub(crate) fn new(terms: &[QueryTerm<'_>], any: bool, windows: usize) -> Self {
        let lists = terms.iter().map(|term| term.lists.lists.len()).collect();
        if !any {
            return Self { lists, sorted: Vec::new() };
        }
        let mut options: Vec<Choice> = Vec::with_capacity(2 * terms.len());
        for (index, term) in terms.iter().enumerate() {
            let first = options.len();
            for (number, list) in term.lists.lists.iter().enumerate().rev() {
                let mut option = Choice {
                    ratio: 0.0,
                    cost: if list.is_bitmap() { windows as f64 * BITMAP_COST } else { f64::from(list.count) },
                    price: term.bound(number) - term.bound(number + 1),
                    term: index,
                    before: number + 1,
                    after: number,
                };
                // Together with the weaker ones where that pays more than these alone: ratios then fall from weak to strong.
                loop {
                    option.ratio = option.cost / option.price.max(f64::MIN_POSITIVE);
                    match options.last() {
                        Some(weaker) if options.len() > first && weaker.ratio <= option.ratio => {
                            option.cost += weaker.cost;
                            option.price += weaker.price;
                            option.before = weaker.before;
                            options.pop();
                        }
                        _ => break,
                    }
                }
                options.push(option);
            }
        }
        // By ratio from the highest: the bits of a positive float32 ascend as it does, and whole numbers sort faster than pairs.
        #[expect(clippy::cast_possible_truncation, reason = "an order need not be precise")]
        let mut order: Vec<u64> = options
            .iter()
            .zip(0..)
            .map(|(option, index): (_, u32)| u64::from(!(option.ratio as f32).to_bits()) << 32 | u64::from(index))
            .collect();
        order.sort_unstable();
        let in_order =
            order.into_iter().filter_map(|key| options.get(usize::try_from(key & u64::from(u32::MAX)).ok()?));
        Self { lists, sorted: in_order.copied().collect() }
    }

    /// How many lists of each term are kept, from the strongest, where those left out may add `budget` in all, and the cost of these.
    fn within(&self, budget: f64) -> (Vec<usize>, f64) {
        let mut kept = self.lists.clone();
        let (mut left, mut saved) = (budget, 0.0);
        for option in &self.sorted {
            if let Some(kept) = kept.get_mut(option.term)
                && *kept == option.before
                && option.price <= left
            {
                left -= option.price;
                saved += option.cost;
                *kept = option.after;
            }
        }
        (kept, saved)
    }
}
