//! Runs a kernel under criterion and keeps its best time, for the lines that say how near the peak it came.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use kernels::{Format, Level};

use crate::peak;

/// One criterion group, and the best time of each of its benches.
pub(crate) struct Bench<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    level: Level,
    best: Vec<(String, u64, Duration)>,
}

impl<'a> Bench<'a> {
    /// A group of this name; benches are short, since there are many.
    pub(crate) fn new(criterion: &'a mut Criterion, level: Level, name: &str) -> Self {
        let mut group = criterion.benchmark_group(format!("{name}/{}", level.name()));
        group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
        Self { group, level, best: Vec::new() }
    }

    /// Times `kernel`, whose work is `elements`: FLOP for a product, values for all else.
    pub(crate) fn run(&mut self, name: &str, rows: usize, elements: usize, mut kernel: impl FnMut()) {
        let elements = u64::try_from(elements).unwrap_or(u64::MAX);
        let best = RefCell::new(Duration::MAX);
        self.group.throughput(Throughput::Elements(elements));
        self.group.bench_function(BenchmarkId::new(name, rows), |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                for _ in 0..iterations {
                    let one = Instant::now();
                    kernel();
                    let mut best = best.borrow_mut();
                    *best = one.elapsed().min(*best);
                }
                start.elapsed()
            });
        });
        let best = best.into_inner();
        if best < Duration::MAX {
            self.best.push((format!("{name}/{rows}"), elements, best));
        }
    }

    /// Ends a group of products: one line each with the share of what one core can do at most, measured now.
    pub(crate) fn finish_with_shares(self, format: Format) {
        if self.best.is_empty() {
            return; // another group was asked for
        }
        let (loop_of, peak) = peak::of(self.level, format);
        println!("\npeak of one core, a loop of {loop_of}: {:.1} G/s", peak / 1e9);
        for (name, flop, time) in &self.best {
            let rate = *flop as f64 / time.as_secs_f64();
            println!("  {name:36} {:8.1} G/s {:5.1} % of the peak", rate / 1e9, 100.0 * rate / peak);
        }
        self.group.finish();
    }

    /// Ends a group of kernels whose limit is not the multiply-adds: values a nanosecond.
    pub(crate) fn finish(self) {
        for (name, values, time) in &self.best {
            println!("  {name:36} {:8.2} values/ns", *values as f64 / time.as_secs_f64() / 1e9);
        }
        self.group.finish();
    }
}
