//! The numbers that products are computed with.

use candle_core::{DType, Error, Result};

/// What the operands of a layer's product are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// float32.
    Float32,
    /// bfloat16. On the CPU the operands of products, on a CUDA device what is between them as well.
    Bfloat16,
    /// IEEE 754 binary16; on a CUDA device only, and there as bfloat16.
    Float16,
    /// 8-bit integers with scales; on the CPU only.
    Int8,
    /// 8-bit integers with scales for each 128 input features; on the CPU only.
    GroupedInt8,
}

impl Format {
    /// The format for [`kernels`].
    ///
    /// # Errors
    /// The CPU does not have it.
    pub(crate) fn on_cpu(self) -> Result<kernels::Format> {
        match self {
            Self::Float32 => Ok(kernels::Format::Float32),
            Self::Bfloat16 => Ok(kernels::Format::Bfloat16),
            Self::Int8 => Ok(kernels::Format::Int8),
            Self::GroupedInt8 => Ok(kernels::Format::GroupedInt8),
            Self::Float16 => Err(Error::Msg("expected products in another format than float16 on the CPU".to_owned())),
        }
    }

    /// The type of a device's tensors.
    ///
    /// # Errors
    /// The device does not have it.
    pub(crate) fn on_device(self) -> Result<DType> {
        match self {
            Self::Float32 => Ok(DType::F32),
            Self::Bfloat16 => Ok(DType::BF16),
            Self::Float16 => Ok(DType::F16),
            Self::Int8 | Self::GroupedInt8 => {
                Err(Error::Msg("expected products in another format than int8 on a CUDA device".to_owned()))
            }
        }
    }
}
