//! NEON of aarch64: four 128-bit registers a vector.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vbslq_f32, vcgtq_f32, vcltq_f32, vcvtq_f32_s32, vdivq_f32, vdupq_n_f32, vdupq_n_s32,
    vfmaq_f32, vld1q_f32, vmulq_f32, vreinterpretq_f32_u32, vreinterpretq_s32_u32, vreinterpretq_u32_f32, vrndnq_f32,
    vshlq_n_u32, vshrq_n_u32, vst1q_f32, vsubq_f32, vsubq_s32,
};

use super::{DotKernel, Kernel, Simd};
use crate::lane::LANES;

/// Proof that the processor has NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon {
    _proof: (),
}

/// Intrinsics that touch registers only, or exactly the sixteen floats behind a reference.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: `self` is a `Neon`, made only in the functions below, whose caller has seen that the processor has the feature;
        // memory operands lie within a reference to sixteen floats, and the loads and stores need no alignment.
        unsafe { $call }
    };
}

/// Applies a function of 128-bit registers to all four quarters.
#[inline(always)]
pub(super) fn quarters<T>(function: impl Fn(usize) -> T) -> [T; 4] {
    [function(0), function(1), function(2), function(3)]
}

impl Simd for Neon {
    type Vector = [float32x4_t; 4];
    // 6 x 4 accumulators, 4 weights and 1 input fill 29 of 32 registers.
    const TILE_ROWS: usize = 6;
    const PANEL_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        intrinsic!([vdupq_n_f32(value); 4])
    }
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vld1q_f32(values.as_ptr().add(4 * i))),
        )
    }
    #[inline(always)]
    fn store(self, vector: Self::Vector, values: &mut [f32; LANES]) {
        for (i, quarter) in vector.into_iter().enumerate() {
            intrinsic!(vst1q_f32(values.as_mut_ptr().add(4 * i), quarter));
        }
    }
    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vaddq_f32(a[i], b[i])),
        )
    }
    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vsubq_f32(a[i], b[i])),
        )
    }
    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vmulq_f32(a[i], b[i])),
        )
    }
    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vdivq_f32(a[i], b[i])),
        )
    }
    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vfmaq_f32(c[i], a[i], b[i])),
        )
    }
    // The instructions FMAX and FMIN return NaN where either operand is; the trait wants the second operand.
    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i])),
        )
    }
    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i])),
        )
    }
    #[inline(always)]
    fn round(self, a: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vrndnq_f32(a[i])),
        )
    }
    #[inline(always)]
    fn exp2_shifted(self, shifted: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(lowest_as_exponent(shifted[i])),
        )
    }
    #[inline(always)]
    fn exponent(self, a: Self::Vector) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(exponent_of(a[i])),
        )
    }
    #[inline(always)]
    fn select_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        then: Self::Vector,
        otherwise: Self::Vector,
    ) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vbslq_f32(vcltq_f32(a[i], b[i]), then[i], otherwise[i])),
        )
    }
}

/// Four numbers whose exponents are the lowest bits of those given.
#[inline]
#[target_feature(enable = "neon")]
fn lowest_as_exponent(bits: float32x4_t) -> float32x4_t {
    vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(bits)))
}

/// The exponents of four positive numbers, from their bits.
#[inline]
#[target_feature(enable = "neon")]
fn exponent_of(a: float32x4_t) -> float32x4_t {
    let biased = vreinterpretq_s32_u32(vshrq_n_u32::<23>(vreinterpretq_u32_f32(a)));
    vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)))
}

/// Runs a kernel with NEON enabled.
///
/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon { _proof: () })
}

/// Runs a kernel of narrow products with NEON enabled.
///
/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn call_dots<K: DotKernel>(kernel: K) -> K::Output {
    kernel.run(Neon { _proof: () })
}
