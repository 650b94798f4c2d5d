//! The door to the index: like [`crate::door`], for work that watches a flag instead of calling back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use encoder::panic_message;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use sparse_index::IndexError;

use crate::errors::internal;
use crate::index_errors;

/// Time between two looks at Python's signals, as for encoding.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long work can take, and so which thread does it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// On the calling thread, which looks at signals whenever the work asks whether to stop.
    Short,
    /// On a thread of its own while the calling thread waits and looks at signals: for work that is spread over threads.
    Long,
}

/// Whether the work should stop, and why.
struct Watch {
    stop: AtomicBool,
    raised: Mutex<Option<PyErr>>,
    caller: ThreadId,
    started: Instant,
    /// Time of the last look, in nanoseconds since the start.
    looked: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            raised: Mutex::new(None),
            caller: thread::current().id(),
            started: Instant::now(),
            looked: AtomicU64::new(0),
        }
    }

    /// What the work asks, from any of its threads.
    fn cancelled(&self) -> bool {
        if self.stop.load(Ordering::Relaxed) {
            return true;
        }
        let now = self.started.elapsed();
        let looked = Duration::from_nanos(self.looked.load(Ordering::Relaxed));
        if now.saturating_sub(looked) < LOOK_INTERVAL || thread::current().id() != self.caller {
            return false;
        }
        self.looked.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.look()
    }

    /// One look at Python from the calling thread.
    fn look(&self) -> bool {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method itself is for one lifetime only")]
        let looked = Python::try_attach(|py| py.check_signals());
        match looked {
            Some(Ok(())) => return false,
            Some(Err(exception)) => *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(exception),
            // The interpreter is shutting down; nobody will read the result.
            None => {}
        }
        self.stop.store(true, Ordering::Relaxed);
        true
    }
}

/// Does `work` without the GIL; Ctrl-C makes the function that it is given return true.
///
/// # Errors
/// What a signal handler raised, else the error of the work by [`index_errors::to_python`]. A panic is an
/// `InternalError`.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    length: Length,
    work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, IndexError> + Send,
) -> PyResult<T> {
    let watch = Watch::new();
    let outcome = py.detach(|| {
        let cancelled = || watch.cancelled();
        let work =
            || catch_unwind(AssertUnwindSafe(|| work(&cancelled))).map_err(|panic| panic_message(panic.as_ref()));
        match length {
            Length::Short => Some(work()),
            Length::Long => on_another_thread(&watch, work),
        }
    });
    if let Some(exception) = watch.raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(exception);
    }
    match outcome {
        Some(Ok(result)) => result.map_err(|error| index_errors::to_python(py, error)),
        Some(Err(panic)) => Err(internal(&format!("internal error: {panic}"))),
        // What Python's own threads raise when the system has none left.
        None => Err(PyRuntimeError::new_err("threads: the system refused to start another one")),
    }
}

/// The result of `work`, or `None` where the system starts no thread.
fn on_another_thread<T: Send>(watch: &Watch, work: impl FnOnce() -> T + Send) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("corten-index".to_owned()).spawn_scoped(scope, move || {
            // The receiver waits for it.
            let _ = sender.send(work());
        });
        worker.ok()?;
        loop {
            match receiver.recv_timeout(LOOK_INTERVAL) {
                Ok(outcome) => return Some(outcome),
                Err(RecvTimeoutError::Timeout) => drop(watch.look()),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    })
}
