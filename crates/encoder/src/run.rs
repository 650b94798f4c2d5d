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
}

type Message<T> = (usize, Result<T, EncodeError>);

impl<'watch, 'data> Call<'watch, 'data> {
    pub(crate) fn new(pool: Arc<ThreadPool>, watch: &'watch mut Watch<'data>) -> Self {
        Self { pool, cancel: Cancel::new(), watch, last_look: Instant::now(), finished: 0 }
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
        let mut failure: Option<(usize, EncodeError)> = None;
        pool.in_place_scope(|scope| {
            loop {
                while in_flight < most_in_flight && next < stage.tasks() {
                    let task = next;
                    next += 1;
                    if failure.as_ref().is_some_and(|(text, _)| stage.first_text(task) >= *text) {
                        continue;
                    }
                    let (stage, cancel, sender) = (Arc::clone(stage), self.cancel.clone(), sender.clone());
                    scope.spawn(move |_| {
                        // The calling thread can only be gone if it panicked; then there is nobody to tell.
                        let _ = sender.send((task, guarded(stage.as_ref(), task, &cancel)));
                    });
                    in_flight += 1;
                }
                if in_flight == 0 {
                    return Ok::<(), EncodeError>(());
                }
                let (task, result) = self.receive(&receiver)?;
                in_flight -= 1;
                match result {
                    Ok(output) => place(self, task, output),
                    Err(error) => {
                        let text = if error.ends_the_call() {
                            self.cancel.cancel();
                            0
                        } else {
                            error.text_index().unwrap_or_else(|| stage.first_text(task))
                        };
                        if failure.as_ref().is_none_or(|(lowest, _)| text < *lowest) {
                            failure = Some((text, error));
                        }
                    }
                }
            }
        })?;
        failure.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Runs the tasks one after another on the calling thread: for work shorter than waking another thread up.
    pub(crate) fn run_here<S: Stage>(
        &mut self,
        stage: &Arc<S>,
        mut place: impl FnMut(&mut Self, usize, S::Output),
    ) -> Result<(), EncodeError> {
        for task in 0..stage.tasks() {
            let output = guarded(stage.as_ref(), task, &self.cancel)?;
            place(self, task, output);
        }
        Ok(())
    }

    /// Waits for the next result, looking up whenever it is time to.
    fn receive<T>(&mut self, receiver: &Receiver<Message<T>>) -> Result<Message<T>, EncodeError> {
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

/// Does a task unless the call is cancelled, and turns a panic into an error.
fn guarded<S: Stage>(stage: &S, task: usize, cancel: &Cancel) -> Result<S::Output, EncodeError> {
    if cancel.is_cancelled() {
        return Err(EncodeError::Cancelled);
    }
    catch_unwind(AssertUnwindSafe(|| stage.work(task, cancel)))
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
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::sleep;

    use super::*;
    use crate::thread_pool::pool;

    type Work = dyn Fn(usize, &Cancel) -> Result<usize, EncodeError> + Send + Sync;

    /// Tasks of one text each that do what a function says.
    struct Tasks {
        count: usize,
        work: Box<Work>,
        running: AtomicUsize,
        most_running: AtomicUsize,
        done: Mutex<Vec<usize>>,
    }

    impl Stage for Tasks {
        type Output = usize;

        fn tasks(&self) -> usize {
            self.count
        }

        fn first_text(&self, task: usize) -> usize {
            // Not in the order of the tasks, as for sorted batches.
            self.count - 1 - task
        }

        fn work(&self, task: usize, cancel: &Cancel) -> Result<usize, EncodeError> {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_running.fetch_max(running, Ordering::SeqCst);
            let result = (self.work)(task, cancel);
            self.running.fetch_sub(1, Ordering::SeqCst);
            self.done.lock().unwrap().push(task);
            result
        }
    }

    fn tasks(
        count: usize,
        work: impl Fn(usize, &Cancel) -> Result<usize, EncodeError> + Send + Sync + 'static,
    ) -> Arc<Tasks> {
        let (running, most_running) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Tasks { count, work: Box::new(work), running, most_running, done: Mutex::new(Vec::new()) })
    }

    fn run(stage: &Arc<Tasks>, watch: &mut Watch<'_>) -> (Result<(), EncodeError>, Vec<(usize, usize)>) {
        let mut placed = Vec::new();
        let mut call = Call::new(pool(2).unwrap(), watch);
        let result = call.run(stage, |_, task, output| placed.push((task, output)));
        placed.sort_unstable();
        (result, placed)
    }

    fn go_on(_: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn every_result_is_placed_once_and_no_more_tasks_run_than_threads() {
        let stage = tasks(100, |task, _| Ok(task * 2));
        let (result, placed) = run(&stage, &mut go_on);
        result.unwrap();
        assert_eq!(placed, (0..100).map(|task| (task, task * 2)).collect::<Vec<_>>());
        assert!(stage.most_running.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn the_error_of_the_lowest_text_wins_whatever_the_timing() {
        for slow in [10, 40] {
            let stage = tasks(50, move |task, _| {
                if task == slow {
                    sleep(Duration::from_millis(20));
                }
                let index = 49 - task;
                if task == 10 || task == 40 { Err(EncodeError::NonFinite { index }) } else { Ok(0) }
            });
            let (result, _) = run(&stage, &mut go_on);
            assert!(matches!(result, Err(EncodeError::NonFinite { index: 9 })), "{result:?}");
        }
    }

    #[test]
    fn tasks_of_higher_texts_are_dropped_after_an_error() {
        let stage = tasks(50, |_, _| Err(EncodeError::NonFinite { index: 0 }));
        assert!(run(&stage, &mut go_on).0.is_err());
        assert!(stage.done.lock().unwrap().len() <= 3);
    }

    #[test]
    fn a_panic_is_an_internal_error_and_ends_the_call() {
        let stage = tasks(50, |task, _| {
            sleep(Duration::from_millis(10));
            if task == 3 { panic!("seven") } else { Ok(0) }
        });
        let (result, _) = run(&stage, &mut go_on);
        assert_eq!(result.unwrap_err().to_string(), "internal error: seven");
        assert!(stage.done.lock().unwrap().len() < 40);
        run(&tasks(5, |_, _| Ok(0)), &mut go_on).0.unwrap();
    }

    #[test]
    fn the_watcher_is_called_and_cancels() {
        let stage = tasks(1000, |_, cancel: &Cancel| {
            sleep(Duration::from_millis(5));
            cancel.check()?;
            Ok(0)
        });
        let mut looks = 0;
        let start = Instant::now();
        let (result, _) = run(&stage, &mut |_| {
            looks += 1;
            if looks == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(EncodeError::Cancelled)), "{result:?}");
        assert_eq!(looks, 2);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(stage.running.load(Ordering::SeqCst), 0);
    }
}
