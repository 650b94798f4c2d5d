//! From the token vectors of a batch to one weight a text and term of the vocabulary.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use kernels::{DecoderInput, TermDecoder, TermFormula, TextRows};

use crate::format::Format;
use crate::linear::joined;
use crate::processor::Processor;
use crate::ragged_batch::RaggedBatch;
use crate::rows::{made_for_a_device, matrix, result};
use crate::team;

/// Terms of one task: the parts of the decoder that tasks read are large enough to be streamed, and there are many more tasks
/// than threads.
const TERMS_PER_TASK: usize = 512;

/// The decoder of a masked language model and the pooling of its logits over the tokens of a text.
#[derive(Clone, Debug)]
pub struct TermWeights {
    /// None for a device.
    decoder: Option<Arc<TermDecoder>>,
    #[cfg(feature = "cuda")]
    on_cuda: Option<Arc<crate::cuda::CudaTermWeights>>,
    #[cfg(feature = "cuda")]
    formula: TermFormula,
    terms: usize,
}

impl TermWeights {
    /// `decoder` is `[terms, input_features]`, row-major, and `bias` has one value a term. `format` is float32 or bfloat16, or, on a
    /// device, that of the activations.
    ///
    /// # Errors
    /// The lengths do not agree, or the format is another.
    pub fn new(
        processor: &Processor,
        format: Format,
        decoder: &[f32],
        bias: Vec<f32>,
        input_features: usize,
        formula: TermFormula,
    ) -> Result<Self> {
        let terms = bias.len();
        if terms == 0 || input_features == 0 || Some(decoder.len()) != terms.checked_mul(input_features) {
            return Err(Error::Msg(format!(
                "term weights: expected a decoder of [{terms}, {input_features}], found {} values",
                decoder.len()
            )));
        }
        if format == Format::Int8 {
            return Err(Error::Msg("term weights: expected a float32 or bfloat16 decoder, found int8".to_owned()));
        }
        #[cfg(feature = "cuda")]
        let on_cuda = crate::cuda::on_device(processor, |cuda| {
            crate::cuda::CudaTermWeights::new(cuda, format, decoder, &bias, input_features)
        })?;
        let pack = |format| TermDecoder::new(processor.level(), format, decoder, bias, input_features, formula);
        Ok(Self {
            decoder: if processor.is_cuda() { None } else { Some(Arc::new(pack(format.on_cpu()?))) },
            #[cfg(feature = "cuda")]
            on_cuda,
            #[cfg(feature = "cuda")]
            formula,
            terms,
        })
    }

    /// Columns of the result: the size of the vocabulary.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.terms
    }

    /// The weights of all terms, zero or more: `[tokens, input_features]` to `[texts, terms]`. A weight is NaN where a
    /// logit was not finite.
    ///
    /// # Errors
    /// `hidden` has another shape or type.
    pub fn forward(&self, hidden: &Tensor, batch: &RaggedBatch) -> Result<Tensor> {
        hidden.apply_op1_no_bwd(&Forward { layer: self, batch })
    }
}

struct Forward<'a> {
    layer: &'a TermWeights,
    batch: &'a RaggedBatch,
}

impl CustomOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "term-weights"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let decoder = &self.layer.decoder;
        let decoder = decoder.as_ref().ok_or_else(|| made_for_a_device(self.name()))?;
        let hidden = matrix(storage, layout, decoder.input_features(), self.name())?;
        if hidden.len() != self.batch.tokens() * decoder.input_features() {
            let (expected, found) = (self.batch.tokens(), hidden.len() / decoder.input_features());
            return Err(Error::Msg(format!("term weights: expected {expected} rows, found {found}")));
        }
        let (texts, terms) = (self.batch.texts(), decoder.terms());
        let text_of_row = self.batch.text_of_token();
        let ranges = |per_task: usize| -> Vec<Range<usize>> {
            let per_task = per_task.next_multiple_of(TERMS_PER_TASK).next_multiple_of(decoder.panel_width());
            (0..terms).step_by(per_task).map(|start| start..terms.min(start + per_task)).collect()
        };
        let weights = move |decoder: &TermDecoder, hidden: &DecoderInput<'_>, range: &Range<usize>| {
            let mut weights = vec![0.0; texts * range.len()];
            let tokens = TextRows { hidden, text_of_row: &text_of_row };
            kernels::term_weights(decoder, tokens, range.clone(), &mut weights);
            weights
        };
        let parts: Vec<Vec<f32>> = if team::leads() && team::threads() > 1 {
            // Few tokens: each of few tasks rounds them for itself.
            let of_tasks = Arc::clone(decoder);
            let hidden = hidden.to_vec();
            team::map(ranges(terms / (2 * team::threads())), move |range| {
                weights(&of_tasks, &DecoderInput::new(&of_tasks, &hidden), range)
            })
        } else {
            let hidden = DecoderInput::new(decoder, hidden);
            let ranges = ranges(TERMS_PER_TASK);
            let mut parts = vec![Vec::new(); ranges.len()];
            let tasks = parts.iter_mut().zip(ranges).collect();
            team::for_each(tasks, |(part, range)| *part = weights(decoder, &hidden, &range));
            parts
        };
        Ok(result(joined(&parts, texts), terms))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let TermWeights { on_cuda, formula, .. } = self.layer;
        let decoder = crate::cuda::made_for_device(on_cuda.as_ref())?;
        crate::cuda::term_weights(decoder, *formula, self.batch, storage, layout)
    }
}
