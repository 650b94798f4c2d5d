//! The first run of a model on a device.

use ops::{DeviceError, Processor, RaggedBatch};

use crate::error::ModelError;

/// Runs `model` once on a batch of one token if `processor` is a device: kernels are compiled and libraries started when a model is loaded,
/// not by its first call, and a device that cannot be used is refused then.
///
/// # Errors
/// [`ModelError::Device`] with what the device said, [`ModelError::OutOfMemory`].
pub(crate) fn try_device<R>(
    processor: &Processor,
    model: impl FnOnce(&RaggedBatch) -> Result<R, ModelError>,
) -> Result<(), ModelError> {
    if !processor.is_cuda() {
        return Ok(());
    }
    let batch = RaggedBatch::new(vec![0], vec![0, 1]).map_err(|error| DeviceError::new(error.to_string()))?;
    match model(&batch) {
        Err(ModelError::Tensor(error)) => Err(DeviceError::new(error.to_string()).into()),
        result => result.map(drop),
    }
}
