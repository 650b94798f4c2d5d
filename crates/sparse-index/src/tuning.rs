//! The numbers that steer a search: none of them changes what the exact mode finds.

use crate::options::Mode;

/// How a query is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    /// A query with at most so many postings in a segment is compared with all of their documents.
    pub(crate) few_postings: u64,
    /// Terms whose champions give the first threshold, and how many of each.
    pub(crate) seed_terms: usize,
    pub(crate) seeds_of_term: usize,
    /// Lists are left out while their bounds sum to at most this share of the threshold.
    pub(crate) skipped_share: f64,
    /// The share of those bounds that a document is taken to reach: 1 in the exact mode.
    pub(crate) rest_share: f64,
    /// Candidates of a window are compared at once that reach the threshold without this share of the bounds.
    pub(crate) likely_share: f64,
    /// The lists are chosen again when the threshold has grown by this factor.
    pub(crate) plan_again: f64,
}

impl Tuning {
    pub(crate) fn new(mode: Mode) -> Self {
        let exact = Self {
            few_postings: 256,
            seed_terms: 8,
            seeds_of_term: 16,
            skipped_share: 0.35,
            rest_share: 1.0,
            likely_share: 0.7,
            plan_again: 1.1,
        };
        match mode {
            Mode::Exact => exact,
            Mode::Approximate { .. } => Self { seed_terms: 4, skipped_share: 0.8, rest_share: 0.25, ..exact },
        }
    }
}
