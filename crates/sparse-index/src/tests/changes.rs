//! Adding and deleting: all or nothing, with errors that name the culprit.

use super::go_on;
use super::random::{Random, Rows, Weights};
use crate::ids::{DocumentId, DocumentIds};
use crate::index::SparseIndex;
use crate::options::{Filter, SearchOptions};

fn numbers(ids: &[i64]) -> DocumentIds {
    DocumentIds::Numbers(ids.to_vec())
}

fn strings(ids: &[&str]) -> DocumentIds {
    DocumentIds::Strings(ids.iter().map(|id| (*id).to_owned()).collect())
}

/// Documents 0, 1, 2 with one term each.
fn three() -> SparseIndex {
    let rows = Rows::from(&[&[(0, 1.0)], &[(1, 1.0)], &[(2, 1.0)]]);
    SparseIndex::build(rows.view(), None, Some(4), Some(1), &go_on).unwrap()
}

#[test]
fn an_error_changes_nothing() {
    let index = three();
    let rows = Rows::from(&[&[(3, 1.0)], &[(3, 2.0)]]);
    let add = |ids| index.add(rows.view(), ids, false, &go_on).unwrap_err().to_string();
    let hint = "(hint: upsert replaces a document)";
    assert_eq!(add(Some(numbers(&[7, 1]))), format!("ids: 1 is in the index already {hint}"));
    assert_eq!(add(Some(numbers(&[7, 7]))), "ids: 7 is there twice");
    assert_eq!(add(Some(numbers(&[7]))), "ids: expected 2 ids, one for each row, found 1");
    assert_eq!(add(Some(strings(&["a", "b"]))), "ids: expected numbers as in the index, found strings");
    let delete = |ids: &DocumentIds| index.delete(ids).unwrap_err().to_string();
    assert_eq!(delete(&numbers(&[0, 9])), "ids: 9 is not in the index");
    assert_eq!(delete(&numbers(&[0, 0])), "ids: 0 is there twice");
    assert_eq!(delete(&strings(&["a"])), "ids: expected numbers as in the index, found strings");
    let cancelled = index.add(rows.view(), None, false, &|| true).unwrap_err().to_string();
    assert_eq!(cancelled, "cancelled");
    assert_eq!((index.len(), index.ids()), (3, numbers(&[0, 1, 2])));
}

#[test]
fn numbers_are_never_used_again() {
    let index = three();
    index.delete(&numbers(&[2])).unwrap();
    index.add(Rows::from(&[&[(3, 1.0)]]).view(), None, false, &go_on).unwrap();
    assert_eq!(index.ids(), numbers(&[0, 1, 3]));
    assert!(!index.contains(&DocumentId::Number(2)) && index.contains(&DocumentId::Number(3)));
    let error = index.add(Rows::from(&[&[(3, 1.0)]]).view(), Some(strings(&["x"])), false, &go_on);
    assert!(error.is_err());
}

#[test]
fn an_index_of_strings_needs_ids() {
    let index = SparseIndex::new(4).unwrap();
    index.add(Rows::from(&[&[(3, 1.0)]]).view(), Some(strings(&["x"])), false, &go_on).unwrap();
    let error = index.add(Rows::from(&[&[(3, 1.0)]]).view(), None, false, &go_on).unwrap_err();
    assert_eq!(error.to_string(), "ids: expected strings as in the index, found numbers");
}

#[test]
fn upsert_replaces_and_counts_as_added_last() {
    let index = three();
    index.add(Rows::from(&[&[(3, 2.0)]]).view(), Some(numbers(&[0])), true, &go_on).unwrap();
    assert_eq!((index.len(), index.ids()), (3, numbers(&[1, 2, 0])));
    assert_eq!(index.get(&DocumentId::Number(0)), Some((vec![3], vec![2.0])));
    let hits = |mask: &[bool]| {
        let options = SearchOptions { filter: Some(Filter::Mask(mask)), ..SearchOptions::default() };
        let query = Rows::from(&[&[(1, 1.0), (2, 0.5), (3, 1.0)]]);
        index.search(query.view(), &options, &go_on).map(|mut hits| hits.remove(0).ids)
    };
    assert_eq!(hits(&[true, false, true]).unwrap(), numbers(&[0, 1]));
    let error = hits(&[true]).unwrap_err().to_string();
    assert_eq!(error, "filter: expected 3 entries, one for each document, found 1");
}

#[test]
fn single_adds_keep_few_segments() {
    let mut random = Random::new(5);
    let rows = Rows::random(&mut random, 1500, 6, 50, Weights::Usual);
    let index = SparseIndex::new(50).unwrap();
    for row in 0..rows.len() {
        index.add(rows.part(row, row + 1).view(), None, false, &go_on).unwrap();
        // Each is more than twice as large as the next.
        assert!(index.stats().segments <= 11, "{} segments of {} documents", index.stats().segments, row + 1);
    }
    assert_eq!(index.stats().documents, 1500);
    index.delete(&numbers(&(0..1500).collect::<Vec<_>>())).unwrap();
    assert_eq!((index.len(), index.stats().segments), (0, 0));
}

#[test]
fn an_explanation_sums_to_the_score() {
    let rows = Rows::from(&[&[(2, 0.5), (0, 1.5), (9, 4.0)]]);
    let index = SparseIndex::build(rows.view(), Some(strings(&["a"])), None, Some(1), &go_on).unwrap();
    assert_eq!(index.dimension(), 10);
    let query = Rows::from(&[&[(9, 0.25), (0, 2.0), (3, 1.0)]]);
    let shared = index.explain(query.view(), &DocumentId::String("a".to_owned())).unwrap();
    let lines: Vec<_> = shared.iter().map(|it| (it.term, it.query_weight, it.document_weight, it.product)).collect();
    assert_eq!(lines, [(0, 2.0, 1.5, 3.0), (9, 0.25, 4.0, 1.0)]);
    let hits = index.search(query.view(), &SearchOptions::default(), &go_on).unwrap();
    assert_eq!(hits[0].scores, [4.0]);
    let unknown = index.explain(query.view(), &DocumentId::String("b".to_owned())).unwrap_err();
    assert_eq!(unknown.to_string(), "ids: \"b\" is not in the index");
}
