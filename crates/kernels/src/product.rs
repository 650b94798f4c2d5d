//! What a product multiplies: float32, pairs of bfloat16, or groups of four 8-bit integers.

use crate::lane::Lane;
use crate::simd::{Dots, Simd};

/// One kind of product at one level: what a panel holds, and one step of a sum.
///
/// A group is what lies side by side in one 32-bit lane: the values of one column (or one row) for as many neighbouring input
/// features as one instruction takes.
pub(crate) trait Product<S: Simd> {
    type Group: Copy;
    type Weights: Copy;
    type Input: Copy;
    type Sum: Copy;

    fn load(simd: S, weights: &Lane<Self::Group>) -> Self::Weights;
    fn splat(simd: S, input: Self::Group) -> Self::Input;
    /// `sum + input * weights` in each lane, group element by group element.
    fn accumulate(simd: S, input: Self::Input, weights: Self::Weights, sum: Self::Sum) -> Self::Sum;
}

/// A float32 a lane, one fused multiply-add a step.
pub(crate) struct Float32;

impl<S: Simd> Product<S> for Float32 {
    type Group = f32;
    type Weights = S::Vector;
    type Input = S::Vector;
    type Sum = S::Vector;

    #[inline(always)]
    fn load(simd: S, weights: &Lane) -> S::Vector {
        simd.load_lane(weights)
    }
    #[inline(always)]
    fn splat(simd: S, input: f32) -> S::Vector {
        simd.splat(input)
    }
    #[inline(always)]
    fn accumulate(simd: S, input: S::Vector, weights: S::Vector, sum: S::Vector) -> S::Vector {
        simd.mul_add(input, weights, sum)
    }
}

/// Two bfloat16 a lane, float32 sums.
pub(crate) struct Bfloat16;

impl<S: Dots> Product<S> for Bfloat16 {
    type Group = u32;
    type Weights = S::Words;
    type Input = S::Words;
    type Sum = S::Vector;

    #[inline(always)]
    fn load(simd: S, weights: &Lane<u32>) -> S::Words {
        simd.load_words(&weights.0)
    }
    #[inline(always)]
    fn splat(simd: S, input: u32) -> S::Words {
        simd.splat_word(input)
    }
    #[inline(always)]
    fn accumulate(simd: S, input: S::Words, weights: S::Words, sum: S::Vector) -> S::Vector {
        simd.dot_bfloat16(sum, input, weights)
    }
}

/// Four 8-bit integers a lane, unsigned in the input and signed in the weights, 32-bit sums: exact.
pub(crate) struct Int8;

impl<S: Dots> Product<S> for Int8 {
    type Group = u32;
    type Weights = S::Words;
    type Input = S::Words;
    type Sum = S::Words;

    #[inline(always)]
    fn load(simd: S, weights: &Lane<u32>) -> S::Words {
        simd.load_words(&weights.0)
    }
    #[inline(always)]
    fn splat(simd: S, input: u32) -> S::Words {
        simd.splat_word(input)
    }
    #[inline(always)]
    fn accumulate(simd: S, input: S::Words, weights: S::Words, sum: S::Words) -> S::Words {
        simd.dot_int8(sum, input, weights)
    }
}
