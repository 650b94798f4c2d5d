//! Numbers to compute with, and how close results must be.

use cuda_kernels::{Machine, Number};
use half::{bf16, f16};

use crate::machine::{Emulation, Guarded};

/// A type of activations with its conversions and its precision.
pub(crate) trait Rounded: Number {
    /// Half of the distance of neighbours at 1, or, for float32, what different orders of a sum cost.
    const ROUNDING: f32;
    fn round(value: f32) -> Self;
    fn widen(self) -> f32;
}

impl Rounded for f32 {
    const ROUNDING: f32 = 2e-6;
    fn round(value: f32) -> Self {
        value
    }
    fn widen(self) -> f32 {
        self
    }
}

impl Rounded for f16 {
    const ROUNDING: f32 = 1.0 / 2048.0;
    fn round(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Rounded for bf16 {
    const ROUNDING: f32 = 1.0 / 256.0;
    fn round(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

/// A reproducible stream of numbers in -1 to 1 (xorshift, Marsaglia 2003).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn step(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 32
    }

    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    pub(crate) fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.step() as f32 / 2_147_483_648.0 - 1.0).collect()
    }

    /// Numbers of rows of a table of `below`.
    pub(crate) fn rows(&mut self, count: usize, below: u64) -> Vec<u32> {
        (0..count).map(|_| u32::try_from(self.step() % below).unwrap()).collect()
    }

    /// As [`Numbers::take`], rounded to `T`: on the machine, and as the float32 that the specification gets.
    pub(crate) fn upload<T: Rounded>(&mut self, machine: &Emulation, count: usize) -> (Guarded<T>, Vec<f32>) {
        let rounded: Vec<T> = self.take(count).into_iter().map(T::round).collect();
        (machine.upload(&rounded).unwrap(), rounded.into_iter().map(T::widen).collect())
    }
}

/// Holds what a kernel wrote to what the specification says, within `roundings` of `T`, absolute and relative.
pub(crate) fn assert_close<T: Rounded>(found: &Guarded<T>, expected: &[f32], roundings: f32, what: &str) {
    let found = Emulation::download(found);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (found, expected)) in found.into_iter().map(T::widen).zip(expected).enumerate() {
        let bound = roundings * T::ROUNDING * (1.0 + expected.abs());
        let close = (found - expected).abs() <= bound || found.is_nan() && expected.is_nan();
        assert!(close, "{what}: value {place}: expected {expected}, found {found} ({bound} allowed)");
    }
}

/// Calls a test for each type of numbers.
macro_rules! for_each_number {
    ($test:ident) => {
        if let Some(machine) = $crate::machine::emulation() {
            $test::<f32>(&machine);
            $test::<half::f16>(&machine);
            $test::<half::bf16>(&machine);
        }
    };
}
pub(crate) use for_each_number;
