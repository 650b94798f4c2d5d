//! Products by cuBLASLt, which adds the bias and applies tanh GELU while the result is in registers.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys;
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DevicePtrMut};
use kernels::Activation;

use crate::error::Error;
use crate::gpu::memory_error;
use crate::machine::{check, size};
use crate::number::{Number, NumberKind};

/// What NVIDIA recommends for Hopper, in bytes; for others it recommends less.
const WORKSPACE: usize = 32 << 20;
/// cuBLAS's `CUBLAS_OP_T`, which cudarc has among the names of cuBLAS only.
const TRANSPOSED: i32 = 1;
const WHAT: &str = "cuBLASLt";

/// cuBLASLt on one device and one stream.
pub struct FusedProducts {
    handle: sys::cublasLtHandle_t,
    /// Used by one product after the other, since they are in one stream.
    workspace: CudaSlice<u8>,
    stream: Arc<CudaStream>,
    float32: Float32Products,
}

/// What becomes of float32 products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float32Products {
    /// They are left to Candle, whose products are the ones that were compared with the reference.
    NotTaken,
    /// Tensor cores read 10 bits of each operand's fraction.
    Tf32,
}

// SAFETY: a handle of cuBLASLt may be used by several threads at once, each with its own descriptors; the library says so.
unsafe impl Send for FusedProducts {}
// SAFETY: as above.
unsafe impl Sync for FusedProducts {}

impl fmt::Debug for FusedProducts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FusedProducts")
    }
}

impl Drop for FusedProducts {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and used by nothing but this value.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}

/// `activation(x * weight^T + bias)`: all that a product reads.
pub struct FusedLinear<'a, T> {
    /// `[width, depth]`.
    pub weight: &'a CudaSlice<T>,
    /// `[width]`, in the type of the activations: cuBLASLt takes no other.
    pub bias: &'a CudaSlice<T>,
    /// Identity or tanh GELU.
    pub activation: Activation,
}

impl FusedProducts {
    /// For products in `stream`.
    pub(crate) fn new(stream: &Arc<CudaStream>, float32: Float32Products) -> Result<Self, Error> {
        // SAFETY: the workspace is written before it is read, by cuBLASLt.
        let workspace = unsafe { stream.alloc(WORKSPACE) };
        let workspace =
            workspace.map_err(|error| memory_error("reserving memory of the CUDA device", WORKSPACE, error))?;
        let handle = result::create_handle().map_err(refused)?;
        Ok(Self { handle, workspace, stream: Arc::clone(stream), float32 })
    }

    /// Whether products of these numbers are taken, and cuBLASLt has what follows them. Its GELU is the tanh form; its `ReLU` would turn
    /// NaN into 0.
    #[must_use]
    pub fn takes(&self, number: NumberKind, activation: Activation) -> bool {
        let takes_number = number != NumberKind::Float32 || self.float32 == Float32Products::Tf32;
        takes_number && matches!(activation, Activation::Identity | Activation::GeluTanh)
    }

    /// `layer` of `rows` (`[count, depth]`) into `output` (`[count, width]`). False if cuBLASLt has no algorithm for these sizes or
    /// [`FusedProducts::takes`] says no: then nothing was done.
    ///
    /// # Errors
    /// The lengths do not agree, or the device refuses.
    pub fn linear<T: Number>(
        &self,
        layer: &FusedLinear<'_, T>,
        rows: &CudaSlice<T>,
        count: usize,
        output: &mut CudaSlice<T>,
    ) -> Result<bool, Error> {
        let (width, depth) = (layer.bias.len(), rows.len() / count.max(1));
        check(WHAT, "a weight", layer.weight.len(), width, depth)?;
        check(WHAT, "rows", rows.len(), count, depth)?;
        check(WHAT, "an output", output.len(), count, width)?;
        if !self.takes(T::KIND, layer.activation) || width == 0 || depth == 0 || count == 0 {
            return Ok(false);
        }
        let sums = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        let (kind, sums) = match T::KIND {
            NumberKind::Float32 => {
                (sys::cudaDataType_t::CUDA_R_32F, sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32)
            }
            NumberKind::Float16 => (sys::cudaDataType_t::CUDA_R_16F, sums),
            NumberKind::Bfloat16 => (sys::cudaDataType_t::CUDA_R_16BF, sums),
        };
        let [count, width, depth] = [size(WHAT, count)?, size(WHAT, width)?, size(WHAT, depth)?];
        // cuBLASLt's matrices are column-major: output^T = weight rows^T, of which `weight` is stored transposed.
        let weight_layout = Layout::new(kind, depth, width).map_err(refused)?;
        let rows_layout = Layout::new(kind, depth, count).map_err(refused)?;
        let output_layout = Layout::new(kind, width, count).map_err(refused)?;
        let (bias, _bias) = layer.bias.device_ptr(&self.stream);
        let product = Description::new(sums, epilogue(layer.activation), bias).map_err(refused)?;
        let preference = Preference::new(self.workspace.len()).map_err(refused)?;
        // SAFETY: all descriptors are alive, and describe slices whose lengths were checked.
        let found = unsafe {
            let [weight, rows, output] = [weight_layout.0, rows_layout.0, output_layout.0];
            result::get_matmul_algo_heuristic(self.handle, product.0, weight, rows, output, output, preference.0)
        };
        let algorithm = match found {
            Ok(found) => found.algo,
            Err(CublasError(
                sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED | sys::cublasStatus_t::CUBLAS_STATUS_INVALID_VALUE,
            )) => return Ok(false),
            Err(error) => return Err(refused(error)),
        };
        let (one, zero) = (1.0_f32, 0.0_f32);
        let (weight, _weight) = layer.weight.device_ptr(&self.stream);
        let (rows, _rows) = rows.device_ptr(&self.stream);
        let (output, _output) = output.device_ptr_mut(&self.stream);
        let (workspace, _workspace) = self.workspace.device_ptr(&self.stream);
        // SAFETY: as above. Only `output` and the workspace are written, in the stream in which all of them are used and freed; scalars are
        // read before the call returns; zero times what is in `output` is not read.
        unsafe {
            result::matmul(
                self.handle,
                product.0,
                (&raw const one).cast(),
                (&raw const zero).cast(),
                weight as *const c_void,
                weight_layout.0,
                rows as *const c_void,
                rows_layout.0,
                output as *const c_void,
                output_layout.0,
                output as *mut c_void,
                output_layout.0,
                &raw const algorithm,
                workspace as *mut c_void,
                self.workspace.len(),
                self.stream.cu_stream().cast(),
            )
        }
        .map_err(refused)?;
        Ok(true)
    }
}

fn epilogue(activation: Activation) -> sys::cublasLtEpilogue_t {
    match activation {
        Activation::GeluTanh => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_GELU_BIAS,
        _ => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS,
    }
}

fn refused(error: CublasError) -> Error {
    if error.0 == sys::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED {
        return Error::OutOfMemory { bytes: WORKSPACE };
    }
    Error::Device(format!("{WHAT}: {error}"))
}

/// The shape of a matrix, column-major without gaps.
struct Layout(sys::cublasLtMatrixLayout_t);

impl Layout {
    fn new(kind: sys::cudaDataType, rows: u32, columns: u32) -> Result<Self, CublasError> {
        result::create_matrix_layout(kind, rows.into(), columns.into(), rows.into()).map(Self)
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: made by `new`; the library copies what it keeps of it.
        let _ = unsafe { result::destroy_matrix_layout(self.0) };
    }
}

/// A product whose left matrix is stored transposed, with float32 sums, and what follows it.
struct Description(sys::cublasLtMatmulDesc_t);

impl Description {
    fn new(sums: sys::cublasComputeType_t, epilogue: sys::cublasLtEpilogue_t, bias: u64) -> Result<Self, CublasError> {
        use sys::cublasLtMatmulDescAttributes_t as Attribute;
        let description = Self(result::create_matmul_desc(sums, sys::cudaDataType_t::CUDA_R_32F)?);
        description.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &TRANSPOSED)?;
        description.set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
        description.set(Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
        Ok(description)
    }

    /// Sets an attribute to a value of the attribute's own size.
    fn set<V>(&self, attribute: sys::cublasLtMatmulDescAttributes_t, value: &V) -> Result<(), CublasError> {
        // SAFETY: the description is alive, and the library copies the value, whose size it is told.
        unsafe {
            result::set_matmul_desc_attribute(self.0, attribute, std::ptr::from_ref(value).cast(), size_of::<V>())
        }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: made by `new`; the library copies what it keeps of it.
        let _ = unsafe { result::destroy_matmul_desc(self.0) };
    }
}

/// How much workspace an algorithm may use.
struct Preference(sys::cublasLtMatmulPreference_t);

impl Preference {
    fn new(workspace: usize) -> Result<Self, CublasError> {
        let preference = Self(result::create_matmul_pref()?);
        let attribute = sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        // SAFETY: the preference is alive, and the library copies the value, a 64-bit number.
        unsafe {
            result::set_matmul_pref_attribute(
                preference.0,
                attribute,
                (&raw const workspace).cast(),
                size_of::<usize>(),
            )?;
        }
        Ok(preference)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        let _ = unsafe { result::destroy_matmul_pref(self.0) };
    }
}
