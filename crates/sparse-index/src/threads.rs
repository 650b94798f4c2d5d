//! Work split over threads that live for one call.
//!
//! Threads of a call's own need no pool, so a forked child has nothing to inherit, and starting one takes some ten
//! microseconds, which is little beside a build or a batch.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::error::IndexError;
use crate::options::Cancel;

/// More threads than this are refused: a mistyped number must not exhaust the process table.
const MOST_THREADS: usize = 1024;

/// How many threads a call uses: `threads`, or one for each processor this process may run on.
pub(crate) fn count(threads: Option<usize>) -> Result<usize, IndexError> {
    match threads {
        None => Ok(thread::available_parallelism().map_or(1, NonZeroUsize::get)),
        Some(threads) if (1..=MOST_THREADS).contains(&threads) => Ok(threads),
        Some(threads) => Err(IndexError::argument("threads", format!("an integer from 1 to {MOST_THREADS}"), threads)),
    }
}

/// An error if the call is cancelled. Asks only every 256th step, so that it may be called for every row.
#[inline]
pub(crate) fn looked(step: usize, cancel: &Cancel<'_>) -> Result<(), IndexError> {
    if step.is_multiple_of(256) && cancel() { Err(IndexError::Cancelled) } else { Ok(()) }
}

/// The results of tasks 0 to `tasks` - 1, in order. The calling thread works too; of several errors that of the lowest task is returned.
pub(crate) fn map<T: Send>(
    threads: usize,
    tasks: usize,
    cancel: &Cancel<'_>,
    work: impl Fn(usize) -> Result<T, IndexError> + Sync,
) -> Result<Vec<T>, IndexError> {
    map_with(threads, tasks, cancel, || (), |(), task| work(task))
}

/// As [`map`], with a state for each thread.
pub(crate) fn map_with<S, T: Send>(
    threads: usize,
    tasks: usize,
    cancel: &Cancel<'_>,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<T, IndexError> + Sync,
) -> Result<Vec<T>, IndexError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let run = || {
        let mut state = state();
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                break;
            }
            let result = if cancel() { Err(IndexError::Cancelled) } else { work(&mut state, task) };
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((task, result));
        }
        done
    };
    let mut all = thread::scope(|scope| {
        // A thread that the system refuses is done without: the calling thread does its tasks.
        let others: Vec<_> = (1..threads.min(tasks))
            .map_while(|number| {
                thread::Builder::new().name(format!("corten-index-{number}")).spawn_scoped(scope, run).ok()
            })
            .collect();
        let mut all = run();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(task, _)| *task);
    all.into_iter().map(|(_, result)| result).collect()
}
