//! Where an encoder was loaded, and who may use it there.

use std::process;

use crate::error::EncodeError;
use crate::options::Device;

/// The device that an encoder computes on, and the process that loaded it there.
#[derive(Debug, Clone, Copy)]
pub struct LoadedOn {
    device: Device,
    process: u32,
}

impl LoadedOn {
    /// That of an encoder which this process has loaded.
    #[must_use]
    pub fn by_this_process(device: Device) -> Self {
        Self { device, process: process::id() }
    }

    /// The name of the device: `cpu` or `cuda:N`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.device {
            Device::Cuda(number) => format!("cuda:{number}"),
            Device::Cpu | Device::Auto => "cpu".to_owned(),
        }
    }

    /// Checks that this process may use the device. A forked child has its parent's memory, which is all there is of an
    /// encoder on the CPU, but CUDA does not work in it.
    ///
    /// # Errors
    /// [`EncodeError::Device`] on a CUDA device, in another process than the one that loaded the encoder.
    pub fn check_process(&self) -> Result<(), EncodeError> {
        if self.device == Device::Cpu || self.process == process::id() {
            return Ok(());
        }
        Err(EncodeError::Device(format!(
            "expected the process that loaded the model on \"{}\", found one forked from it (hint: start processes with \
             \"spawn\", not \"fork\")",
            self.name()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_may_use_the_cpu_only() {
        for device in [Device::Cpu, Device::Cuda(1)] {
            assert!(LoadedOn::by_this_process(device).check_process().is_ok());
        }
        // What a child of process 0 would see.
        assert!(LoadedOn { device: Device::Cpu, process: 0 }.check_process().is_ok());
        let error = LoadedOn { device: Device::Cuda(1), process: 0 }.check_process().unwrap_err();
        let start =
            "device: expected the process that loaded the model on \"cuda:1\", found one forked from it (hint: ";
        assert!(error.to_string().starts_with(start), "{error}");
    }
}
