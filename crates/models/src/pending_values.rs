//! What a model was asked for, on its way from a device.

use candle_core::Tensor;

use crate::error::ModelError;

/// The values of a batch, which a device may still be computing; on the CPU they are there.
#[derive(Debug)]
pub struct PendingValues(ops::PendingValues);

impl PendingValues {
    /// Begins to bring the values of `tensor` back.
    pub(crate) fn of(processor: &ops::Processor, tensor: &Tensor) -> Result<Self, ModelError> {
        Ok(Self(ops::PendingValues::of(processor, tensor)?))
    }

    /// Waits for the values, row-major.
    ///
    /// # Errors
    /// The device failed.
    pub fn wait(self) -> Result<Vec<f32>, ModelError> {
        Ok(self.0.wait()?)
    }
}
