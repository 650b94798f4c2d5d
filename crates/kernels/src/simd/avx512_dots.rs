//! AVX-512 with and without VNNI and BF16. Without them pairs of bfloat16 are widened to float32, bytes to 16 bits.

use std::arch::x86_64::{
    __m256bh, __m256i, __m512bh, __m512i, _mm_storeu_si128, _mm256_storeu_si256, _mm512_add_epi32, _mm512_and_si512,
    _mm512_castsi512_ps, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtneps_pbh, _mm512_cvtps_epi32,
    _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_mullo_epi32,
    _mm512_set1_epi32, _mm512_slli_epi16, _mm512_slli_epi32, _mm512_srai_epi16, _mm512_srli_epi16,
};
use std::mem::transmute;

use super::Dots;
use super::avx512::{Avx512, BF16, VNNI};
use crate::bfloat16::bfloat16_bits;
use crate::lane::LANES;

/// Intrinsics that touch registers only, or exactly the sixteen values behind a reference.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: an `Avx512` is made only where the processor has been seen to have the features, those of its
        // `EXTENSIONS` included; memory operands are references to sixteen values of the width that is read or written,
        // and the unaligned forms are used. Transmutes are between 512-bit (256-bit) vector types, for which every
        // bit pattern is valid.
        unsafe { $call }
    };
}

impl<const EXTENSIONS: u8> Dots for Avx512<EXTENSIONS> {
    type Words = __m512i;

    #[inline(always)]
    fn splat_word(self, value: u32) -> __m512i {
        intrinsic!(_mm512_set1_epi32(value.cast_signed()))
    }
    #[inline(always)]
    fn load_words(self, words: &[u32; LANES]) -> __m512i {
        intrinsic!(_mm512_loadu_si512(words.as_ptr().cast()))
    }
    #[inline(always)]
    fn add_words(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsic!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn mul_words(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsic!(_mm512_mullo_epi32(a, b))
    }
    #[inline(always)]
    fn words_to_floats(self, words: __m512i) -> Self::Vector {
        intrinsic!(_mm512_cvtepi32_ps(words))
    }
    #[inline(always)]
    fn dot_bfloat16(self, sums: Self::Vector, a: __m512i, b: __m512i) -> Self::Vector {
        if EXTENSIONS >= BF16 {
            return intrinsic!(_mm512_dpbf16_ps(
                sums,
                transmute::<__m512i, __m512bh>(a),
                transmute::<__m512i, __m512bh>(b)
            ));
        }
        intrinsic!({
            let high = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
            let of_high = _mm512_fmadd_ps(
                _mm512_castsi512_ps(_mm512_and_si512(a, high)),
                _mm512_castsi512_ps(_mm512_and_si512(b, high)),
                sums,
            );
            let (a, b) = (_mm512_slli_epi32::<16>(a), _mm512_slli_epi32::<16>(b));
            _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), of_high)
        })
    }
    #[inline(always)]
    fn dot_int8(self, sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        if EXTENSIONS >= VNNI {
            return intrinsic!(_mm512_dpbusd_epi32(sums, a, b));
        }
        intrinsic!({
            // Even and odd bytes as 16-bit integers: zero-extended in the input, sign-extended in the weights.
            let even = _mm512_madd_epi16(
                _mm512_srli_epi16::<8>(_mm512_slli_epi16::<8>(a)),
                _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(b)),
            );
            let odd = _mm512_madd_epi16(_mm512_srli_epi16::<8>(a), _mm512_srai_epi16::<8>(b));
            _mm512_add_epi32(sums, _mm512_add_epi32(even, odd))
        })
    }
    #[inline(always)]
    fn to_bfloat16(self, vector: Self::Vector, halves: &mut [u16; LANES]) {
        if EXTENSIONS >= BF16 {
            intrinsic!(_mm256_storeu_si256(
                halves.as_mut_ptr().cast(),
                transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(vector))
            ));
        } else {
            let mut lanes = [0.0; LANES];
            super::Simd::store(self, vector, &mut lanes);
            for (half, lane) in halves.iter_mut().zip(lanes) {
                *half = bfloat16_bits(lane);
            }
        }
    }
    #[inline(always)]
    fn to_bytes(self, vector: Self::Vector, bytes: &mut [u8; LANES]) {
        intrinsic!(_mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(vector))));
    }
}
