//! A call of one short text, as a query is: the calling thread computes it, helped by threads of the pool.
//!
//! Waking a thread up takes some fifty microseconds, a tenth of such a call. So the helpers are woken up before the text is
//! tokenised, unless those of an earlier call stand by, and nobody has to wake the calling thread up. While it computes it does not
//! look for the caller's wish to cancel: the text is short enough.

use std::sync::Arc;

use models::Team;
use rayon::ThreadPool;

use crate::thread_pool::{calls_in_progress, standby};

/// Bytes of a text, with its prompt, above which it is not expected to be short.
const MOST_BYTES: usize = 512;

/// Tokens of a short text: with more, the pool splits its rows.
const MOST_TOKENS: usize = 96;

/// Threads that still gain from a part of so little work each.
const MOST_THREADS: usize = 8;

/// The team of one call.
pub(crate) struct ShortCall(Arc<Team>);

impl ShortCall {
    /// Wakes helpers up for the call of these many texts and `bytes`, if it may be a short one. Where other calls are in progress
    /// the calling thread is to do without; where there are more of them than threads, the pool's queue is fairer.
    pub(crate) fn begin(pool: &ThreadPool, texts: usize, bytes: impl FnOnce() -> usize) -> Option<Self> {
        let (calls, threads) = (calls_in_progress(), pool.current_num_threads());
        if texts != 1 || calls > threads || bytes() > MOST_BYTES {
            return None;
        }
        let threads = if calls > 1 { 1 } else { threads.min(MOST_THREADS) };
        let team = Team::new(threads);
        for _ in 1..threads {
            if let Err(team) = standby().leave(Arc::clone(&team)) {
                pool.spawn(move || standby().help(&team, || calls_in_progress() > 1));
            }
        }
        Some(Self(team))
    }

    /// Whether the call is short indeed.
    pub(crate) fn is_short(tokens: usize) -> bool {
        tokens <= MOST_TOKENS
    }

    /// Does the call's work on this thread.
    pub(crate) fn lead<R>(&self, work: impl FnOnce() -> R) -> R {
        self.0.lead(work)
    }
}

impl Drop for ShortCall {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread_pool::{CallInProgress, pool};

    /// The counts are of the process: each test runs in one of its own, but for `cargo test`, which needs this lock.
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

    #[test]
    fn only_one_text_of_few_bytes_may_be_short() {
        let _alone = ALONE.lock();
        let pool = pool(2).unwrap();
        let begins = |texts, bytes| ShortCall::begin(&pool, texts, || bytes).is_some();
        assert!(begins(1, 0) && begins(1, MOST_BYTES));
        assert!(!begins(0, 0) && !begins(2, 10) && !begins(1, MOST_BYTES + 1));
        assert!(ShortCall::is_short(MOST_TOKENS) && !ShortCall::is_short(MOST_TOKENS + 1));
    }

    #[test]
    fn more_calls_than_threads_queue() {
        let _alone = ALONE.lock();
        let pool = pool(2).unwrap();
        let before = calls_in_progress();
        let calls: Vec<CallInProgress> = (0..3).map(|_| CallInProgress::begin()).collect();
        assert!(calls_in_progress() >= before + 3);
        assert!(ShortCall::begin(&pool, 1, || 10).is_none());
        drop(calls);
    }

    /// Helpers leave when the call ends, even if nobody led: the pool is free for other work.
    #[test]
    fn helpers_leave() {
        let _alone = ALONE.lock();
        let pool = pool(3).unwrap();
        drop(ShortCall::begin(&pool, 1, || 10));
        pool.broadcast(|_| ());
    }
}
