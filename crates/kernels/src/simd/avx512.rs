//! AVX-512: one 512-bit register a vector.

use std::arch::x86_64::{
    __m512, __mmask16, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_loadu_si256, _mm512_add_ps,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cmpge_epu16_mask, _mm512_cvtph_ps,
    _mm512_div_ps, _mm512_fmadd_ps, _mm512_getexp_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_add_epi16,
    _mm512_mask_blend_ps, _mm512_mask_loadu_ps, _mm512_mask_storeu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_roundscale_ps, _mm512_set1_epi16, _mm512_set1_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_ps, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
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
        // features; memory operands are references to sixteen numbers or 32 halves of one, or slices under a mask of their length, and the
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
    fn transpose(self, rows: &[[u32; LANES]; LANES]) -> [[u32; LANES]; LANES] {
        let zero = intrinsic!(_mm512_setzero_si512());
        let (mut pairs, mut fours, mut columns) = ([zero; LANES], [zero; LANES], [[0; LANES]; LANES]);
        // Twos of rows, then fours: `fours[4 * i + j]` holds columns j, j + 4, j + 8 and j + 12 of rows 4 i to 4 i + 3.
        for (i, [even, odd]) in rows.as_chunks().0.iter().enumerate() {
            let (even, odd) =
                intrinsic!((_mm512_loadu_si512(even.as_ptr().cast()), _mm512_loadu_si512(odd.as_ptr().cast())));
            pairs[2 * i] = intrinsic!(_mm512_unpacklo_epi32(even, odd));
            pairs[2 * i + 1] = intrinsic!(_mm512_unpackhi_epi32(even, odd));
        }
        for i in 0..4 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|j| pairs[4 * i + j]);
            fours[4 * i] = intrinsic!(_mm512_unpacklo_epi64(a, c));
            fours[4 * i + 1] = intrinsic!(_mm512_unpackhi_epi64(a, c));
            fours[4 * i + 2] = intrinsic!(_mm512_unpacklo_epi64(b, d));
            fours[4 * i + 3] = intrinsic!(_mm512_unpackhi_epi64(b, d));
        }
        for j in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|i| fours[i + j]);
            // The even quarters of a register, then the odd ones.
            let even = intrinsic!((_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d)));
            let odd = intrinsic!((_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d)));
            let whole = intrinsic!([
                _mm512_shuffle_i32x4::<0x88>(even.0, even.1),
                _mm512_shuffle_i32x4::<0x88>(odd.0, odd.1),
                _mm512_shuffle_i32x4::<0xdd>(even.0, even.1),
                _mm512_shuffle_i32x4::<0xdd>(odd.0, odd.1),
            ]);
            for (quarter, column) in whole.into_iter().enumerate() {
                intrinsic!(_mm512_storeu_si512(columns[4 * quarter + j].as_mut_ptr().cast(), column));
            }
        }
        columns
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
