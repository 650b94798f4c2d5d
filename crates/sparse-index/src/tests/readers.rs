//! Readers beside a writer: each sees the index before or after a change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::go_on;
use super::random::Rows;
use crate::ids::DocumentIds;
use crate::index::SparseIndex;
use crate::options::SearchOptions;

#[test]
fn a_reader_sees_whole_changes() {
    // Every add brings 50 documents, every delete takes those 50 away: never another number.
    let mut rows = Rows::new();
    (0..50).for_each(|_| rows.push(&[(1, 1.0)]));
    let index = SparseIndex::new(4).unwrap();
    let done = AtomicBool::new(false);
    let options = SearchOptions { k: 10_000, threads: Some(1), ..SearchOptions::default() };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let query = Rows::from(&[&[(1, 1.0)]]);
                while !done.load(Ordering::SeqCst) {
                    let hits = index.search(query.view(), &options, &go_on).unwrap();
                    assert_eq!(hits[0].scores.len() % 50, 0);
                    assert_eq!(index.len() % 50, 0);
                }
            });
        }
        for round in 0..60_i64 {
            index.add(rows.view(), None, false, &go_on).unwrap();
            if round % 3 == 2 {
                let gone = (round * 50 - 50..round * 50).collect();
                index.delete(&DocumentIds::Numbers(gone)).unwrap();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(index.len(), 40 * 50);
}

#[test]
fn writers_wait_for_each_other_and_can_be_cancelled() {
    let index = SparseIndex::new(4).unwrap();
    let held = index.writer.lock(&go_on).unwrap();
    let error = index.add(Rows::from(&[&[(1, 1.0)]]).view(), None, false, &|| true).unwrap_err();
    assert_eq!(error.to_string(), "cancelled");
    assert_eq!(index.len(), 0);
    drop(held);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    index.add(Rows::from(&[&[(1, 1.0)]]).view(), None, false, &go_on).unwrap();
                }
            });
        }
    });
    assert_eq!(index.ids(), DocumentIds::Numbers((0..100).collect()));
}
