//! What a caller can choose.

use models::{DeviceProducts, Dtype};

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Number of threads, from 1 to [`crate::MOST_THREADS`]; `None` for [`crate::default_threads`]. All encoders of a
    /// process with the same number share the same threads.
    pub threads: Option<usize>,
    /// The numbers of the layers' products.
    pub dtype: DtypeChoice,
    /// Where the model runs.
    pub device: Device,
    /// Who adds the biases of a device's products.
    pub products: DeviceProducts,
}

/// Where a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The CUDA device of this number, from 0. Refused by a build without the feature `cuda`.
    Cuda(usize),
    /// The first CUDA device where this build and this machine have one, else the processor.
    Auto,
}

impl Device {
    /// The names of all devices, as an error lists them.
    pub const NAMES: &str = "\"cpu\", \"cuda\", \"cuda:0\" (or another number) or \"auto\"";

    /// The device of this name; `cuda` is `cuda:0`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            "auto" => Some(Self::Auto),
            _ => {
                let digits = name.strip_prefix("cuda:")?;
                // `parse` would take a plus sign.
                let number = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok());
                number.flatten().map(Self::Cuda)
            }
        }
    }
}

/// A dtype, or the choice of the fastest that keeps the accuracy of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtypeChoice {
    /// This one.
    Fixed(Dtype),
    /// On the CPU bfloat16 where the processor multiplies it faster than float32, else float32; on a CUDA device float16.
    Automatic,
}

impl DtypeChoice {
    /// The names of all choices on the CPU, as an error lists them.
    pub const NAMES: &str = "\"float32\", \"bfloat16\", \"int8\" or \"auto\"";
    /// The names of all choices on a CUDA device.
    pub const NAMES_ON_CUDA: &str = "\"float32\", \"bfloat16\", \"float16\" or \"auto\"";

    /// The choice of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "auto" { Some(Self::Automatic) } else { Dtype::from_name(name).map(Self::Fixed) }
    }
}

impl Default for DtypeChoice {
    fn default() -> Self {
        Self::Fixed(Dtype::default())
    }
}

/// How to turn texts into rows.
#[derive(Debug, Clone, Default)]
pub struct EncodeOptions {
    /// Put before every text as it is; it counts towards the length limit.
    pub prompt: Option<String>,
    /// Most texts that go through the model together, at least 1; `None` for 32 on the CPU, and on a device for as many as fill it. It
    /// changes speed and memory, never a result.
    pub batch_size: Option<usize>,
    /// Whether to bring every row to length 1, after the truncation. A zero row stays zero.
    pub normalize: bool,
    /// Number of leading values kept of each row, at least 1; more than there are keeps all. `None` for the model's own.
    pub truncate_dim: Option<usize>,
}

/// How to turn texts into sparse rows.
#[derive(Debug, Clone, Default)]
pub struct SparseOptions {
    /// As in [`EncodeOptions`].
    pub prompt: Option<String>,
    /// As in [`EncodeOptions`].
    pub batch_size: Option<usize>,
    /// Most values of a row, at least 1: the largest are kept. `None` for the model's own limit, which few have.
    pub max_active_dims: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        let named =
            [("cpu", Device::Cpu), ("auto", Device::Auto), ("cuda", Device::Cuda(0)), ("cuda:7", Device::Cuda(7))];
        for (name, device) in named {
            assert_eq!(Device::from_name(name), Some(device));
        }
        for name in ["", "CUDA", "cuda:", "cuda:x", "cuda:+1", "cuda:-1", "cuda: 1", "cuda:99999999999999999999", "mps"]
        {
            assert_eq!(Device::from_name(name), None, "{name}");
        }
    }
}
