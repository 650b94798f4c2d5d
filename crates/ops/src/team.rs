//! Threads that compute one short text together, step by step, without going to sleep in between.
//!
//! A short text takes a millisecond in some thirty steps, fewer microseconds each than a sleeping thread takes to wake up. So the
//! thread that wants the result leads: it does the steps itself, and helpers that are awake take parts of them. Nothing
//! waits for a helper to begin, only for parts that one has taken; where helpers come late or never, the leader does all.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

/// Looks of a waiting thread before it offers its processor to others at each look: about as long as the longest step.
const LOOKS: u32 = 4_000;

/// A leader's step and how far it is.
struct Step {
    parts: usize,
    /// The next part to be taken; beyond the last there are none left.
    next: AtomicUsize,
    /// Parts that are not done.
    left: AtomicUsize,
    work: Box<dyn Fn(usize) + Send + Sync>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Step {
    /// Does parts until none is left to be taken.
    fn work_off(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.work)(part))) {
                *lock(&self.panic) = Some(panic);
            }
            self.left.fetch_sub(1, Ordering::Release);
        }
    }
}

/// The threads of one short call; see the module.
pub struct Team {
    threads: usize,
    /// How many steps there were: helpers look at it.
    steps: AtomicUsize,
    step: Mutex<Option<Arc<Step>>>,
    ended: AtomicBool,
}

thread_local! {
    /// The team that this thread leads.
    static LED: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
}

impl Team {
    /// A team of `threads` threads, the leader among them. Each of the others is to call [`Team::help`].
    #[must_use]
    pub fn new(threads: usize) -> Arc<Self> {
        let (steps, step, ended) = (AtomicUsize::new(0), Mutex::new(None), AtomicBool::new(false));
        Arc::new(Self { threads: threads.max(1), steps, step, ended })
    }

    /// Takes parts of the leader's steps until the team ends.
    pub fn help(&self) {
        let mut seen = 0;
        let mut looks = 0;
        while !self.ended.load(Ordering::Acquire) {
            let steps = self.steps.load(Ordering::Acquire);
            if steps == seen {
                look_again(&mut looks);
                continue;
            }
            (seen, looks) = (steps, 0);
            let step = lock(&self.step).clone();
            if let Some(step) = step {
                step.work_off();
            }
        }
    }

    /// Runs `work` on this thread, with the operations in it split over the team instead of a pool, and ends the team.
    pub fn lead<R>(self: &Arc<Self>, work: impl FnOnce() -> R) -> R {
        /// Undoes both whatever happens.
        struct End<'a>(&'a Team, Option<Arc<Team>>);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                LED.set(self.1.take());
                self.0.end();
            }
        }
        let _end = End(self, LED.replace(Some(Arc::clone(self))));
        work()
    }

    /// Lets the helpers go.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// The results of `work` for each part, in order.
    fn map<R: Send + 'static>(&self, parts: usize, work: impl Fn(usize) -> R + Send + Sync + 'static) -> Vec<R> {
        let results: Arc<[Mutex<Option<R>>]> = (0..parts).map(|_| Mutex::new(None)).collect();
        let places = Arc::clone(&results);
        let step = Arc::new(Step {
            parts,
            next: AtomicUsize::new(0),
            left: AtomicUsize::new(parts),
            work: Box::new(move |part| *lock(&places[part]) = Some(work(part))),
            panic: Mutex::new(None),
        });
        *lock(&self.step) = Some(Arc::clone(&step));
        self.steps.fetch_add(1, Ordering::Release);
        step.work_off();
        let mut looks = 0;
        while step.left.load(Ordering::Acquire) > 0 {
            look_again(&mut looks);
        }
        let panic = lock(&step.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        results.iter().filter_map(|result| lock(result).take()).collect()
    }
}

/// A lock that is held for moments only, and whose value a panic cannot leave half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_again(looks: &mut u32) {
    if *looks < LOOKS {
        *looks += 1;
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

/// Threads that operations on this thread may be split over: those of its team, or of the rayon pool that it belongs to.
pub(crate) fn threads() -> usize {
    LED.with_borrow(|team| team.as_ref().map_or_else(rayon::current_num_threads, |team| team.threads))
}

/// Whether this thread leads a team.
pub(crate) fn leads() -> bool {
    LED.with_borrow(Option::is_some)
}

/// Does `work` for each task: on the pool's threads, or, where a team computes a text, which has few rows, here.
pub(crate) fn for_each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Send + Sync) {
    if leads() {
        tasks.into_iter().for_each(work);
    } else {
        tasks.into_par_iter().for_each(work);
    }
}

/// The results of `work` for each task, in order, by the pool's threads or the team's. `work` owns what it reads: a helper may look
/// at a step a moment longer than the leader.
pub(crate) fn map<T, R>(tasks: Vec<T>, work: impl Fn(&T) -> R + Send + Sync + 'static) -> Vec<R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    match LED.with_borrow(Clone::clone) {
        Some(team) => team.map(tasks.len(), move |part| work(&tasks[part])),
        None => tasks.par_iter().map(work).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Runs `work` as a leader with two helpers, the second of which comes late.
    fn led<R: Send>(work: impl FnOnce() -> R) -> R {
        let team = Team::new(3);
        std::thread::scope(|scope| {
            let helper = |delay| {
                let team = Arc::clone(&team);
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_micros(delay));
                    team.help();
                });
            };
            helper(0);
            helper(300);
            team.lead(work)
        })
    }

    #[test]
    fn each_part_is_done_once_and_results_are_in_order() {
        led(|| {
            assert!(leads());
            assert_eq!(threads(), 3);
            for parts in (0..300).map(|step| step % 7) {
                let done = Arc::new(AtomicUsize::new(0));
                let counted = Arc::clone(&done);
                let results = map((0..parts).collect(), move |part| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    (*part, parts)
                });
                assert_eq!(results, (0..parts).map(|part| (part, parts)).collect::<Vec<_>>());
                assert_eq!(done.load(Ordering::Relaxed), parts);
            }
        });
        assert!(!leads());
    }

    #[test]
    fn helpers_do_parts() {
        let helped = led(|| {
            let leader = std::thread::current().id();
            // Long parts: a helper that is awake takes some of them.
            let threads = map(vec![(); 20], |()| {
                std::thread::sleep(Duration::from_millis(2));
                std::thread::current().id()
            });
            threads.into_iter().any(|thread| thread != leader)
        });
        assert!(helped);
    }

    #[test]
    fn a_leader_without_helpers_does_all() {
        let team = Team::new(1);
        assert_eq!(team.lead(|| map(vec![2, 3], |task| 2 * task)), [4, 6]);
        // It has ended: a helper that comes now leaves at once.
        team.help();
    }

    #[test]
    fn a_panic_reaches_the_leader_after_all_parts() {
        let done = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&done);
        let caught = led(move || {
            catch_unwind(AssertUnwindSafe(|| {
                map((0..8).collect::<Vec<_>>(), move |part| {
                    assert_ne!(*part, 3, "three");
                    counted.fetch_add(1, Ordering::Relaxed);
                })
            }))
        });
        assert!(caught.is_err());
        assert_eq!(done.load(Ordering::Relaxed), 7);
        assert!(!leads());
    }
}
