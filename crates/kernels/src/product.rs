//! What a product multiplies: float32, pairs of bfloat16, or groups of four 8-bit integers.

use crate::lane::Lane;
use crate::simd::{Dots, Simd};

/// What lies side by side in one 32-bit lane: the values of one column (or one row) for as many neighbouring input features as one
/// instruction takes. A float32, or a word that holds narrower numbers.
pub(crate) trait Group<S: Simd>: Copy {
    /// Sixteen groups.
    type Vector: Copy;

    fn load(simd: S, groups: &Lane<Self>) -> Self::Vector;
    fn splat(self, simd: S) -> Self::Vector;
}

impl<S: Simd> Group<S> for f32 {
    type Vector = S::Vector;

    #[inline(always)]
    fn load(simd: S, groups: &Lane) -> S::Vector {
        simd.load_lane(groups)
    }
    #[inline(always)]
    fn splat(self, simd: S) -> S::Vector {
        simd.splat(self)
    }
}

impl<S: Dots> Group<S> for u32 {
    type Vector = S::Words;

    #[inline(always)]
    fn load(simd: S, groups: &Lane<u32>) -> S::Words {
        simd.load_words(&groups.0)
    }
    #[inline(always)]
    fn splat(self, simd: S) -> S::Words {
        simd.splat_word(self)
    }
}

/// Sixteen groups of a product's kind.
pub(crate) type Groups<S, P> = <<P as Product<S>>::Group as Group<S>>::Vector;

/// One kind of product at one level: what a panel holds, and one step of a sum.
pub(crate) trait Product<S: Simd> {
    type Group: Group<S>;
    type Sum: Copy;

    /// `sum + input * weights` in each lane, group element by group element.
    fn accumulate(simd: S, input: Groups<S, Self>, weights: Groups<S, Self>, sum: Self::Sum) -> Self::Sum;
}

/// A float32 a lane, one fused multiply-add a step.
pub(crate) struct Float32;

impl<S: Simd> Product<S> for Float32 {
    type Group = f32;
    type Sum = S::Vector;

    #[inline(always)]
    fn accumulate(simd: S, input: S::Vector, weights: S::Vector, sum: S::Vector) -> S::Vector {
        simd.mul_add(input, weights, sum)
    }
}

/// Two bfloat16 a lane, float32 sums.
pub(crate) struct Bfloat16;

impl<S: Dots> Product<S> for Bfloat16 {
    type Group = u32;
    type Sum = S::Vector;

    #[inline(always)]
    fn accumulate(simd: S, input: S::Words, weights: S::Words, sum: S::Vector) -> S::Vector {
        simd.dot_bfloat16(sum, input, weights)
    }
}

/// Four 8-bit integers a lane, unsigned in the input and signed in the weights, 32-bit sums: exact.
pub(crate) struct Int8;

impl<S: Dots> Product<S> for Int8 {
    type Group = u32;
    type Sum = S::Words;

    #[inline(always)]
    fn accumulate(simd: S, input: S::Words, weights: S::Words, sum: S::Words) -> S::Words {
        simd.dot_int8(sum, input, weights)
    }
}
