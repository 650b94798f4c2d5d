//! Working memory that each thread keeps between its tasks.
//!
//! What lies between the products of a task is used at once and by that thread alone. Kept, it stays in the second-level
//! cache; memory from the allocator would be returned to the system and cleared by it again, layer after layer.

use std::cell::Cell;

use kernels::{AttentionScratch, LinearScratch};

/// The memory of one thread: as much as its largest task has needed.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) linear: LinearScratch,
    pub(crate) attention: AttentionScratch,
    /// The widest rows of a block: queries, keys and values, or the intermediate vectors.
    pub(crate) wide: Vec<f32>,
    pub(crate) context: Vec<f32>,
    pub(crate) output: Vec<f32>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends this thread's memory to `work`. Within `work`, a second loan gets memory of its own.
pub(crate) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = work(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

/// The first `count` values of `memory`, which grows where it is too short. They hold what was left there.
pub(crate) fn values_of(memory: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if memory.len() < count {
        memory.resize(count, 0.0);
    }
    &mut memory[..count]
}
