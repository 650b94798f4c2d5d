//! The sources of the kernels, and what they are specialised to.

use crate::number::NumberKind;

/// PTX instructions as functions: the first part of every source.
pub const INSTRUCTIONS: &str = include_str!("cuda/instructions.cuh");
/// What activations are stored in: the second part.
const NUMBERS: &str = include_str!("cuda/numbers.cuh");

/// A kernel: one file of `src/cuda`, one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the files say what their kernels do")]
pub enum Kernel {
    AddBiasActivate,
    AddLayerNorm,
    Attention,
    AttentionTiles,
    EmbeddingBagMean,
    EmbeddingLayerNorm,
    L2Normalize,
    Pool,
    PoolLogits,
}

impl Kernel {
    /// The name of its function.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AddBiasActivate => "add_bias_activate",
            Self::AddLayerNorm => "add_layer_norm",
            Self::Attention => "attention",
            Self::AttentionTiles => "attention_tiles",
            Self::EmbeddingBagMean => "embedding_bag_mean",
            Self::EmbeddingLayerNorm => "embedding_layer_norm",
            Self::L2Normalize => "l2_normalize",
            Self::Pool => "pool",
            Self::PoolLogits => "pool_logits",
        }
    }

    /// The files that follow the instructions and the numbers, in order.
    fn parts(self) -> &'static [&'static str] {
        const WARP: &str = include_str!("cuda/warp.cuh");
        const ROW: &str = include_str!("cuda/row.cuh");
        match self {
            Self::AddBiasActivate => &[include_str!("cuda/activation.cu")],
            Self::AddLayerNorm => &[WARP, ROW, include_str!("cuda/layer_norm.cu")],
            Self::Attention => &[include_str!("cuda/attention.cu")],
            Self::AttentionTiles => &[WARP, include_str!("cuda/attention_tiles.cu")],
            Self::EmbeddingBagMean => &[include_str!("cuda/embedding_bag.cu")],
            Self::EmbeddingLayerNorm => &[WARP, ROW, include_str!("cuda/embedding.cu")],
            Self::L2Normalize => &[WARP, include_str!("cuda/normalize.cu")],
            Self::Pool => &[include_str!("cuda/pooling.cu")],
            Self::PoolLogits => &[include_str!("cuda/term_weights.cu")],
        }
    }
}

/// A kernel for one type of numbers and one set of sizes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    kernel: Kernel,
    definitions: Vec<String>,
}

impl Program {
    pub(crate) fn new(kernel: Kernel, number: NumberKind, definitions: impl IntoIterator<Item = String>) -> Self {
        let definitions = std::iter::once(number.definition().to_owned()).chain(definitions).collect();
        Self { kernel, definitions }
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The whole source, with `instructions` ([`INSTRUCTIONS`], or an emulation of them) in their place.
    #[must_use]
    pub fn source(&self, instructions: &str) -> String {
        let mut source = String::new();
        for definition in &self.definitions {
            source.push_str("#define ");
            source.push_str(definition);
            source.push('\n');
        }
        for part in [instructions, NUMBERS].iter().chain(self.kernel.parts()) {
            source.push_str(part);
        }
        source
    }
}
