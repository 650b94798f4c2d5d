//! The NEON of every aarch64 has no products of narrow numbers with wide sums: pairs of bfloat16 are widened to float32,
//! bytes to 16 bits.

use std::arch::aarch64::{
    int32x4_t, uint32x4_t, vaddq_u32, vandq_u32, vcvtq_f32_s32, vdupq_n_u32, vfmaq_f32, vget_high_s8, vget_high_u8,
    vget_low_s8, vget_low_u8, vld1q_u32, vmovl_s8, vmovl_u8, vmulq_s16, vmulq_u32, vpaddlq_s16, vpaddq_s32,
    vreinterpretq_f32_u32, vreinterpretq_s8_u32, vreinterpretq_s16_u16, vreinterpretq_s32_u32, vreinterpretq_u8_u32,
    vreinterpretq_u32_s32, vshlq_n_u32,
};

use super::Dots;
use super::neon::{Neon, quarters};
use crate::lane::LANES;

/// Intrinsics that touch registers only, or exactly the sixteen words behind a reference.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: a `Neon` is made only where the processor has been seen to have it; memory operands lie within a
        // reference to sixteen words, and the loads need no alignment.
        unsafe { $call }
    };
}

impl Dots for Neon {
    type Words = [uint32x4_t; 4];

    #[inline(always)]
    fn splat_word(self, value: u32) -> Self::Words {
        intrinsic!([vdupq_n_u32(value); 4])
    }
    #[inline(always)]
    fn load_words(self, words: &[u32; LANES]) -> Self::Words {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vld1q_u32(words.as_ptr().add(4 * i))),
        )
    }
    #[inline(always)]
    fn add_words(self, a: Self::Words, b: Self::Words) -> Self::Words {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vaddq_u32(a[i], b[i])),
        )
    }
    #[inline(always)]
    fn mul_words(self, a: Self::Words, b: Self::Words) -> Self::Words {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vmulq_u32(a[i], b[i])),
        )
    }
    #[inline(always)]
    fn words_to_floats(self, words: Self::Words) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| intrinsic!(vcvtq_f32_s32(vreinterpretq_s32_u32(words[i]))),
        )
    }
    #[inline(always)]
    fn dot_bfloat16(self, sums: Self::Vector, a: Self::Words, b: Self::Words) -> Self::Vector {
        quarters(
            #[inline(always)]
            |i| {
                intrinsic!({
                    let high = vdupq_n_u32(0xffff_0000);
                    let (a_high, b_high) = (vandq_u32(a[i], high), vandq_u32(b[i], high));
                    let (a_low, b_low) = (vshlq_n_u32::<16>(a[i]), vshlq_n_u32::<16>(b[i]));
                    let [a_high, b_high, a_low, b_low] =
                        [a_high, b_high, a_low, b_low].map(|values| vreinterpretq_f32_u32(values));
                    vfmaq_f32(vfmaq_f32(sums[i], a_high, b_high), a_low, b_low)
                })
            },
        )
    }
    #[inline(always)]
    fn dot_int8(self, sums: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words {
        let products = quarters(
            #[inline(always)]
            |i| intrinsic!(vreinterpretq_u32_s32(products_of_bytes(a[i], b[i]))),
        );
        self.add_words(sums, products)
    }
}

/// The sums of each word's four products, `a` unsigned and `b` signed. A product is at least -128 * 255, which has 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn products_of_bytes(a: uint32x4_t, b: uint32x4_t) -> int32x4_t {
    let (a, b) = (vreinterpretq_u8_u32(a), vreinterpretq_s8_u32(b));
    let low = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a))), vmovl_s8(vget_low_s8(b)));
    let high = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(a))), vmovl_s8(vget_high_s8(b)));
    vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high))
}
