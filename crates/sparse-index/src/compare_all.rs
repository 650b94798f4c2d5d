//! Search by comparing rows one by one: small segments, few documents, and queries that bounds do not hold for.

use kernels::{Level, RowScratch};

use crate::error::IndexError;
use crate::forward::PreparedQuery;
use crate::options::{Cancel, SharedTerm};
use crate::segment::Segment;
use crate::threads::looked;
use crate::top_k::{Hit, TopK};

/// A sum as a score: float32, and finite also where the sum is not within float32's range.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "scores are float32")]
pub(crate) fn to_score(sum: f64) -> f32 {
    (sum as f32).clamp(f32::MIN, f32::MAX)
}

/// Pushes those of `documents` that share a term with the query, which has no negative weights.
pub(crate) fn compare(
    segment: &Segment,
    number: u32,
    level: Level,
    query: &mut PreparedQuery,
    documents: impl Iterator<Item = u32>,
    top: &mut TopK<'_>,
    cancel: &Cancel<'_>,
) -> Result<(), IndexError> {
    let forward = segment.forward.view();
    for (step, document) in documents.enumerate() {
        looked(step, cancel)?;
        let sum = forward.score(level, document as usize, query);
        // A product of two positive float32 is never zero in float64.
        if sum > 0.0 {
            top.push(Hit { score: to_score(sum), segment: number, document });
        }
    }
    Ok(())
}

/// As [`compare`], for any query.
pub(crate) fn compare_signed(
    segment: &Segment,
    number: u32,
    query: (&[u32], &[f32]),
    documents: impl Iterator<Item = u32>,
    top: &mut TopK<'_>,
    cancel: &Cancel<'_>,
) -> Result<(), IndexError> {
    let (mut scratch, mut terms, mut weights) = (RowScratch::default(), Vec::new(), Vec::new());
    for (step, document) in documents.enumerate() {
        looked(step, cancel)?;
        terms.clear();
        weights.clear();
        segment.forward.view().unpack(document as usize, &mut scratch, &mut terms, &mut weights);
        let mut shared = shared_terms(query, (&terms, &weights)).peekable();
        if shared.peek().is_some() {
            let score = to_score(shared.map(|term| term.product).sum());
            top.push(Hit { score, segment: number, document });
        }
    }
    Ok(())
}

/// The terms that both have, ascending, of terms that ascend.
pub(crate) fn shared_terms<'a>(
    query: (&'a [u32], &'a [f32]),
    document: (&'a [u32], &'a [f32]),
) -> impl Iterator<Item = SharedTerm> + 'a {
    let mut place = 0;
    query.0.iter().zip(query.1).filter_map(move |(&term, &query_weight)| {
        while document.0.get(place).is_some_and(|other| *other < term) {
            place += 1;
        }
        let (other, &document_weight) = (document.0.get(place)?, document.1.get(place)?);
        let product = f64::from(query_weight) * f64::from(document_weight);
        (*other == term).then_some(SharedTerm { term, query_weight, document_weight, product })
    })
}
