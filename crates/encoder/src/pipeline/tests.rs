//! The pipeline with a device that is two counters and whatever a test does when a batch is launched or waited for.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::thread::{current, sleep};
use std::time::{Duration, Instant};

use models::RaggedBatch;

use super::*;
use crate::run::Watch;
use crate::thread_pool::pool;

/// Longer than anything here takes, even on a machine that does something else; waited for in full only where a test fails.
const PATIENCE: Duration = Duration::from_secs(20);
const TEXTS_PER_TASK: usize = 5;

/// What has happened so far; threads can wait for it.
#[derive(Default)]
struct Counts {
    counts: Mutex<[usize; 3]>,
    changed: Condvar,
}

/// Of [`Counts`].
const TOKENISED: usize = 0;
const LAUNCHED: usize = 1;
const FINISHED: usize = 2;

impl Counts {
    fn add(&self, what: usize) {
        self.counts.lock().unwrap()[what] += 1;
        self.changed.notify_all();
    }

    fn get(&self, what: usize) -> usize {
        self.counts.lock().unwrap()[what]
    }

    /// Fails the test if it does not come to `least`.
    fn wait_for(&self, what: usize, least: usize) {
        let counts = self.counts.lock().unwrap();
        let (counts, waited) =
            self.changed.wait_timeout_while(counts, PATIENCE, |counts| counts[what] < least).unwrap();
        assert!(!waited.timed_out(), "{counts:?}: waited for {least} of {what} in vain");
    }
}

type Task = dyn Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync;

/// Text i of `texts` is the one token i, and its result is i.
struct Fake {
    texts: usize,
    counts: Counts,
    /// Done at the start of a tokenising task.
    tokenise: Box<Task>,
    /// Done when the batch of this first text is launched, and waited for.
    launch: Box<Task>,
    finish: Box<Task>,
    /// Batches of [`Pending`] that exist.
    alive: AtomicUsize,
    most_alive: AtomicUsize,
    /// The texts of each batch, in the order of their launches.
    batches: Mutex<Vec<Vec<u32>>>,
}

/// The texts of a batch that the device has.
struct Pending<'fake>(&'fake Fake, Vec<u32>);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, SeqCst);
    }
}

struct Texts<'fake>(&'fake Fake);

impl Stage for Texts<'_> {
    type Output = Vec<TokenIds>;

    fn tasks(&self) -> usize {
        self.0.texts.div_ceil(TEXTS_PER_TASK)
    }

    fn first_text(&self, task: usize) -> usize {
        task * TEXTS_PER_TASK
    }

    fn work(&self, task: usize, _: &Cancel) -> Result<Vec<TokenIds>, EncodeError> {
        (self.0.tokenise)(&self.0.counts, task)?;
        let texts = task * TEXTS_PER_TASK..self.0.texts.min((task + 1) * TEXTS_PER_TASK);
        let ids = texts.map(|text| vec![u32::try_from(text).unwrap()].into_boxed_slice()).collect();
        self.0.counts.add(TOKENISED);
        Ok(ids)
    }
}

struct Model<'fake>(&'fake Fake);

impl<'fake> Compute for Model<'fake> {
    type Pending = Pending<'fake>;
    type Output = Vec<u32>;

    fn launch(&self, batch: &RaggedBatch, _: &Cancel) -> Result<Pending<'fake>, EncodeError> {
        let Self(fake) = self;
        let alive = fake.alive.fetch_add(1, SeqCst) + 1;
        let pending = Pending(fake, batch.token_ids().to_vec());
        fake.most_alive.fetch_max(alive, SeqCst);
        fake.batches.lock().unwrap().push(pending.1.clone());
        (fake.launch)(&fake.counts, pending.1[0] as usize)?;
        fake.counts.add(LAUNCHED);
        Ok(pending)
    }

    fn finish(&self, pending: Pending<'fake>, _: &RaggedBatch, texts: &[usize]) -> Result<Vec<u32>, EncodeError> {
        let Self(fake) = self;
        assert_eq!(texts.iter().map(|&text| u32::try_from(text).unwrap()).collect::<Vec<_>>(), pending.1);
        (fake.finish)(&fake.counts, texts[0])?;
        fake.counts.add(FINISHED);
        Ok(pending.1.clone())
    }
}

impl Fake {
    fn new(texts: usize) -> Self {
        let nothing = || Box::new(|_: &Counts, _| Ok(()));
        Self {
            texts,
            counts: Counts::default(),
            tokenise: nothing(),
            launch: nothing(),
            finish: nothing(),
            alive: AtomicUsize::new(0),
            most_alive: AtomicUsize::new(0),
            batches: Mutex::default(),
        }
    }

    fn on_tokenise(self, task: impl Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync + 'static) -> Self {
        Self { tokenise: Box::new(task), ..self }
    }

    fn on_launch(self, task: impl Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync + 'static) -> Self {
        Self { launch: Box::new(task), ..self }
    }

    fn on_finish(self, task: impl Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync + 'static) -> Self {
        Self { finish: Box::new(task), ..self }
    }

    /// Runs a call in batches of two texts, and gives its results in the order in which they were placed. Nothing may be left on the device.
    fn run_watched(&self, threads: usize, watch: &mut Watch<'_>) -> (Result<(), EncodeError>, Vec<u32>) {
        let mut placed = Vec::new();
        let mut call = Call::new(pool(threads).unwrap(), watch);
        let limits = (Budget::of_device().with_most(2), usize::MAX);
        let result = call.run_on_device(&Texts(self), limits, &Model(self), |_, texts, output| {
            assert_eq!(texts.len(), output.len());
            placed.extend(output);
        });
        assert_eq!(self.alive.load(SeqCst), 0);
        assert!(self.most_alive.load(SeqCst) <= MOST_OUTSTANDING);
        (result, placed)
    }

    fn run(&self, threads: usize) -> (Result<(), EncodeError>, Vec<u32>) {
        self.run_watched(threads, &mut |_| ControlFlow::Continue(()))
    }
}

#[test]
fn every_text_is_computed_once_and_batches_come_back_in_order() {
    for threads in [1, 3] {
        for texts in [0, 1, 4, 5, 6, 99, 500] {
            // Now the device is the slower one, now the tokenizer.
            let slow = |_: &Counts, number: usize| {
                sleep(Duration::from_micros(if number % 40 < 20 { 300 } else { 0 }));
                Ok(())
            };
            let fake = Fake::new(texts).on_tokenise(slow).on_finish(slow);
            let (result, placed) = fake.run(threads);
            result.unwrap();
            assert_eq!(placed, fake.batches.lock().unwrap().concat());
            let mut sorted = placed;
            sorted.sort_unstable();
            assert_eq!(sorted, (0..u32::try_from(texts).unwrap()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn batches_do_not_depend_on_timing() {
    let batches = |threads, delay: fn(usize) -> u64| {
        let fake = Fake::new(200).on_tokenise(move |_, task| {
            sleep(Duration::from_micros(delay(task)));
            Ok(())
        });
        fake.run(threads).0.unwrap();
        fake.batches.into_inner().unwrap()
    };
    let expected = batches(1, |_| 0);
    assert_eq!(expected.len(), 100);
    assert_eq!(batches(4, |task| (task as u64 * 7919) % 900), expected);
}

#[test]
fn launches_go_on_while_the_oldest_batch_is_computed() {
    let fake = Fake::new(100).on_finish(|counts, text| {
        if text == 0 {
            counts.wait_for(LAUNCHED, MOST_OUTSTANDING);
            // Nor does another one begin before this one is done.
            sleep(Duration::from_millis(50));
            assert_eq!(counts.get(LAUNCHED), MOST_OUTSTANDING);
        }
        Ok(())
    });
    fake.run(2).0.unwrap();
    assert_eq!(fake.most_alive.load(SeqCst), MOST_OUTSTANDING);
}

#[test]
fn texts_are_tokenised_while_the_device_computes() {
    for threads in [1, 2] {
        let fake = Fake::new(100)
            .on_tokenise(|counts, task| {
                if task == 19 {
                    counts.wait_for(LAUNCHED, 1);
                }
                Ok(())
            })
            .on_finish(|counts, _| {
                // The first one comes back only when all texts are tokens.
                counts.wait_for(TOKENISED, 20);
                Ok(())
            });
        fake.run(threads).0.unwrap();
    }
}

#[test]
fn a_call_of_one_batch_needs_no_other_thread() {
    let here = current().id();
    let stays = move |_: &Counts, _| {
        assert_eq!(current().id(), here);
        Ok(())
    };
    let fake = Fake::new(2).on_tokenise(stays).on_launch(stays).on_finish(stays);
    let (result, placed) = fake.run(3);
    result.unwrap();
    assert_eq!(placed, [0, 1]);
}

#[test]
fn the_error_of_the_lowest_text_wins_whatever_the_timing() {
    let at = |text, delay: u64| {
        move |_: &Counts, found: usize| {
            if found == text {
                sleep(Duration::from_millis(delay));
                return Err(EncodeError::NonFinite { index: text });
            }
            Ok(())
        }
    };
    for (early, late) in [(0, 30), (30, 0)] {
        // Two in what comes back, one in a launch after both, and one in a tokenising task after all.
        let fake = Fake::new(200)
            .on_finish(move |counts, text| at(20, early)(counts, text).and(at(28, late)(counts, text)))
            .on_launch(at(40, 0))
            .on_tokenise(|_, task| if task == 30 { Err(EncodeError::NonFinite { index: 152 }) } else { Ok(()) });
        let error = fake.run(3).0.unwrap_err();
        assert!(matches!(error, EncodeError::NonFinite { index: 20 }), "{error:?}");
    }
}

#[test]
fn an_error_in_tokenising_lets_lower_texts_finish() {
    let fake = Fake::new(200)
        .on_tokenise(|_, task| {
            if task == 10 {
                return Err(EncodeError::Text { index: 52, message: "seven".to_owned() });
            }
            Ok(())
        })
        .on_finish(|_, text| if text == 48 { Err(EncodeError::NonFinite { index: 49 }) } else { Ok(()) });
    let error = fake.run(2).0.unwrap_err();
    assert!(matches!(error, EncodeError::NonFinite { index: 49 }), "{error:?}");
    let launched = fake.batches.into_inner().unwrap().concat();
    assert!((0..50).all(|text| launched.contains(&text)), "{launched:?}");
}

#[test]
fn memory_that_runs_out_ends_the_call_and_the_next_one_works() {
    let fake = Fake::new(1000).on_launch(|counts, _| {
        if counts.get(LAUNCHED) == 3 {
            return Err(EncodeError::OutOfMemory("of the fake".to_owned()));
        }
        Ok(())
    });
    let error = fake.run(2).0.unwrap_err();
    assert!(matches!(error, EncodeError::OutOfMemory(_)), "{error:?}");
    // Those of lower texts were all launched before, so no more than a few of higher ones are on their way.
    assert!(fake.batches.lock().unwrap().len() <= 3 + MOST_OUTSTANDING);
    let (result, placed) = Fake { launch: Box::new(|_, _| Ok(())), ..fake }.run(2);
    result.unwrap();
    assert_eq!(placed.len(), 1000);
}

#[test]
fn a_panic_is_an_internal_error_and_leaves_nothing_behind() {
    let seven = |_: &Counts, number| if number == 8 { panic!("seven") } else { Ok(()) };
    let nine = |_: &Counts, number| if number == 8 { panic!("nine") } else { Ok(()) };
    for fake in [Fake::new(400).on_launch(seven), Fake::new(400).on_finish(seven), Fake::new(400).on_tokenise(seven)] {
        assert_eq!(fake.run(2).0.unwrap_err().to_string(), "internal error: seven");
        assert!(fake.counts.get(FINISHED) < 190);
    }
    // Alone too.
    let alone = Fake::new(1).on_launch(|_, _| panic!("nine"));
    assert_eq!(alone.run(2).0.unwrap_err().to_string(), "internal error: nine");
    assert!(Fake::new(400).on_finish(nine).run(1).0.is_err());
}

#[test]
fn the_watcher_sees_progress_and_cancels() {
    let fake = Fake::new(100_000).on_finish(|_, _| {
        sleep(Duration::from_millis(2));
        Ok(())
    });
    let (mut looks, started) = (0, Instant::now());
    let (result, placed) = fake.run_watched(2, &mut |_| {
        looks += 1;
        if looks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(EncodeError::Cancelled)), "{result:?}");
    assert_eq!(looks, 3);
    assert!(!placed.is_empty() && placed.len() < 50_000);
    assert!(started.elapsed() < PATIENCE);
}
