//! A CUDA device.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{CUmemPool_attribute_enum, CUresult, cuDeviceGetDefaultMemPool, cuMemPoolSetAttribute};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DriverError, LaunchConfig, PushKernelArg,
};

use crate::download::{Download, Downloads};
use crate::error::Error;
use crate::fused_product::{Float32Products, FusedProducts};
use crate::machine::{Argument, Launch, Machine, check};
use crate::number::Element;
use crate::nvrtc::Nvrtc;
use crate::program::Program;

/// The oldest compute capability: Ampere, which brought bfloat16 to the tensor cores.
pub const OLDEST_CAPABILITY: (i32, i32) = (8, 0);

/// Free memory of the device that is kept for the next batch, in bytes. Without it the driver would give memory back to the system at
/// the end of each batch, and map it anew for the next.
const KEPT_MEMORY: u64 = 1 << 30;

/// A device and one of its streams, in which everything but downloads runs in the order in which it was asked for.
pub struct Gpu {
    stream: Arc<CudaStream>,
    downloads: Downloads,
    /// Such as `sm_90`.
    architecture: String,
    compiler: Nvrtc,
    functions: Mutex<HashMap<Program, CudaFunction>>,
    id: u64,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Gpu({}, {})", self.stream.context().ordinal(), self.architecture)
    }
}

impl Gpu {
    /// Number of devices that the driver finds.
    ///
    /// # Errors
    /// [`Error::Device`] where there is no driver that works.
    pub fn count() -> Result<usize, Error> {
        let count = CudaContext::device_count().map_err(|error| driver_error("finding CUDA devices", error))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The device of `stream`, which must be used by nothing but this value and slices of it.
    ///
    /// # Errors
    /// The device is older than [`OLDEST_CAPABILITY`], or there is no compiler.
    pub fn new(stream: Arc<CudaStream>) -> Result<Self, Error> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let context = stream.context();
        let describe = |error| driver_error("describing the CUDA device", error);
        let (major, minor) = context.compute_capability().map_err(describe)?;
        if (major, minor) < OLDEST_CAPABILITY {
            let name = context.name().map_err(describe)?;
            let (least, part) = OLDEST_CAPABILITY;
            return Err(Error::Device(format!(
                "{name}: expected a compute capability of at least {least}.{part}, found {major}.{minor}"
            )));
        }
        // SAFETY: events would order the uses of memory by several streams. Every slice here belongs to one stream for its whole life:
        // `upload` and `reserve` make it there, kernels run there, and it is freed there. A download, the one thing in another stream, has
        // events of its own and keeps its slice until they say that it is done.
        unsafe { context.disable_event_tracking() };
        keep_memory(context).map_err(|error| driver_error("setting up the memory of the CUDA device", error))?;
        Ok(Self {
            architecture: format!("sm_{major}{minor}"),
            compiler: Nvrtc::find()?,
            downloads: Downloads::new(&stream).map_err(|error| driver_error("setting up the CUDA device", error))?,
            functions: Mutex::default(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            stream,
        })
    }

    /// Another number for each value of this type.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Copies `slice` into `output`, of as many elements, once everything asked for before is done.
    ///
    /// # Errors
    /// The lengths differ, or the device failed in the copy or before it.
    pub fn download<T: Element>(&self, slice: &CudaSlice<T>, output: &mut [T]) -> Result<(), Error> {
        check("download", "an output", output.len(), slice.len(), 1)?;
        if output.is_empty() {
            return Ok(());
        }
        let copied = self.stream.memcpy_dtoh(slice, output).and_then(|()| self.stream.synchronize());
        copied.map_err(|error| driver_error("copying from the CUDA device", error))
    }

    /// Begins to copy `slice`, of this device, to the machine's memory, once everything asked for before is done and beside what is asked
    /// for after.
    ///
    /// # Errors
    /// There is no page-locked memory, or the device refuses.
    pub fn begin_download(&self, slice: CudaSlice<f32>) -> Result<Download, Error> {
        self.downloads.begin(&self.stream, slice)
    }

    /// cuBLASLt in the stream of this value.
    ///
    /// # Errors
    /// There is no memory for its workspace.
    pub fn fused_products(&self, float32: Float32Products) -> Result<FusedProducts, Error> {
        FusedProducts::new(&self.stream, float32)
    }

    /// The compiled kernel of a program, compiled on first use.
    fn function(&self, program: &Program) -> Result<CudaFunction, Error> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(program) {
            return Ok(function.clone());
        }
        let code = self.compiler.compile(program, &self.architecture)?;
        let name = program.kernel().name();
        let load = || -> Result<CudaFunction, DriverError> {
            self.stream.context().load_module(cudarc::nvrtc::Ptx::from_binary(code))?.load_function(name)
        };
        let function = load().map_err(|error| driver_error(name, error))?;
        functions.insert(program.clone(), function.clone());
        Ok(function)
    }
}

/// Sets [`KEPT_MEMORY`].
fn keep_memory(context: &CudaContext) -> Result<(), DriverError> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut pool = std::ptr::null_mut();
    let mut bytes = KEPT_MEMORY;
    let attribute = CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the context keeps its device open; the pool is written before it is read, and this attribute is a 64-bit number.
    unsafe {
        cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device()).result()?;
        cuMemPoolSetAttribute(pool, attribute, (&raw mut bytes).cast()).result()
    }
}

/// What the driver said while it did something.
pub(crate) fn driver_error(what: &str, error: DriverError) -> Error {
    let name = error.error_name().map(|name| name.to_string_lossy().into_owned());
    Error::Device(format!("{what}: {} ({error})", name.unwrap_or_else(|_| format!("error {}", error.0 as u32))))
}

/// As [`driver_error`], where memory was asked for.
pub(crate) fn memory_error(what: &str, bytes: usize, error: DriverError) -> Error {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::OutOfMemory { bytes },
        _ => driver_error(what, error),
    }
}

impl Machine for Gpu {
    type Slice<T: Element> = CudaSlice<T>;

    fn len<T: Element>(slice: &CudaSlice<T>) -> usize {
        slice.len()
    }

    fn address<T: Element>(&self, slice: &CudaSlice<T>) -> u64 {
        slice.device_ptr(&self.stream).0
    }

    fn address_mut<T: Element>(&self, slice: &mut CudaSlice<T>) -> u64 {
        slice.device_ptr_mut(&self.stream).0
    }

    fn upload<T: Element>(&self, values: &[T]) -> Result<CudaSlice<T>, Error> {
        let mut slice = self.reserve(values.len())?;
        if !values.is_empty() {
            let copied = self.stream.memcpy_htod(values, &mut slice);
            copied.map_err(|error| driver_error("copying to the CUDA device", error))?;
        }
        Ok(slice)
    }

    fn reserve<T: Element>(&self, len: usize) -> Result<CudaSlice<T>, Error> {
        const WHAT: &str = "reserving memory of the CUDA device";
        let Some(bytes) = len.checked_mul(size_of::<T>()) else { return Err(Error::OutOfMemory { bytes: usize::MAX }) };
        if bytes == 0 {
            return self.stream.null().map_err(|error| driver_error(WHAT, error));
        }
        // SAFETY: every pattern of bits is a value of an element.
        let reserve = || unsafe { self.stream.alloc(len) };
        let reserved = match reserve() {
            // What earlier batches freed may come back only when they are done.
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => self.stream.synchronize().and_then(|()| reserve()),
            reserved => reserved,
        };
        reserved.map_err(|error| memory_error(WHAT, bytes, error))
    }

    unsafe fn launch(&self, launch: &Launch) -> Result<(), Error> {
        let function = self.function(&launch.program)?;
        let mut builder = self.stream.launch_builder(&function);
        for argument in &launch.arguments {
            match argument {
                Argument::Address(address) => builder.arg(address),
                Argument::Unsigned(value) => builder.arg(value),
                Argument::Float(value) => builder.arg(value),
            };
        }
        let [grid, block] = [launch.grid, launch.block].map(<(u32, u32, u32)>::from);
        let config = LaunchConfig { grid_dim: grid, block_dim: block, shared_mem_bytes: 0 };
        // SAFETY: as the caller promises; the slices behind the addresses are freed in this stream, so after the kernel.
        unsafe { builder.launch(config) }.map(drop).map_err(|error| driver_error(launch.program.kernel().name(), error))
    }
}
