//! What runs the operations.

#[cfg(feature = "cuda")]
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use kernels::Level;

#[cfg(feature = "cuda")]
use crate::cuda::Cuda;
use crate::format::Format;

/// Who adds the biases of a device's products.
///
/// Which is faster was never measured, so the choice stands here and is the caller's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceProducts {
    /// cuBLAS multiplies, and a kernel of ours adds the bias and applies the activation.
    #[default]
    Cublas,
    /// cuBLASLt does all in one where it can: in 16 bits, without an activation or with tanh GELU. The rest as above.
    CublasLt,
    /// As `CublasLt`, and float32 products as well, by tensor cores that read 10 bits of each operand's fraction (TF32): beyond the
    /// reference's float32 by about a thousandth.
    CublasLtTf32,
}

impl DeviceProducts {
    /// The names of all choices, as an error lists them.
    pub const NAMES: &str = "\"cublas\", \"cublaslt\" or \"cublaslt-tf32\"";

    /// The choice of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "cublas" => Some(Self::Cublas),
            "cublaslt" => Some(Self::CublasLt),
            "cublaslt-tf32" => Some(Self::CublasLtTf32),
            _ => None,
        }
    }
}

/// The CPU at a level of instructions, or a CUDA device. Operations are made for one and take tensors that are there.
#[derive(Clone, Debug)]
pub struct Processor {
    level: Level,
    /// Where tensors are.
    device: Device,
    #[cfg(feature = "cuda")]
    cuda: Option<Arc<Cuda>>,
}

/// Why a device cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It is not there or cannot be used; the text says what was found.
    #[error("{0}")]
    Unusable(String),
    /// Its memory does not suffice even to begin; the text says for what.
    #[error("not enough memory {0}")]
    OutOfMemory(String),
}

impl DeviceError {
    /// What was found.
    #[must_use]
    pub fn new(found: String) -> Self {
        Self::Unusable(found)
    }
}

impl From<Level> for Processor {
    /// The CPU.
    fn from(level: Level) -> Self {
        Self {
            level,
            device: Device::Cpu,
            #[cfg(feature = "cuda")]
            cuda: None,
        }
    }
}

impl Processor {
    /// The CUDA device of this number, from 0; `level` is for what is computed on the CPU all the same.
    ///
    /// # Errors
    /// There is none, it is too old, or its driver or compiler is missing or too old.
    #[cfg(feature = "cuda")]
    pub fn cuda(level: Level, number: usize, products: DeviceProducts) -> std::result::Result<Self, DeviceError> {
        let cuda = Arc::new(Cuda::open(number, products)?);
        Ok(Self { level, device: cuda.candle_device(), cuda: Some(cuda) })
    }

    /// This build's answer to the CUDA device of any number.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "cuda"))]
    pub fn cuda(_level: Level, number: usize, _products: DeviceProducts) -> std::result::Result<Self, DeviceError> {
        Err(DeviceError::new(format!(
            "expected \"cpu\" or \"auto\", found \"cuda:{number}\" (hint: this build has no CUDA, the package corten-cuda does)"
        )))
    }

    /// The first CUDA device that can be used, else the CPU.
    #[must_use]
    pub fn automatic(level: Level, products: DeviceProducts) -> Self {
        Self::cuda(level, 0, products).unwrap_or_else(|_| level.into())
    }

    /// Whether this is a CUDA device.
    #[must_use]
    pub fn is_cuda(&self) -> bool {
        !self.device.is_cpu()
    }

    /// The level of what is computed on the CPU.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The CPU beside the device.
    #[must_use]
    pub fn on_cpu(&self) -> Self {
        self.level.into()
    }

    /// A tensor of the CPU in float32 where the operations are, on a device in `format`.
    ///
    /// # Errors
    /// The device does not have the format, or no room.
    pub(crate) fn place(&self, tensor: Tensor, format: Format) -> Result<Tensor> {
        if self.device.is_cpu() {
            return Ok(tensor);
        }
        tensor.to_dtype(format.on_device()?)?.to_device(&self.device)
    }

    /// The device; `None` for the CPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn device(&self) -> Option<&Arc<Cuda>> {
        self.cuda.as_ref()
    }
}

/// What was asked for, if an error of an operation says that the memory of a device did not suffice. Without devices it never does.
#[cfg(not(feature = "cuda"))]
#[must_use]
pub fn out_of_memory(_error: &candle_core::Error) -> Option<String> {
    None
}
