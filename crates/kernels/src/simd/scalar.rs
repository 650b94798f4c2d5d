//! Sixteen lanes as an array: the specification, and the level of processors without AVX2.

use super::{Kernel, Simd};
use crate::lane::LANES;

/// Plain Rust. With `FUSED` its multiply-add rounds once: the specification that the SIMD levels must equal bit
/// for bit. Without, it rounds twice, which baseline processors do quickly.
#[derive(Clone, Copy)]
pub(crate) struct Scalar<const FUSED: bool>;

#[inline(always)]
fn lanes(value: impl Fn(usize) -> f32) -> [f32; LANES] {
    std::array::from_fn(value)
}

impl<const FUSED: bool> Simd for Scalar<FUSED> {
    type Vector = [f32; LANES];
    const TILE_ROWS: usize = 2;
    const PANEL_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; LANES]
    }
    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::Vector {
        *values
    }
    #[inline(always)]
    fn store(self, vector: Self::Vector, values: &mut [f32; LANES]) {
        *values = vector;
    }
    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        lanes(|i| if FUSED { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] })
    }
    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn round(self, a: Self::Vector) -> Self::Vector {
        // Adding and taking away 2^23 leaves no room for a fraction; baseline x86-64 has no rounding instruction, and a call to libm
        // a lane is slow. Larger values have no fraction already.
        const WHOLE: f32 = 8_388_608.0;
        lanes(|i| if a[i].abs() < WHOLE { ((a[i].abs() + WHOLE) - WHOLE).copysign(a[i]) } else { a[i] })
    }
    #[inline(always)]
    fn exp2_shifted(self, shifted: Self::Vector) -> Self::Vector {
        lanes(|i| f32::from_bits(shifted[i].to_bits() << 23))
    }
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "eight bits")]
    fn exponent(self, a: Self::Vector) -> Self::Vector {
        lanes(|i| ((a[i].to_bits() >> 23).cast_signed() - 127) as f32)
    }
    #[inline(always)]
    fn select_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        then: Self::Vector,
        otherwise: Self::Vector,
    ) -> Self::Vector {
        lanes(|i| if a[i] < b[i] { then[i] } else { otherwise[i] })
    }
}

/// A finite binary16 number as float32.
#[inline(always)]
pub(super) fn f32_of_f16(bits: u16) -> f32 {
    /// 2^-14, the smallest normal binary16 number: with its exponent in front, the fraction of a denormal one is the distance
    /// from it.
    const SMALLEST_NORMAL: u32 = 113 << 23;
    let (sign, magnitude) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff) << 13);
    let value = if magnitude < 1 << 23 {
        f32::from_bits(magnitude + SMALLEST_NORMAL) - f32::from_bits(SMALLEST_NORMAL)
    } else {
        // The exponents' zeros are 15 and 127.
        f32::from_bits(magnitude + ((127 - 15) << 23))
    };
    f32::from_bits(value.to_bits() | sign)
}

/// Runs a kernel with the baseline features of the target.
pub(crate) fn call<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Scalar::<false>)
}
