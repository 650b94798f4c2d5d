//! Batches for a device, made while later texts of the call are still being tokenised.

use std::collections::{BTreeMap, VecDeque};

use crate::compute::TextBatch;
use crate::error::EncodeError;
use crate::plan::{Budget, Plan};
use crate::tokenise::TokenIds;

/// Batches' worth of texts that are sorted by length together, as [`Plan`] does: enough that the one that is not full, whose texts wait
/// for the next ones, is the exception, and few enough that the device need not wait long for the first.
const WINDOW: usize = 4;

/// Takes the results of tokenising tasks in any order and makes batches of them in the order of the tasks, so that the batches of a call
/// do not depend on timing.
pub(crate) struct Batcher {
    budget: Budget,
    batch_size: usize,
    /// Tokenising tasks of the call.
    tasks: usize,
    /// The next task in order.
    next: usize,
    /// Tasks that came before their turn: the first text, and the tokens of each; none for a task that failed or was left out.
    early: BTreeMap<usize, (usize, Vec<TokenIds>)>,
    /// Texts that are in no batch yet.
    waiting: Vec<(usize, TokenIds)>,
    /// Their tokens.
    tokens: usize,
    ready: VecDeque<TextBatch>,
}

impl Batcher {
    /// For a call of so many tokenising tasks, and batches within `budget` of at most `batch_size` texts.
    pub(crate) fn new(tasks: usize, budget: Budget, batch_size: usize) -> Self {
        let (early, waiting, ready) = (BTreeMap::new(), Vec::new(), VecDeque::new());
        Self { budget, batch_size, tasks, next: 0, early, waiting, tokens: 0, ready }
    }

    /// Takes what a task made of the texts from `first_text` on; nothing if it failed or was left out.
    ///
    /// # Errors
    /// A batch is malformed: a bug.
    pub(crate) fn add(&mut self, task: usize, first_text: usize, ids: Vec<TokenIds>) -> Result<(), EncodeError> {
        self.early.insert(task, (first_text, ids));
        while let Some((first, ids)) = self.early.remove(&self.next) {
            self.next += 1;
            for (text, ids) in (first..).zip(ids) {
                self.tokens = self.tokens.saturating_add(ids.len());
                self.waiting.push((text, ids));
                self.make_full_batches()?;
            }
        }
        if self.next == self.tasks { self.make_batches(false) } else { Ok(()) }
    }

    /// The next batch, if one is full or no more texts will come.
    pub(crate) fn take(&mut self) -> Option<TextBatch> {
        self.ready.pop_front()
    }

    /// Number of batches that can be taken.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    fn make_full_batches(&mut self) -> Result<(), EncodeError> {
        let texts = self.batch_size.max(1).saturating_mul(WINDOW);
        if self.tokens < self.budget.most().saturating_mul(WINDOW) && self.waiting.len() < texts {
            return Ok(());
        }
        self.make_batches(true)
    }

    /// Plans the texts that wait. With `more` to come, those of the last batch go on waiting.
    fn make_batches(&mut self, more: bool) -> Result<(), EncodeError> {
        let counts: Vec<usize> = self.waiting.iter().map(|(_, ids)| ids.len()).collect();
        let plan = Plan::new(&counts, self.budget, self.batch_size);
        let made = plan.batches() - usize::from(more && plan.batches() > 0);
        let text = |&place: &usize| self.waiting.get(place).map(|(text, ids)| (*text, &**ids));
        for batch in 0..made {
            self.ready.push_back(TextBatch::new(plan.texts(batch).iter().filter_map(text))?);
        }
        let mut kept: Vec<usize> = (made..plan.batches()).flat_map(|batch| plan.texts(batch).iter().copied()).collect();
        kept.sort_unstable();
        let take = |place: usize| self.waiting.get_mut(place).map(std::mem::take);
        self.waiting = kept.into_iter().filter_map(take).collect();
        self.tokens = self.waiting.iter().map(|(_, ids)| ids.len()).sum();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 10;

    /// The tokens of text i are all i.
    fn ids(lengths: &[usize], first: usize) -> Vec<TokenIds> {
        let of = |(text, length): (u32, &usize)| vec![text; *length].into_boxed_slice();
        (u32::try_from(first).unwrap()..).zip(lengths).map(of).collect()
    }

    fn batcher(tasks: usize, batch_size: usize) -> Batcher {
        Batcher::new(tasks, Budget::of_device().with_most(BUDGET), batch_size)
    }

    fn taken(batcher: &mut Batcher) -> Vec<Vec<usize>> {
        let mut taken = Vec::new();
        while let Some(batch) = batcher.take() {
            let of_tokens: Vec<usize> =
                batch.tokens.text_ranges().map(|range| batch.tokens.token_ids()[range.start] as usize).collect();
            assert_eq!(of_tokens, batch.texts);
            taken.push(batch.texts);
        }
        taken
    }

    #[test]
    fn nothing_is_made_before_a_window_is_full_or_the_texts_end() {
        let mut batcher = batcher(3, 100);
        batcher.add(0, 0, ids(&[5; 7], 0)).unwrap();
        assert_eq!(batcher.ready(), 0);
        batcher.add(1, 7, ids(&[5], 7)).unwrap();
        assert_eq!(taken(&mut batcher), [[0, 1], [2, 3], [4, 5]]);
        batcher.add(2, 8, ids(&[6], 8)).unwrap();
        assert_eq!(taken(&mut batcher), [vec![8], vec![6, 7]]);
    }

    #[test]
    fn batches_of_few_texts_fill_a_window_too() {
        let mut batcher = batcher(2, 1);
        batcher.add(0, 0, ids(&[1, 2, 1, 1], 0)).unwrap();
        assert_eq!(taken(&mut batcher), [[1], [0], [2]]);
        batcher.add(1, 4, ids(&[], 4)).unwrap();
        assert_eq!(taken(&mut batcher), [[3]]);
    }

    #[test]
    fn batches_do_not_depend_on_the_order_in_which_tasks_end() {
        let lengths: Vec<Vec<usize>> =
            (0..20).map(|task| (0..30).map(|i| 1 + (i * 7 + task * 3) % 11).collect()).collect();
        let made = |order: &[usize]| {
            let (mut batcher, mut found) = (batcher(20, 100), Vec::new());
            for &task in order {
                batcher.add(task, task * 30, ids(&lengths[task], task * 30)).unwrap();
                found.extend(taken(&mut batcher));
            }
            found
        };
        let in_order = made(&(0..20).collect::<Vec<_>>());
        assert_eq!(in_order, made(&(0..20).rev().collect::<Vec<_>>()));
        assert_eq!(in_order, made(&(0..20).map(|i| i * 7 % 20).collect::<Vec<_>>()));
        let mut texts = in_order.concat();
        texts.sort_unstable();
        assert_eq!(texts, (0..600).collect::<Vec<_>>());
    }

    #[test]
    fn a_task_that_failed_leaves_its_texts_out() {
        let mut batcher = batcher(3, 100);
        batcher.add(2, 4, ids(&[3, 3], 4)).unwrap();
        batcher.add(1, 2, Vec::new()).unwrap();
        assert_eq!(batcher.ready(), 0);
        batcher.add(0, 0, ids(&[4, 2], 0)).unwrap();
        assert_eq!(taken(&mut batcher), [vec![0, 4, 5], vec![1]]);
    }
}
