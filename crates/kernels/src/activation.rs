//! Activation functions, element by element.

use crate::lane::LANES;
use crate::level::Level;
use crate::math::{erf, sigmoid};
use crate::simd::{Kernel, Simd};

/// What a linear layer applies to its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The value itself.
    Identity,
    /// `x * (1 + erf(x / sqrt(2))) / 2`: GELU as first defined (arXiv:1606.08415), `gelu` in transformers.
    Gelu,
    /// GELU's tanh form: `gelu_new`, `gelu_fast` and `gelu_pytorch_tanh` in transformers.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Every activation.
    pub const ALL: [Self; 7] =
        [Self::Identity, Self::Gelu, Self::GeluTanh, Self::Relu, Self::Silu, Self::Sigmoid, Self::Tanh];
}

/// Applies `activation` to every value in place.
pub fn activate(level: Level, activation: Activation, values: &mut [f32]) {
    level.run(Activate { activation, values });
}

struct Activate<'a> {
    activation: Activation,
    values: &'a mut [f32],
}

impl Kernel for Activate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        activate_with(simd, self.activation, self.values);
    }
}

/// One loop a function: the choice is made outside.
#[inline(always)]
pub(crate) fn activate_with<S: Simd>(simd: S, activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Gelu => map(
            simd,
            values,
            #[inline(always)]
            |x| gelu(simd, x),
        ),
        Activation::GeluTanh => map(
            simd,
            values,
            #[inline(always)]
            |x| gelu_tanh(simd, x),
        ),
        Activation::Relu => map(
            simd,
            values,
            #[inline(always)]
            |x| simd.max(simd.splat(0.0), x),
        ),
        Activation::Silu => map(
            simd,
            values,
            #[inline(always)]
            |x| simd.mul(x, sigmoid(simd, x)),
        ),
        Activation::Sigmoid => map(
            simd,
            values,
            #[inline(always)]
            |x| sigmoid(simd, x),
        ),
        // Rare, and off the hot path: the standard library's, which is exact near zero.
        Activation::Tanh => values.iter_mut().for_each(|value| *value = value.tanh()),
    }
}

#[inline(always)]
fn map<S: Simd>(simd: S, values: &mut [f32], function: impl Fn(S::Vector) -> S::Vector) {
    let (vectors, rest) = values.as_chunks_mut::<LANES>();
    for values in vectors {
        let result = function(simd.load(values));
        simd.store(result, values);
    }
    if !rest.is_empty() {
        let result = function(simd.load_partial(rest, 0.0));
        simd.store_partial(result, rest);
    }
}

#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let half = simd.mul(x, simd.splat(0.5));
    let erf = erf(simd, simd.mul(x, simd.splat(std::f32::consts::FRAC_1_SQRT_2)));
    simd.mul_add(half, erf, half)
}

/// `x * (1 + tanh(u)) / 2` with `u = sqrt(2 / pi) * (x + 0.044715 x^3)`, which is `x * sigmoid(2 u)`.
#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    let inner = simd.mul_add(simd.mul(simd.splat(0.044_715), simd.mul(x, x)), x, x);
    simd.mul(x, sigmoid(simd, simd.mul(inner, simd.splat(TWICE_SQRT_2_OVER_PI))))
}
