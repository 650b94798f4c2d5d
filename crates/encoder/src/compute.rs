//! What a model makes of a batch, and the tasks of a call on the CPU that it is made of.

use models::{Cancel, RaggedBatch, Team};

use crate::error::EncodeError;
use crate::plan::Plan;
use crate::run::Stage;
use crate::tokenise::TokenIds;

/// Token ids of a batch to what the caller gets, in two steps: between them a device may still be computing.
pub(crate) trait Compute: Send + Sync {
    /// What is under way.
    type Pending: Send;
    /// What a batch becomes.
    type Output: Send;

    /// Begins the computation of a batch. On a device this does not wait for it.
    fn launch(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<Self::Pending, EncodeError>;

    /// Waits for a batch of these texts, and ends its computation.
    fn finish(&self, pending: Self::Pending, batch: &RaggedBatch, texts: &[usize])
    -> Result<Self::Output, EncodeError>;
}

/// Some texts of a call with their tokens.
pub(crate) struct TextBatch {
    /// The places of the texts in the call, in the order of the tokens.
    pub(crate) texts: Vec<usize>,
    pub(crate) tokens: RaggedBatch,
}

impl TextBatch {
    /// The texts of these places, each with its token ids.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = (usize, &'a [u32])>) -> Result<Self, EncodeError> {
        let (mut places, mut ids, mut cumulative_lengths) = (Vec::new(), Vec::new(), vec![0]);
        for (text, tokens) in texts {
            places.push(text);
            ids.extend_from_slice(tokens);
            let end = u32::try_from(ids.len())
                .map_err(|_| EncodeError::Internal("a batch of more than 2^32 tokens".to_owned()))?;
            cumulative_lengths.push(end);
        }
        let tokens = RaggedBatch::new(ids, cumulative_lengths)
            .map_err(|error| EncodeError::Internal(format!("a malformed batch: {error}")))?;
        Ok(Self { texts: places, tokens })
    }

    /// The lowest place.
    pub(crate) fn first_text(&self) -> usize {
        lowest(&self.texts)
    }
}

/// The lowest of the places of a batch's texts.
pub(crate) fn lowest(texts: &[usize]) -> usize {
    texts.iter().copied().min().unwrap_or(0)
}

/// The batches of a call on the CPU: a task is a batch.
pub(crate) struct Batches<C> {
    pub(crate) compute: C,
    pub(crate) ids: Vec<TokenIds>,
    pub(crate) plan: Plan,
}

impl<C: Compute> Stage for Batches<C> {
    type Output = C::Output;

    fn tasks(&self) -> usize {
        self.plan.batches()
    }

    fn first_text(&self, task: usize) -> usize {
        lowest(self.plan.texts(task))
    }

    fn work(&self, task: usize, cancel: &Cancel) -> Result<C::Output, EncodeError> {
        let ids = |&text: &usize| (text, self.ids.get(text).map_or(&[][..], |ids| &**ids));
        let TextBatch { texts, tokens } = TextBatch::new(self.plan.texts(task).iter().map(ids))?;
        // The last batches are split, so that no thread waits for the last text. A single one may be computed by the calling thread, which
        // is of no pool: asked for its threads, rayon would start its global pool.
        let batches = self.plan.batches();
        let others = batches > 1 && task.saturating_add(rayon::current_num_threads()) < batches;
        let compute = || self.compute.finish(self.compute.launch(&tokens, cancel)?, &tokens, &texts);
        // Alone on its thread: a thread that has nothing to do for a moment would take a part of this batch, this thread would
        // wait for that at the end of a step, and both would go on step by step where they had a batch each.
        if others { Team::new(1).lead(compute) } else { compute() }
    }
}

/// Puts the outputs of a batch, one a text, where the texts stand in the caller's order.
pub(crate) fn place<T>(texts: &[usize], outputs: Vec<T>, places: &mut [T]) {
    for (&text, output) in texts.iter().zip(outputs) {
        if let Some(place) = places.get_mut(text) {
            *place = output;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_knows_its_texts() {
        let batch = TextBatch::new([(7, &[1, 2][..]), (3, &[4][..])].into_iter()).unwrap();
        assert_eq!((batch.first_text(), &*batch.texts), (3, &[7, 3][..]));
        assert_eq!(batch.tokens.token_ids(), [1, 2, 4]);
        let error = TextBatch::new([(7, &[][..])].into_iter()).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("internal error: a malformed batch: "), "{error}");
    }

    #[test]
    fn outputs_are_placed_in_the_callers_order() {
        let mut places = vec![0; 5];
        place(&[1, 3], vec![10, 30], &mut places);
        place(&[4], vec![40], &mut places);
        assert_eq!(places, [0, 10, 0, 30, 40]);
    }
}
