//! One writer at a time, also across a fork.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::error::IndexError;
use crate::options::Cancel;

/// A lock that knows its owner's process.
///
/// A child that is forked while another thread of its parent writes inherits the lock without the thread that would release it.
/// It takes over a lock that another process holds: what that writer was about to put in place does not exist in the child.
#[derive(Debug, Default)]
pub(crate) struct WriterLock(AtomicU32);

/// Releases the lock when dropped.
#[derive(Debug)]
pub(crate) struct WriterGuard<'a>(&'a AtomicU32);

impl WriterLock {
    /// Waits for the lock, looking for cancellation every few milliseconds.
    pub(crate) fn lock(&self, cancel: &Cancel<'_>) -> Result<WriterGuard<'_>, IndexError> {
        // Zero is no process that could call this.
        let process = std::process::id();
        let mut wait = Duration::from_micros(20);
        loop {
            let Err(holder) = self.0.compare_exchange(0, process, Ordering::Acquire, Ordering::Relaxed) else {
                return Ok(WriterGuard(&self.0));
            };
            if holder != process
                && self.0.compare_exchange(holder, process, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return Ok(WriterGuard(&self.0));
            }
            if cancel() {
                return Err(IndexError::Cancelled);
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_millis(5));
        }
    }
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}
