//! The device of an encoder: its name in Python, and which processes may use it.

use encoder::Device;
use pyo3::prelude::*;

use crate::errors::DeviceError;

/// Where an encoder computes, and the process that loaded it.
pub(crate) struct Home {
    device: Device,
    process: u32,
}

impl Home {
    /// That of an encoder loaded by this process.
    pub(crate) fn new(device: Device) -> Self {
        Self { device, process: std::process::id() }
    }

    /// "cpu" or "cuda:N".
    pub(crate) fn name(&self) -> String {
        match self.device {
            Device::Cuda(number) => format!("cuda:{number}"),
            Device::Cpu | Device::Auto => "cpu".to_owned(),
        }
    }

    /// Checks that this process may compute here.
    ///
    /// # Errors
    /// `DeviceError` in a child forked from the process that loaded the model on a GPU: the driver does not go with it.
    pub(crate) fn check_process(&self) -> PyResult<()> {
        if matches!(self.device, Device::Cuda(_)) && self.process != std::process::id() {
            return Err(DeviceError::new_err(format!(
                "device: expected the process that loaded the model on \"{}\", found one forked from it (hint: start processes \
                 with \"spawn\": multiprocessing.get_context(\"spawn\"))",
                self.name()
            )));
        }
        Ok(())
    }
}
