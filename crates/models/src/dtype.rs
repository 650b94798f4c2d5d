//! The numbers that a model's products are computed with.

use ops::{Format, Processor};

/// What the weights of a model's layers are kept in and multiplied with. On the CPU activations between the products, sums, softmax,
/// normalisation and pooling are float32 in each case; on a CUDA device activations are in the dtype as well, and every sum is float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// float32: the reference's numbers to rounding error.
    #[default]
    Float32,
    /// Operands of the layers' products rounded to bfloat16.
    Bfloat16,
    /// IEEE 754 binary16; on a CUDA device only.
    Float16,
    /// Bytes: weights with a scale an output feature, activations with a scale and a zero point a token; in the feed-forward block's
    /// output, whose wide input has a few large values, one of each for every 128 input features. The attention's values, whose errors
    /// reach the result undamped, stay in bfloat16.
    Int8,
}

impl Dtype {
    /// Every dtype, most exact first.
    pub const ALL: [Self; 4] = [Self::Float32, Self::Float16, Self::Bfloat16, Self::Int8];

    /// The dtype of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// `float32`, `float16`, `bfloat16` or `int8`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
        }
    }

    /// The dtype named `auto`. On the CPU bfloat16 where it is faster than float32, which is where the level has instructions for it. On
    /// a CUDA device float16, which tensor cores multiply as fast as bfloat16 and which is eight times as fine.
    #[must_use]
    pub fn automatic(processor: &Processor) -> Self {
        match (processor.is_cuda(), processor.level().has_bfloat16()) {
            (true, _) => Self::Float16,
            (false, true) => Self::Bfloat16,
            (false, false) => Self::Float32,
        }
    }

    /// Whether `processor` computes in it.
    #[must_use]
    pub fn runs_on(self, processor: &Processor) -> bool {
        match self {
            Self::Float32 | Self::Bfloat16 => true,
            Self::Float16 => processor.is_cuda(),
            Self::Int8 => !processor.is_cuda(),
        }
    }

    /// The format of a layer's products but those of [`Dtype::wide_format`] and [`Dtype::sensitive_format`].
    pub(crate) fn format(self) -> Format {
        match self {
            Self::Float32 => Format::Float32,
            Self::Bfloat16 => Format::Bfloat16,
            Self::Float16 => Format::Float16,
            Self::Int8 => Format::Int8,
        }
    }

    /// The format of the feed-forward block's output. Matrix tiles multiply bfloat16 faster than short sums of bytes.
    pub(crate) fn wide_format(self, processor: &Processor) -> Format {
        match self {
            Self::Int8 if processor.level().has_tiles() => Format::Bfloat16,
            Self::Int8 => Format::GroupedInt8,
            _ => self.format(),
        }
    }

    /// The format of the products that need more than a byte: the attention's values and the head of a masked language model.
    pub(crate) fn sensitive_format(self) -> Format {
        match self {
            Self::Float32 => Format::Float32,
            Self::Float16 => Format::Float16,
            Self::Bfloat16 | Self::Int8 => Format::Bfloat16,
        }
    }
}
