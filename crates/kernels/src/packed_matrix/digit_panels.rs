//! Float32 weights in digits that matrix tiles multiply.
//!
//! A vector's numbers become whole numbers of steps, the largest one `127 * (65536 + 256 + 1)`, and those three signed digits to
//! the base 256: `x = unit * (d0 + d1 / 256 + d2 / 65536)`, rounded by less than 2^-24 of the vector's largest number. Products of
//! digits have exact integer sums (Ootomo, Ozaki, Yokota, arXiv:2306.11975).

use super::Shape;
use crate::lane::{LANES, Lane};

/// Digits of a number.
pub(crate) const DIGITS: usize = 3;
/// The most input features whose sums fit into 32 bits: three products of a size up to 128 * 128 each.
pub(crate) const MOST_FEATURES: usize = (1 << 31) / (3 * 128 * 128) - 1;

/// Steps of the largest number of a vector: all its digits are 127.
pub(crate) const MOST_STEPS: f32 = 127.0 * (65_536.0 + 256.0 + 1.0);
/// Steps in one leading digit.
pub(crate) const STEPS: f32 = 65_536.0;
/// A vector of smaller units counts as zeros: its steps would have no inverse.
const LEAST_UNIT: f32 = 7.888_609e-31; // 2^-100

/// Weights as digits, and what turns their sums into numbers.
#[derive(Clone, Debug)]
pub(crate) struct DigitPanels {
    /// The lines of each digit, the leading one first.
    pub(crate) digits: [Vec<Lane<u32>>; DIGITS],
    /// What each output feature's leading digit is worth, padded to whole panels.
    pub(crate) units: Vec<Lane>,
}

impl Shape {
    /// Each output feature's largest weight becomes the largest number of three digits.
    pub(super) fn pack_digits(self, weight: &[f32]) -> DigitPanels {
        let width = self.panel_vectors * LANES;
        let mut units = vec![Lane::ZERO; self.output_features.div_ceil(width) * self.panel_vectors];
        for (output, row) in weight.chunks_exact(self.input_features.max(1)).enumerate() {
            // An infinity times zero, or NaN.
            let not_finite = row.iter().fold(0.0, |sum: f32, value| sum + value * 0.0);
            let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            units[output / LANES].0[output % LANES] = unit_of(largest) + not_finite;
        }
        let digits = std::array::from_fn(|place| {
            self.pack(weight, Lane::ZERO_WORDS, |output, _, values: [f32; 4]| {
                let steps = steps_in_one(units[output / LANES].0[output % LANES]);
                u32::from_le_bytes(values.map(|value| digits_of(value, steps)[place].cast_unsigned()))
            })
        });
        DigitPanels { digits, units }
    }
}

/// What the leading digit of a vector is worth, whose largest number this is.
pub(crate) fn unit_of(largest: f32) -> f32 {
    largest * (STEPS / MOST_STEPS)
}

/// How many steps make one, for a leading digit that is worth `unit`; none where it is too small, infinite or NaN.
pub(crate) fn steps_in_one(unit: f32) -> f32 {
    if unit >= LEAST_UNIT { STEPS / unit } else { 0.0 }
}

/// The digits of a number, the leading one first.
#[expect(clippy::cast_possible_truncation, reason = "each digit is the low byte of what the later ones leave")]
pub(crate) fn digits_of(value: f32, steps_in_one: f32) -> [i8; DIGITS] {
    let steps = (value * steps_in_one).round_ties_even().min(MOST_STEPS) as i32;
    let last = steps as i8;
    let steps = (steps - i32::from(last)) >> 8;
    let middle = steps as i8;
    [((steps - i32::from(middle)) >> 8) as i8, middle, last]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of numbers up to 1, the largest and its neighbours among them.
    #[test]
    fn digits_are_within_half_a_step() {
        let unit = unit_of(1.0);
        let steps = steps_in_one(unit);
        for i in 0..=20_000_u16 {
            let value = f32::from(i) / 10_000.0 - 1.0;
            for value in [value, value.next_up().min(1.0), value.next_down().max(-1.0)] {
                let [leading, middle, last] = digits_of(value, steps).map(f64::from);
                let found = f64::from(unit) * (leading + middle / 256.0 + last / 65_536.0);
                // Half a step, and the rounding of the unit and of its inverse.
                assert!((found - f64::from(value)).abs() <= 2.0_f64.powi(-23), "{value}: {found}");
            }
        }
        // Within one step, since the unit and its inverse are rounded.
        assert_eq!(digits_of(1.0, steps)[..2], [127, 127]);
        assert_eq!(digits_of(-1.0, steps)[..2], [-127, -127]);
    }

    #[test]
    fn vectors_without_steps() {
        for largest in [0.0, f32::MIN_POSITIVE, 1e-40, f32::INFINITY, f32::NAN] {
            assert!(steps_in_one(unit_of(largest)) <= 0.0, "{largest}");
        }
        assert!((steps_in_one(unit_of(f32::MAX)) * f32::MAX - MOST_STEPS).abs() <= 2.0);
    }
}
