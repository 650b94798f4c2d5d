//! Search of one segment through its inverted lists.

use kernels::{Level, WindowScores};

use crate::approximate;
use crate::bits::Bits;
use crate::compare_all::{compare, to_score};
use crate::error::IndexError;
use crate::forward::{ForwardView, PreparedQuery};
use crate::options::Cancel;
use crate::plan::QueryTerm;
use crate::postings::PostingsView;
use crate::ranked::Ranked;
use crate::scan_windows::{Candidate, scan};
use crate::search::Allowed;
use crate::segment::Segment;
use crate::top_k::{Hit, TopK};
use crate::tuning::Tuning;

/// Memory that a thread reuses from query to query.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) query: PreparedQuery,
    pub(crate) scores: WindowScores,
    pub(crate) seeds: Vec<u32>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) likely: Vec<u32>,
    /// Partial scores of the approximate mode.
    pub(crate) partial: Vec<Ranked>,
}

/// One segment, as a query sees it.
pub(crate) struct Target<'a> {
    pub(crate) segment: &'a Segment,
    pub(crate) postings: PostingsView<'a>,
    pub(crate) forward: ForwardView<'a>,
    /// Its number among the segments.
    pub(crate) number: u32,
    pub(crate) allowed: &'a Allowed<'a>,
    pub(crate) level: Level,
}

impl Target<'_> {
    pub(crate) fn is_allowed(&self, document: u32) -> bool {
        self.allowed.contains(document) && (document as usize) < self.segment.len()
    }

    /// Computes the scores of `documents`, which are allowed, and pushes them.
    pub(crate) fn score(&self, documents: &[u32], query: &mut PreparedQuery, top: &mut TopK<'_>) {
        // As many rows as the first-level cache has room for beside the query: asked for at once they arrive together.
        const AHEAD: usize = 32;
        for &document in documents {
            self.forward.prefetch_start(document as usize);
        }
        for &document in documents.iter().take(AHEAD) {
            self.forward.prefetch(document as usize);
        }
        for (place, &document) in documents.iter().enumerate() {
            if let Some(&next) = documents.get(place + AHEAD) {
                self.forward.prefetch(next as usize);
            }
            let sum = self.forward.score(self.level, document as usize, query);
            if sum > 0.0 {
                top.push(Hit { score: to_score(sum), segment: self.number, document });
            }
        }
    }
}

/// Pushes the documents of the segment that are among the best for the query, whose terms ascend and whose weights are positive.
pub(crate) fn search(
    target: &Target<'_>,
    terms: &[u32],
    weights: &[f32],
    tuning: &Tuning,
    scratch: &mut Scratch,
    top: &mut TopK<'_>,
    cancel: &Cancel<'_>,
) -> Result<(), IndexError> {
    let share = tuning.approximate.map_or(1.0, |approximation| approximation.query_share);
    let query_terms = query_terms(&target.postings, terms, weights, share);
    let postings: u64 = query_terms.iter().map(|term| term.lists.count()).sum();
    // Where there is little to leave out, all is compared; 16-bit sums of too many terms would be all rounding.
    if postings <= tuning.few_postings || top.k() as u64 >= postings / 8 || query_terms.len() > 4096 {
        return search_union(target, terms, weights, scratch, top, cancel);
    }
    let complete = if let Some(approximation) = &tuning.approximate {
        approximate::search(target, &query_terms, approximation, scratch, top, cancel)?
    } else {
        scratch.seeds.clear();
        // With few postings a first threshold costs more than it saves, and so do the candidates that bounds leave.
        let pruned = postings > tuning.unpruned_postings;
        if pruned {
            seed(target, &query_terms, tuning, scratch, top);
        }
        let share = if pruned { tuning.skipped_share } else { 0.0 };
        scan(target, &query_terms, share, tuning, scratch, top, cancel)?
    };
    if complete {
        return Ok(());
    }
    top.forget_segment(target.number);
    search_union(target, terms, weights, scratch, top, cancel)
}

/// The query's terms that occur in the segment; of them only the heaviest, which make up `share` of their weight.
fn query_terms<'a>(postings: &PostingsView<'a>, terms: &[u32], weights: &[f32], share: f64) -> Vec<QueryTerm<'a>> {
    let mut found: Vec<(f32, usize)> = terms
        .iter()
        .zip(weights)
        .filter_map(|(&term, &weight)| Some((weight, postings.find(term)?)))
        .inspect(|(_, place)| postings.prefetch(*place))
        .collect();
    if share < 1.0 {
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut left = share * found.iter().map(|(weight, _)| f64::from(*weight)).sum::<f64>();
        let heavy = found.iter().take_while(|(weight, _)| {
            let is_in = left > 0.0;
            left -= f64::from(*weight);
            is_in
        });
        let heavy = heavy.count();
        found.truncate(heavy);
    }
    for &(_, place) in &found {
        postings.prefetch_lists(place);
    }
    let lists = found.into_iter().filter_map(|(weight, place)| {
        Some(QueryTerm { weight: f64::from(weight), lists: postings.lists(place)?, place })
    });
    lists.collect()
}

/// Compares every document that has a term of the query.
fn search_union(
    target: &Target<'_>,
    terms: &[u32],
    weights: &[f32],
    scratch: &mut Scratch,
    top: &mut TopK<'_>,
    cancel: &Cancel<'_>,
) -> Result<(), IndexError> {
    let mut union = Bits::none(target.segment.len());
    for term in &query_terms(&target.postings, terms, weights, 1.0) {
        term.lists.each(target.postings.windows, |document, _| union.insert(document));
    }
    let documents = union.iter().filter(|&document| target.is_allowed(document));
    compare(target.segment, target.number, target.level, &mut scratch.query, documents, top, cancel)
}

/// A first threshold: the champions of the terms that can add most.
fn seed(target: &Target<'_>, terms: &[QueryTerm<'_>], tuning: &Tuning, scratch: &mut Scratch, top: &mut TopK<'_>) {
    let mut strongest: Vec<&QueryTerm<'_>> = terms.iter().collect();
    strongest.sort_unstable_by(|a, b| b.bound(0).total_cmp(&a.bound(0)));
    for term in strongest.iter().take(tuning.seed_terms) {
        target.postings.champions(term.place, &term.lists, tuning.seeds_of_term, &mut scratch.seeds);
    }
    scratch.seeds.retain(|&document| target.is_allowed(document));
    scratch.seeds.sort_unstable();
    scratch.seeds.dedup();
    target.score(&scratch.seeds, &mut scratch.query, top);
}
