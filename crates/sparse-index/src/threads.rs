//! Work split over threads that live for one call.
//!
//! Threads of a call's own need no pool, so a forked child has nothing to inherit, and starting one takes some ten
//! microseconds, which is little beside a build or a batch.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// Locks; what a panic may have left half done is lost with the call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// As [`map`], with a state for each thread, whose tasks ascend. Each result goes to `take`, in order and one at a time, as soon as those of
/// the tasks before it are there.
pub(crate) fn in_order<S, T: Send>(
    threads: usize,
    tasks: usize,
    cancel: &Cancel<'_>,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<T, IndexError> + Sync,
    take: impl FnMut(T) + Send,
) -> Result<(), IndexError> {
    let taken = Mutex::new((0, BTreeMap::new(), take));
    map_with(threads, tasks, cancel, state, |state, task| {
        let result = work(state, task)?;
        let mut taken = lock(&taken);
        let (next, waiting, take) = &mut *taken;
        waiting.insert(task, result);
        while let Some(result) = waiting.remove(next) {
            take(result);
            *next += 1;
        }
        Ok(())
    })
    .map(|_| ())
}

/// As [`map`], with a state for each thread, whose tasks ascend.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_taken_in_order_until_one_is_missing() {
        for threads in [1, 2, 7] {
            let mut taken = Vec::new();
            let work = |(): &mut (), task: usize| {
                // The first of each few is the last to be ready.
                thread::sleep(std::time::Duration::from_micros(if task.is_multiple_of(5) { 2000 } else { 10 }));
                Ok(task)
            };
            in_order(threads, 40, &|| false, || (), work, |task| taken.push(task)).unwrap();
            assert_eq!(taken, (0..40).collect::<Vec<_>>());
            taken.clear();
            let fails = |(): &mut (), task| if task == 9 { Err(IndexError::Cancelled) } else { Ok(task) };
            let result = in_order(threads, 40, &|| false, || (), fails, |task| taken.push(task));
            assert!(matches!(result, Err(IndexError::Cancelled)));
            assert_eq!(taken, (0..9).collect::<Vec<_>>());
        }
    }
}
