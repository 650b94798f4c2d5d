//! The values of a tensor, brought to the caller without holding up a device.

use candle_core::{DType, Result, Tensor};

use crate::processor::Processor;

/// Values that are on their way from a device, or there.
#[derive(Debug)]
pub struct PendingValues(Place);

#[derive(Debug)]
enum Place {
    Here(Vec<f32>),
    #[cfg(feature = "cuda")]
    OnCuda(cuda_kernels::Download),
}

impl PendingValues {
    /// Begins to bring the values of `tensor` here, in float32. A device copies them when it has computed them, beside what it computes next.
    ///
    /// # Errors
    /// `tensor` is of another device, or there is no memory.
    pub fn of(processor: &Processor, tensor: &Tensor) -> Result<Self> {
        let tensor = tensor.to_dtype(DType::F32)?;
        #[cfg(feature = "cuda")]
        if let Some(cuda) = processor.device() {
            return Ok(Self(Place::OnCuda(crate::cuda::download(cuda, &tensor)?)));
        }
        if processor.is_cuda() != tensor.device().is_cuda() {
            return Err(candle_core::Error::Msg(
                "expected a tensor of this processor, found one of another".to_owned(),
            ));
        }
        Ok(Self(Place::Here(tensor.flatten_all()?.to_vec1()?)))
    }

    /// Waits for the values, row-major.
    ///
    /// # Errors
    /// The device failed.
    pub fn wait(self) -> Result<Vec<f32>> {
        match self.0 {
            Place::Here(values) => Ok(values),
            #[cfg(feature = "cuda")]
            Place::OnCuda(download) => download.wait().map_err(crate::cuda::wrap),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use kernels::Level;

    #[test]
    fn values_of_the_cpu_are_there() {
        let tensor = Tensor::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0], (2, 2), &Device::Cpu).unwrap();
        let pending = PendingValues::of(&Level::detected().into(), &tensor.t().unwrap()).unwrap();
        assert_eq!(pending.wait().unwrap(), [1.0, 3.0, 2.0, 4.0]);
    }
}
