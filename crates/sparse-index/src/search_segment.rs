//! Search of one segment through its inverted lists.

use kernels::{Level, WINDOW, WindowScores};

use crate::approximate;
use crate::bits::Bits;
use crate::compare_all::{compare, to_score};
use crate::error::IndexError;
use crate::forward::{ForwardView, PreparedQuery};
use crate::options::Cancel;
use crate::plan::{Plan, QueryTerm};
use crate::postings::PostingsView;
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
    candidates: Vec<Candidate>,
    /// Partial scores of the approximate mode.
    pub(crate) partial: Vec<(u16, u32)>,
}

/// A document that a window's sums left possible.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// The highest score it can have.
    upper_bound: f64,
    document: u32,
    /// Its 16-bit sum.
    sum: u16,
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
        const AHEAD: usize = 4;
        documents.iter().take(AHEAD).for_each(|&document| self.forward.prefetch(document as usize));
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

/// Goes through the windows, leaving out lists whose bounds sum to `share` of the threshold. Returns whether every document that might be among the best has been compared: not so if
/// documents without any posting that was read might be.
fn scan(
    target: &Target<'_>,
    terms: &[QueryTerm<'_>],
    share: f64,
    tuning: &Tuning,
    scratch: &mut Scratch,
    top: &mut TopK<'_>,
    cancel: &Cancel<'_>,
) -> Result<bool, IndexError> {
    let Scratch { query, scores, seeds, candidates, .. } = scratch;
    candidates.clear();
    let threshold = |top: &TopK<'_>| top.threshold().map_or(0.0, f64::from);
    let windows = target.postings.windows;
    let mut planned = threshold(top);
    let mut plan = Plan::new(terms, planned * share, 0, windows);
    // The limit that the sums of the plan have given so far.
    let mut risen = 1;
    let mut likely: Vec<u32> = Vec::new();
    // The highest score that a document without any posting that was read can have.
    let mut unseen = 0.0_f64;
    for window in 0..windows {
        if cancel() {
            return Err(IndexError::Cancelled);
        }
        let now = threshold(top);
        if share > 0.0 && now > planned * tuning.plan_again {
            planned = now;
            risen = 1;
            plan = Plan::new(terms, planned * share, window, windows);
        }
        unseen = unseen.max(plan.rest);
        if plan.scans.is_empty() {
            continue;
        }
        let Ok(limit) = u16::try_from(plan.limit(now)) else {
            // No document can reach the threshold; the next window's lists begin after this one's.
            for scan in &mut plan.scans {
                let _ = scan.next(window);
            }
            continue;
        };
        unseen = unseen.max(plan.upper_bound(0));
        scores.add(
            target.level,
            plan.scans.iter_mut().map(
                #[inline(always)]
                |scan| scan.next(window),
            ),
        );
        let first = u32::try_from(window * WINDOW).unwrap_or(u32::MAX);
        let before = candidates.len();
        let often = top.k().saturating_mul(4).max(64);
        let mut look_at = before.saturating_add(often);
        risen = limit.max(risen);
        scores.drain(target.level, risen, |place, sum| {
            let document = first.saturating_add(u32::try_from(place).unwrap_or(u32::MAX));
            if target.is_allowed(document) && seeds.binary_search(&document).is_err() {
                candidates.push(Candidate { upper_bound: plan.upper_bound(sum), document, sum });
                if candidates.len() >= look_at {
                    risen = drop_hopeless(candidates, before, top.k(), &plan).max(risen);
                    look_at = candidates.len().saturating_add(often);
                }
            }
            risen
        });
        risen = drop_hopeless(candidates, before, top.k(), &plan).max(risen);
        // The window's likeliest are compared at once, to raise the threshold for the windows after it.
        let fresh = candidates.get_mut(before..).unwrap_or_default();
        let most = top.k().min(fresh.len());
        if most < fresh.len() {
            fresh.select_nth_unstable_by(most, |a, b| b.upper_bound.total_cmp(&a.upper_bound));
        }
        likely.clear();
        let optimism = plan.rest * tuning.likely_share;
        for candidate in fresh.iter_mut().take(most).filter(|candidate| candidate.upper_bound - optimism >= now) {
            likely.push(candidate.document);
            candidate.upper_bound = f64::NEG_INFINITY;
        }
        target.score(&likely, query, top);
    }
    compare_candidates(target, candidates, query, top);
    // With fewer hits than asked for some are missing, and where a document that was never seen might reach the threshold.
    let last = top.threshold().map(|score| f64::from(score) * (1.0 - f64::from(f32::EPSILON)));
    Ok(last.is_some_and(|score| score > unseen))
}

/// Of the candidates from `first` on drops those that k others of them beat for certain. Returns the limit of their sums.
fn drop_hopeless(candidates: &mut Vec<Candidate>, first: usize, k: usize, plan: &Plan<'_>) -> u16 {
    let fresh = candidates.get_mut(first..).unwrap_or_default();
    if fresh.len() <= k {
        return 0;
    }
    let kth = fresh.select_nth_unstable_by(k - 1, |a, b| b.sum.cmp(&a.sum)).1.sum;
    let limit = plan.limit_beside(kth);
    let mut place = 0;
    candidates.retain(|candidate| {
        place += 1;
        place <= first || candidate.sum >= limit
    });
    limit
}

/// Compares the candidates that can still be among the best, likeliest first.
fn compare_candidates(
    target: &Target<'_>,
    candidates: &mut Vec<Candidate>,
    query: &mut PreparedQuery,
    top: &mut TopK<'_>,
) {
    let threshold = |top: &TopK<'_>| top.threshold().map_or(0.0, f64::from);
    let mut now = threshold(top);
    candidates.retain(|candidate| candidate.upper_bound >= now);
    candidates.sort_unstable_by(|a, b| b.upper_bound.total_cmp(&a.upper_bound));
    let mut batch = Vec::with_capacity(8);
    for group in candidates.chunks(8) {
        batch.clear();
        batch.extend(group.iter().filter(|candidate| candidate.upper_bound >= now).map(|candidate| candidate.document));
        if batch.is_empty() {
            return;
        }
        target.score(&batch, query, top);
        now = threshold(top);
    }
}
