//! Rows and arguments that are refused, with the exact words; rows that are put right.

use super::go_on;
use super::random::Rows;
use crate::ids::DocumentId;
use crate::index::SparseIndex;
use crate::options::{Mode, SearchOptions};
use crate::rows::CsrRows;

fn build_error(rows: CsrRows<'_>) -> String {
    SparseIndex::build(rows, None, Some(10), Some(1), &go_on).unwrap_err().to_string()
}

#[test]
fn a_bad_row_is_named() {
    let error = |row: &[(i32, f32)]| build_error(Rows::from(&[&[(1, 1.0)], row]).view());
    assert_eq!(error(&[(10, 1.0)]), "vectors: row 1: expected term ids from 0 to 9, found 10");
    assert_eq!(error(&[(-1, 1.0)]), "vectors: row 1: expected term ids from 0 to 9, found -1");
    assert_eq!(error(&[(3, 1.0), (5, 1.0), (3, 0.0)]), "vectors: row 1: expected each term once, found term 3 twice");
    assert_eq!(error(&[(3, f32::NAN)]), "vectors: row 1: term 3: expected a finite weight, found NaN");
    assert_eq!(error(&[(3, f32::INFINITY)]), "vectors: row 1: term 3: expected a finite weight, found inf");
    let negative = error(&[(3, -0.5)]);
    assert!(
        negative.starts_with("vectors: row 1: term 3: expected a document weight of at least 0, found -0.5 (hint: ")
    );
}

#[test]
fn of_many_bad_rows_the_first_is_named_whatever_the_threads() {
    let mut rows = Rows::new();
    for row in 0..20_000 {
        let bad = [5000, 5001, 13_000].contains(&row);
        rows.push(&[(1, if bad { f32::NAN } else { 1.0 })]);
    }
    for threads in [1, 2, 5] {
        let error = SparseIndex::build(rows.view(), None, Some(10), Some(threads), &go_on).unwrap_err();
        assert_eq!(error.to_string(), "vectors: row 5000: term 1: expected a finite weight, found NaN");
    }
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let error = |indptr: &[i64], indices: &[i32], values: &[f32]| build_error(CsrRows { indptr, indices, values });
    assert_eq!(error(&[0, 1], &[1], &[]), "vectors: expected as many values as indices (1), found 0");
    assert_eq!(error(&[], &[], &[]), "vectors: expected at least one entry in indptr, found none");
    assert_eq!(error(&[1, 1], &[1], &[1.0]), "vectors: expected indptr to start at 0, found 1");
    assert_eq!(error(&[0, 2], &[1], &[1.0]), "vectors: expected indptr to end at 1, found 2");
    assert_eq!(error(&[0, -1], &[], &[]), "vectors: expected indptr to end at 0, found -1");
    assert_eq!(error(&[0, 3, 1], &[1], &[1.0]), "vectors: row 1: expected indptr to ascend, found 1 after 3");
    let late = [0, i64::MAX, 1];
    assert_eq!(
        error(&late, &[1], &[1.0]),
        format!("vectors: row 1: expected indptr to ascend, found 1 after {}", i64::MAX)
    );
}

#[test]
fn arguments_out_of_range_are_refused() {
    let index = SparseIndex::new(10).unwrap();
    let query = Rows::from(&[&[(1, 1.0)]]);
    let search = |options: SearchOptions<'_>| index.search(query.view(), &options, &go_on).unwrap_err().to_string();
    let usual = SearchOptions::default();
    assert_eq!(search(SearchOptions { k: 0, ..usual }), "k: expected an integer of at least 1, found 0");
    assert_eq!(
        search(SearchOptions { threads: Some(0), ..usual }),
        "threads: expected an integer from 1 to 1024, found 0"
    );
    for recall in [0.0, -1.0, 1.5, f32::NAN] {
        let found = search(SearchOptions { mode: Mode::Approximate { recall }, ..usual });
        assert_eq!(found, format!("recall: expected a number above 0 and at most 1, found {recall}"));
    }
    for dimension in [0, (1 << 31) + 1, u32::MAX] {
        let error = SparseIndex::new(dimension).unwrap_err().to_string();
        assert_eq!(error, format!("dim: expected an integer from 1 to 2147483648, found {dimension}"));
    }
    let wide = Rows::from(&[&[(10, 1.0)]]);
    let error = index.search(wide.view(), &usual, &go_on).unwrap_err().to_string();
    assert_eq!(error, "queries: row 0: expected term ids from 0 to 9, found 10");
}

#[test]
fn rows_are_sorted_and_zeros_dropped() {
    let rows = Rows::from(&[&[(5, 1.0), (2, -0.0), (3, 2.0), (9, 0.0)], &[]]);
    let index = SparseIndex::build(rows.view(), None, Some(10), Some(1), &go_on).unwrap();
    assert_eq!(index.get(&DocumentId::Number(0)), Some((vec![3, 5], vec![2.0, 1.0])));
    assert_eq!(index.get(&DocumentId::Number(1)), Some((vec![], vec![])));
    assert_eq!(index.get(&DocumentId::Number(2)), None);
    let query = Rows::from(&[&[(2, 1.0), (9, 1.0)], &[], &[(5, 0.0)]]);
    let hits = index.search(query.view(), &SearchOptions::default(), &go_on).unwrap();
    assert!(hits.iter().all(|hits| hits.scores.is_empty() && hits.ids.is_empty()));
}

#[test]
fn the_largest_dimension_and_term() {
    let rows = Rows::from(&[&[(i32::MAX, 1.5), (0, 0.25)]]);
    let index = SparseIndex::build(rows.view(), None, None, Some(1), &go_on).unwrap();
    assert_eq!(index.dimension(), 1 << 31);
    let hits = index.search(rows.view(), &SearchOptions::default(), &go_on).unwrap();
    assert_eq!(hits[0].scores, [2.3125]);
}

#[test]
fn a_score_beyond_float32_is_its_largest() {
    let rows = Rows::from(&[&[(0, 3e38), (1, 1.0)], &[(0, 2e38)]]);
    let index = SparseIndex::build(rows.view(), None, None, Some(1), &go_on).unwrap();
    let query = Rows::from(&[&[(0, 10.0)], &[(0, -10.0)]]);
    let hits = index.search(query.view(), &SearchOptions::default(), &go_on).unwrap();
    assert_eq!(hits[0].scores, [f32::MAX, f32::MAX]);
    assert_eq!(hits[1].scores, [f32::MIN, f32::MIN]);
}

#[test]
fn the_largest_weight_is_none_too_large() {
    // Enough rows for lists; with 22 bits the weight would be infinite.
    let mut rows = Rows::new();
    (0..600).for_each(|row| rows.push(&[(row % 3, f32::MAX), (5, 1.0)]));
    let index = SparseIndex::build(rows.view(), None, Some(10), Some(1), &go_on).unwrap();
    assert_eq!(index.get(&DocumentId::Number(0)), Some((vec![0, 5], vec![f32::MAX, 1.0])));
    let query = Rows::from(&[&[(2, 0.5)]]);
    let hits = index.search(query.view(), &SearchOptions::default(), &go_on).unwrap();
    assert!(hits[0].scores.len() == 10 && hits[0].scores.iter().all(|&score| score == f32::MAX / 2.0));
}

#[test]
fn an_empty_index_answers() {
    let index = SparseIndex::new(10).unwrap();
    let hits = index.search(Rows::from(&[&[(1, 1.0)]]).view(), &SearchOptions::default(), &go_on).unwrap();
    assert!(hits[0].scores.is_empty());
    assert!(index.search(Rows::new().view(), &SearchOptions::default(), &go_on).unwrap().is_empty());
    index.compact(None, &go_on).unwrap();
    assert!(index.is_empty() && index.stats().segments == 0);
}
