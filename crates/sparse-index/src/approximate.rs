//! The approximate mode: partial scores from the heaviest terms of the query, then true scores of the best of these.
//!
//! That much of a sparse query's weight is in few of its terms, and that reordering by full inner products makes up for leaving out
//! the others, is known from Seismic (Bruch et al. 2024, arXiv 2404.18812) and SINDI (Li et al. 2025, arXiv 2509.08395).

use kernels::WINDOW;

use crate::error::IndexError;
use crate::options::Cancel;
use crate::plan::{Choices, Plan, QueryTerm};
use crate::ranked::Ranked;
use crate::search_segment::{Scratch, Target};
use crate::threads::looked;
use crate::top_k::TopK;
use crate::tuning::Approximation;

/// Pushes the best that partial scores point to. Returns whether they point to enough documents.
pub(crate) fn search(
    target: &Target<'_>,
    terms: &[QueryTerm<'_>],
    approximation: &Approximation,
    scratch: &mut Scratch,
    top: &mut TopK<'_>,
    cancel: &Cancel<'_>,
) -> Result<bool, IndexError> {
    let windows = target.postings.windows;
    let largest: f64 = terms.iter().map(|term| term.bound(0)).sum();
    let choices = Choices::new(terms, approximation.skipped_share > 0.0, windows);
    let mut plan = Plan::new(terms, &choices, largest * approximation.skipped_share, 0, windows);
    let most = top.k().saturating_mul(approximation.compared).max(1);
    let Scratch { query, scores, seeds: documents, partial, .. } = scratch;
    partial.clear();
    let mut limit = 1;
    for window in 0..windows {
        // Every eighth window.
        looked(32 * window, cancel)?;
        plan.add(target.level, window, scores);
        let first = u32::try_from(window * WINDOW).unwrap_or(u32::MAX);
        scores.drain(target.level, limit, |place, sum| {
            let document = first.saturating_add(u32::try_from(place).unwrap_or(u32::MAX));
            if target.is_allowed(document) {
                partial.push(Ranked::new(u32::from(sum), document));
                // Now and then all but the best are dropped, and what is not better than these is not collected any more.
                if partial.len() >= most.saturating_mul(4) {
                    limit = keep_best(partial, most).unwrap_or(limit);
                }
            }
            limit
        });
    }
    keep_best(partial, most);
    documents.clear();
    documents.extend(partial.iter().map(|partial| partial.document()));
    target.score(documents, query, top);
    Ok(documents.len() >= top.k())
}

/// Keeps the `most` with the highest sums. Returns, if some were dropped, the least sum of a later document that is better than one of them.
fn keep_best(partial: &mut Vec<Ranked>, most: usize) -> Option<u16> {
    if partial.len() <= most {
        return None;
    }
    let (_, &mut lowest, _) = partial.select_nth_unstable_by(most - 1, |a, b| b.cmp(a));
    partial.truncate(most);
    Some(u16::try_from(lowest.rank() + 1).unwrap_or(u16::MAX))
}
