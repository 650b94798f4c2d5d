//! AVX2 has no products of narrow numbers with wide sums: pairs of bfloat16 are widened to float32, bytes to 16 bits.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cvtepi32_ps, _mm256_fmadd_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mullo_epi32, _mm256_set1_epi32, _mm256_slli_epi16, _mm256_slli_epi32,
    _mm256_srai_epi16, _mm256_srli_epi16,
};

use super::Dots;
use super::avx2::Avx2;
use crate::lane::LANES;

/// Intrinsics that touch registers only, or exactly the sixteen words behind a reference.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: an `Avx2` is made only where the processor has been seen to have the features; memory operands lie
        // within a reference to sixteen words, and the unaligned forms are used.
        unsafe { $call }
    };
}

/// Applies a function of 256-bit registers to both halves.
#[inline(always)]
fn both<A: Copy, B: Copy, C>(a: [A; 2], b: [B; 2], function: impl Fn(A, B) -> C) -> [C; 2] {
    [function(a[0], b[0]), function(a[1], b[1])]
}

impl Dots for Avx2 {
    type Words = [__m256i; 2];

    #[inline(always)]
    fn splat_word(self, value: u32) -> Self::Words {
        intrinsic!([_mm256_set1_epi32(value.cast_signed()); 2])
    }
    #[inline(always)]
    fn load_words(self, words: &[u32; LANES]) -> Self::Words {
        intrinsic!([_mm256_loadu_si256(words.as_ptr().cast()), _mm256_loadu_si256(words.as_ptr().add(8).cast())])
    }
    #[inline(always)]
    fn add_words(self, a: Self::Words, b: Self::Words) -> Self::Words {
        intrinsic!([_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])])
    }
    #[inline(always)]
    fn mul_words(self, a: Self::Words, b: Self::Words) -> Self::Words {
        intrinsic!([_mm256_mullo_epi32(a[0], b[0]), _mm256_mullo_epi32(a[1], b[1])])
    }
    #[inline(always)]
    fn words_to_floats(self, words: Self::Words) -> Self::Vector {
        intrinsic!([_mm256_cvtepi32_ps(words[0]), _mm256_cvtepi32_ps(words[1])])
    }
    #[inline(always)]
    fn dot_bfloat16(self, sums: Self::Vector, a: Self::Words, b: Self::Words) -> Self::Vector {
        let products = both(
            a,
            b,
            #[inline(always)]
            |a, b| {
                intrinsic!({
                    let high = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
                    let of_high = (_mm256_and_si256(a, high), _mm256_and_si256(b, high));
                    let of_low = (_mm256_slli_epi32::<16>(a), _mm256_slli_epi32::<16>(b));
                    [of_high, of_low].map(|(a, b)| (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)))
                })
            },
        );
        both(
            sums,
            products,
            #[inline(always)]
            |sum, [high, low]| intrinsic!(_mm256_fmadd_ps(low.0, low.1, _mm256_fmadd_ps(high.0, high.1, sum))),
        )
    }
    #[inline(always)]
    fn dot_int8(self, sums: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words {
        let products = both(
            a,
            b,
            #[inline(always)]
            |a, b| {
                intrinsic!({
                    // Even and odd bytes as 16-bit integers: zero-extended in the input, sign-extended in the weights.
                    let even = _mm256_madd_epi16(
                        _mm256_srli_epi16::<8>(_mm256_slli_epi16::<8>(a)),
                        _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(b)),
                    );
                    let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(a), _mm256_srai_epi16::<8>(b));
                    _mm256_add_epi32(even, odd)
                })
            },
        );
        self.add_words(sums, products)
    }
}
