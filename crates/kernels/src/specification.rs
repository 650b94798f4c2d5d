//! The kernels against the specification, and the specification against arithmetic in float64.
//!
//! Levels with fused multiply-add must give the specification's bits: the same kernels over plain `f32::mul_add` lanes. The
//! scalar level rounds products before adding them, so it gets a tolerance. Sizes are odd, slices start off
//! alignment, and values include zeros, denormals, infinities and NaN.

mod against_float64;
mod layer;
mod narrow_products;
mod same_bits;
mod sparse;
mod terms;
mod tile_products;

use crate::level::Level;

/// All levels, the specification and the emulated tiles among them.
fn every_level() -> Vec<Level> {
    Level::available().into_iter().chain([Level::specification(), Level::emulated_tiles()]).collect()
}

/// The levels whose multiply-add rounds once, but for those with matrix tiles, which sum in an order of their own.
fn fused_levels() -> Vec<Level> {
    Level::available().into_iter().filter(|level| *level != Level::scalar() && !level.has_tiles()).collect()
}

/// The levels with matrix tiles, the emulated one first.
fn tile_levels() -> Vec<Level> {
    let available = Level::available().into_iter().filter(|level| level.has_tiles());
    std::iter::once(Level::emulated_tiles()).chain(available).collect()
}

/// A reproducible stream of numbers in -1 to 1 (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let unit = f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX);
        (2.0 * unit - 1.0) as f32
    }

    fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}
