//! Memory in units of one vector: sixteen floats on a cache line of their own.

/// Logical lanes of a vector, at every level.
pub(crate) const LANES: usize = 16;

/// Sixteen float32 values, aligned so that a load never crosses a cache line (64 bytes).
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Lane(pub(crate) [f32; LANES]);

impl Lane {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}
