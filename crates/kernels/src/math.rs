//! Elementary functions on vectors. The polynomials are minimax fits of our own; the tests hold their error.

use crate::simd::{EXPONENT_SHIFT, Simd};

/// Below this `exp` is zero: the next smaller results are denormal.
const EXP_ZERO: f32 = -87.336_54;
/// Above this `exp` is infinite, a little before float32 ends: `2^127` is the largest power its exponent bits hold.
const EXP_INFINITE: f32 = 88.376_26;

/// Coefficients of `(exp(r) - 1 - r) / r^2` over |r| <= ln(2) / 2, lowest first; relative error of `exp` 3.1e-9.
const EXP: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_745, 0.001_381_454];

/// Coefficients of `(2^r - 1) / r` over |r| <= 1 / 2, lowest first; relative error of the power 1.2e-7.
const EXP2: [f32; 5] = [std::f32::consts::LN_2, 0.240_222_98, 0.055_506_144, 0.009_669_133, 0.001_327_858_1];
/// Below this `2^x` is denormal.
const EXP2_SMALLEST: f32 = -126.0;

/// Coefficients of the numerator and denominator of `erf(x) / x` in `x^2` over |x| <= 3.9, lowest first; relative
/// error 1.7e-8, below float32's rounding.
const ERF_NUMERATOR: [f32; 6] =
    [std::f32::consts::FRAC_2_SQRT_PI, 0.189_666_83, 0.052_668_094, 0.003_738_349_7, 0.000_285_062_87, 2.066_480_4e-6];
const ERF_DENOMINATOR: [f32; 6] = [1.0, 0.501_420_6, 0.113_818_97, 0.014_914_283, 0.001_157_378_2, 3.827_013e-5];
/// Beyond this `erf` is 1 to float32.
const ERF_ONE: f32 = 3.9;

/// Coefficients of `(ln((1 + s) / (1 - s)) - 2 s) / s^3` in `s^2` over |s| <= (sqrt(2) - 1) / (sqrt(2) + 1), lowest first;
/// relative error of the logarithm 2.6e-9.
const LN: [f32; 3] = [0.666_666_87, 0.399_887_8, 0.295_799_5];

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
    let shift = simd.splat(EXPONENT_SHIFT);
    let shifted = simd.mul_add(bounded, simd.splat(std::f32::consts::LOG2_E), shift);
    let n = simd.sub(shifted, shift);
    // ln(2) in two parts: the first has few enough bits that its product with n is exact.
    let r = simd.mul_add(n, simd.splat(-0.693_359_4), bounded);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    let one = simd.splat(1.0);
    let slope = simd.mul_add(polynomial(simd, r, &EXP), r, one);
    let value = simd.mul(simd.mul_add(slope, r, one), simd.exp2_shifted(shifted));
    let value = simd.select_less(x, simd.splat(EXP_ZERO), simd.splat(0.0), value);
    simd.select_less(simd.splat(EXP_INFINITE), x, simd.splat(f32::INFINITY), value)
}

/// `2^x` for `x` of at most zero, as in a softmax, within 2e-7 relative; down to the smallest normal number, which stands for
/// smaller ones too. NaN for NaN.
#[inline(always)]
pub(crate) fn exp2_at_most_one<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    // The bound comes first, so that NaN passes through.
    let bounded = simd.max(simd.splat(EXP2_SMALLEST), x);
    let shift = simd.splat(EXPONENT_SHIFT);
    let shifted = simd.add(bounded, shift);
    let r = simd.sub(bounded, simd.sub(shifted, shift));
    simd.mul(simd.mul_add(polynomial(simd, r, &EXP2), r, simd.splat(1.0)), simd.exp2_shifted(shifted))
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

/// `ln(1 + x)` for `x` of at least zero, within 3.6e-7 relative for normal numbers: zero for zero, infinite for infinity, NaN for NaN. Other
/// lanes are unspecified.
#[inline(always)]
pub(crate) fn ln_1p<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    /// Below this `1 + x` needs no scaling, and `x` itself, which has no rounding error, is used.
    const SMALL: f32 = std::f32::consts::SQRT_2 - 1.0;
    let one = simd.splat(1.0);
    // 1 + x = scaled * 2^power with scaled from 1 / sqrt(2) to sqrt(2). The half keeps 2^-power a normal number for every x.
    let half = simd.mul(simd.add(x, one), simd.splat(0.5));
    let power = simd.exponent(half);
    let scaled = simd.mul(half, simd.exp2_shifted(simd.sub(simd.splat(EXPONENT_SHIFT), power)));
    let sqrt_2 = simd.splat(std::f32::consts::SQRT_2);
    let power = simd.add(power, simd.select_less(sqrt_2, scaled, simd.splat(2.0), one));
    let scaled = simd.select_less(sqrt_2, scaled, simd.mul(scaled, simd.splat(0.5)), scaled);

    let small = simd.splat(SMALL);
    let rest = simd.select_less(x, small, x, simd.sub(scaled, one));
    let power = simd.select_less(x, small, simd.splat(0.0), power);
    let s = simd.div(rest, simd.add(rest, simd.splat(2.0)));
    let square = simd.mul(s, s);
    let tail = simd.mul(simd.mul(s, square), polynomial(simd, square, &LN));
    // ln(2) in two parts: the first has few enough bits that its product with the power is exact.
    let low = simd.mul_add(power, simd.splat(-2.121_944_4e-4), tail);
    let value = simd.mul_add(power, simd.splat(0.693_359_4), simd.mul_add(simd.splat(2.0), s, low));
    simd.select_less(simd.splat(f32::MAX), x, simd.splat(f32::INFINITY), value)
}
