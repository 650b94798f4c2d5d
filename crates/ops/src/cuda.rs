//! The operations on a CUDA device: Candle's storages as slices for `cuda_kernels`, and its products by cuBLAS.
//!
//! Activations are in the format of the model: float32, float16 or bfloat16. All operations of a model run in one stream.

mod blocks;
mod embedding;
mod embedding_bag;
mod texts;

use std::fmt;
use std::sync::Arc;

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::cudarc::cublas::sys::cublasStatus_t;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::cuda_backend::cudarc::driver::sys::CUresult;
use candle_core::cuda_backend::{CudaDType, CudaError, CudaStorageSlice};
use candle_core::{CudaDevice, CudaStorage, DType, Device, Error, Layout, Result, Shape, Tensor};
use cuda_kernels::{Download, Float32Products, FusedProducts, Gpu, Machine, Number};

use crate::processor::{DeviceError, DeviceProducts, Processor};

pub(crate) use blocks::{CudaLinear, CudaNorm, feed_forward, layer_norm, linear, self_attention};
pub(crate) use embedding::embedding;
pub(crate) use embedding_bag::CudaBag;
pub(crate) use texts::{CudaTermWeights, DeviceLengths, normalize, pooling, term_weights};

/// A device as Candle and as `cuda_kernels` know it; both use the same stream.
pub(crate) struct Cuda {
    gpu: Gpu,
    device: CudaDevice,
    /// Where [`DeviceProducts`] asks for it.
    fused_products: Option<FusedProducts>,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gpu.fmt(formatter)
    }
}

impl Cuda {
    /// The device of this number.
    ///
    /// # Errors
    /// As for [`crate::Processor::cuda`].
    pub(crate) fn open(number: usize, products: DeviceProducts) -> std::result::Result<Self, DeviceError> {
        let device_error = |error| refused(number, &wrap(error));
        let count = Gpu::count().map_err(device_error)?;
        if number >= count {
            let expected = if count == 1 { "\"cuda:0\"".to_owned() } else { format!("one of {count} CUDA devices") };
            return Err(DeviceError::new(format!("expected {expected}, found \"cuda:{number}\"")));
        }
        let device = CudaDevice::new_with_stream(number).map_err(|error| refused(number, &error))?;
        let gpu = Gpu::new(device.cuda_stream()).map_err(device_error)?;
        let fused_products = match products {
            DeviceProducts::Cublas => None,
            DeviceProducts::CublasLt => Some(gpu.fused_products(Float32Products::NotTaken).map_err(device_error)?),
            DeviceProducts::CublasLtTf32 => Some(gpu.fused_products(Float32Products::Tf32).map_err(device_error)?),
        };
        Ok(Self { gpu, device, fused_products })
    }

    /// The device as Candle's tensors name it.
    pub(crate) fn candle_device(&self) -> Device {
        Device::Cuda(self.device.clone())
    }

    /// All values of a storage, which must be of this device.
    fn slice<'a, T: CudaDType>(
        &self,
        storage: &'a CudaStorage,
        layout: &Layout,
        op: &'static str,
    ) -> Result<&'a CudaSlice<T>> {
        self.check(storage, layout, op)?;
        storage.as_cuda_slice()
    }

    /// [`Cuda::slice`], to be changed in place.
    fn slice_mut<'a, T: CudaDType>(
        &self,
        storage: &'a mut CudaStorage,
        layout: &Layout,
        op: &'static str,
    ) -> Result<&'a mut CudaSlice<T>> {
        self.check(storage, layout, op)?;
        storage.as_cuda_slice_mut()
    }

    /// Refuses storages of other devices and tensors that are a part of their storage.
    fn check(&self, storage: &CudaStorage, layout: &Layout, op: &'static str) -> Result<()> {
        if storage.device().id() != self.device.id() {
            return Err(Error::Msg(format!("{op}: expected a tensor of {self:?}, found one of another device")));
        }
        match layout.contiguous_offsets() {
            Some((0, _)) => Ok(()),
            _ => Err(Error::RequiresContiguous { op }),
        }
    }

    /// A slice as Candle's storage.
    fn storage<T: CudaDType>(&self, slice: CudaSlice<T>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(slice, self.device.clone())
    }

    /// A weight in the type of the activations, on the device.
    fn place(&self, values: &[f32], dtype: DType) -> Result<CudaStorage> {
        let tensor = Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)?;
        let (storage, _) = tensor.storage_and_layout();
        match &*storage {
            candle_core::Storage::Cpu(storage) => self.device.storage_from_cpu_storage(storage),
            _ => Err(Error::Msg("expected a tensor on the CPU".to_owned())),
        }
    }

    /// Parameters that stay float32.
    fn place_floats(&self, values: &[f32]) -> Result<CudaSlice<f32>> {
        self.gpu.upload(values).map_err(wrap)
    }

    /// An output whose values a kernel will write.
    fn reserve<T: Number>(&self, rows: usize, columns: usize) -> Result<CudaSlice<T>> {
        self.gpu.reserve(rows.saturating_mul(columns)).map_err(wrap)
    }

    /// A `[rows, columns]` result.
    fn result<T: CudaDType>(&self, slice: CudaSlice<T>, rows: usize, columns: usize) -> (CudaStorage, Shape) {
        (self.storage(slice), Shape::from((rows, columns)))
    }
}

/// `rows weight^T` by cuBLAS, with float32 sums: `[n, depth]` and `[width, depth]` to `[n, width]`.
fn product(rows: &CudaStorage, count: usize, weight: &CudaStorage, width: usize, depth: usize) -> Result<CudaStorage> {
    let left = Layout::contiguous((count, depth));
    let right = Layout::contiguous((width, depth)).transpose(0, 1)?;
    let multiply = || rows.matmul(weight, (1, count, width, depth), &left, &right);
    match multiply() {
        // As in `Gpu::reserve`: what earlier batches freed may come back only when they are done.
        Err(error) if out_of_memory(&error).is_some() => {
            rows.device().synchronize()?;
            multiply()
        }
        product => product,
    }
}

/// Begins to copy a float32 tensor of this device.
pub(crate) fn download(cuda: &Cuda, tensor: &Tensor) -> Result<Download> {
    let (storage, layout) = tensor.storage_and_layout();
    let candle_core::Storage::Cuda(storage) = &*storage else {
        return Err(Error::Msg(format!("expected a tensor of {cuda:?}, found one of the CPU")));
    };
    cuda.check(storage, layout, "download")?;
    // A copy within the device, which is little beside the one from it: Candle's tensor may be freed before that is done.
    let copy = storage.try_clone(layout)?;
    match copy.slice {
        CudaStorageSlice::F32(values) => cuda.gpu.begin_download(values).map_err(wrap),
        _ => Err(Error::UnsupportedDTypeForOp(storage.dtype(), "download")),
    }
}

/// Runs an expression with a type in place of the activations' type.
macro_rules! with_number {
    ($dtype:expr, $op:expr, |$number:ident| $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $number = f32;
                $body
            }
            candle_core::DType::F16 => {
                type $number = half::f16;
                $body
            }
            candle_core::DType::BF16 => {
                type $number = half::bf16;
                $body
            }
            dtype => Err(candle_core::Error::UnsupportedDTypeForOp(dtype, $op)),
        }
    };
}
pub(crate) use with_number;

/// What an operation keeps on the device it is made for; nothing for the CPU.
pub(crate) fn on_device<R>(
    processor: &Processor,
    make: impl FnOnce(&Arc<Cuda>) -> Result<R>,
) -> Result<Option<Arc<R>>> {
    Ok(processor.device().map(make).transpose()?.map(Arc::new))
}

/// What an operation keeps on its device.
///
/// # Errors
/// It was made for the CPU.
pub(crate) fn made_for_device<R>(kept: Option<&Arc<R>>) -> Result<&R> {
    let message = "expected an operation made for this device, found one made for the CPU";
    kept.map(AsRef::as_ref).ok_or_else(|| Error::Msg(message.to_owned()))
}

/// An error of a kernel as Candle's.
pub(crate) fn wrap(error: cuda_kernels::Error) -> Error {
    Error::Cuda(Box::new(error))
}

/// Why the device of this number cannot be opened.
fn refused(number: usize, error: &Error) -> DeviceError {
    match error {
        // With the variable RUST_BACKTRACE, whose lines are not for a message.
        Error::WithBacktrace { inner, .. } => refused(number, inner),
        _ => match out_of_memory(error) {
            Some(words) => DeviceError::OutOfMemory(words),
            None => DeviceError::new(format!("cuda:{number}: {error}")),
        },
    }
}

/// What was asked for, if an error of an operation says that the memory of a device did not suffice.
#[must_use]
pub fn out_of_memory(error: &Error) -> Option<String> {
    match error {
        Error::WithBacktrace { inner, .. } | Error::Context { inner, .. } => out_of_memory(inner),
        Error::Cuda(error) => {
            match error.downcast_ref() {
                Some(cuda_kernels::Error::OutOfMemory { bytes }) => {
                    return Some(format!("of the CUDA device: {bytes} bytes"));
                }
                Some(cuda_kernels::Error::OutOfPageLockedMemory { bytes }) => {
                    return Some(format!("that the CUDA device can copy to: {bytes} bytes"));
                }
                _ => {}
            }
            let of_candle = match error.downcast_ref()? {
                CudaError::Cuda(error) => error.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY,
                CudaError::Cublas(error) => error.0 == cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED,
                _ => false,
            };
            of_candle.then(|| "of the CUDA device for a batch".to_owned())
        }
        _ => None,
    }
}
