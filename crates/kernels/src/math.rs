//! Elementary functions on vectors. The polynomials are minimax fits of our own; the tests hold their error.

use crate::simd::Simd;

/// Below this `exp` is zero: the next smaller results are denormal.
const EXP_ZERO: f32 = -87.336_54;
/// Above this `exp` is infinite, a little before float32 ends: `2^127` is the largest power its exponent bits hold.
const EXP_INFINITE: f32 = 88.376_26;

/// Coefficients of `(exp(r) - 1 - r) / r^2` over |r| <= ln(2) / 2, lowest first; relative error of `exp` 3.1e-9.
const EXP: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_745, 0.001_381_454];

/// Coefficients of the numerator and denominator of `erf(x) / x` in `x^2` over |x| <= 3.9, lowest first; relative
/// error 1.7e-8, below float32's rounding.
const ERF_NUMERATOR: [f32; 6] =
    [std::f32::consts::FRAC_2_SQRT_PI, 0.189_666_83, 0.052_668_094, 0.003_738_349_7, 0.000_285_062_87, 2.066_480_4e-6];
const ERF_DENOMINATOR: [f32; 6] = [1.0, 0.501_420_6, 0.113_818_97, 0.014_914_283, 0.001_157_378_2, 3.827_013e-5];
/// Beyond this `erf` is 1 to float32.
const ERF_ONE: f32 = 3.9;

#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::Vector, coefficients: &[f32; N]) -> S::Vector {
    let mut value = simd.splat(coefficients[N - 1]);
    for coefficient in coefficients[..N - 1].iter().rev() {
        value = simd.mul_add(value, x, simd.splat(*coefficient));
    }
    value
}

/// `e^x`, within 2e-7 relative; zero where the result would be denormal, NaN for NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    // The bound comes first in `max` and `min`, so that NaN passes through.
    let bounded = simd.min(simd.splat(EXP_INFINITE), simd.max(simd.splat(EXP_ZERO), x));
    let n = simd.round(simd.mul(bounded, simd.splat(std::f32::consts::LOG2_E)));
    // ln(2) in two parts: the first has few enough bits that its product with n is exact.
    let r = simd.mul_add(n, simd.splat(-0.693_359_4), bounded);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    let tail = polynomial(simd, r, &EXP);
    let power = simd.add(simd.mul_add(simd.mul(r, r), tail, r), simd.splat(1.0));
    let value = simd.mul(power, simd.exp2_whole(n));
    let value = simd.select_less(x, simd.splat(EXP_ZERO), simd.splat(0.0), value);
    simd.select_less(simd.splat(EXP_INFINITE), x, simd.splat(f32::INFINITY), value)
}

/// The error function, within 4e-7; NaN for NaN.
#[inline(always)]
pub(crate) fn erf<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let bounded = simd.min(simd.splat(ERF_ONE), simd.max(simd.splat(-ERF_ONE), x));
    let square = simd.mul(bounded, bounded);
    let numerator = simd.mul(bounded, polynomial(simd, square, &ERF_NUMERATOR));
    let value = simd.div(numerator, polynomial(simd, square, &ERF_DENOMINATOR));
    // Rounding may pass 1 by a unit in the last place.
    simd.min(simd.splat(1.0), simd.max(simd.splat(-1.0), value))
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let one = simd.splat(1.0);
    simd.div(one, simd.add(one, exp(simd, simd.sub(simd.splat(0.0), x))))
}
