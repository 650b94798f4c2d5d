//! The exact mode: 16-bit sums window by window, and the documents that these leave possible.

use kernels::WINDOW;

use crate::error::IndexError;
use crate::forward::PreparedQuery;
use crate::options::Cancel;
use crate::plan::{Choices, Plan, QueryTerm};
use crate::search_segment::{Scratch, Target};
use crate::threads::looked;
use crate::top_k::TopK;
use crate::tuning::Tuning;

/// A document that a window's sums left possible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// The highest score it can have.
    upper_bound: f64,
    document: u32,
    /// Its 16-bit sum.
    sum: u16,
}

/// Goes through the windows, leaving out lists whose bounds sum to `share` of the threshold. Returns whether every document that might
/// be among the best has been compared: not so if documents without any posting that was read might be.
#[expect(clippy::cast_precision_loss, reason = "estimates of cost")]
pub(crate) fn scan(
    target: &Target<'_>,
    terms: &[QueryTerm<'_>],
    mut share: f64,
    tuning: &Tuning,
    scratch: &mut Scratch,
    top: &mut TopK<'_>,
    cancel: &Cancel<'_>,
) -> Result<bool, IndexError> {
    let Scratch { query, scores, seeds, candidates, likely, .. } = scratch;
    candidates.clear();
    likely.clear();
    let threshold = |top: &TopK<'_>| top.threshold().map_or(0.0, f64::from);
    let windows = target.postings.windows;
    let mut planned = threshold(top);
    let choices = Choices::new(terms, share > 0.0, windows);
    let mut plan = Plan::new(terms, &choices, planned * share, 0, windows);
    let mut plan_again = false;
    // The limit that the sums of the plan have given so far.
    let mut risen = 1;
    // The highest score that a document without any posting that was read can have.
    let mut unseen = 0.0_f64;
    for window in 0..windows {
        // Every eighth window.
        looked(32 * window, cancel)?;
        let now = threshold(top);
        if plan_again || (share > 0.0 && now > planned * tuning.plan_again) {
            plan_again = false;
            planned = now;
            risen = 1;
            plan = Plan::new(terms, &choices, planned * share, window, windows);
        }
        unseen = unseen.max(plan.rest);
        if plan.scans.is_empty() {
            continue;
        }
        if u16::try_from(plan.limit(now)).is_err() {
            // No document can reach the threshold; the next window's lists begin after this one's.
            for scan in &mut plan.scans {
                let _ = scan.next(window);
            }
            continue;
        }
        unseen = unseen.max(plan.upper_bound(0));
        plan.add(target.level, window, scores);
        // The likeliest of the window before, whose rows have come meanwhile.
        target.score(likely, query, top);
        likely.clear();
        let now = threshold(top);
        // A limit beyond 16 bits lets a sum of 65,535 pass, which costs a comparison at most.
        let limit = u16::try_from(plan.limit(now)).unwrap_or(u16::MAX);
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
        let fresh = candidates.get_mut(before..).unwrap_or_default();
        // What is left out must save more than it costs to compare the documents that this leaves possible.
        let possible = fresh.iter().filter(|candidate| candidate.upper_bound >= now).count();
        if share > 0.0 && possible.saturating_mul(windows).saturating_mul(tuning.compared_cost) as f64 > plan.saved {
            share = if share > tuning.least_share { share / 2.0 } else { 0.0 };
            plan_again = true;
        }
        // Those that may reach the threshold without what is left out.
        take_likeliest(target, fresh, top.k(), now + plan.rest, likely);
    }
    target.score(likely, query, top);
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

/// Moves the likeliest of a window to `likely`, up to k that may well score `least`: they are compared before the others, to raise the
/// threshold for the windows after the next one.
fn take_likeliest(target: &Target<'_>, fresh: &mut [Candidate], k: usize, least: f64, likely: &mut Vec<u32>) {
    let most = k.min(fresh.len());
    if most < fresh.len() {
        fresh.select_nth_unstable_by(most, |a, b| b.upper_bound.total_cmp(&a.upper_bound));
    }
    for candidate in fresh.iter_mut().take(most).filter(|candidate| candidate.upper_bound >= least) {
        likely.push(candidate.document);
        // It need not be compared again.
        candidate.upper_bound = f64::NEG_INFINITY;
        target.forward.prefetch(candidate.document as usize);
    }
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
