//! The tokens of several texts, one text after another.

use std::ops::Range;

/// A batch without padding: token ids of several texts one after another, and where each text ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaggedBatch {
    token_ids: Vec<u32>,
    cumulative_lengths: Vec<u32>,
    #[cfg(feature = "cuda")]
    on_device: crate::cuda::DeviceLengths,
}

/// The lengths of a [`RaggedBatch`] do not describe its tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cumulative lengths: expected 0, then rising numbers, then the number of tokens {tokens}, found {found:?}")]
pub struct RaggedBatchError {
    tokens: usize,
    found: Vec<u32>,
}

impl RaggedBatch {
    /// A batch of `cumulative_lengths.len() - 1` texts: text i has the tokens from `cumulative_lengths[i]` up to, not
    /// including, `cumulative_lengths[i + 1]`.
    ///
    /// # Errors
    /// The lengths do not start at 0, a text has no token, or they do not end at the number of tokens.
    pub fn new(token_ids: Vec<u32>, cumulative_lengths: Vec<u32>) -> Result<Self, RaggedBatchError> {
        let starts_at_zero = cumulative_lengths.first() == Some(&0);
        let rises = cumulative_lengths.is_sorted_by(|a, b| a < b);
        let ends = cumulative_lengths.last().map(|last| *last as usize) == Some(token_ids.len());
        if starts_at_zero && rises && ends {
            Ok(Self {
                token_ids,
                cumulative_lengths,
                #[cfg(feature = "cuda")]
                on_device: crate::cuda::DeviceLengths::default(),
            })
        } else {
            Err(RaggedBatchError { tokens: token_ids.len(), found: cumulative_lengths })
        }
    }

    /// Number of texts.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.cumulative_lengths.len() - 1
    }

    /// Number of tokens of all texts.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.token_ids.len()
    }

    /// The ids of all tokens.
    #[must_use]
    pub fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }

    /// The tokens of one text; empty beyond the last text.
    #[must_use]
    pub fn text_range(&self, text: usize) -> Range<usize> {
        match self.cumulative_lengths.get(text..text + 2) {
            Some([start, end]) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }

    /// Where the texts end, on a device.
    ///
    /// # Errors
    /// The copy fails, or the batch was used on another device.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_device(
        &self,
        gpu: &cuda_kernels::Gpu,
    ) -> candle_core::Result<std::sync::Arc<cuda_kernels::Lengths<cuda_kernels::Gpu>>> {
        self.on_device.get(gpu, &self.cumulative_lengths)
    }

    /// The text of each token.
    pub(crate) fn text_of_token(&self) -> Vec<u32> {
        (0_u32..).zip(self.text_ranges()).flat_map(|(text, range)| std::iter::repeat_n(text, range.len())).collect()
    }

    /// The texts in groups of neighbours with at least `tokens` tokens; the last group may have fewer.
    pub(crate) fn groups(&self, tokens: usize) -> Vec<Range<usize>> {
        let mut groups = Vec::with_capacity(self.tokens() / tokens.max(1) + 1);
        let mut first = 0;
        for text in 0..self.texts() {
            if self.text_range(text).end - self.text_range(first).start >= tokens || text + 1 == self.texts() {
                groups.push(first..text + 1);
                first = text + 1;
            }
        }
        groups
    }

    /// The tokens of each text, in order.
    #[must_use]
    pub fn text_ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.cumulative_lengths.array_windows().map(|[start, end]| *start as usize..*end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_follow_each_other() {
        let batch = RaggedBatch::new(vec![5, 6, 7], vec![0, 1, 3]).unwrap();
        assert_eq!((batch.texts(), batch.tokens()), (2, 3));
        assert_eq!(batch.text_ranges().collect::<Vec<_>>(), [0..1, 1..3]);
        assert_eq!((batch.text_range(1), batch.text_range(2)), (1..3, 0..0));
        assert_eq!(batch.text_of_token(), [0, 1, 1]);
        assert_eq!(RaggedBatch::new(vec![], vec![0]).unwrap().texts(), 0);
    }

    #[test]
    fn groups_are_as_small_as_they_may_be() {
        let batch = RaggedBatch::new(vec![0; 20], vec![0, 2, 4, 6, 7, 15, 17, 20]).unwrap();
        assert_eq!(batch.groups(4), [0..2, 2..5, 5..7]);
        assert_eq!(batch.groups(6), [0..3, 3..5, 5..7]);
        assert_eq!(batch.groups(17), [0..6, 6..7]);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for lengths in [vec![], vec![1, 3], vec![0, 2, 2, 3], vec![0, 3, 1], vec![0, 2]] {
            assert!(RaggedBatch::new(vec![5, 6, 7], lengths).is_err());
        }
        let error = RaggedBatch::new(vec![5], vec![0, 2]).unwrap_err().to_string();
        assert_eq!(
            error,
            "cumulative lengths: expected 0, then rising numbers, then the number of tokens 1, found [0, 2]"
        );
    }
}
