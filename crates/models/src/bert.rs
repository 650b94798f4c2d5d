//! The BERT encoder (arXiv:1810.04805).
//!
//! Mirrors `BertModel` of transformers 5.23 (`models/bert/modeling_bert.py`) without its pooler, which sentence
//! embeddings do not use. `BertHash` differs in its word table only. Weights are stored as `torch.nn.Linear` stores them.

use candle_core::Tensor;
use model_files::{BertConfig, Selected, TensorSpec, Weights};
use ops::{Embedding, FeedForward, Format, LayerNorm, Linear, Processor, RaggedBatch, SelfAttention};

use crate::bert_hash;
use crate::cancel::Cancel;
use crate::dtype::Dtype;
use crate::error::ModelError;
use crate::head::activation;

/// `BertModel` is saved plainly, or inside another model under this prefix.
pub(crate) const PREFIXES: [&str; 2] = ["", "bert."];

/// Embeddings and layers.
pub(crate) struct Bert {
    embedding: Embedding,
    layers: Vec<Layer>,
    hidden_size: usize,
}

impl Bert {
    /// Reads the tensors of `weights` that `config` asks for.
    pub(crate) fn load(
        processor: &Processor,
        dtype: Dtype,
        config: &BertConfig,
        weights: &Weights,
    ) -> Result<Self, ModelError> {
        let mut required = embedding_tensors(config);
        for index in 0..config.num_hidden_layers {
            required.extend(layer_tensors(config, index));
        }
        let tensors = weights.select(&PREFIXES, &required)?;
        let embedding = load_embedding(processor, dtype, config, weights, &tensors)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::load(processor, dtype, config, &tensors, &format!("encoder.layer.{index}")))
            .collect::<Result<_, _>>()?;
        Ok(Self { embedding, layers, hidden_size: config.hidden_size })
    }

    pub(crate) fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// The last layer's token vectors, `[tokens, hidden_size]`.
    pub(crate) fn forward(&self, batch: &RaggedBatch, cancel: &Cancel) -> Result<Tensor, ModelError> {
        cancel.check()?;
        let mut hidden = self.embedding.forward(batch)?;
        for layer in &self.layers {
            hidden = layer.forward(hidden, batch, cancel)?;
        }
        Ok(hidden)
    }
}

/// `BertLayer`: attention, then a feed-forward block, each followed by a residual sum and normalisation.
struct Layer {
    attention: SelfAttention,
    feed_forward: FeedForward,
}

impl Layer {
    fn load(
        processor: &Processor,
        dtype: Dtype,
        config: &BertConfig,
        tensors: &Selected<'_>,
        prefix: &str,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let linear = |name: &str, format: Format, input_features: usize| -> Result<Linear, ModelError> {
            let weight = tensors.read(&format!("{prefix}.{name}.weight"))?;
            let bias = tensors.read(&format!("{prefix}.{name}.bias"))?;
            Ok(Linear::new(processor, format, &weight, &bias, input_features)?)
        };
        let part = |name: &str| -> Result<(Vec<f32>, Vec<f32>), ModelError> {
            let name = format!("{prefix}.attention.self.{name}");
            Ok((tensors.read(&format!("{name}.weight"))?, tensors.read(&format!("{name}.bias"))?))
        };
        let (query, key, value) = (part("query")?, part("key")?, part("value")?);
        let query_key_value = Linear::side_by_side(
            processor,
            hidden,
            &[
                (dtype.format(), &query.0, &query.1),
                (dtype.format(), &key.0, &key.1),
                (dtype.sensitive_format(), &value.0, &value.1),
            ],
        )?;
        let norm = |name: &str| load_norm(processor, config, tensors, &format!("{prefix}.{name}.LayerNorm"));
        Ok(Self {
            attention: SelfAttention::new(
                query_key_value,
                config.num_attention_heads,
                linear("attention.output.dense", dtype.format(), hidden)?,
                norm("attention.output")?,
            )?,
            feed_forward: FeedForward::new(
                linear("intermediate.dense", dtype.format(), hidden)?,
                activation(config.hidden_act),
                linear("output.dense", dtype.wide_format(processor), config.intermediate_size)?,
                norm("output")?,
            )?,
        })
    }

    fn forward(&self, hidden: Tensor, batch: &RaggedBatch, cancel: &Cancel) -> Result<Tensor, ModelError> {
        let hidden = self.attention.forward(hidden, batch)?;
        cancel.check()?;
        let hidden = self.feed_forward.forward(hidden)?;
        cancel.check()?;
        Ok(hidden)
    }
}

/// The word and position tables; the row of token type 0, which every token of a single text has, is added to each
/// position once here.
fn load_embedding(
    processor: &Processor,
    dtype: Dtype,
    config: &BertConfig,
    weights: &Weights,
    tensors: &Selected<'_>,
) -> Result<Embedding, ModelError> {
    let word = match config.projections {
        Some(projections) => bert_hash::word_table(processor, config, projections, weights, tensors)?,
        None => tensors.read("embeddings.word_embeddings.weight")?,
    };
    let mut position = tensors.read("embeddings.position_embeddings.weight")?;
    let token_type = tensors.read("embeddings.token_type_embeddings.weight")?;
    let first_type = token_type.get(..config.hidden_size).unwrap_or_default();
    for row in position.chunks_exact_mut(config.hidden_size.max(1)) {
        for (value, token_type) in row.iter_mut().zip(first_type) {
            *value += token_type;
        }
    }
    Ok(Embedding::new(
        processor,
        dtype.format(),
        word,
        position,
        load_norm(processor, config, tensors, "embeddings.LayerNorm")?,
    )?)
}

fn load_norm(
    processor: &Processor,
    config: &BertConfig,
    tensors: &Selected<'_>,
    name: &str,
) -> Result<LayerNorm, ModelError> {
    let weight = tensors.read(&format!("{name}.weight"))?;
    let bias = tensors.read(&format!("{name}.bias"))?;
    Ok(LayerNorm::new(processor, weight, bias, config.layer_norm_eps)?)
}

fn spec(name: String, shape: Vec<usize>) -> TensorSpec {
    TensorSpec { name, shape, source: "config.json" }
}

fn embedding_tensors(config: &BertConfig) -> Vec<TensorSpec> {
    let hidden = config.hidden_size;
    let table = |name: &str, rows| spec(format!("embeddings.{name}.weight"), vec![rows, hidden]);
    let word = match config.projections {
        Some(projections) => spec(bert_hash::TABLE.to_owned(), vec![config.vocab_size, projections]),
        None => table("word_embeddings", config.vocab_size),
    };
    vec![
        word,
        table("position_embeddings", config.max_position_embeddings),
        table("token_type_embeddings", config.type_vocab_size),
        spec("embeddings.LayerNorm.weight".to_owned(), vec![hidden]),
        spec("embeddings.LayerNorm.bias".to_owned(), vec![hidden]),
    ]
}

fn layer_tensors(config: &BertConfig, index: usize) -> Vec<TensorSpec> {
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let mut specs = Vec::with_capacity(16);
    for (name, output, input) in [
        ("attention.self.query", hidden, hidden),
        ("attention.self.key", hidden, hidden),
        ("attention.self.value", hidden, hidden),
        ("attention.output.dense", hidden, hidden),
        ("intermediate.dense", intermediate, hidden),
        ("output.dense", hidden, intermediate),
    ] {
        specs.push(spec(format!("encoder.layer.{index}.{name}.weight"), vec![output, input]));
        specs.push(spec(format!("encoder.layer.{index}.{name}.bias"), vec![output]));
    }
    for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
        specs.push(spec(format!("encoder.layer.{index}.{name}.weight"), vec![hidden]));
        specs.push(spec(format!("encoder.layer.{index}.{name}.bias"), vec![hidden]));
    }
    specs
}
