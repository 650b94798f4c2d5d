//! Running the tasks of a call on the pool while the calling thread waits.
//!
//! The calling thread hands tasks to the pool one by one, a few at a time, and puts each result in its place. That
//! bounds the memory in flight, and it is fair: a task is one batch, every call's next task queues behind those of
//! other calls, and no pool thread ever waits for a whole call (waiting threads of a work-stealing pool run
//! whatever they find, so a short call could get stuck below a long one).
//!
//! While it waits, the calling thread looks up from time to time, so that the caller can cancel and watch.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use models::Cancel;
use rayon::ThreadPool;

use crate::error::EncodeError;
use crate::thread_pool::CallInProgress;

/// Time between two looks of the caller: short against human patience, long against the cost of a look.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Called on the calling thread about every 50 ms with the number of texts finished; `Break` cancels the call.
pub type Watch<'a> = dyn FnMut(usize) -> ControlFlow<()> + 'a;

/// A list of tasks of one kind, such as the batches of a call.
pub(crate) trait Stage: Send + Sync {
    /// What a task returns to the calling thread.
    type Output: Send;

    /// Number of tasks.
    fn tasks(&self) -> usize;

    /// The lowest index of the texts of a task.
    fn first_text(&self, task: usize) -> usize;

    /// Tasks that run at once, if not as many as there are threads.
    fn workers(&self) -> Option<usize> {
        None
    }

    /// Does one task on a thread of the pool.
    fn work(&self, task: usize, cancel: &Cancel) -> Result<Self::Output, EncodeError>;
}

/// One call of the library's user.
pub(crate) struct Call<'watch, 'data> {
    pool: Arc<ThreadPool>,
    cancel: Cancel,
    watch: &'watch mut Watch<'data>,
    last_look: Instant,
    finished: usize,
    _counted: CallInProgress,
}

type Message<T> = (usize, Result<T, EncodeError>);

impl<'watch, 'data> Call<'watch, 'data> {
    pub(crate) fn new(pool: Arc<ThreadPool>, watch: &'watch mut Watch<'data>) -> Self {
        let counted = CallInProgress::begin();
        Self { pool, cancel: Cancel::new(), watch, last_look: Instant::now(), finished: 0, _counted: counted }
    }

    /// The flag that ends the call's work.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The threads that work for the call.
    pub(crate) fn pool(&self) -> &Arc<ThreadPool> {
        &self.pool
    }

    /// Counts texts as finished for the next look.
    pub(crate) fn finish_texts(&mut self, texts: usize) {
        self.finished += texts;
    }

    /// Runs all tasks and gives each result to `place`, in the order in which they finish.
    ///
    /// # Errors
    /// Of several errors that of the lowest text, whatever the timing: tasks with lower texts still run after an error.
    /// A cancelled call and an internal error end the call at once. When this returns, no task is running.
    pub(crate) fn run<S: Stage>(
        &mut self,
        stage: &Arc<S>,
        mut place: impl FnMut(&mut Self, usize, S::Output),
    ) -> Result<(), EncodeError> {
        let pool = Arc::clone(&self.pool);
        // One more than can run, so that no thread waits for this one to wake up.
        let most_in_flight = stage.workers().unwrap_or(pool.current_num_threads()) + 1;
        let (sender, receiver) = mpsc::channel();
        let mut next = 0;
        let mut in_flight = 0_usize;
        let mut failure = Failure::default();
        pool.in_place_scope(|scope| {
            loop {
                while in_flight < most_in_flight && next < stage.tasks() {
                    let task = next;
                    next += 1;
                    if failure.is_below(stage.first_text(task)) {
                        continue;
                    }
                    let (stage, cancel, sender) = (Arc::clone(stage), self.cancel.clone(), sender.clone());
                    scope.spawn(move |_| {
                        // The calling thread can only be gone if it panicked; then there is nobody to tell.
                        let _ = sender.send((task, guarded(&cancel, || stage.work(task, &cancel))));
                    });
                    in_flight += 1;
                }
                if in_flight == 0 {
                    return Ok::<(), EncodeError>(());
                }
                let (task, result): Message<S::Output> = self.receive(&receiver)?;
                in_flight -= 1;
                match result {
                    Ok(output) => place(self, task, output),
                    Err(error) => failure.note(error, stage.first_text(task), &self.cancel),
                }
            }
        })?;
        failure.into_result()
    }

    /// Runs the tasks one after another on the calling thread: for work shorter than waking another thread up.
    pub(crate) fn run_here<S: Stage>(
        &mut self,
        stage: &Arc<S>,
        mut place: impl FnMut(&mut Self, usize, S::Output),
    ) -> Result<(), EncodeError> {
        for task in 0..stage.tasks() {
            let output = guarded(&self.cancel, || stage.work(task, &self.cancel))?;
            place(self, task, output);
        }
        Ok(())
    }

    /// Waits for the next message of the threads, looking up whenever it is time to.
    pub(crate) fn receive<M>(&mut self, receiver: &Receiver<M>) -> Result<M, EncodeError> {
        loop {
            if self.last_look.elapsed() >= LOOK_INTERVAL {
                if !self.cancel.is_cancelled() && (self.watch)(self.finished).is_break() {
                    self.cancel.cancel();
                }
                self.last_look = Instant::now();
            }
            match receiver.recv_timeout(LOOK_INTERVAL.saturating_sub(self.last_look.elapsed())) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(EncodeError::Internal("a task ended without a result".to_owned()));
                }
            }
        }
    }
}

/// The error of a call: of several that of the lowest text.
#[derive(Debug, Default)]
pub(crate) struct Failure(Option<(usize, EncodeError)>);

impl Failure {
    /// Whether nothing from `text` on can change the error any more.
    pub(crate) fn is_below(&self, text: usize) -> bool {
        self.0.as_ref().is_some_and(|(failed, _)| text >= *failed)
    }

    /// Keeps an error of a task whose lowest text is `first_text`, if it is the lowest so far. An error that ends the call
    /// cancels what still runs.
    pub(crate) fn note(&mut self, error: EncodeError, first_text: usize, cancel: &Cancel) {
        let text = if error.ends_the_call() {
            cancel.cancel();
            0
        } else {
            error.text_index().unwrap_or(first_text)
        };
        if self.0.as_ref().is_none_or(|(lowest, _)| text < *lowest) {
            self.0 = Some((text, error));
        }
    }

    /// The error, if there was one.
    pub(crate) fn into_result(self) -> Result<(), EncodeError> {
        self.0.map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// Does some work unless the call is cancelled, and turns a panic into an error.
pub(crate) fn guarded<R>(cancel: &Cancel, work: impl FnOnce() -> Result<R, EncodeError>) -> Result<R, EncodeError> {
    if cancel.is_cancelled() {
        return Err(EncodeError::Cancelled);
    }
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(EncodeError::Internal(panic_message(panic.as_ref()))))
}

/// The words of a caught panic.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests;
