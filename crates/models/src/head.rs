//! What follows the encoder: pooling, then dense layers and normalisation in the folder's order.
//!
//! Mirrors `Pooling`, `Dense` and `Normalize` of sentence-transformers 6.2 (`sentence_transformer/modules/pooling.py`,
//! `base/modules/dense.py`, `base/modules/normalize.py`).

use candle_core::Tensor;
use model_files::{Dense, Module, TensorSpec};
use ops::{Activation, Format, Linear, Pooling, PoolingMode, Processor, RaggedBatch};

use crate::error::ModelError;

/// Pooling and the modules after it.
pub(crate) struct Head {
    pooling: Pooling,
    include_prompt: bool,
    steps: Steps,
}

impl Head {
    /// Reads `modules`, of which the first is the pooling, for token vectors of `hidden_size` columns.
    pub(crate) fn load(processor: &Processor, modules: &[Module], hidden_size: usize) -> Result<Self, ModelError> {
        let (mut modes, mut include_prompt) = (Vec::new(), true);
        for module in modules {
            if let Module::Pooling(pooling) = module {
                modes.extend(pooling.modes.iter().copied().map(pooling_mode));
                include_prompt = pooling.include_prompt;
            }
        }
        let steps = Steps::load(processor, modules, hidden_size.saturating_mul(modes.len()))?;
        Ok(Self { pooling: Pooling::new(processor, modes)?, include_prompt, steps })
    }

    /// Columns of the result.
    pub(crate) fn dimension(&self) -> usize {
        self.steps.dimension()
    }

    /// Whether the tokens of a prompt count.
    pub(crate) fn include_prompt(&self) -> bool {
        self.include_prompt
    }

    /// From token vectors `[tokens, hidden_size]` to `[texts, dimension]`.
    pub(crate) fn forward(&self, hidden: &Tensor, batch: &RaggedBatch, excluded: usize) -> Result<Tensor, ModelError> {
        self.steps.forward(self.pooling.forward(hidden, batch, excluded)?)
    }
}

/// The modules after one vector a text is there: dense layers and normalisation.
pub(crate) struct Steps {
    processor: Processor,
    list: Vec<Step>,
    dimension: usize,
}

enum Step {
    Dense(Linear, Activation),
    Normalize,
}

impl Steps {
    /// Reads `modules`, leaving out the pooling, for vectors of `width` columns.
    pub(crate) fn load(processor: &Processor, modules: &[Module], width: usize) -> Result<Self, ModelError> {
        let (mut list, mut dimension) = (Vec::new(), width);
        for module in modules {
            match module {
                Module::Pooling(_) => {}
                Module::Dense(dense) => {
                    list.push(load_dense(processor, dense)?);
                    dimension = dense.out_features;
                }
                Module::Normalize => list.push(Step::Normalize),
            }
        }
        Ok(Self { processor: processor.clone(), list, dimension })
    }

    /// Whether vectors stay as they are.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Columns of the result.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// From `[texts, width]` to `[texts, dimension]`.
    pub(crate) fn forward(&self, mut rows: Tensor) -> Result<Tensor, ModelError> {
        for step in &self.list {
            rows = match step {
                Step::Dense(linear, activation) => linear.forward(&rows, *activation)?,
                Step::Normalize => ops::normalize(&self.processor, &rows)?,
            };
        }
        Ok(rows)
    }
}

fn load_dense(processor: &Processor, dense: &Dense) -> Result<Step, ModelError> {
    let (input, output) = (dense.in_features, dense.out_features);
    let source = "config.json";
    let mut required = vec![TensorSpec { name: "linear.weight".to_owned(), shape: vec![output, input], source }];
    if dense.bias {
        required.push(TensorSpec { name: "linear.bias".to_owned(), shape: vec![output], source });
    }
    let tensors = dense.weights.select(&[""], &required)?;
    let weight = tensors.read("linear.weight")?;
    let bias = if dense.bias { tensors.read("linear.bias")? } else { vec![0.0; output] };
    Ok(Step::Dense(Linear::new(processor, Format::Float32, &weight, &bias, input)?, activation(dense.activation)))
}

fn pooling_mode(mode: model_files::PoolingMode) -> PoolingMode {
    match mode {
        model_files::PoolingMode::Cls => PoolingMode::Cls,
        model_files::PoolingMode::Max => PoolingMode::Max,
        model_files::PoolingMode::Mean => PoolingMode::Mean,
        model_files::PoolingMode::MeanSqrtLen => PoolingMode::MeanSqrtLen,
        model_files::PoolingMode::WeightedMean => PoolingMode::WeightedMean,
        model_files::PoolingMode::LastToken => PoolingMode::LastToken,
    }
}

pub(crate) fn activation(activation: model_files::Activation) -> Activation {
    match activation {
        model_files::Activation::Identity => Activation::Identity,
        model_files::Activation::Gelu => Activation::Gelu,
        model_files::Activation::GeluTanh => Activation::GeluTanh,
        model_files::Activation::Relu => Activation::Relu,
        model_files::Activation::Silu => Activation::Silu,
        model_files::Activation::Sigmoid => Activation::Sigmoid,
        model_files::Activation::Tanh => Activation::Tanh,
    }
}
