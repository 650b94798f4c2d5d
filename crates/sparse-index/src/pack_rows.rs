//! Making packed rows; [`crate::forward`] says what they look like.

use kernels::SHORT_WEIGHT_FRACTION;

use crate::forward::{FLOAT, LARGEST_PACKED_DIMENSION, power_of_two};

/// Bits of a float64's fraction, and what is added to its exponent.
const DOUBLE_FRACTION: i32 = 52;
const DOUBLE_BIAS: i32 = 1023;
/// Bits of the fraction of a weight in 24 bits.
const FRACTION: i32 = SHORT_WEIGHT_FRACTION.cast_signed();

/// The unit in which a row stores its weights in 24 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    exponent: i32,
    /// So many units as a fraction has values: weights below are stored as plain numbers of units.
    one: f64,
}

impl Unit {
    /// 2^`exponent`, one of those that [`unit_exponent`] gives.
    #[inline]
    pub(crate) fn new(exponent: i16) -> Self {
        Self { exponent: i32::from(exponent), one: power_of_two(exponent) * f64::from(1 << FRACTION) }
    }

    /// The number nearest to `weight`, half to even, that 24 bits can stand for.
    #[inline]
    fn nearest(self, weight: f32) -> f64 {
        let wide = f64::from(weight);
        // 2^binade is the largest power of two in the weight; a float32 is never a subnormal float64.
        let binade = ((wide.to_bits() >> 32) as u32 >> (DOUBLE_FRACTION - 32)).cast_signed() - DOUBLE_BIAS;
        let step = self.exponent.max(binade - FRACTION);
        // From 2^52 steps on a float64 is a whole number of them, so adding rounds: no call of a library, and several weights at once.
        let high = (step + DOUBLE_FRACTION + DOUBLE_BIAS).cast_unsigned() << (DOUBLE_FRACTION - 32);
        let large = f64::from_bits(u64::from(high) << 32);
        (wide + large) - large
    }

    /// The weight that a row of this unit stores for `weight`.
    #[expect(clippy::cast_possible_truncation, reason = "22 bits fit float32")]
    #[inline]
    pub(crate) fn stored(self, weight: f32) -> f32 {
        self.nearest(weight) as f32
    }

    /// The 24 bits of the weight that is stored for `weight`; 2^24 or more if it is too large for the unit.
    #[expect(clippy::cast_possible_truncation, reason = "exponent and fraction of a positive number are 32 bits")]
    #[inline]
    fn code(self, weight: f32) -> u32 {
        let nearest = self.nearest(weight);
        // The upper bits of a float64 are those of the code, but for what its exponent counts from. A plain number is the fraction
        // of its sum with `one`.
        let (added, first) = if nearest < self.one { (self.one, FRACTION) } else { (0.0, FRACTION - 1) };
        let bits = ((nearest + added).to_bits() >> (DOUBLE_FRACTION - FRACTION)) as u32;
        bits.wrapping_sub((DOUBLE_BIAS + self.exponent + first).cast_unsigned() << FRACTION)
    }
}

/// The exponent of the unit in which a row's weights are stored in 24 bits, or `None` if they must stay float32.
///
/// A weight then is off by at most 2^-22 of itself if it is at least 1/64 of the largest, and by at most 2^-17 of itself in any case: rows with
/// weights so small that they would lose more stay float32, unless nothing is lost at all. So a score is within 2^-17 (7.6e-6) of
/// itself, and in practice within 2^-22 (2.4e-7), since its sum is mostly of larger weights and of errors of both signs.
pub(crate) fn unit_exponent(weights: &[f32]) -> Option<i16> {
    // Weights are above zero, so their bits are in their order.
    let (largest, smallest) = weights.iter().fold((0, f32::INFINITY.to_bits()), |(largest, smallest), weight| {
        (weight.to_bits().max(largest), weight.to_bits().min(smallest))
    });
    // 2^binade is the largest power of two that the largest weight reaches; a subnormal one has none of its own.
    let binade = i16::try_from(largest >> 23).ok()?.max(1) - 127;
    let mut exponent = (binade - 27).max(-149);
    if Unit::new(exponent).code(f32::from_bits(largest)) >= 1 << 24 {
        exponent += 1;
    }
    let unit = Unit::new(exponent);
    if !unit.stored(f32::from_bits(largest)).is_finite() {
        return None;
    }
    // Off by half a unit at most, where it is stored as a plain number of units.
    let enough = f64::from(f32::from_bits(smallest)) >= power_of_two(exponent) * f64::from(1 << 16);
    let exact = || weights.iter().all(|&weight| unit.stored(weight).to_bits() == weight.to_bits());
    (enough || exact()).then_some(exponent)
}

/// Appends the packed form of a row to `bytes`. Terms ascend and are below the dimension.
pub(crate) fn pack_row(terms: &[u32], weights: &[f32], exponent: Option<i16>, dimension: u32, bytes: &mut Vec<u8>) {
    let Some(&last) = terms.last() else { return };
    if dimension > LARGEST_PACKED_DIMENSION {
        bytes.extend(terms.iter().flat_map(|term| term.to_le_bytes()));
        bytes.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        return;
    }
    let last_bit = terms.len() - 1 + (last >> 8) as usize;
    let term_bits = last_bit / 8 + 1;
    // At most (65,535 + 255) / 8 + 1.
    bytes.extend_from_slice(&u16::try_from(term_bits).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(&exponent.unwrap_or(FLOAT).to_le_bytes());
    let after = bytes.len() + term_bits;
    let (mut word, mut first) = (0_u64, 0);
    for (index, &term) in terms.iter().enumerate() {
        let bit = index + (term >> 8) as usize;
        // Also ends if the caller changes the terms meanwhile: no bit is further than the last.
        while bit >= first + 64 && first < last_bit {
            bytes.extend_from_slice(&word.to_le_bytes());
            (word, first) = (0, first + 64);
        }
        word |= 1 << (bit % 64);
    }
    bytes.extend_from_slice(&word.to_le_bytes());
    bytes.resize(after, 0);
    bytes.extend(terms.iter().map(|term| term.to_le_bytes()[0]));
    let Some(exponent) = exponent else {
        bytes.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        return;
    };
    let unit = Unit::new(exponent);
    let start = bytes.len();
    bytes.resize(start + 3 * weights.len(), 0);
    let (upper, lower) = bytes.get_mut(start..).unwrap_or_default().split_at_mut(2 * weights.len());
    for ((upper, lower), &weight) in upper.as_chunks_mut::<2>().0.iter_mut().zip(lower).zip(weights) {
        let [lowest, low, high, _] = unit.code(weight).to_le_bytes();
        *upper = [low, high];
        *lower = lowest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The 24 bits nearest to a weight, as they are defined.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, from 0 to 2^29")]
    fn to_code(weight: f32, exponent: i16) -> u32 {
        let one = 1_u32 << FRACTION;
        let whole = f64::from(weight) / power_of_two(exponent);
        let exponent = ((whole as u32).max(one) / one).ilog2();
        // A fraction that rounds up to the next power of two carries into the exponent, as it should.
        exponent * one + (whole / f64::from(1_u32 << exponent)).round_ties_even() as u32
    }

    fn check(largest: f32, weight: f32) {
        let Some(exponent) = unit_exponent(&[largest]) else {
            assert!(largest > f32::MAX * (1.0 - 1.0 / f32::from(1_u16 << 15)), "no unit for {largest}");
            return;
        };
        let unit = Unit::new(exponent);
        for weight in [largest, weight] {
            let code = to_code(weight, exponent);
            assert!(code < 1 << 24, "{weight} of {largest}");
            assert_eq!(unit.code(weight), code, "{weight} of {largest}");
            let value = f64::from(kernels::short_weight(code)) * power_of_two(exponent);
            assert_eq!(f64::from(unit.stored(weight)).to_bits(), value.to_bits(), "{weight} of {largest}");
        }
    }

    proptest! {
        #[test]
        fn a_weight_has_the_bits_nearest_to_it(bits in 1_u32..f32::INFINITY.to_bits(), below in 0_u32..(30 << 23)) {
            check(f32::from_bits(bits), f32::from_bits(bits.saturating_sub(below).max(1)));
        }

        #[test]
        fn a_half_goes_to_the_even_one(exponent in -120_i32..120, bits in 0_u32..1 << 21, zeros in 0_u32..21, shift in 0_u32..28) {
            // A fraction with many zeros at its end, plus a half of the last bit kept, or beside it.
            let fraction = (bits >> zeros << zeros) << 2;
            for low in [0, 1, 2, 3] {
                let weight = f32::from_bits((exponent + 127).cast_unsigned() << 23 | fraction | low);
                let largest = weight * f32::from_bits((127 + shift) << 23);
                check(largest.min(f32::MAX), weight);
            }
        }
    }

    #[test]
    fn what_would_be_rounded_to_infinity_stays_float32() {
        let largest = f32::from_bits(f32::MAX.to_bits() - 2);
        assert_eq!([unit_exponent(&[f32::MAX]), unit_exponent(&[1.0, f32::MAX])], [None, None]);
        assert!(unit_exponent(&[largest]).is_some_and(|exponent| Unit::new(exponent).stored(largest) < f32::MAX));
    }

    #[test]
    fn the_ends_of_the_range() {
        for largest in [f32::MAX, f32::from_bits(1), f32::MIN_POSITIVE, 1.0, f32::from_bits(1.0_f32.to_bits() - 1)] {
            for weight in
                [f32::from_bits(1), f32::MIN_POSITIVE, largest, largest / 64.0, largest / 128.0, largest / 3.0]
            {
                if weight <= largest {
                    check(largest, weight);
                }
            }
        }
    }
}
