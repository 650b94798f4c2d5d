//! The input of a float32 product by matrix tiles: each row in digits of its own unit.

use super::RowRange;
use super::rounded_rows::Extent;
use crate::lane::LANES;
use crate::packed_matrix::{DIGITS, MOST_STEPS, STEPS, steps_in_one, unit_of};
use crate::simd::{DotKernel, Dots};

/// Splits rows of float32 into three signed digits, four to a word, zero beyond the last column.
///
/// A row with an infinity or NaN gets a NaN scale: what is computed from it is NaN.
pub(super) struct DigitRows<'a> {
    pub(super) rows: &'a [f32],
    pub(super) columns: usize,
    /// Words of a row of digits, a multiple of sixteen and at least a quarter of `columns`.
    pub(super) depth: usize,
    /// Becomes `[DIGITS, rows, depth]`, the leading digits first.
    pub(super) groups: &'a mut Vec<u32>,
    /// Becomes what the leading digit of each row is worth.
    pub(super) ranges: &'a mut Vec<RowRange>,
}

impl DotKernel for DigitRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Dots>(self, simd: S) {
        let Self { rows, columns, depth, groups, ranges } = self;
        let count = rows.len() / columns.max(1);
        groups.clear();
        groups.resize(DIGITS * count * depth, 0);
        let (leading, rest) = groups.split_at_mut(count * depth);
        let (middle, last) = rest.split_at_mut(count * depth);
        let mut places =
            [leading, middle, last].map(|words| bytemuck::cast_slice_mut(words).chunks_exact_mut((4 * depth).max(1)));
        for row in rows.chunks_exact(columns.max(1)) {
            let mut bytes: [&mut [u8]; DIGITS] = places.each_mut().map(|place| place.next().unwrap_or_default());
            let unit = unit_of_row(simd, row);
            ranges.push(RowRange { scale: unit, zero_point: 0 });
            let steps = simd.splat(steps_in_one(unit));
            for (group, values) in row.chunks(LANES).enumerate() {
                let values = match values.as_array() {
                    Some(values) => simd.load(values),
                    None => simd.load_partial(values, 0.0),
                };
                for (digit, bytes) in digits(simd, values, steps).into_iter().zip(&mut bytes) {
                    simd.to_bytes(digit, &mut bytes.as_chunks_mut::<LANES>().0[group]);
                }
            }
        }
    }
}

#[inline(always)]
fn unit_of_row<S: Dots>(simd: S, row: &[f32]) -> f32 {
    let extent = Extent::of(simd, row);
    let largest = simd.max(extent.most, simd.sub(simd.splat(0.0), extent.least));
    unit_of(simd.max_lanes(largest)) + simd.sum_lanes(extent.not_finite)
}

/// The digits of a vector's numbers, the leading one first, as whole numbers from -128 to 127.
///
/// What a digit leaves has to fit the next ones, -128 to 127 each. Two digits reach up to `127 * 257`, one up to 127: that is 128.5 steps, or
/// half a step, before the middle, where quotients are never ties.
#[inline(always)]
fn digits<S: Dots>(simd: S, values: S::Vector, steps_in_one: S::Vector) -> [S::Vector; DIGITS] {
    let steps = simd.min(simd.round(simd.mul(values, steps_in_one)), simd.splat(MOST_STEPS));
    let leading = simd.round(simd.mul_add(steps, simd.splat(1.0 / STEPS), simd.splat(128.5 / STEPS)));
    let rest = simd.mul_add(leading, simd.splat(-STEPS), steps);
    let middle = simd.round(simd.mul_add(rest, simd.splat(1.0 / 256.0), simd.splat(0.5 / 256.0)));
    [leading, middle, simd.mul_add(middle, simd.splat(-256.0), rest)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::packed_matrix::digits_of;

    /// Every number of steps near those where a digit changes, and some between.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "less than 2^24 steps")]
    fn levels_find_the_digits_of_the_integers() {
        let unit = unit_of(1.0);
        let near = (-128..=128).flat_map(|k: i32| (-200..=200).map(move |j| k * 65_536 + j * 163));
        let borders = (-128..=127).flat_map(|k: i32| (-130..=130).map(move |j| k * 65_536 + 32_640 + j));
        let steps = near.chain(borders).map(|steps| steps as f32).filter(|steps| steps.abs() < MOST_STEPS);
        let mut row: Vec<f32> = steps.map(|steps| steps / STEPS * unit).collect();
        row.push(1.0);
        let depth = row.len().next_multiple_of(64) / 4;
        for level in Level::available() {
            let (mut groups, mut ranges) = (Vec::new(), Vec::new());
            level.run_dots(DigitRows {
                rows: &row,
                columns: row.len(),
                depth,
                groups: &mut groups,
                ranges: &mut ranges,
            });
            assert_eq!(ranges, [RowRange { scale: unit, zero_point: 0 }]);
            let bytes: &[i8] = bytemuck::cast_slice(&groups);
            for (k, value) in row.iter().enumerate() {
                let found: [i8; DIGITS] = std::array::from_fn(|place| bytes[place * 4 * depth + k]);
                assert_eq!(found, digits_of(*value, steps_in_one(unit)), "{level:?}: {value}");
            }
        }
    }
}
