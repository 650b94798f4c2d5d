//! The attention block of a BERT layer.

use std::ops::Range;

use candle_core::{CpuStorage, Error, InplaceOp1, Layout, Result, Tensor};
use kernels::{Activation, AttentionScratch, AttentionShape, OutputColumns};

use crate::layer_norm::LayerNorm;
use crate::linear::{Linear, slices};
use crate::ragged_batch::RaggedBatch;
use crate::rows::matrix_mut;
use crate::scratch::{Scratch, values_of, with_scratch};
use crate::team;

/// Queries of one task, where a text is split: each task transposes the keys of its text again.
const QUERIES_PER_TASK: usize = 192;

/// `layer_norm(x + output(softmax(q k^T / sqrt(head_dim)) v))` within each text, with q, k and v linear in x (`BertAttention`
/// of transformers).
#[derive(Clone, Debug)]
pub struct SelfAttention {
    query_key_value: Linear,
    shape: AttentionShape,
    output: Linear,
    norm: LayerNorm,
}

impl SelfAttention {
    /// A block of `heads` heads over rows of `norm.columns()` values; `query_key_value` makes queries, keys and values side
    /// by side, the heads in order within each.
    ///
    /// # Errors
    /// A layer's input is not the output of the one before it, or the columns are not those of `heads` heads.
    pub fn new(query_key_value: Linear, heads: usize, output: Linear, norm: LayerNorm) -> Result<Self> {
        let hidden = norm.columns();
        if heads == 0 || !hidden.is_multiple_of(heads) {
            return Err(Error::Msg(format!("attention: expected heads of columns, found {heads} of {hidden} columns")));
        }
        let expected = [hidden, 3 * hidden, hidden, hidden];
        let found = [
            query_key_value.input_features(),
            query_key_value.output_features(),
            output.input_features(),
            output.output_features(),
        ];
        if expected != found {
            return Err(Error::Msg(format!("attention: expected features {expected:?}, found {found:?}")));
        }
        Ok(Self { query_key_value, shape: AttentionShape { heads, head_dim: hidden / heads }, output, norm })
    }

    /// The result for each row of `hidden`, `[tokens, columns]`, in its place.
    ///
    /// # Errors
    /// `hidden` has another shape or type.
    pub fn forward(&self, hidden: Tensor, batch: &RaggedBatch) -> Result<Tensor> {
        hidden.inplace_op1(&Forward { block: self, batch })?;
        Ok(hidden)
    }

    /// The attention of some heads of one text, in the numbers of the block's other products.
    fn attend(
        &self,
        shape: AttentionShape,
        qkv: &[f32],
        queries: Range<usize>,
        scratch: &mut AttentionScratch,
        context: &mut [f32],
    ) {
        kernels::attention(self.output.level(), self.output.format(), shape, qkv, queries, scratch, context);
    }

    /// Whole texts on this thread: what lies between the products does not leave the cache.
    fn texts_here(&self, texts: impl Iterator<Item = Range<usize>>, rows: &mut [f32], scratch: &mut Scratch) {
        let Scratch { linear, attention, wide, context, output } = scratch;
        let hidden = self.shape.hidden();
        let qkv = values_of(wide, 3 * rows.len());
        self.query_key_value.product_here(Activation::Identity, rows, linear, qkv);
        let context = values_of(context, rows.len());
        for text in texts {
            let qkv = &qkv[text.start * 3 * hidden..text.end * 3 * hidden];
            let context = &mut context[text.start * hidden..text.end * hidden];
            self.attend(self.shape, qkv, 0..text.len(), attention, context);
        }
        let output = values_of(output, rows.len());
        self.output.product_here(Activation::Identity, context, linear, output);
        self.norm.add_and_normalize(self.output.level(), &[output], rows);
    }

    /// All texts, some in each task.
    fn by_texts(&self, batch: &RaggedBatch, groups: &[Range<usize>], rows: &mut [f32]) {
        let hidden = self.shape.hidden();
        let mut tasks = Vec::with_capacity(groups.len());
        let mut rest = rows;
        for group in groups {
            let tokens = batch.text_range(group.start).start..batch.text_range(group.end - 1).end;
            let (of_group, after) = rest.split_at_mut(tokens.len() * hidden);
            rest = after;
            tasks.push((group.clone(), tokens.start, of_group));
        }
        team::for_each(tasks, |(texts, start, rows)| {
            let ranges = texts.map(|text| batch.text_range(text)).map(|range| range.start - start..range.end - start);
            with_scratch(|scratch| self.texts_here(ranges, rows, scratch));
        });
    }

    /// Fewer groups of texts than threads: the products and the attention of a text are split.
    fn within_texts(&self, batch: &RaggedBatch, rows: &mut [f32]) {
        let hidden = self.shape.hidden();
        let qkv = self.query_key_value.product(Activation::Identity, rows);
        let mut context = vec![0.0; rows.len()];
        let mut tasks = Vec::with_capacity(batch.texts());
        let mut rest = context.as_mut_slice();
        for text in batch.text_ranges() {
            for start in (0..text.len()).step_by(QUERIES_PER_TASK) {
                let queries = start..text.len().min(start + QUERIES_PER_TASK);
                let (context, after) = rest.split_at_mut(queries.len() * hidden);
                rest = after;
                tasks.push((text.clone(), queries, context));
            }
        }
        team::for_each(tasks, |(text, queries, context): (Range<usize>, Range<usize>, &mut [f32])| {
            let qkv = &qkv[text.start * 3 * hidden..text.end * 3 * hidden];
            with_scratch(|scratch| self.attend(self.shape, qkv, queries, &mut scratch.attention, context));
        });
        let output = self.output.product(Activation::Identity, &context);
        self.norm.add_and_normalize(self.output.level(), &[&output], rows);
    }
}

impl SelfAttention {
    /// Groups of heads for the threads of a team, if it computes one text and the products can be split so.
    fn head_groups(&self, batch: &RaggedBatch) -> Option<Vec<Range<usize>>> {
        let AttentionShape { heads, head_dim } = self.shape;
        let group = heads.div_ceil(team::threads());
        let groups: Vec<_> = (0..heads).step_by(group).map(|first| first..heads.min(first + group)).collect();
        let columns = groups.iter().flat_map(|heads| self.columns(heads));
        let can_be_split = |columns| self.query_key_value.has_columns(&columns);
        (team::leads() && batch.texts() == 1 && head_dim > 0 && columns.into_iter().all(can_be_split)).then_some(groups)
    }

    /// The columns of the queries, keys and values of some heads.
    fn columns(&self, heads: &Range<usize>) -> [Range<usize>; 3] {
        let AttentionShape { head_dim, .. } = self.shape;
        [0, 1, 2].map(|which| {
            let first = which * self.shape.hidden();
            first + heads.start * head_dim..first + heads.end * head_dim
        })
    }

    /// One text: each thread makes the queries, keys and values of its heads and their attention.
    fn by_heads(&self, groups: Vec<Range<usize>>, rows: &mut [f32]) {
        let (hidden, head_dim) = (self.shape.hidden(), self.shape.head_dim);
        let tokens = rows.len() / hidden;
        let block = self.clone();
        let input = rows.to_vec();
        let columns: Vec<_> = groups.iter().map(|heads| heads.start * head_dim..heads.end * head_dim).collect();
        let to_input = block.output.input_parts(&columns);
        let contexts = team::map(groups, move |heads| {
            with_scratch(|Scratch { linear, attention, wide, .. }| {
                let width = heads.len() * head_dim;
                let qkv = values_of(wide, 3 * tokens * width);
                for (which, columns) in block.columns(heads).into_iter().enumerate() {
                    let place = OutputColumns { values: &mut *qkv, stride: 3 * width, first: which * width };
                    block.query_key_value.columns_here(columns, Activation::Identity, &input, linear, place);
                }
                let mut context = vec![0.0; tokens * width];
                let shape = AttentionShape { heads: heads.len(), head_dim };
                block.attend(shape, qkv, 0..tokens, attention, &mut context);
                to_input(context, tokens)
            })
        });
        let parts = self.output.parts_of_product(Activation::Identity, contexts, tokens, |part| part);
        self.norm.add_and_normalize(self.output.level(), &slices(&parts), rows);
    }
}

struct Forward<'a> {
    block: &'a SelfAttention,
    batch: &'a RaggedBatch,
}

impl InplaceOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "self-attention"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Self { block, batch } = self;
        block.output.check_on_cpu()?;
        let hidden = block.shape.hidden();
        let rows = matrix_mut(storage, layout, hidden, self.name())?;
        if rows.len() != batch.tokens() * hidden {
            let found = rows.len() / hidden;
            return Err(Error::Msg(format!("{}: expected {} rows, found {found}", self.name(), batch.tokens())));
        }
        let groups = batch.groups(block.query_key_value.rows_per_task(batch.tokens()));
        if groups.len() >= team::threads() {
            block.by_texts(batch, &groups, rows);
        } else if let Some(tasks) = block.head_groups(batch) {
            block.by_heads(tasks, rows);
        } else {
            block.within_texts(batch, rows);
        }
        Ok(())
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &mut candle_core::CudaStorage, layout: &Layout) -> Result<()> {
        let SelfAttention { query_key_value, shape, output, norm } = self.block;
        let parts = (query_key_value.on_cuda()?, output.on_cuda()?, norm.on_cuda()?);
        crate::cuda::self_attention(parts, *shape, self.batch, storage, layout)
    }
}
