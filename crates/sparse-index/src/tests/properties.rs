//! Random collections, queries, filters and changes: what is found is what a comparison with every document finds.

use std::collections::HashSet;

use kernels::Level;
use proptest::prelude::*;

use super::brute_force::{Model, check, check_exactly, check_within, list};
use super::go_on;
use super::random::{Random, Rows, Weights};
use crate::ids::{DocumentId, DocumentIds};
use crate::index::SparseIndex;
use crate::options::{Filter, Mode, SearchOptions};

fn weights() -> impl Strategy<Value = Weights> {
    prop::sample::select(vec![Weights::Usual, Weights::Eighths, Weights::Equal, Weights::Wide, Weights::Extreme])
}

fn query_weights() -> impl Strategy<Value = Weights> {
    prop_oneof![4 => weights(), 1 => Just(Weights::Signed)]
}

/// Searches at every level and compares.
fn assert_exact(
    index: &SparseIndex,
    model: &Model,
    queries: &Rows,
    k: usize,
    filter: Option<(Filter<'_>, &HashSet<DocumentId>)>,
    exactly: bool,
) -> Result<(), TestCaseError> {
    let options =
        SearchOptions { k, filter: filter.map(|filter| filter.0), threads: Some(1), ..SearchOptions::default() };
    for level in Level::available() {
        let answers = index.search_at(level, queries.view(), &options, &go_on).unwrap();
        prop_assert_eq!(answers.len(), queries.len());
        for (query, hits) in answers.iter().enumerate() {
            let scores = model.scores(&queries.row(query), filter.map(|filter| filter.1));
            let signed = queries.row(query).iter().any(|entry| entry.1 < 0.0);
            let result = match (exactly, signed) {
                (true, _) => check_exactly(&scores, hits, k),
                (false, true) => check_within(&scores, hits, k, model.size(&queries.row(query))),
                (false, false) => check(&scores, hits, k),
            };
            prop_assert!(result.is_ok(), "level {level:?}, query {query}: {}", result.unwrap_err());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_search_equals_a_comparison_with_every_document(
        seed in any::<u64>(),
        documents in 0_usize..2500,
        most in 0_usize..25,
        dimension in prop::sample::select(vec![1_usize, 2, 30, 300, 5000, 65_536, 65_537, 1 << 20]),
        k in prop::sample::select(vec![1_usize, 3, 10, 100, 5000]),
        weights in weights(),
        query_weights in query_weights(),
    ) {
        let mut random = Random::new(seed);
        let rows = Rows::random(&mut random, documents, most, dimension, weights);
        let queries = Rows::random(&mut random, 5, 30, dimension, query_weights);
        let index = SparseIndex::build(rows.view(), None, Some(dimension as u32), Some(2), &go_on).unwrap();
        let exactly = weights == Weights::Eighths && query_weights == Weights::Eighths;
        assert_exact(&index, &Model::numbered(&rows), &queries, k, None, exactly)?;
    }

    #[test]
    fn a_filter_is_exact(
        seed in any::<u64>(),
        documents in 1_usize..2500,
        share in prop::sample::select(vec![0.0_f64, 0.002, 0.1, 0.9, 1.0]),
        weights in weights(),
        by_mask in any::<bool>(),
    ) {
        let mut random = Random::new(seed);
        let rows = Rows::random(&mut random, documents, 12, 40, weights);
        let queries = Rows::random(&mut random, 3, 12, 40, weights);
        let index = SparseIndex::build(rows.view(), None, Some(40), Some(1), &go_on).unwrap();
        let mask: Vec<bool> = (0..documents).map(|_| random.unit() < share).collect();
        let mut allowed: Vec<DocumentId> =
            (0..documents).filter(|row| mask[*row]).map(|row| DocumentId::Number(row as i64)).collect();
        let set = allowed.iter().cloned().collect();
        allowed.push(DocumentId::Number(-7));
        let ids = list(&allowed);
        let filter = if by_mask { Filter::Mask(&mask) } else { Filter::Ids(&ids) };
        assert_exact(&index, &Model::numbered(&rows), &queries, 10, Some((filter, &set)), false)?;
    }

    #[test]
    fn adds_deletes_and_compaction_keep_the_answers(
        seed in any::<u64>(),
        steps in 1_usize..12,
        strings in any::<bool>(),
        weights in weights(),
    ) {
        let mut random = Random::new(seed);
        let index = SparseIndex::new(60).unwrap();
        let mut model = Model::default();
        let id_of = |number: usize| {
            if strings { DocumentId::String(format!("d{number}é")) } else { DocumentId::Number(number as i64 * 3 - 500) }
        };
        for _ in 0..steps {
            let count = [1, 3, 40, 700][random.below(4)];
            let rows = Rows::random(&mut random, count, 9, 60, weights);
            let mut ids: Vec<DocumentId> = Vec::new();
            while ids.len() < count {
                let id = id_of(random.below(4000));
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            index.add(rows.view(), Some(list(&ids)), true, &go_on).unwrap();
            ids.into_iter().enumerate().for_each(|(row, id)| drop(model.0.insert(id, rows.row(row))));
            if random.below(2) == 0 {
                let gone: Vec<DocumentId> =
                    model.0.keys().filter(|_| random.below(4) == 0).cloned().collect();
                if !gone.is_empty() {
                    prop_assert_eq!(index.delete(&list(&gone)).unwrap(), gone.len());
                }
                model.0.retain(|id, _| !gone.contains(id));
            }
            if random.below(5) == 0 {
                index.compact(Some(1), &go_on).unwrap();
                prop_assert!(index.stats().segments <= 1 && index.stats().deleted == 0);
            }
        }
        prop_assert_eq!(index.len(), model.0.len());
        let ids: HashSet<DocumentId> = { let ids = index.ids(); (0..ids.len()).filter_map(|i| ids.get(i)).collect() };
        prop_assert_eq!(&ids, &model.0.keys().cloned().collect::<HashSet<_>>());
        for (id, row) in model.0.iter().take(20) {
            let mut row: Vec<(u32, f32)> = row.iter().map(|&(term, weight)| (term as u32, weight)).collect();
            row.sort_by_key(|entry| entry.0);
            let (terms, stored) = index.get(id).unwrap();
            prop_assert_eq!(terms, row.iter().map(|entry| entry.0).collect::<Vec<_>>());
            for (weight, entry) in stored.iter().zip(&row) {
                prop_assert!((weight - entry.1).abs() <= entry.1 / 131_072.0);
            }
        }
        let queries = Rows::random(&mut random, 3, 12, 60, weights);
        assert_exact(&index, &model, &queries, 10, None, weights == Weights::Eighths)?;
    }

    #[test]
    fn the_approximate_mode_returns_true_scores_in_order(seed in any::<u64>(), recall in 0.5_f32..=1.0) {
        let mut random = Random::new(seed);
        let rows = Rows::random(&mut random, 3000, 12, 80, Weights::Usual);
        let queries = Rows::random(&mut random, 3, 12, 80, Weights::Usual);
        let index = SparseIndex::build(rows.view(), None, Some(80), Some(1), &go_on).unwrap();
        let options = SearchOptions { mode: Mode::Approximate { recall }, ..SearchOptions::default() };
        let model = Model::numbered(&rows);
        for (query, hits) in index.search(queries.view(), &options, &go_on).unwrap().iter().enumerate() {
            let mut scores = model.scores(&queries.row(query), None);
            let found: HashSet<DocumentId> = (0..hits.ids.len()).filter_map(|index| hits.ids.get(index)).collect();
            prop_assert_eq!(found.len(), scores.len().min(10));
            scores.retain(|(_, id)| found.contains(id));
            prop_assert_eq!(check(&scores, hits, 10), Ok(()));
        }
    }
}

/// More documents than one window, several lists a term, bitmaps among them.
#[test]
fn many_windows() {
    let mut random = Random::new(3);
    for (weights, exactly) in [(Weights::Usual, false), (Weights::Eighths, true), (Weights::Equal, false)] {
        let rows = Rows::random(&mut random, 40_000, 14, 200, weights);
        let queries = Rows::random(&mut random, 12, 20, 200, weights);
        let index = SparseIndex::build(rows.view(), None, Some(200), Some(2), &go_on).unwrap();
        let model = Model::numbered(&rows);
        for k in [1, 10, 300] {
            assert_exact(&index, &model, &queries, k, None, exactly).unwrap();
        }
        let gone: Vec<i64> = (0..40_000).filter(|id| id % 3 == 0).collect();
        index.delete(&DocumentIds::Numbers(gone.clone())).unwrap();
        let mut model = model;
        model.0.retain(|id, _| !matches!(id, DocumentId::Number(number) if number % 3 == 0));
        assert_exact(&index, &model, &queries, 10, None, exactly).unwrap();
    }
}

/// A batch gives what its queries give alone, whatever the threads.
#[test]
fn a_batch_equals_single_queries() {
    let mut random = Random::new(4);
    let rows = Rows::random(&mut random, 5000, 14, 200, Weights::Usual);
    let queries = Rows::random(&mut random, 50, 20, 200, Weights::Usual);
    let index = SparseIndex::build(rows.view(), None, Some(200), Some(2), &go_on).unwrap();
    let one_by_one: Vec<_> = (0..queries.len())
        .map(|query| {
            let query = queries.part(query, query + 1);
            index.search(query.view(), &SearchOptions::default(), &go_on).unwrap().remove(0)
        })
        .collect();
    for threads in [1, 2, 3, 16] {
        let options = SearchOptions { threads: Some(threads), ..SearchOptions::default() };
        assert_eq!(index.search(queries.view(), &options, &go_on).unwrap(), one_by_one);
    }
}

/// One term scales to the whole range of 16 bits, and all that has it is equal: the lowest ids win.
#[test]
fn equal_scores_of_one_term() {
    let mut random = Random::new(6);
    let rows = Rows::random(&mut random, 3000, 9, 60, Weights::Eighths);
    let index = SparseIndex::build(rows.view(), None, Some(60), Some(1), &go_on).unwrap();
    let model = Model::numbered(&rows);
    for weight in [1e-30, 0.125, 2.0, 7.7, 1e30] {
        let mut queries = Rows::new();
        (0..60).for_each(|term| queries.push(&[(term, weight)]));
        for k in [1, 10, 40] {
            assert_exact(&index, &model, &queries, k, None, true).unwrap();
        }
    }
}
