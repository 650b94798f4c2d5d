//! A call on a device: texts are tokenised while batches of earlier ones are computed, and results come back meanwhile.
//!
//! ```text
//! threads of the pool    tokenise   tokenise   tokenise   ...
//! calling thread         puts token ids in order, makes batches, puts results in their places, looks for Ctrl-C
//! one thread             launch     launch     launch     ...      never waits for the device
//! another                           finish     finish     ...      waits for the oldest batch only
//! ```
//!
//! The device always has a batch to go on with while one comes back, and no more than [`MOST_OUTSTANDING`] hold memory. Nothing here knows
//! what a device is: the tests have one of their own.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, Scope, scope};

use models::Cancel;

use crate::batcher::Batcher;
use crate::compute::{Compute, TextBatch, lowest};
use crate::error::EncodeError;
use crate::plan::Budget;
use crate::run::{Call, Failure, Stage, guarded};
use crate::tokenise::TokenIds;

/// Batches that are launched, computed or brought back at once: one each, and one that waits so that the device need not.
pub(crate) const MOST_OUTSTANDING: usize = 4;

/// What the calling thread hears.
enum Message<T> {
    /// Of a task.
    Tokenised(usize, Result<Vec<TokenIds>, EncodeError>),
    /// Of a batch: the places of its texts, and what became of it.
    Finished(Vec<usize>, Result<T, EncodeError>),
}

impl Call<'_, '_> {
    /// Tokenises, computes batches within `budget` of at most `batch_size` texts, and gives the places of the texts of each and its output
    /// to `place`, batches in the order in which they were made.
    ///
    /// # Errors
    /// As for [`Call::run`]. When this returns, nothing is running, on the device neither.
    pub(crate) fn run_on_device<S: Stage<Output = Vec<TokenIds>>, C: Compute>(
        &mut self,
        tokenise: &S,
        (budget, batch_size): (Budget, usize),
        compute: &C,
        mut place: impl FnMut(&mut Self, &[usize], C::Output),
    ) -> Result<(), EncodeError> {
        let mut batcher = Batcher::new(tokenise.tasks(), budget, batch_size);
        let mut handed_out = 0;
        if tokenise.tasks() <= 1 {
            // A short call: before a thread had woken up, its texts are tokens.
            for task in 0..tokenise.tasks() {
                let ids = guarded(self.cancel(), || tokenise.work(task, self.cancel()))?;
                batcher.add(task, tokenise.first_text(task), ids)?;
            }
            handed_out = tokenise.tasks();
            if batcher.ready() <= 1 {
                return self.run_alone(batcher.take(), compute, place);
            }
        }
        let (sender, receiver) = mpsc::channel();
        let (cancel, pool) = (self.cancel().clone(), self.pool().clone());
        scope(|threads| {
            let to_device = start(threads, compute, &cancel, sender.clone())?;
            pool.in_place_scope(|tasks| {
                let most_tokenising = pool.current_num_threads() + 1;
                let (mut tokenising, mut outstanding) = (0_usize, 0_usize);
                let mut failure = Failure::default();
                loop {
                    while tokenising < most_tokenising && handed_out < tokenise.tasks() {
                        let task = handed_out;
                        handed_out += 1;
                        let first_text = tokenise.first_text(task);
                        if failure.is_below(first_text) {
                            batcher.add(task, first_text, Vec::new())?;
                            continue;
                        }
                        let (cancel, sender) = (cancel.clone(), sender.clone());
                        tasks.spawn(move |_| {
                            let ids = guarded(&cancel, || tokenise.work(task, &cancel));
                            // The calling thread can only be gone if it panicked; then there is nobody to tell.
                            let _ = sender.send(Message::Tokenised(task, ids));
                        });
                        tokenising += 1;
                    }
                    while outstanding < MOST_OUTSTANDING
                        && let Some(batch) = batcher.take()
                    {
                        if !failure.is_below(batch.first_text()) {
                            to_device.send(batch).map_err(|_| gone())?;
                            outstanding += 1;
                        }
                    }
                    if tokenising == 0 && outstanding == 0 {
                        return failure.into_result();
                    }
                    match self.receive(&receiver)? {
                        Message::Tokenised(task, ids) => {
                            tokenising -= 1;
                            let first_text = tokenise.first_text(task);
                            let ids = ids.unwrap_or_else(|error| {
                                failure.note(error, first_text, &cancel);
                                Vec::new()
                            });
                            batcher.add(task, first_text, ids)?;
                        }
                        Message::Finished(texts, result) => {
                            outstanding -= 1;
                            match result {
                                Ok(output) => place(self, &texts, output),
                                Err(error) => failure.note(error, lowest(&texts), &cancel),
                            }
                        }
                    }
                }
            })
        })
    }

    /// The only batch of a call, if there is one, on this thread.
    fn run_alone<C: Compute>(
        &mut self,
        batch: Option<TextBatch>,
        compute: &C,
        mut place: impl FnMut(&mut Self, &[usize], C::Output),
    ) -> Result<(), EncodeError> {
        let Some(TextBatch { texts, tokens }) = batch else { return Ok(()) };
        let cancel = self.cancel();
        let output = guarded(cancel, || compute.finish(compute.launch(&tokens, cancel)?, &tokens, &texts))?;
        place(self, &texts, output);
        Ok(())
    }
}

/// Starts the two threads that serve the device, until what this returns is dropped.
fn start<'scope, C: Compute>(
    threads: &'scope Scope<'scope, '_>,
    compute: &'scope C,
    cancel: &Cancel,
    finished: Sender<Message<C::Output>>,
) -> Result<Sender<TextBatch>, EncodeError> {
    type Launched<C> = (TextBatch, Result<<C as Compute>::Pending, EncodeError>);
    let (to_launch, batches): (_, Receiver<TextBatch>) = mpsc::channel();
    let (to_finish, launched): (_, Receiver<Launched<C>>) = mpsc::channel();
    let refused = |source: io::Error| EncodeError::Threads { threads: 2, source: Box::new(source) };
    let of_launch = cancel.clone();
    let launch = move || {
        for batch in batches {
            let pending = guarded(&of_launch, || compute.launch(&batch.tokens, &of_launch));
            // The other thread is only gone when the call is.
            let _ = to_finish.send((batch, pending));
        }
    };
    Builder::new().name("corten-launch".to_owned()).spawn_scoped(threads, launch).map_err(refused)?;
    let of_finish = cancel.clone();
    let finish = move || {
        for (TextBatch { texts, tokens }, pending) in launched {
            let finish = |pending| guarded(&of_finish, || compute.finish(pending, &tokens, &texts));
            let output = pending.and_then(finish);
            let _ = finished.send(Message::Finished(texts, output));
        }
    };
    Builder::new().name("corten-finish".to_owned()).spawn_scoped(threads, finish).map_err(refused)?;
    Ok(to_launch)
}

fn gone() -> EncodeError {
    EncodeError::Internal("the thread that launches batches is gone".to_owned())
}

#[cfg(test)]
mod fake_device;
#[cfg(test)]
mod tests;
