//! Memory in units of one vector: sixteen 32-bit values on a cache line of their own.

/// Logical lanes of a vector, at every level.
pub(crate) const LANES: usize = 16;

/// Sixteen float32 values, or sixteen groups of narrower ones, aligned so that a load never crosses a cache line
/// (64 bytes).
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Lane<T = f32>(pub(crate) [T; LANES]);

impl Lane<f32> {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

impl Lane<u32> {
    pub(crate) const ZERO_WORDS: Self = Self([0; LANES]);
}
