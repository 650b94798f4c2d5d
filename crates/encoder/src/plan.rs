//! Which texts go through the model together.
//!
//! Batches are ragged, so no padding is ever computed and a text's row does not depend on its neighbours. The plan
//! therefore only decides speed and memory: texts of similar length share a batch, and a batch is never larger
//! than a token budget, which shrinks towards the end of a call so that no thread is left alone with a large batch.

use std::cmp::Reverse;
use std::ops::Range;

/// Most tokens of one batch, unless a single text is longer.
///
/// It bounds the memory of a batch in flight: the widest activation of a BERT base model is `[tokens, 3072]` float32, 9 MiB
/// here. A few hundred tokens are enough for the matrix products to hide the reading of the weights; with more, the
/// activations leave the second-level cache and the last batches of a call keep fewer threads busy.
const TOKEN_BUDGET: usize = 768;

/// Least tokens of a shrunk budget: below a few hundred rows the products read the weights too often.
const LEAST_BUDGET: usize = 192;

/// Most tokens of one batch on a device, whose many processors it must keep busy. The ids of as many are 64 KiB, the most that CUDA takes
/// from ordinary memory without waiting for what runs.
const DEVICE_TOKEN_BUDGET: usize = 16_384;

/// How large batches should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Most tokens of one batch.
    most: usize,
    /// Most tokens of the last ones.
    least: usize,
    /// Batches that are computed at once.
    workers: usize,
}

impl Budget {
    /// For threads that each compute a batch.
    pub(crate) fn of_threads(threads: usize) -> Self {
        Self { most: TOKEN_BUDGET, least: LEAST_BUDGET, workers: threads }
    }

    /// For a device, which does not gain from small ones.
    pub(crate) fn of_device() -> Self {
        Self { most: DEVICE_TOKEN_BUDGET, least: DEVICE_TOKEN_BUDGET, workers: 1 }
    }

    /// Most tokens of a batch.
    pub(crate) fn most(self) -> usize {
        self.most
    }

    /// The same with other sizes.
    #[cfg(test)]
    pub(crate) fn with_most(self, most: usize) -> Self {
        Self { most, least: most, ..self }
    }
}

/// Batches of texts, in the order in which they should run: longest texts first, so that the last batches to
/// finish are the small ones.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Every text's index once, by falling token count; equal counts keep the caller's order.
    order: Vec<usize>,
    /// The part of `order` that each batch takes; the ranges follow each other without a gap.
    batches: Vec<Range<usize>>,
}

impl Plan {
    /// Plans texts of the given token counts into batches within `budget`, of at most `batch_size` texts.
    ///
    /// A text above the budget is a batch of its own. A `batch_size` of 0 counts as 1.
    pub(crate) fn new(token_counts: &[usize], budget: Budget, batch_size: usize) -> Self {
        let mut order: Vec<usize> = (0..token_counts.len()).collect();
        let count = |text: usize| token_counts.get(text).copied().unwrap_or(0);
        order.sort_by_key(|&text| Reverse(count(text)));

        let mut left = token_counts.iter().fold(0_usize, |sum, count| sum.saturating_add(*count));
        let Budget { most, least, workers } = budget;
        // Half of a worker's share of what is left (guided self-scheduling, Polychronopoulos and Kuck 1987).
        let budget = |left: usize| most.min((left / workers.max(1) / 2).max(least));
        let mut batches = Vec::new();
        let mut start = 0;
        let mut tokens = 0_usize;
        for (place, &text) in order.iter().enumerate() {
            let with_this = tokens.saturating_add(count(text));
            let full = place - start >= batch_size || with_this > budget(left);
            if place > start && full {
                batches.push(start..place);
                start = place;
                left = left.saturating_sub(tokens);
                tokens = count(text);
            } else {
                tokens = with_this;
            }
        }
        if start < order.len() {
            batches.push(start..order.len());
        }
        Self { order, batches }
    }

    /// Number of batches.
    pub(crate) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The indices of the texts of one batch, in the order of the batch's rows; empty if there is no such batch.
    pub(crate) fn texts(&self, batch: usize) -> &[usize] {
        self.batches.get(batch).and_then(|range| self.order.get(range.clone())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn planned(counts: &[usize], most: usize, batch_size: usize, workers: usize) -> Plan {
        Plan::new(counts, Budget { most, least: LEAST_BUDGET, workers }, batch_size)
    }

    fn batches(plan: &Plan) -> Vec<Vec<usize>> {
        (0..plan.batches()).map(|batch| plan.texts(batch).to_vec()).collect()
    }

    #[test]
    fn long_texts_come_first_and_ties_keep_their_order() {
        let plan = planned(&[3, 9, 3, 9, 1], 100, 2, 1);
        assert_eq!(batches(&plan), [vec![1, 3], vec![0, 2], vec![4]]);
    }

    #[test]
    fn the_budget_is_filled_exactly_and_not_exceeded() {
        assert_eq!(batches(&planned(&[5, 5, 5], 10, 32, 1)), [vec![0, 1], vec![2]]);
        assert_eq!(batches(&planned(&[5, 6, 4], 9, 32, 1)), [vec![1], vec![0, 2]]);
    }

    #[test]
    fn a_text_above_the_budget_is_alone() {
        assert_eq!(batches(&planned(&[2, 50, 2], 10, 32, 1)), [vec![1], vec![0, 2]]);
    }

    #[test]
    fn the_last_batches_are_small() {
        let plan = planned(&[64; 40], 768, 32, 2);
        let sizes: Vec<usize> = batches(&plan).iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 7, 5, 4, 3, 3, 3, 3, 2]);
    }

    #[test]
    fn no_texts_are_no_batches() {
        let plan = planned(&[], 10, 32, 1);
        assert_eq!(plan.batches(), 0);
        assert!(plan.texts(0).is_empty());
    }

    proptest! {
        #[test]
        fn every_text_is_in_exactly_one_batch_within_the_limits(
            counts in proptest::collection::vec(0_usize..60, 0..200),
            budget in 0_usize..100,
            batch_size in 0_usize..40,
            threads in 0_usize..5,
        ) {
            let plan = planned(&counts, budget, batch_size, threads);
            let mut seen = vec![0; counts.len()];
            let mut longest = usize::MAX;
            for batch in batches(&plan) {
                prop_assert!(!batch.is_empty());
                prop_assert!(batch.len() <= batch_size.max(1));
                let tokens: usize = batch.iter().map(|&text| counts[text]).sum();
                prop_assert!(batch.len() == 1 || tokens <= budget);
                for text in batch {
                    prop_assert!(counts[text] <= longest);
                    longest = counts[text];
                    seen[text] += 1;
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
        }
    }
}
