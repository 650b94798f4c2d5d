//! Times building and searching on vectors in raw files, and checks every answer against a float64 sum over all documents.
//!
//! `measure PREFIX [k] [queries]` reads `PREFIX.docs` and `PREFIX.q`, each as `.indptr` (u64), `.indices` (u32) and `.data` (f32), which the
//! generator of synthetic vectors writes.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "figures"
)]

use std::path::Path;
use std::time::Instant;

use sparse_index::{CsrRows, DocumentIds, Hits, Mode, SearchOptions, SparseIndex};

struct Rows {
    indptr: Vec<i64>,
    indices: Vec<i32>,
    values: Vec<f32>,
}

impl Rows {
    fn read(prefix: &str) -> Self {
        let read = |suffix: &str| std::fs::read(format!("{prefix}.{suffix}")).unwrap();
        Self {
            indptr: read("indptr").as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            indices: read("indices").as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect(),
            values: read("data").as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        }
    }

    fn len(&self) -> usize {
        self.indptr.len() - 1
    }

    fn view(&self) -> CsrRows<'_> {
        CsrRows { indptr: &self.indptr, indices: &self.indices, values: &self.values }
    }

    fn row(&self, row: usize) -> (&[i32], &[f32]) {
        let range = self.indptr[row] as usize..self.indptr[row + 1] as usize;
        (&self.indices[range.clone()], &self.values[range])
    }
}

/// The k best scores of each query, by float64 sums.
fn truth(documents: &Rows, queries: &Rows, k: usize) -> Vec<Vec<(f64, usize)>> {
    let mut lists = vec![Vec::new(); 1 << 16];
    for row in 0..documents.len() {
        let (terms, weights) = documents.row(row);
        terms.iter().zip(weights).for_each(|(&term, &weight)| lists[term as usize].push((row as u32, weight)));
    }
    let mut sums = vec![0.0_f64; documents.len()];
    (0..queries.len())
        .map(|query| {
            sums.fill(0.0);
            let (terms, weights) = queries.row(query);
            for (&term, &weight) in terms.iter().zip(weights) {
                for &(document, other) in &lists[term as usize] {
                    sums[document as usize] += f64::from(weight) * f64::from(other);
                }
            }
            let mut best: Vec<(f64, usize)> = sums.iter().copied().zip(0..).filter(|(sum, _)| *sum > 0.0).collect();
            let k = k.min(best.len());
            if k < best.len() {
                best.select_nth_unstable_by(k, |a, b| b.0.total_cmp(&a.0));
            }
            best.truncate(k);
            best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            best
        })
        .collect()
}

/// Recall (a hit as good as the k-th counts), and the largest difference of a score at the same rank.
fn check(truth: &[Vec<(f64, usize)>], answers: &[Hits]) -> (f64, f64) {
    let (mut found, mut wanted, mut difference) = (0, 0, 0.0_f64);
    for (truth, hits) in truth.iter().zip(answers) {
        wanted += truth.len();
        let last = truth.last().map_or(0.0, |best| best.0);
        found += hits.scores.iter().filter(|score| f64::from(**score) >= last - 1e-5).count().min(truth.len());
        for (best, score) in truth.iter().zip(&hits.scores) {
            difference = difference.max((best.0 - f64::from(*score)).abs());
        }
    }
    (found as f64 / wanted as f64, difference)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize, default: usize| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (k, most_queries) = (number(2, 10), number(3, 1000));
    let documents = Rows::read(&format!("{}.docs", arguments[1]));
    let mut queries = Rows::read(&format!("{}.q", arguments[1]));
    queries.indptr.truncate(most_queries + 1);
    let end = *queries.indptr.last().unwrap() as usize;
    queries.indices.truncate(end);
    queries.values.truncate(end);
    let entries = documents.indices.len() as f64;
    let build = arguments.get(4).is_none_or(|word| word != "again");
    if build {
        for threads in [1, 2] {
            let start = Instant::now();
            let index = SparseIndex::build(documents.view(), None, Some(30522), Some(threads), &|| false).unwrap();
            println!(
                "build, {threads} threads: {:.2} s, {:.3} bytes a non-zero",
                start.elapsed().as_secs_f64(),
                index.stats().bytes as f64 / entries
            );
            if threads == 2 {
                let path = Path::new("/tmp/sparse_data/measure.index");
                let start = Instant::now();
                index.save(path, &|| false).unwrap();
                println!(
                    "save: {:.2} s, {:.3} bytes a non-zero",
                    start.elapsed().as_secs_f64(),
                    std::fs::metadata(path).unwrap().len() as f64 / entries
                );
            }
        }
    }
    let start = Instant::now();
    let index = SparseIndex::open(Path::new("/tmp/sparse_data/measure.index"), true, false).unwrap();
    println!("open, mapped: {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    let truth = if build { truth(&documents, &queries, k) } else { Vec::new() };
    drop(documents);
    for mode in [
        Mode::Exact,
        Mode::Approximate { recall: 0.95 },
        Mode::Approximate { recall: 0.99 },
        Mode::Approximate { recall: 0.999 },
    ] {
        let options = SearchOptions { k, mode, threads: Some(1), ..SearchOptions::default() };
        // The fastest of five rounds for each query: other work on the machine is not measured.
        let mut times = vec![f64::INFINITY; queries.len()];
        let mut answers = Vec::new();
        for _ in 0..5 {
            answers.clear();
            for (query, time) in times.iter_mut().enumerate() {
                let (terms, weights) = queries.row(query);
                let indptr = [0, terms.len() as i64];
                let view = CsrRows { indptr: &indptr, indices: terms, values: weights };
                let start = Instant::now();
                let mut hits = index.search(view, &options, &|| false).unwrap();
                *time = time.min(start.elapsed().as_secs_f64() * 1e6);
                answers.push(hits.pop().unwrap_or(Hits { ids: DocumentIds::Numbers(Vec::new()), scores: Vec::new() }));
            }
        }
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        times.sort_by(f64::total_cmp);
        let (recall, difference) = check(&truth, &answers);
        println!(
            "{mode:?}: mean {mean:.1} us, p50 {:.1}, p99 {:.1}; recall {recall:.4}, largest difference {difference:.1e}",
            times[times.len() / 2],
            times[times.len() * 99 / 100]
        );
    }
    for threads in [1, 2] {
        let options = SearchOptions { k, threads: Some(threads), ..SearchOptions::default() };
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            index.search(queries.view(), &options, &|| false).unwrap();
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("batch, exact, {threads} threads: {:.0} queries a second", queries.len() as f64 / best);
    }
}
