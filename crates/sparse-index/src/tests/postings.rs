//! Inverted lists against a plain way to make them.

use kernels::{WINDOW, WINDOW_WORDS};

use super::go_on;
use super::random::{Random, Rows, Weights};
use crate::build_postings;
use crate::postings::{ListRecord, Postings};
use crate::rows::{Role, SparseRows};
use crate::split_lists::plan_lists;
use crate::term_table::TermTable;

/// What is stored of each term, one after the other.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    table: TermTable,
    champions: Vec<u32>,
    counts: Vec<u16>,
    documents: Vec<u16>,
    weights: Vec<u8>,
    bitmaps: Vec<u64>,
}

impl Expected {
    fn of(rows: &SparseRows<'_>, dimension: usize) -> Self {
        let mut terms = vec![Vec::new(); dimension];
        for row in 0..rows.len() {
            let (row_terms, weights) = rows.row(row);
            row_terms.iter().zip(weights).for_each(|(&term, &weight)| terms[term as usize].push((row, weight)));
        }
        let mut all = Self::default();
        all.table.term_lists.push(0);
        all.table.champion_starts.push(0);
        for (term, entries) in (0..).zip(terms).filter(|(_, entries)| !entries.is_empty()) {
            all.table.terms.push(term);
            all.add(&entries, rows.len().div_ceil(WINDOW));
            all.table.term_lists.push(all.table.lists.len() as u32);
            all.table.champion_starts.push(all.champions.len() as u32);
        }
        all
    }

    fn add(&mut self, entries: &[(usize, f32)], windows: usize) {
        let mut sorted = entries.to_vec();
        sorted.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        if sorted.len() >= 256 {
            self.champions.extend(sorted.iter().take(8).map(|(document, _)| *document as u32));
        }
        // Lists end where a smaller weight begins, so that equal weights stay together.
        let (mut lists, mut start): (Vec<(f32, bool)>, f32) = (Vec::new(), f32::INFINITY);
        for (end, is_bitmap) in plan_lists(windows, sorted.len()) {
            let smallest = sorted.get(end).map_or(0.0, |(_, weight)| *weight);
            if smallest < start && sorted.iter().any(|(_, weight)| (smallest..start).contains(weight)) {
                lists.push((smallest, is_bitmap));
                start = smallest;
            }
        }
        let list_of = |weight: f32| lists.iter().position(|(smallest, _)| weight >= *smallest).unwrap();
        let per_weight = 255.0 / f64::from(sorted[0].1);
        for (number, &(_, is_bitmap)) in lists.iter().enumerate() {
            let of_list: Vec<f32> = sorted.iter().map(|entry| entry.1).filter(|&w| list_of(w) == number).collect();
            let lower = if is_bitmap { of_list[of_list.len() - 1] } else { 0.0 };
            self.table.lists.push(ListRecord { upper: of_list[0], lower, count: of_list.len() as u32 });
        }
        for window in 0..windows {
            for number in (0..lists.len()).filter(|&number| !lists[number].1) {
                let before = self.documents.len();
                for &(document, weight) in entries {
                    if document / WINDOW == window && list_of(weight) == number {
                        self.documents.push((document % WINDOW) as u16);
                        self.weights.push((f64::from(weight) * per_weight).round() as u8);
                    }
                }
                self.counts.push((self.documents.len() - before) as u16);
            }
        }
        for number in (0..lists.len()).filter(|&number| lists[number].1) {
            let mut words = vec![0; windows * WINDOW_WORDS];
            for &(document, weight) in entries {
                words[document / 64] |= u64::from(list_of(weight) == number) << (document % 64);
            }
            self.bitmaps.extend(words);
        }
    }
}

impl From<Postings> for Expected {
    fn from(postings: Postings) -> Self {
        Self {
            table: postings.table,
            champions: postings.champions.as_slice().to_vec(),
            counts: postings.counts.as_slice().to_vec(),
            documents: postings.documents.as_slice().to_vec(),
            weights: postings.weights.as_slice().to_vec(),
            bitmaps: postings.bitmaps.as_slice().to_vec(),
        }
    }
}

#[test]
fn lists_are_those_of_the_plain_way_whatever_the_threads() {
    let mut random = Random::new(11);
    let all = [Weights::Usual, Weights::Eighths, Weights::Equal, Weights::Extreme];
    // One window and three; lists of numbers, and bitmaps.
    for (documents, length, dimension) in [(600, 14, 200), (5000, 8, 9), (40_000, 14, 200), (40_000, 10, 30)] {
        for weights in all {
            let rows = Rows::random(&mut random, documents, length, dimension, weights);
            let rows = SparseRows::check(rows.view(), Role::Documents, Some(dimension as u32)).unwrap();
            let expected = Expected::of(&rows, dimension);
            for threads in [1, 3] {
                let units = vec![None; documents];
                let built = build_postings::build(&rows, &units, dimension as u32, threads, &go_on).unwrap();
                assert!(Expected::from(built) == expected, "{documents} {dimension} {weights:?} {threads}");
            }
        }
    }
}
