//! A program of adds, deletes, compactions and searches, against a list of documents in float64.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use sparse_index::{CsrRows, DocumentIds, SearchOptions, SparseIndex};

const DIMENSION: i32 = 24;

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Terms and weights; weights are of 21 magnitudes.
    fn row(&mut self) -> Option<BTreeMap<i32, f32>> {
        let entries = self.next()? % 12;
        (0..entries)
            .map(|_| {
                let (term, weight, scale) = (self.next()?, self.next()?, self.next()?);
                let weight = f32::from(weight) / 16.0 * 10_f32.powi(if scale < 200 { 0 } else { i32::from(scale % 21) - 10 });
                Some((i32::from(term) % DIMENSION, weight))
            })
            .collect()
    }
}

fn add(index: &SparseIndex, rows: &[(i64, BTreeMap<i32, f32>)]) {
    let (mut indptr, mut indices, mut values, mut ids) = (vec![0], Vec::new(), Vec::new(), Vec::new());
    for (id, row) in rows {
        ids.push(*id);
        indices.extend(row.keys());
        values.extend(row.values());
        indptr.push(indices.len() as i64);
    }
    let rows = CsrRows { indptr: &indptr, indices: &indices, values: &values };
    index.add(rows, Some(DocumentIds::Numbers(ids)), true, &|| false).unwrap();
}

fn search(index: &SparseIndex, model: &BTreeMap<i64, BTreeMap<i32, f32>>, query: &BTreeMap<i32, f32>, k: usize) {
    let (indices, values): (Vec<i32>, Vec<f32>) = query.iter().unzip();
    let indptr = [0, indices.len() as i64];
    let rows = CsrRows { indptr: &indptr, indices: &indices, values: &values };
    let options = SearchOptions { k, threads: Some(1), ..SearchOptions::default() };
    let hits = index.search(rows, &options, &|| false).unwrap().remove(0);
    let DocumentIds::Numbers(ids) = hits.ids else { panic!("numbers") };
    let score = |row: &BTreeMap<i32, f32>| {
        let shared: Vec<f64> = query
            .iter()
            .filter(|(_, weight)| **weight != 0.0)
            .filter_map(|(term, weight)| row.get(term).filter(|other| **other != 0.0).map(|other| f64::from(*weight) * f64::from(*other)))
            .collect();
        (!shared.is_empty()).then(|| shared.iter().sum::<f64>())
    };
    let scores: BTreeMap<i64, f64> = model.iter().filter_map(|(id, row)| Some((*id, score(row)?))).collect();
    assert_eq!(ids.len(), k.min(scores.len()), "number of hits");
    let slack = |score: f64| 1e-5 * score.abs().max(1.0);
    for (id, found) in ids.iter().zip(&hits.scores) {
        let exact = scores[id].min(f64::from(f32::MAX));
        assert!((exact - f64::from(*found)).abs() <= slack(exact), "{id}: {found}, expected {exact}");
    }
    for pair in ids.iter().zip(&hits.scores).collect::<Vec<_>>().windows(2) {
        assert!(pair[0].1 > pair[1].1 || (pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0), "order");
    }
    if let Some(last) = hits.scores.last().map(|last| f64::from(*last)) {
        let missed = scores.iter().filter(|(id, _)| !ids.contains(id)).map(|(_, score)| score.min(f64::from(f32::MAX)));
        missed.for_each(|score| assert!(score <= last + slack(last), "a document of {score} is missing below {last}"));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let index = SparseIndex::new(DIMENSION as u32).unwrap();
    let mut model: BTreeMap<i64, BTreeMap<i32, f32>> = BTreeMap::new();
    let mut run = || -> Option<()> {
        loop {
            match bytes.next()? % 6 {
                0 | 1 => {
                    let first = i64::from(bytes.next()?);
                    // One row many times over makes segments with inverted lists, and many equal scores.
                    let copies = [1, 5, 300, 700][usize::from(bytes.next()? % 4)];
                    let row = bytes.row()?;
                    let rows: Vec<_> = (first..first + copies).map(|id| (id, row.clone())).collect();
                    add(&index, &rows);
                    model.extend(rows);
                }
                2 => {
                    let (first, step) = (usize::from(bytes.next()?), usize::from(bytes.next()?) + 1);
                    let gone: Vec<i64> = model.keys().copied().skip(first).step_by(step).collect();
                    index.delete(&DocumentIds::Numbers(gone.clone())).unwrap();
                    model.retain(|id, _| !gone.contains(id));
                }
                3 => index.compact(Some(1), &|| false).unwrap(),
                _ => {
                    let k = [1, 3, 10, 2000][usize::from(bytes.next()? % 4)];
                    search(&index, &model, &bytes.row()?, k);
                }
            }
            assert_eq!(index.len(), model.len());
        }
    };
    run();
});
