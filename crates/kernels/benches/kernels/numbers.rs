//! Reproducible inputs.

/// Numbers in -1 to 1 (xorshift, Marsaglia 2003).
pub(crate) struct Numbers(u64);

impl Numbers {
    /// A stream of its own for each seed.
    pub(crate) fn new(seed: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed as u64)
    }

    /// The next `count` numbers.
    pub(crate) fn take(&mut self, count: usize) -> Vec<f32> {
        let next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}
