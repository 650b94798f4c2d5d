//! What a search must find: every document compared in float64.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::random::Rows;
use crate::ids::{DocumentId, DocumentIds};
use crate::options::Hits;

/// The documents that an index should hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Model(pub(super) BTreeMap<DocumentId, Vec<(i32, f32)>>);

impl Model {
    pub(super) fn numbered(rows: &Rows) -> Self {
        Self((0..rows.len()).map(|row| (DocumentId::Number(row as i64), rows.row(row))).collect())
    }

    /// The true scores of the documents that share a term with the query and are in `allowed`, best first, ties by id.
    pub(super) fn scores(&self, query: &[(i32, f32)], allowed: Option<&HashSet<DocumentId>>) -> Vec<(f64, DocumentId)> {
        let query: HashMap<i32, f64> =
            query.iter().filter(|entry| entry.1 != 0.0).map(|&(term, weight)| (term, f64::from(weight))).collect();
        let mut scores = Vec::new();
        for (id, row) in &self.0 {
            let products: Vec<f64> = row
                .iter()
                .filter(|entry| entry.1 != 0.0)
                .filter_map(|(term, weight)| query.get(term).map(|query| query * f64::from(*weight)))
                .collect();
            if !products.is_empty() && allowed.is_none_or(|allowed| allowed.contains(id)) {
                scores.push((products.iter().sum::<f64>(), id.clone()));
            }
        }
        scores.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        scores
    }

    /// The largest sum of the sizes of a document's products with `query`, at least 1.
    pub(super) fn size(&self, query: &[(i32, f32)]) -> f64 {
        let query: HashMap<i32, f64> = query.iter().map(|&(term, weight)| (term, f64::from(weight).abs())).collect();
        let sizes = self.0.values().map(|row| {
            row.iter().filter_map(|(term, weight)| Some(query.get(term)? * f64::from(*weight))).sum::<f64>()
        });
        sizes.fold(1.0, f64::max)
    }
}

/// Scores may be off by this, or by this share of themselves.
const TOLERANCE: f64 = 1e-5;

/// An error unless `hits` are the k best of `scores`.
pub(super) fn check(scores: &[(f64, DocumentId)], hits: &Hits, k: usize) -> Result<(), String> {
    check_within(scores, hits, k, 1.0)
}

/// [`check`] of scores that are sums of products of about this size: where a query's weights have both signs a score can be
/// much smaller than what it is the sum of.
pub(super) fn check_within(scores: &[(f64, DocumentId)], hits: &Hits, k: usize, size: f64) -> Result<(), String> {
    let truth: HashMap<&DocumentId, f64> = scores.iter().map(|(score, id)| (id, *score)).collect();
    let largest = f64::from(f32::MAX);
    let slack = |score: f64| TOLERANCE * score.abs().max(size);
    let wanted = k.min(scores.len());
    if hits.scores.len() != wanted || hits.ids.len() != wanted {
        return Err(format!("{} hits, expected {wanted}", hits.scores.len()));
    }
    let ids: Vec<DocumentId> = (0..hits.ids.len()).filter_map(|index| hits.ids.get(index)).collect();
    for (id, &score) in ids.iter().zip(&hits.scores) {
        let Some(&exact) = truth.get(id) else { return Err(format!("{id} is no answer")) };
        let exact = exact.clamp(-largest, largest);
        if (f64::from(score) - exact).abs() > slack(exact) {
            return Err(format!("{id}: score {score}, expected {exact}"));
        }
    }
    if ids.iter().collect::<HashSet<_>>().len() != ids.len() {
        return Err("a document twice".to_owned());
    }
    for (index, pair) in hits.scores.windows(2).enumerate() {
        if pair[0] < pair[1] || (pair[0] == pair[1] && ids[index] >= ids[index + 1]) {
            return Err(format!("hits {index} and the next are in the wrong order"));
        }
    }
    let found: HashSet<&DocumentId> = ids.iter().collect();
    if let (Some(&last), Some((best, id))) = (hits.scores.last(), scores.iter().find(|(_, id)| !found.contains(id)))
        && best.clamp(-largest, largest) > f64::from(last) + slack(f64::from(last))
    {
        return Err(format!("{id} is missing: {best} is above {last}"));
    }
    Ok(())
}

/// An error unless the hits are exactly the first k of `scores`: for weights whose sums are exact.
pub(super) fn check_exactly(scores: &[(f64, DocumentId)], hits: &Hits, k: usize) -> Result<(), String> {
    check(scores, hits, k)?;
    let expected: Vec<&DocumentId> = scores.iter().take(k).map(|(_, id)| id).collect();
    let found: Vec<DocumentId> = (0..hits.ids.len()).filter_map(|index| hits.ids.get(index)).collect();
    if found.iter().ne(expected.iter().copied()) {
        return Err(format!("found {found:?}, expected {expected:?}"));
    }
    Ok(())
}

/// Ids as a list of one kind.
pub(super) fn list(ids: &[DocumentId]) -> DocumentIds {
    if let Some(DocumentId::String(_)) = ids.first() {
        DocumentIds::Strings(
            ids.iter().map(|id| if let DocumentId::String(id) = id { id.clone() } else { String::new() }).collect(),
        )
    } else {
        DocumentIds::Numbers(ids.iter().map(|id| if let DocumentId::Number(id) = id { *id } else { 0 }).collect())
    }
}
