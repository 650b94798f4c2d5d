//! bfloat16: the upper half of a float32.

/// The bits of the nearest bfloat16, halves to even. Denormals become zero, as the processor's own instructions
/// have it; NaN stays NaN.
#[inline(always)]
pub(crate) fn bfloat16_bits(value: f32) -> u16 {
    const QUIET: u32 = 1 << 22;
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    let kept = if value.is_nan() { bits | QUIET } else { rounded };
    let kept = if value.abs() < f32::MIN_POSITIVE { bits & 1 << 31 } else { kept };
    (kept >> 16) as u16
}

/// The value of a bfloat16.
#[inline(always)]
pub(crate) fn bfloat16_value(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact by definition")]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_and_halves_to_even() {
        let step = f32::EPSILON * 65536.0;
        assert_eq!(bfloat16_value(bfloat16_bits(1.0)), 1.0);
        assert_eq!(bfloat16_value(bfloat16_bits(1.0 + 0.5 * step)), 1.0);
        assert_eq!(bfloat16_value(bfloat16_bits(1.0 + 1.5 * step)), 1.0 + 2.0 * step);
        assert_eq!(bfloat16_value(bfloat16_bits(-1.0 - 0.51 * step)), -1.0 - step);
        assert_eq!(bfloat16_value(bfloat16_bits(f32::MAX)), f32::INFINITY);
        assert_eq!(bfloat16_value(bfloat16_bits(f32::NEG_INFINITY)), f32::NEG_INFINITY);
        assert!(bfloat16_value(bfloat16_bits(f32::NAN)).is_nan());
        assert!(bfloat16_value(bfloat16_bits(f32::from_bits(0x7f80_0001))).is_nan());
        assert_eq!(bfloat16_bits(-1e-40), 0x8000);
    }
}
