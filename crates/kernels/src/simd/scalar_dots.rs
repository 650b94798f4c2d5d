//! The specification of narrow products.

use super::scalar::Scalar;
use super::{Dots, Simd};
use crate::bfloat16::bfloat16_value;
use crate::lane::LANES;

#[inline(always)]
fn words(value: impl Fn(usize) -> u32) -> [u32; LANES] {
    std::array::from_fn(value)
}

/// The bfloat16 in the low half of each word, and in the high half.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
#[inline(always)]
fn halves(words: [u32; LANES]) -> [[f32; LANES]; 2] {
    [words.map(|word| bfloat16_value(word as u16)), words.map(|word| bfloat16_value((word >> 16) as u16))]
}

impl<const FUSED: bool> Dots for Scalar<FUSED> {
    type Words = [u32; LANES];

    #[inline(always)]
    fn splat_word(self, value: u32) -> Self::Words {
        [value; LANES]
    }
    #[inline(always)]
    fn load_words(self, words: &[u32; LANES]) -> Self::Words {
        *words
    }
    #[inline(always)]
    fn add_words(self, a: Self::Words, b: Self::Words) -> Self::Words {
        words(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn mul_words(self, a: Self::Words, b: Self::Words) -> Self::Words {
        words(|i| a[i].wrapping_mul(b[i]))
    }
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "rounded to nearest by contract")]
    fn words_to_floats(self, words: Self::Words) -> Self::Vector {
        words.map(|word| word.cast_signed() as f32)
    }
    #[inline(always)]
    fn dot_bfloat16(self, sums: Self::Vector, a: Self::Words, b: Self::Words) -> Self::Vector {
        let ([a_low, a_high], [b_low, b_high]) = (halves(a), halves(b));
        self.mul_add(a_low, b_low, self.mul_add(a_high, b_high, sums))
    }
    #[inline(always)]
    fn dot_int8(self, sums: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words {
        words(|i| {
            let products = a[i].to_le_bytes().into_iter().zip(b[i].to_le_bytes());
            let sum = products.map(|(a, b)| i32::from(a) * i32::from(b.cast_signed())).sum::<i32>();
            sums[i].wrapping_add(sum.cast_unsigned())
        })
    }
}
