//! The head of a masked language model, pooled to one weight a term.
//!
//! Mirrors `BertOnlyMLMHead` of transformers 5.23 (`models/bert/modeling_bert.py`) followed by `SpladePooling` of
//! sentence-transformers 6.2 (`sparse_encoder/modules/splade_pooling.py`).

use candle_core::Tensor;
use model_files::{BertConfig, ModelFileError, SpladePooling, SpladeStrategy, TensorSpec, Weights};
use ops::{Activation, LayerNorm, Linear, Processor, RaggedBatch, TermFormula, TermPooling, TermWeights};

use crate::bert::PREFIXES;
use crate::cancel::Cancel;
use crate::dtype::Dtype;
use crate::error::ModelError;
use crate::head::activation;

const DENSE: &str = "cls.predictions.transform.dense";
const NORM: &str = "cls.predictions.transform.LayerNorm";
const DECODER: &str = "cls.predictions.decoder.weight";
const WORD_EMBEDDINGS: &str = "embeddings.word_embeddings.weight";
/// The bias, under the decoder's name and under the one it has when both are one tensor; the first that is there counts.
const BIASES: [&str; 2] = ["cls.predictions.decoder.bias", "cls.predictions.bias"];

/// Transform, decoder and pooling.
pub(crate) struct MlmHead {
    processor: Processor,
    transform: Linear,
    hidden_act: Activation,
    norm: LayerNorm,
    decoder: TermWeights,
}

impl MlmHead {
    /// Reads the head's tensors of `weights`.
    ///
    /// A decoder of its own goes before the word embeddings even where the configuration says that they are tied, as in the
    /// reference (`tie_weights` of transformers' `modeling_utils.py`). In int8 the head's products are bfloat16: what it gives are
    /// the terms' weights themselves.
    pub(crate) fn load(
        processor: &Processor,
        dtype: Dtype,
        config: &BertConfig,
        weights: &Weights,
        pooling: SpladePooling,
    ) -> Result<Self, ModelError> {
        let (hidden, terms) = (config.hidden_size, config.vocab_size);
        let spec = |name: &str, shape| TensorSpec { name: name.to_owned(), shape, source: "config.json" };
        let bias = BIASES.into_iter().find(|name| weights.shape(name).is_some()).unwrap_or(BIASES[1]);
        let tied = config.tie_word_embeddings && weights.shape(DECODER).is_none();
        let mut required = vec![
            spec(&format!("{DENSE}.weight"), vec![hidden, hidden]),
            spec(&format!("{DENSE}.bias"), vec![hidden]),
            spec(&format!("{NORM}.weight"), vec![hidden]),
            spec(&format!("{NORM}.bias"), vec![hidden]),
            spec(bias, vec![terms]),
        ];
        if !tied {
            required.push(spec(DECODER, vec![terms, hidden]));
        }
        let tensors = weights.select(&[""], &required)?;
        let decoder = if tied {
            weights.select(&PREFIXES, &[spec(WORD_EMBEDDINGS, vec![terms, hidden])])?.read(WORD_EMBEDDINGS)?
        } else {
            tensors.read(DECODER)?
        };
        let read =
            |name: &str, part: &str| -> Result<Vec<f32>, ModelFileError> { tensors.read(&format!("{name}.{part}")) };
        let formula = TermFormula {
            pooling: match pooling.strategy {
                SpladeStrategy::Max => TermPooling::Max,
                SpladeStrategy::Sum => TermPooling::Sum,
            },
            twice: pooling.twice,
        };
        Ok(Self {
            processor: processor.clone(),
            transform: Linear::new(
                processor,
                dtype.sensitive_format(),
                &read(DENSE, "weight")?,
                &read(DENSE, "bias")?,
                hidden,
            )?,
            hidden_act: activation(config.hidden_act),
            norm: LayerNorm::new(processor, read(NORM, "weight")?, read(NORM, "bias")?, config.layer_norm_eps)?,
            decoder: TermWeights::new(
                processor,
                dtype.sensitive_format(),
                &decoder,
                tensors.read(bias)?,
                hidden,
                formula,
            )?,
        })
    }

    /// Columns of the result: the size of the vocabulary.
    pub(crate) fn terms(&self) -> usize {
        self.decoder.terms()
    }

    /// From token vectors `[tokens, hidden_size]` to weights `[texts, terms]`.
    pub(crate) fn forward(&self, hidden: &Tensor, batch: &RaggedBatch, cancel: &Cancel) -> Result<Tensor, ModelError> {
        let transformed = self.transform.forward(hidden, self.hidden_act)?;
        let transformed = self.norm.forward(self.processor.level(), &transformed)?;
        cancel.check()?;
        Ok(self.decoder.forward(&transformed, batch)?)
    }
}
