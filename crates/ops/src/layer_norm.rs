//! The learned parts of a layer normalisation.

use std::sync::Arc;

use candle_core::{Error, Result};

/// Layer normalisation over rows of `weight.len()` values, shared between operations.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Arc<[f32]>,
    bias: Arc<[f32]>,
    epsilon: f32,
}

impl LayerNorm {
    /// A normalisation with one `weight` and `bias` a column; `epsilon` is added to the variance.
    ///
    /// # Errors
    /// The lengths differ or are zero.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, epsilon: f32) -> Result<Self> {
        if weight.len() != bias.len() || weight.is_empty() {
            let (weight, bias) = (weight.len(), bias.len());
            return Err(Error::Msg(format!(
                "layer norm: expected as many weights as biases, found {weight} and {bias}"
            )));
        }
        Ok(Self { weight: weight.into(), bias: bias.into(), epsilon })
    }

    /// Columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.weight.len()
    }

    pub(crate) fn view(&self) -> kernels::LayerNorm<'_> {
        kernels::LayerNorm { weight: &self.weight, bias: &self.bias, epsilon: self.epsilon }
    }
}
