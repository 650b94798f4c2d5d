//! What can go wrong on a device.

/// A kernel that cannot be compiled or launched, or memory that there is not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Lengths do not agree: a bug of the caller.
    #[error("{kernel}: expected {expected}, found {found}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// What would have been right.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A size that the kernels are not made for.
    #[error("{what}: expected at most {most} on a CUDA device, found {found}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The largest.
        most: usize,
        /// What was given.
        found: usize,
    },
    /// The compiler is not there.
    #[error("cannot load the CUDA run-time compiler {library}: {message} (hint: install nvidia-cuda-nvrtc)")]
    NoCompiler {
        /// Its name.
        library: String,
        /// The system's words.
        message: String,
    },
    /// The compiler refuses a kernel.
    #[error("the CUDA run-time compiler cannot compile {kernel} for {architecture}: {log}")]
    Compile {
        /// The kernel.
        kernel: &'static str,
        /// Such as `sm_90`.
        architecture: String,
        /// Its words.
        log: String,
    },
    /// The device has too little free memory.
    #[error("of the device for {bytes} bytes")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// The machine does not give the device so much of its memory.
    #[error("of the machine for {bytes} page-locked bytes")]
    OutOfPageLockedMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// The device or its driver.
    #[error("{0}")]
    Device(String),
}
