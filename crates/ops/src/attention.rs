//! Self-attention over the texts of a batch.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use kernels::{AttentionScratch, AttentionShape, Level};
use rayon::prelude::*;

use crate::ragged_batch::RaggedBatch;
use crate::rows::{matrix, result};

/// Queries of one task: each task transposes the keys of its text again, so a text is split only when it is long.
const QUERIES_PER_TASK: usize = 192;

/// Multi-head self-attention, each text by itself.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    shape: AttentionShape,
    level: Level,
}

impl Attention {
    /// `heads` heads of `head_dim` columns.
    ///
    /// # Errors
    /// Either is zero.
    pub fn new(level: Level, heads: usize, head_dim: usize) -> Result<Self> {
        if heads == 0 || head_dim == 0 {
            return Err(Error::Msg(format!("attention: expected heads of columns, found {heads} of {head_dim}")));
        }
        Ok(Self { shape: AttentionShape { heads, head_dim }, level })
    }

    /// `softmax(q k^T / sqrt(head_dim)) v` within each text. `qkv` is `[tokens, 3 * hidden]`: queries, keys and values side
    /// by side; the result is `[tokens, hidden]`.
    ///
    /// # Errors
    /// `qkv` has another shape or type.
    pub fn forward(&self, qkv: &Tensor, batch: &RaggedBatch) -> Result<Tensor> {
        qkv.apply_op1_no_bwd(&Forward { attention: *self, batch })
    }
}

struct Forward<'a> {
    attention: Attention,
    batch: &'a RaggedBatch,
}

/// Some queries of one text and where their result goes.
struct Task<'a> {
    text: Range<usize>,
    queries: Range<usize>,
    output: &'a mut [f32],
}

impl CustomOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Attention { shape, level } = self.attention;
        let hidden = shape.hidden();
        let qkv = matrix(storage, layout, 3 * hidden, self.name())?;
        if qkv.len() != self.batch.tokens() * 3 * hidden {
            let found = qkv.len() / (3 * hidden);
            return Err(Error::Msg(format!("attention: expected {} rows, found {found}", self.batch.tokens())));
        }
        let mut output = vec![0.0; self.batch.tokens() * hidden];
        tasks(self.batch, hidden, &mut output).into_par_iter().for_each_init(
            AttentionScratch::default,
            |scratch, task| {
                let qkv = &qkv[task.text.start * 3 * hidden..task.text.end * 3 * hidden];
                kernels::attention(level, shape, qkv, task.queries, scratch, task.output);
            },
        );
        Ok(result(output, hidden))
    }
}

/// The tasks of a batch; their outputs are the whole of `output`, in order.
fn tasks<'a>(batch: &RaggedBatch, hidden: usize, output: &'a mut [f32]) -> Vec<Task<'a>> {
    let mut tasks = Vec::with_capacity(batch.texts());
    let mut rest = output;
    for text in batch.text_ranges() {
        for start in (0..text.len()).step_by(QUERIES_PER_TASK) {
            let queries = start..text.len().min(start + QUERIES_PER_TASK);
            let (output, after) = rest.split_at_mut(queries.len() * hidden);
            rest = after;
            tasks.push(Task { text: text.clone(), queries, output });
        }
    }
    tasks
}
