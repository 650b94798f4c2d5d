//! AVX2 with FMA: two 256-bit registers a vector.

use std::arch::x86_64::{
    __m128i, __m256, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm256_add_epi32,
    _mm256_add_ps, _mm256_and_si256, _mm256_blendv_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps,
    _mm256_cmpgt_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_or_ps, _mm256_round_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_sub_epi32, _mm256_sub_ps,
};

use super::{DotKernel, Kernel, Simd};
use crate::lane::LANES;

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2 {
    _proof: (),
}

/// Intrinsics that touch registers only, or exactly the sixteen floats behind a reference.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: `self` is an `Avx2`, made only in the functions below, whose caller has seen that the processor has the
        // features; memory operands lie within a reference to sixteen numbers, and the unaligned forms are used.
        unsafe { $call }
    };
}

/// Applies one 256-bit intrinsic to both halves.
macro_rules! halves {
    ($operation:ident, $($operand:ident),+) => {
        intrinsic!([$operation($($operand[0]),+), $operation($($operand[1]),+)])
    };
}

impl Simd for Avx2 {
    type Vector = [__m256; 2];
    // 6 x 2 accumulators, 2 weights and 1 input fill 15 of 16 registers.
    const TILE_ROWS: usize = 6;
    const PANEL_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        intrinsic!([_mm256_set1_ps(value); 2])
    }
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::Vector {
        intrinsic!([_mm256_loadu_ps(values.as_ptr()), _mm256_loadu_ps(values.as_ptr().add(8))])
    }
    #[inline(always)]
    fn load_f16(self, bits: &[u16; LANES]) -> Self::Vector {
        intrinsic!({
            let halves = [_mm_loadu_si128(bits.as_ptr().cast()), _mm_loadu_si128(bits.as_ptr().add(8).cast())];
            [f32_of_f16(halves[0]), f32_of_f16(halves[1])]
        })
    }
    #[inline(always)]
    fn store(self, vector: Self::Vector, values: &mut [f32; LANES]) {
        intrinsic!({
            _mm256_storeu_ps(values.as_mut_ptr(), vector[0]);
            _mm256_storeu_ps(values.as_mut_ptr().add(8), vector[1]);
        });
    }
    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        halves!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        halves!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        halves!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        halves!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        halves!(_mm256_fmadd_ps, a, b, c)
    }
    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        halves!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        halves!(_mm256_min_ps, a, b)
    }
    #[inline(always)]
    fn round(self, a: Self::Vector) -> Self::Vector {
        intrinsic!(a.map(|half| _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(half)))
    }
    #[inline(always)]
    fn exp2_shifted(self, shifted: Self::Vector) -> Self::Vector {
        intrinsic!([lowest_as_exponent(shifted[0]), lowest_as_exponent(shifted[1])])
    }
    #[inline(always)]
    fn exponent(self, a: Self::Vector) -> Self::Vector {
        intrinsic!([exponent_of(a[0]), exponent_of(a[1])])
    }
    #[inline(always)]
    fn select_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        then: Self::Vector,
        otherwise: Self::Vector,
    ) -> Self::Vector {
        intrinsic!([
            _mm256_blendv_ps(otherwise[0], then[0], _mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0])),
            _mm256_blendv_ps(otherwise[1], then[1], _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1])),
        ])
    }
}

/// Eight numbers whose exponents are the lowest bits of those given.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn lowest_as_exponent(bits: __m256) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(bits)))
}

/// The exponents of eight positive numbers, from their bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn exponent_of(a: __m256) -> __m256 {
    let biased = _mm256_srli_epi32::<23>(_mm256_castps_si256(a));
    _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)))
}

/// Eight finite binary16 numbers as float32, as the specification does it: the processor's own conversion is a feature apart.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn f32_of_f16(bits: __m128i) -> __m256 {
    let bits = _mm256_cvtepu16_epi32(bits);
    let sign = _mm256_slli_epi32::<16>(_mm256_and_si256(bits, _mm256_set1_epi32(0x8000)));
    let magnitude = _mm256_slli_epi32::<13>(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fff)));
    let smallest_normal = _mm256_set1_epi32(113 << 23);
    let denormal = _mm256_sub_ps(
        _mm256_castsi256_ps(_mm256_add_epi32(magnitude, smallest_normal)),
        _mm256_castsi256_ps(smallest_normal),
    );
    let normal = _mm256_castsi256_ps(_mm256_add_epi32(magnitude, _mm256_set1_epi32((127 - 15) << 23)));
    let is_denormal = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(1 << 23), magnitude));
    _mm256_or_ps(_mm256_blendv_ps(normal, denormal, is_denormal), _mm256_castsi256_ps(sign))
}

/// Runs a kernel with AVX2 and FMA enabled.
///
/// # Safety
/// The processor has the features named here.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2 { _proof: () })
}

/// Runs a kernel of narrow products with AVX2 and FMA enabled.
///
/// # Safety
/// The processor has the features named here.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn call_dots<K: DotKernel>(kernel: K) -> K::Output {
    kernel.run(Avx2 { _proof: () })
}
