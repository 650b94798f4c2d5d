//! Documents in the order of a number, the weight of a term or a partial score.

/// A document and its rank as one number, which compares as fast as any: higher ranks are greater, and of equal ones the first document is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ranked(u64);

impl Ranked {
    #[inline]
    pub(crate) fn new(rank: u32, document: u32) -> Self {
        Self(u64::from(rank) << 32 | u64::from(!document))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    #[inline]
    pub(crate) fn document(self) -> u32 {
        !(self.0 as u32)
    }

    #[inline]
    pub(crate) fn rank(self) -> u32 {
        (self.0 >> 32) as u32
    }
}
