//! AVX-512: one 512-bit register a vector.

use std::arch::x86_64::{
    __m512, __mmask16, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_loadu_si256, _mm512_add_ps,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cmpge_epu16_mask, _mm512_cvtph_ps,
    _mm512_div_ps, _mm512_fmadd_ps, _mm512_getexp_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_add_epi16,
    _mm512_mask_blend_ps, _mm512_mask_loadu_ps, _mm512_mask_storeu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_roundscale_ps, _mm512_set1_epi16, _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_storeu_si512,
    _mm512_sub_ps,
};

use super::amx::Amx;
use super::{DotKernel, Kernel, Simd, TileKernel};
use crate::lane::LANES;

/// `EXTENSIONS` of [`Avx512`]: none, VNNI, and VNNI with BF16.
const PLAIN: u8 = 0;
pub(crate) const VNNI: u8 = 1;
pub(crate) const BF16: u8 = 2;

/// Proof that the processor has AVX-512 F, BW, DQ and VL, and the extensions that its parameter names.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const EXTENSIONS: u8 = PLAIN> {
    _proof: (),
}

/// Intrinsics that touch registers only, or exactly the sixteen floats behind a reference.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: `self` is an `Avx512`, made only in the functions below, whose caller has seen that the processor has the
        // features; memory operands are references to sixteen numbers or 32 words, or slices under a mask of their length, and the
        // unaligned forms are used.
        unsafe { $call }
    };
}

impl<const EXTENSIONS: u8> Simd for Avx512<EXTENSIONS> {
    type Vector = __m512;
    // 12 x 2 accumulators, 2 weights and 1 input fill 27 of 32 registers.
    const TILE_ROWS: usize = 12;
    const PANEL_VECTORS: usize = 2;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        intrinsic!(_mm512_set1_ps(value))
    }
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> __m512 {
        intrinsic!(_mm512_loadu_ps(values.as_ptr()))
    }
    #[inline(always)]
    fn load_f16(self, bits: &[u16; LANES]) -> __m512 {
        intrinsic!(_mm512_cvtph_ps(_mm256_loadu_si256(bits.as_ptr().cast())))
    }
    #[inline(always)]
    fn store(self, vector: __m512, values: &mut [f32; LANES]) {
        intrinsic!(_mm512_storeu_ps(values.as_mut_ptr(), vector));
    }
    #[inline(always)]
    fn load_partial(self, values: &[f32], fill: f32) -> __m512 {
        // Lanes that the mask leaves out are not read.
        intrinsic!(_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(values.len()), values.as_ptr()))
    }
    #[inline(always)]
    fn add_where(self, block: &mut [u16; 64], mask: u64, value: u16) {
        for (half, bytes) in block.as_chunks_mut::<32>().0.iter_mut().zip(mask.to_le_bytes().as_chunks().0) {
            let mask = u32::from_le_bytes(*bytes);
            // `half` is 32 entries of 16 bits: one register.
            intrinsic!({
                let entries = _mm512_loadu_si512(half.as_ptr().cast());
                let sums = _mm512_mask_add_epi16(entries, mask, entries, _mm512_set1_epi16(value.cast_signed()));
                _mm512_storeu_si512(half.as_mut_ptr().cast(), sums);
            });
        }
    }
    #[inline(always)]
    fn at_least(self, block: &[u16; 64], limit: u16) -> u64 {
        // 64 entries of 16 bits: two registers.
        intrinsic!({
            let limit = _mm512_set1_epi16(limit.cast_signed());
            let first = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(block.as_ptr().cast()), limit);
            let second = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(block.as_ptr().add(32).cast()), limit);
            u64::from(second) << 32 | u64::from(first)
        })
    }
    #[inline(always)]
    fn store_partial(self, vector: __m512, values: &mut [f32]) {
        // Lanes that the mask leaves out are not written.
        intrinsic!(_mm512_mask_storeu_ps(values.as_mut_ptr(), first_lanes(values.len()), vector));
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        intrinsic!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        intrinsic!(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn exp2_shifted(self, shifted: __m512) -> __m512 {
        intrinsic!(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(shifted))))
    }
    #[inline(always)]
    fn exponent(self, a: __m512) -> __m512 {
        intrinsic!(_mm512_getexp_ps(a))
    }
    #[inline(always)]
    fn select_less(self, a: __m512, b: __m512, then: __m512, otherwise: __m512) -> __m512 {
        intrinsic!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), otherwise, then))
    }
    #[inline(always)]
    fn all_less(self, a: __m512, b: __m512) -> bool {
        intrinsic!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b)) == u16::MAX
    }
}

/// The mask of the first `count` lanes, at most sixteen.
#[inline(always)]
fn first_lanes(count: usize) -> __mmask16 {
    const MASKS: [__mmask16; LANES + 1] = {
        let mut masks = [0; LANES + 1];
        let mut count = 1;
        while count <= LANES {
            masks[count] = masks[count - 1] << 1 | 1;
            count += 1;
        }
        masks
    };
    MASKS[count]
}

/// Runs a kernel with AVX-512 enabled.
///
/// # Safety
/// The processor has the features named here.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<PLAIN> { _proof: () })
}

/// Runs a kernel of narrow products with AVX-512 enabled.
///
/// # Safety
/// The processor has the features named here.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn call_dots<K: DotKernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<PLAIN> { _proof: () })
}

/// Runs a kernel of narrow products with AVX-512 and VNNI enabled.
///
/// # Safety
/// The processor has the features named here.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(crate) unsafe fn call_vnni<K: DotKernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<VNNI> { _proof: () })
}

/// Runs a kernel of narrow products with AVX-512, VNNI and BF16 enabled.
///
/// # Safety
/// The processor has the features named here.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma")]
pub(crate) unsafe fn call_bf16<K: DotKernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<BF16> { _proof: () })
}

/// Runs a kernel of tile products with AVX-512, VNNI and BF16 enabled and this thread's tiles configured.
///
/// # Safety
/// The processor has the features named here, and [`super::amx::is_detected`] has returned true.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma")]
pub(crate) unsafe fn call_amx<K: TileKernel>(kernel: K) -> K::Output {
    // SAFETY: by this function's contract.
    let tiles = unsafe { Amx::configure() };
    kernel.run(Avx512::<BF16> { _proof: () }, tiles)
}
