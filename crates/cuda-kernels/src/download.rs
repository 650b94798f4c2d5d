//! Copies from a device that wait for nothing but what they copy.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{CUevent_flags, CUresult};
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DriverError, PinnedHostSlice};

use crate::error::Error;
use crate::gpu::driver_error;

/// Unused buffers that are kept: as many as a call has batches on the way.
const KEPT_BUFFERS: usize = 4;
/// The smallest buffer in values: 64 KiB.
const LEAST_VALUES: usize = 1 << 14;
/// Ordinary memory of the machine: the other kinds are slow to read.
const NO_FLAGS: u32 = 0;
const WHAT: &str = "copying from the CUDA device";

/// A stream for copies, which run beside the kernels of another, and page-locked memory, to which alone a device copies by itself.
#[derive(Debug)]
pub(crate) struct Downloads {
    stream: Arc<CudaStream>,
    buffers: Arc<Buffers>,
}

/// Page-locked buffers that nothing uses; to get and to release one takes the system about as long as a batch.
#[derive(Default)]
struct Buffers(Mutex<Vec<PinnedHostSlice<f32>>>);

impl fmt::Debug for Buffers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Buffers")
    }
}

/// A copy that is under way. Whoever drops it waits for it.
pub struct Download {
    /// What is copied: until then its memory must not go to kernels, which know nothing of this copy.
    slice: CudaSlice<f32>,
    /// None once it was given back.
    buffer: Option<PinnedHostSlice<f32>>,
    buffers: Arc<Buffers>,
    copied: CudaEvent,
}

impl fmt::Debug for Download {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Download({} values)", self.slice.len())
    }
}

impl Downloads {
    /// Beside `kernels`, on the same device.
    pub(crate) fn new(kernels: &CudaStream) -> Result<Self, DriverError> {
        Ok(Self { stream: kernels.context().new_stream()?, buffers: Arc::default() })
    }

    /// Begins to copy `slice` once everything asked of `kernels`, its stream, is done.
    pub(crate) fn begin(&self, kernels: &CudaStream, slice: CudaSlice<f32>) -> Result<Download, Error> {
        let refused = |error| driver_error(WHAT, error);
        // A thread that waits for it sleeps: processors are for the tokenizer.
        let copied = kernels.context().new_event(Some(CUevent_flags::CU_EVENT_BLOCKING_SYNC)).map_err(refused)?;
        let buffer = Some(self.buffers.take(kernels, slice.len())?);
        let mut download = Download { slice, buffer, buffers: Arc::clone(&self.buffers), copied };
        let copy = |download: &mut Download| -> Result<(), DriverError> {
            self.stream.join(kernels)?;
            if let Some(values) = download.buffer.as_mut() {
                let values = values.as_mut_slice()?;
                // To a plain slice cudarc starts the copy and returns; `Download` keeps both sides until it is done.
                if let Some(values) = values.get_mut(..download.slice.len()) {
                    self.stream.memcpy_dtoh(&download.slice, values)?;
                }
            }
            download.copied.record(&self.stream)
        };
        if let Err(error) = copy(&mut download) {
            // Perhaps begun, and without an event to wait for.
            let _ = self.stream.synchronize();
            return Err(refused(error));
        }
        Ok(download)
    }
}

impl Download {
    /// Waits for the values.
    ///
    /// # Errors
    /// The device failed in the copy or before it.
    pub fn wait(mut self) -> Result<Vec<f32>, Error> {
        let refused = |error| driver_error(WHAT, error);
        self.copied.synchronize().map_err(refused)?;
        let Some(buffer) = self.buffer.take() else { return Ok(Vec::new()) };
        let values = buffer.as_slice().map_err(refused)?.get(..self.slice.len()).unwrap_or_default().to_vec();
        self.buffers.give_back(buffer);
        Ok(values)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // After `wait` this returns at once. A device that failed is not writing any more either.
        let _ = self.copied.synchronize();
        if let Some(buffer) = self.buffer.take() {
            self.buffers.give_back(buffer);
        }
    }
}

impl Buffers {
    /// The smallest buffer of at least `values` that nothing uses, or a new one.
    fn take(&self, stream: &CudaStream, values: usize) -> Result<PinnedHostSlice<f32>, Error> {
        let mut unused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = unused.iter().enumerate().filter(|(_, buffer)| buffer.len() >= values);
        if let Some((place, _)) = fitting.min_by_key(|(_, buffer)| buffer.len()) {
            return Ok(unused.swap_remove(place));
        }
        // Whatever is there is too small for such batches.
        let too_small = mem::take(&mut *unused);
        drop(unused);
        drop(too_small);
        let bytes = values.saturating_mul(size_of::<f32>());
        let no_memory = Error::OutOfPageLockedMemory { bytes };
        let Some(size) =
            values.max(LEAST_VALUES).checked_next_power_of_two().filter(|size| *size < isize::MAX as usize / 8)
        else {
            return Err(no_memory);
        };
        // SAFETY: every pattern of bits is a float32.
        match unsafe { stream.context().alloc_pinned_with_flags(size, NO_FLAGS) } {
            Ok(buffer) => Ok(buffer),
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => Err(no_memory),
            Err(error) => Err(driver_error("reserving page-locked memory", error)),
        }
    }

    fn give_back(&self, buffer: PinnedHostSlice<f32>) {
        let mut unused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < KEPT_BUFFERS {
            unused.push(buffer);
            return;
        }
        drop(unused);
        drop(buffer);
    }
}
