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
        // Without the panic hook: the other thread could do all tasks while this one prints where it was.
        if task == 3 { std::panic::resume_unwind(Box::new("seven")) } else { Ok(0) }
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
    let (result, _) = run(&stage, &mut |_| {
        looks += 1;
        if looks == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(EncodeError::Cancelled)), "{result:?}");
    assert_eq!(looks, 2);
    assert!(stage.done.lock().unwrap().len() < 1000);
    assert_eq!(stage.running.load(Ordering::SeqCst), 0);
}
