//! The types of numbers in a device's memory.

#[cfg(feature = "cuda")]
use cudarc::driver::DeviceRepr;
use half::{bf16, f16};

/// What the driver's own trait asks for; without the feature `cuda` there is no driver to ask.
#[cfg(not(feature = "cuda"))]
pub trait DeviceRepr {}

#[cfg(not(feature = "cuda"))]
impl<T: Element> DeviceRepr for T {}

/// A type that a slice of a device's memory can have. Every pattern of its bits is a value.
pub trait Element: DeviceRepr + Copy + Default + 'static {}

impl Element for u32 {}
impl Element for f32 {}
impl Element for f16 {}
impl Element for bf16 {}

/// A type that activations are stored in.
pub trait Number: Element {
    /// Its name.
    const KIND: NumberKind;
}

/// The names of the types of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary16.
    Float16,
    /// The upper half of a float32.
    Bfloat16,
}

impl NumberKind {
    /// What numbers.cuh looks for.
    pub(crate) fn definition(self) -> &'static str {
        match self {
            Self::Float32 => "NUMBER_FLOAT32",
            Self::Float16 => "NUMBER_FLOAT16",
            Self::Bfloat16 => "NUMBER_BFLOAT16",
        }
    }
}

impl Number for f32 {
    const KIND: NumberKind = NumberKind::Float32;
}

impl Number for f16 {
    const KIND: NumberKind = NumberKind::Float16;
}

impl Number for bf16 {
    const KIND: NumberKind = NumberKind::Bfloat16;
}
