//! Which processor a model is loaded for, and in which numbers.

use models::{Dtype, Level, ModelError, Processor};

use crate::error::EncodeError;
use crate::options::{Device, DtypeChoice, LoadOptions};

/// What `options` choose on this machine.
///
/// # Errors
/// [`EncodeError::Device`] for a device that is not there or cannot be used, [`EncodeError::Dtype`] for a dtype that it does not have.
pub(crate) fn choose(options: &LoadOptions) -> Result<(Processor, Device, Dtype), EncodeError> {
    let level = Level::selected().map_err(ModelError::from)?;
    let processor = match options.device {
        Device::Cpu => level.into(),
        Device::Cuda(number) => Processor::cuda(level, number, options.products).map_err(ModelError::from)?,
        Device::Auto => Processor::automatic(level, options.products),
    };
    let device = match (processor.is_cuda(), options.device) {
        (false, _) => Device::Cpu,
        (true, Device::Cuda(number)) => Device::Cuda(number),
        (true, _) => Device::Cuda(0),
    };
    let dtype = match options.dtype {
        DtypeChoice::Fixed(dtype) => dtype,
        DtypeChoice::Automatic => Dtype::automatic(&processor),
    };
    if !dtype.runs_on(&processor) {
        let expected = if processor.is_cuda() { DtypeChoice::NAMES_ON_CUDA } else { DtypeChoice::NAMES };
        return Err(EncodeError::Dtype { expected, found: dtype.name() });
    }
    Ok((processor, device, dtype))
}
