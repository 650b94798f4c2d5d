//! A device that is some counters, and whatever a test does when a batch is launched or waited for.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use models::RaggedBatch;

use super::*;
use crate::run::Watch;
use crate::thread_pool::pool;

/// Longer than anything here takes, even on a machine that does something else; waited for in full only where a test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const TEXTS_PER_TASK: usize = 5;

/// What has happened so far; threads can wait for it.
#[derive(Default)]
pub(super) struct Counts {
    counts: Mutex<[usize; 3]>,
    changed: Condvar,
}

/// Of [`Counts`].
pub(super) const TOKENISED: usize = 0;
pub(super) const LAUNCHED: usize = 1;
pub(super) const FINISHED: usize = 2;

impl Counts {
    pub(super) fn add(&self, what: usize) {
        self.counts.lock().unwrap()[what] += 1;
        self.changed.notify_all();
    }

    pub(super) fn get(&self, what: usize) -> usize {
        self.counts.lock().unwrap()[what]
    }

    /// Fails the test if it does not come to `least`.
    pub(super) fn wait_for(&self, what: usize, least: usize) {
        let counts = self.counts.lock().unwrap();
        let (counts, waited) =
            self.changed.wait_timeout_while(counts, PATIENCE, |counts| counts[what] < least).unwrap();
        assert!(!waited.timed_out(), "{counts:?}: waited for {least} of {what} in vain");
    }
}

type Task = dyn Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync;

/// Text i of `texts` is the one token i, and its result is i.
pub(super) struct Fake {
    texts: usize,
    pub(super) counts: Counts,
    /// Done at the start of a tokenising task.
    tokenise: Box<Task>,
    /// Done when the batch of this first text is launched, and waited for.
    launch: Box<Task>,
    finish: Box<Task>,
    /// Batches of [`Pending`] that exist.
    pub(super) alive: AtomicUsize,
    pub(super) most_alive: AtomicUsize,
    /// The texts of each batch, in the order of their launches.
    pub(super) batches: Mutex<Vec<Vec<u32>>>,
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
    pub(super) fn new(texts: usize) -> Self {
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

    pub(super) fn on_tokenise(
        self,
        task: impl Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync + 'static,
    ) -> Self {
        Self { tokenise: Box::new(task), ..self }
    }

    pub(super) fn on_launch(
        self,
        task: impl Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync + 'static,
    ) -> Self {
        Self { launch: Box::new(task), ..self }
    }

    pub(super) fn on_finish(
        self,
        task: impl Fn(&Counts, usize) -> Result<(), EncodeError> + Send + Sync + 'static,
    ) -> Self {
        Self { finish: Box::new(task), ..self }
    }

    /// Runs a call in batches of two texts, and gives its results in the order in which they were placed. Nothing may be left on the device.
    pub(super) fn run_watched(&self, threads: usize, watch: &mut Watch<'_>) -> (Result<(), EncodeError>, Vec<u32>) {
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

    pub(super) fn run(&self, threads: usize) -> (Result<(), EncodeError>, Vec<u32>) {
        self.run_watched(threads, &mut |_| ControlFlow::Continue(()))
    }
}
