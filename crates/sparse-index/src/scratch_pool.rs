//! Working memory of searches, kept between calls.

use std::sync::Mutex;

use crate::search_segment::Scratch;

/// Most that are kept; each is about 450 KiB.
const MOST: usize = 64;

/// Scratches that no search is using. Making one means clearing 450 KiB, which takes as long as a search.
#[derive(Debug, Default)]
pub(crate) struct ScratchPool(Mutex<Vec<Scratch>>);

/// A scratch that returns to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Borrowed<'p> {
    pool: &'p ScratchPool,
    /// None only while it is dropped: a new one in its place would have to be cleared.
    scratch: Option<Scratch>,
}

impl ScratchPool {
    /// One from the pool, or a new one. Never waits: a forked child may inherit the lock from a thread that it does not have.
    pub(crate) fn take(&self) -> Borrowed<'_> {
        let kept = self.0.try_lock().ok().and_then(|mut kept| kept.pop());
        Borrowed { pool: self, scratch: kept }
    }
}

impl Borrowed<'_> {
    pub(crate) fn get(&mut self) -> &mut Scratch {
        self.scratch.get_or_insert_default()
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        // A search that panicked may have left sums behind.
        if std::thread::panicking() {
            return;
        }
        if let Ok(mut kept) = self.pool.0.try_lock()
            && kept.len() < MOST
        {
            kept.extend(self.scratch.take());
        }
    }
}
