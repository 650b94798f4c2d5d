//! The word embeddings of `BertHash` (NeuML/bert-hash-pico): a narrow table and one linear map, in place of BERT's wide table.
//!
//! `word(t) = P E[t] + b`. There is no hash function, and everything after it is BERT's. The product is taken once, when the
//! model is loaded: the wide table is small (10 MB for the pico model), the forward pass is then BERT's own, and since
//! products do not depend on their neighbours each row has the bits it would have if it were computed for each token. It is
//! float32 whatever the dtype, like BERT's table: a narrow product would only lose bits, since none is left for a call. It is taken on the
//! CPU, where the weights are.

use candle_core::{Device, Tensor};
use model_files::{BertConfig, ModelFileError, Selected, Weights};
use ops::{Activation, Format, Linear, Processor};

use crate::error::ModelError;

/// Where the table and the linear map are, without the prefix of the model.
const PLACE: &str = "embeddings.word_embeddings.";
/// The table, without the prefix of the model.
pub(crate) const TABLE: &str = "embeddings.word_embeddings.embeddings.weight";

/// The word embeddings of all tokens, `[vocab_size, hidden_size]`.
pub(crate) fn word_table(
    processor: &Processor,
    config: &BertConfig,
    projections: usize,
    weights: &Weights,
    tensors: &Selected<'_>,
) -> Result<Vec<f32>, ModelError> {
    let map = find(config, projections, weights, tensors.prefix())?;
    let bias = match map.bias {
        Some(name) => tensors.read(&name)?,
        None => vec![0.0; config.hidden_size],
    };
    let linear = Linear::new(&processor.on_cpu(), Format::Float32, &tensors.read(&map.weight)?, &bias, projections)?;
    let table = Tensor::from_vec(tensors.read(TABLE)?, (config.vocab_size, projections), &Device::Cpu)?;
    Ok(linear.forward(&table, Activation::Identity)?.flatten_all()?.to_vec1()?)
}

/// The names of the linear map's tensors, without the prefix of the model.
struct LinearMap {
    weight: String,
    bias: Option<String>,
}

/// Finds the map by its shape, since its name is not settled: `[hidden_size, projections]`, and `[hidden_size]` for the bias
/// that it may have.
fn find(config: &BertConfig, projections: usize, weights: &Weights, prefix: &str) -> Result<LinearMap, ModelFileError> {
    let hidden = config.hidden_size;
    let (mut maps, mut biases) = (Vec::new(), Vec::new());
    for name in weights.names() {
        let Some(inside) = name.strip_prefix(prefix).filter(|name| name.starts_with(PLACE) && *name != TABLE) else {
            continue;
        };
        match weights.shape(name) {
            Some(shape) if shape == [hidden, projections] => maps.push(inside.to_owned()),
            Some(shape) if shape == [hidden] => biases.push(inside.to_owned()),
            shape => {
                return Err(ModelFileError::TensorLayout {
                    file: weights.source().to_path_buf(),
                    tensor: name.to_owned(),
                    expected: format!("shape [{hidden}, {projections}] or [{hidden}] (from config.json)"),
                    found: format!("{:?}", shape.unwrap_or_default()),
                });
            }
        }
    }
    let count_error = |expected: String, found: &[String]| ModelFileError::Field {
        file: weights.source().to_path_buf(),
        field: format!("tensors under \"{prefix}{PLACE}\""),
        expected,
        found: match found {
            [] => "none".to_owned(),
            names => names.iter().map(|name| format!("\"{prefix}{name}\"")).collect::<Vec<_>>().join(", "),
        },
        hint: None,
    };
    if biases.len() > 1 {
        let expected = format!("at most one of shape [{hidden}] (hidden_size of config.json)");
        return Err(count_error(expected, &biases));
    }
    match maps.as_slice() {
        [weight] => Ok(LinearMap { weight: weight.clone(), bias: biases.pop() }),
        found => {
            let expected =
                format!("one of shape [{hidden}, {projections}] (hidden_size and projections of config.json)");
            Err(count_error(expected, found))
        }
    }
}
