//! Sixteen logical float32 lanes, the same at every level.
//!
//! A kernel is generic over [`Simd`] and compiled once a level inside a function that enables the level's
//! features. A value of a level's type is the proof that the processor has them: only [`Level`] makes one.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_dots;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_dots;
mod dots;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_dots;
pub(crate) mod scalar;
mod scalar_dots;
mod tiles;

pub(crate) use dots::{DotKernel, Dots};
#[cfg(any(test, feature = "emulated-tiles"))]
pub(crate) use tiles::EmulatedTiles;
pub(crate) use tiles::{BLOCK, BLOCK_LINES, TILE, TileKernel, TileProduct, Tiles};

use crate::lane::{LANES, Lane};

/// `1.5 * 2^23 + 127`. Added to a number of small size, it rounds it to a whole `n`, halves to even, and leaves `n + 127` in the
/// lowest bits, where `n`'s power of two has its exponent 23 bits higher.
pub(crate) const EXPONENT_SHIFT: f32 = 12_583_039.0;

/// One level's operations on a vector of sixteen float32 lanes.
///
/// All operations are lane-wise IEEE 754 float32, rounded once. `max` and `min` return their second operand where either
/// is NaN or both are zero, as x86 does.
pub(crate) trait Simd: Copy {
    /// Sixteen lanes.
    type Vector: Copy;
    /// Rows of the output tile that the registers hold.
    const TILE_ROWS: usize;
    /// Vectors a packed weight panel is wide; with `TILE_ROWS` this is the output tile.
    const PANEL_VECTORS: usize;

    fn splat(self, value: f32) -> Self::Vector;
    fn load(self, values: &[f32; LANES]) -> Self::Vector;
    /// Sixteen finite IEEE 754 binary16 numbers, given by their bits, as float32: exact.
    #[inline(always)]
    fn load_f16(self, bits: &[u16; LANES]) -> Self::Vector {
        self.load(&std::array::from_fn(|lane| scalar::f32_of_f16(bits[lane])))
    }
    fn store(self, vector: Self::Vector, values: &mut [f32; LANES]);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once (twice at the scalar level).
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// To the nearest integer, halves to even.
    fn round(self, a: Self::Vector) -> Self::Vector;
    /// `2^n` for whole `n` in -126 to 127, given as `n + EXPONENT_SHIFT`. Other lanes are unspecified.
    fn exp2_shifted(self, shifted: Self::Vector) -> Self::Vector;
    /// The whole `n` with `2^n <= a < 2^(n + 1)` for positive, normal, finite `a`. Other lanes are unspecified.
    fn exponent(self, a: Self::Vector) -> Self::Vector;
    /// `if a < b { then } else { otherwise }` in each lane.
    fn select_less(self, a: Self::Vector, b: Self::Vector, then: Self::Vector, otherwise: Self::Vector)
    -> Self::Vector;

    /// Whether `a < b` in every lane; not so where either is NaN.
    #[inline(always)]
    fn all_less(self, a: Self::Vector, b: Self::Vector) -> bool {
        let (mut left, mut right) = ([0.0; LANES], [0.0; LANES]);
        self.store(a, &mut left);
        self.store(b, &mut right);
        left.iter().zip(right).all(|(a, b)| *a < b)
    }

    /// Adds `value`, wrapping, to the entries of `block` whose bit in `mask` is set.
    #[inline(always)]
    fn add_where(self, block: &mut [u16; 64], mask: u64, value: u16) {
        for (bit, entry) in block.iter_mut().enumerate() {
            *entry = entry.wrapping_add(if mask >> bit & 1 == 1 { value } else { 0 });
        }
    }

    /// One bit for each entry of `block` that is at least `limit`, which is above 0.
    #[inline(always)]
    fn at_least(self, block: &[u16; 64], limit: u16) -> u64 {
        // The largest first, in one pass without branches: few blocks have an entry that is large enough.
        if block.iter().fold(0, |largest, &entry| largest.max(entry)) < limit {
            return 0;
        }
        block.iter().zip(0..).fold(0, |mask, (&entry, bit)| mask | u64::from(entry >= limit) << bit)
    }

    /// Loads up to sixteen values and fills the lanes beyond them.
    #[inline(always)]
    fn load_partial(self, values: &[f32], fill: f32) -> Self::Vector {
        let mut lanes = [fill; LANES];
        lanes[..values.len()].copy_from_slice(values);
        self.load(&lanes)
    }

    /// Stores the first `values.len()` lanes.
    #[inline(always)]
    fn store_partial(self, vector: Self::Vector, values: &mut [f32]) {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        values.copy_from_slice(&lanes[..values.len()]);
    }

    /// Swaps rows and columns.
    #[inline(always)]
    fn transpose(self, rows: &[[u32; LANES]; LANES]) -> [[u32; LANES]; LANES] {
        std::array::from_fn(
            #[inline(always)]
            |column| rows.map(|row| row[column]),
        )
    }

    #[inline(always)]
    fn load_lane(self, lane: &Lane) -> Self::Vector {
        self.load(&lane.0)
    }

    /// The sum of the lanes, halved until one is left: lane i with lane i + 8, then + 4, + 2, + 1.
    #[inline(always)]
    fn sum_lanes(self, vector: Self::Vector) -> f32 {
        fold_lanes(self, vector, |a, b| a + b)
    }

    /// The largest lane, in the order of [`Simd::sum_lanes`].
    #[inline(always)]
    fn max_lanes(self, vector: Self::Vector) -> f32 {
        fold_lanes(self, vector, |a, b| if a > b { a } else { b })
    }
}

#[inline(always)]
fn fold_lanes<S: Simd>(simd: S, vector: S::Vector, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    simd.store(vector, &mut lanes);
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = combine(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// A kernel with its arguments, ready to run at any level.
///
/// `run` and everything it calls per element must be `#[inline(always)]`: code that is not inlined into the
/// level's entry function is compiled without the level's features.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}
