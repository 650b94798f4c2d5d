//! The threads that do the work: one pool per process and thread count, shared by all encoders.
//!
//! Rayon's global pool is never used: a library must not size it for its host, and a forked child inherits a
//! pool whose threads do not exist there, so its first use would wait for ever. Pools are therefore kept by
//! process id. A child finds none under its own id and builds its own; what it inherited is left alone, never
//! dropped (dropping would wait for threads that are not there) and never locked (another thread may have held
//! the lock at the moment of the fork).

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::available_parallelism;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::EncodeError;
use crate::standby::Standby;

/// More threads than this are refused: it is far above any machine's use and keeps a mistyped number from
/// exhausting the process table.
pub const MOST_THREADS: usize = 1024;

/// The pools of one process, and those of the child that was forked from it, if this is such a child.
struct Generation {
    process: u32,
    pools: Mutex<BTreeMap<usize, Arc<ThreadPool>>>,
    /// Calls that are in progress.
    calls: AtomicUsize,
    standby: Standby,
    child: OnceLock<Box<Generation>>,
}

static FIRST: OnceLock<Generation> = OnceLock::new();

impl Generation {
    fn new(process: u32) -> Self {
        let (pools, calls, child) = (Mutex::new(BTreeMap::new()), AtomicUsize::new(0), OnceLock::new());
        Self { process, pools, calls, standby: Standby::default(), child }
    }

    /// The entry of the running process, made on first use.
    fn current() -> &'static Self {
        let process = std::process::id();
        let mut generation = FIRST.get_or_init(|| Self::new(process));
        while generation.process != process {
            generation = generation.child.get_or_init(|| Box::new(Self::new(process)));
        }
        generation
    }
}

/// Number of threads used where the caller names none: the processors this process may run on, which respects
/// `taskset` and container quotas.
#[must_use]
pub fn default_threads() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The running process's pool of `threads` threads, built on first use and kept until the process ends.
///
/// # Errors
/// [`EncodeError::Argument`] if `threads` is not from 1 to [`MOST_THREADS`], [`EncodeError::Threads`] if the system
/// refuses to start them.
pub(crate) fn pool(threads: usize) -> Result<Arc<ThreadPool>, EncodeError> {
    if !(1..=MOST_THREADS).contains(&threads) {
        return Err(EncodeError::Argument {
            name: "threads",
            expected: format!("an integer from 1 to {MOST_THREADS}"),
            found: threads,
        });
    }
    let pools = &Generation::current().pools;
    let mut pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&threads) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("corten-{index}"))
        .build()
        .map_err(|source| EncodeError::Threads { threads, source: Box::new(source) })?;
    let pool = Arc::new(pool);
    pools.insert(threads, Arc::clone(&pool));
    Ok(pool)
}

/// Counts as a call in progress until it is dropped.
pub(crate) struct CallInProgress(&'static AtomicUsize);

impl CallInProgress {
    /// One more.
    pub(crate) fn begin() -> Self {
        let calls = &Generation::current().calls;
        calls.fetch_add(1, Ordering::Relaxed);
        Self(calls)
    }
}

impl Drop for CallInProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where the running process's helpers look for the next short call.
pub(crate) fn standby() -> &'static Standby {
    &Generation::current().standby
}

/// Calls of this process that are in progress, of all encoders.
pub(crate) fn calls_in_progress() -> usize {
    Generation::current().calls.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pool_per_thread_count() {
        let two = pool(2).unwrap();
        assert_eq!(two.current_num_threads(), 2);
        assert!(Arc::ptr_eq(&two, &pool(2).unwrap()));
        assert!(!Arc::ptr_eq(&two, &pool(3).unwrap()));
    }

    #[test]
    fn threads_carry_the_library_name() {
        let name = pool(1).unwrap().install(|| std::thread::current().name().map(str::to_owned));
        assert_eq!(name.as_deref(), Some("corten-0"));
    }

    #[test]
    fn thread_counts_out_of_range_are_refused() {
        for threads in [0, MOST_THREADS + 1, usize::MAX] {
            let error = pool(threads).unwrap_err();
            assert_eq!(error.to_string(), format!("threads: expected an integer from 1 to 1024, found {threads}"));
        }
    }

    #[test]
    fn another_process_id_gets_its_own_generation() {
        let parent = Generation::new(u32::MAX);
        let child = parent.child.get_or_init(|| Box::new(Generation::new(std::process::id())));
        let held = parent.pools.lock().unwrap();
        assert!(child.pools.try_lock().is_ok());
        drop(held);
        assert_eq!(Generation::current().process, std::process::id());
    }
}
