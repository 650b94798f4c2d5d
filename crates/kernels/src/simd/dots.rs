//! Products of narrow numbers in 32-bit lanes: pairs of bfloat16, groups of four 8-bit integers.

use super::Simd;
use crate::bfloat16::bfloat16_bits;
use crate::lane::LANES;

/// What a level adds to [`Simd`] for weights in 16 and 8 bits. A word is one of sixteen 32-bit lanes; the first value of a group
/// is in its low bits.
pub(crate) trait Dots: Simd {
    /// Sixteen words.
    type Words: Copy;

    fn splat_word(self, value: u32) -> Self::Words;
    fn load_words(self, words: &[u32; LANES]) -> Self::Words;
    /// Sums and products of 32-bit integers that do not overflow.
    fn add_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn mul_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Signed words as float32, rounded to nearest.
    fn words_to_floats(self, words: Self::Words) -> Self::Vector;

    /// `sums + a[1] * b[1]`, rounded, `+ a[0] * b[0]`, rounded, of pairs of bfloat16. The products are exact. Denormal
    /// operands and results may be taken for zero.
    fn dot_bfloat16(self, sums: Self::Vector, a: Self::Words, b: Self::Words) -> Self::Vector;
    /// `sums + a[0] * b[0] + .. + a[3] * b[3]` of bytes, `a` unsigned and `b` signed.
    fn dot_int8(self, sums: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;

    /// Rounds to the nearest bfloat16, halves to even; denormals become zero.
    #[inline(always)]
    fn to_bfloat16(self, vector: Self::Vector, halves: &mut [u16; LANES]) {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        for (half, lane) in halves.iter_mut().zip(lanes) {
            *half = bfloat16_bits(lane);
        }
    }

    /// Whole numbers from -128 to 255 as bytes, negative ones in two's complement.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range by contract")]
    fn to_bytes(self, vector: Self::Vector, bytes: &mut [u8; LANES]) {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        for (byte, lane) in bytes.iter_mut().zip(lanes) {
            *byte = lane as i32 as u8;
        }
    }
}

/// A kernel that needs [`Dots`]; otherwise as [`Kernel`](super::Kernel).
pub(crate) trait DotKernel {
    type Output;
    fn run<S: Dots>(self, simd: S) -> Self::Output;
}
