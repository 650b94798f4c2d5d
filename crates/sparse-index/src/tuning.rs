//! The numbers that steer a search. None of the exact mode's changes what it finds.

use crate::options::Mode;

/// How a query is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    /// A query with at most so many postings in a segment is compared with all of their documents.
    pub(crate) few_postings: u64,
    /// A query with at most so many postings in a segment is not pruned.
    pub(crate) unpruned_postings: u64,
    /// Terms whose champions give the first threshold, and how many of each.
    pub(crate) seed_terms: usize,
    pub(crate) seeds_of_term: usize,
    /// Lists are left out while their bounds sum to at most this share of the threshold.
    pub(crate) skipped_share: f64,
    /// What comparing a document costs, in postings: where leaving out lists costs more than it saves, half as much is left out,
    /// and nothing from the last share on.
    pub(crate) compared_cost: usize,
    pub(crate) least_share: f64,
    /// The lists are chosen again when the threshold has grown by this factor.
    pub(crate) plan_again: f64,
    /// Where given, the approximate mode.
    pub(crate) approximate: Option<Approximation>,
}

/// How the approximate mode prunes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Approximation {
    /// The heaviest terms of the query that make up this share of its weight are looked for.
    pub(crate) query_share: f64,
    /// Of these, weak lists are left out that add at most this share of the largest score that the terms allow.
    pub(crate) skipped_share: f64,
    /// True scores are computed of so many documents for each that is asked for.
    pub(crate) compared: usize,
}

impl Tuning {
    pub(crate) fn new(mode: Mode) -> Self {
        let exact = Self {
            few_postings: 256,
            unpruned_postings: 100_000,
            seed_terms: 3,
            seeds_of_term: 8,
            skipped_share: 0.4,
            compared_cost: 150,
            least_share: 0.1,
            plan_again: 1.25,
            approximate: None,
        };
        match mode {
            Mode::Exact => exact,
            Mode::Approximate { recall } => Self { approximate: Approximation::of(recall), ..exact },
        }
    }
}

impl Approximation {
    /// What reaches this recall of the first 10 on real vectors of a model, 15,183 documents, and more on synthetic ones, 100,000;
    /// nothing for a recall of 1, which is the exact mode.
    fn of(recall: f32) -> Option<Self> {
        const STEPS: [(f32, f64, f64, usize); 7] = [
            (0.85, 0.65, 0.03, 2),
            (0.93, 0.8, 0.08, 2),
            (0.975, 0.75, 0.03, 3),
            (0.99, 0.82, 0.03, 3),
            (0.995, 0.87, 0.03, 4),
            (0.998, 0.9, 0.02, 4),
            (1.0, 0.97, 0.0, 5),
        ];
        let step = STEPS.iter().find(|step| recall <= step.0).filter(|_| recall < 1.0);
        step.map(|&(_, query_share, skipped_share, compared)| Self { query_share, skipped_share, compared })
    }
}
