//! The mean of some rows of a table: the whole forward pass of a static embedding.
//!
//! Reference: `torch.nn.EmbeddingBag` with mode "mean", which adds the rows up in order in float32.

use crate::lane::LANES;
use crate::level::Level;
use crate::prefetch::prefetch;
use crate::simd::{Kernel, Simd};

/// How many rows ahead of the sum memory is asked for. Rows lie anywhere in a table that is larger than the caches, so the
/// processor cannot guess them.
const ROWS_AHEAD: usize = 4;

/// The rows of a table of token vectors, row-major.
#[derive(Clone, Copy, Debug)]
pub enum VectorTable<'a> {
    /// float32.
    F32(&'a [f32]),
    /// The bits of finite IEEE 754 binary16 numbers, which are widened exactly.
    F16(&'a [u16]),
}

/// The mean of the rows `rows` of `table`, whose rows have `columns` values: the first `output.len()` of them, into
/// `output`. With `weights`, one a row, each row is first multiplied by its own; the sum is still divided by the number of rows.
/// Without any row the mean is zero.
///
/// # Panics
/// A row is not in the table: callers check them first.
pub fn embedding_bag_mean(
    level: Level,
    table: VectorTable<'_>,
    columns: usize,
    rows: &[u32],
    weights: Option<&[f32]>,
    output: &mut [f32],
) {
    assert!(output.len() <= columns, "no more values than the table has columns");
    assert!(weights.is_none_or(|weights| weights.len() == rows.len()), "one weight a row");
    match table {
        VectorTable::F32(values) => level.run(Mean { values, columns, rows, weights, output }),
        VectorTable::F16(values) => level.run(Mean { values, columns, rows, weights, output }),
    }
}

struct Mean<'a, T> {
    values: &'a [T],
    columns: usize,
    rows: &'a [u32],
    weights: Option<&'a [f32]>,
    output: &'a mut [f32],
}

impl<T: Element> Kernel for Mean<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Mean { rows, weights, output, .. } = self;
        for row in rows.iter().take(ROWS_AHEAD) {
            prefetch(&self.values[*row as usize * self.columns..][..output.len()]);
        }
        output.fill(0.0);
        for (index, row) in rows.iter().enumerate() {
            if let Some(ahead) = rows.get(index + ROWS_AHEAD) {
                prefetch(&self.values[*ahead as usize * self.columns..][..output.len()]);
            }
            let row = &self.values[*row as usize * self.columns..][..output.len()];
            add_row(simd, row, weights.map(|weights| weights[index]), output);
        }
        if !rows.is_empty() {
            divide(simd, rows.len(), output);
        }
    }
}

/// `output += row`, or `output += weight * row`.
#[inline(always)]
fn add_row<S: Simd, T: Element>(simd: S, row: &[T], weight: Option<f32>, output: &mut [f32]) {
    let (vectors, rest) = row.as_chunks::<LANES>();
    let (sums, last) = output.as_chunks_mut::<LANES>();
    for (values, sum) in vectors.iter().zip(sums) {
        simd.store(add(simd, T::load(simd, values), weight, simd.load(sum)), sum);
    }
    if !rest.is_empty() {
        let mut values = [T::ZERO; LANES];
        values[..rest.len()].copy_from_slice(rest);
        let sum = add(simd, T::load(simd, &values), weight, simd.load_partial(last, 0.0));
        simd.store_partial(sum, last);
    }
}

#[inline(always)]
fn add<S: Simd>(simd: S, values: S::Vector, weight: Option<f32>, sum: S::Vector) -> S::Vector {
    match weight {
        None => simd.add(sum, values),
        Some(weight) => simd.mul_add(values, simd.splat(weight), sum),
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "the reference divides by the rounded number too")]
fn divide<S: Simd>(simd: S, count: usize, output: &mut [f32]) {
    let divisor = simd.splat(count as f32);
    let (sums, last) = output.as_chunks_mut::<LANES>();
    for sum in sums {
        simd.store(simd.div(simd.load(sum), divisor), sum);
    }
    if !last.is_empty() {
        simd.store_partial(simd.div(simd.load_partial(last, 0.0), divisor), last);
    }
}

/// A type of number that a table is stored in.
trait Element: Copy {
    const ZERO: Self;
    fn load<S: Simd>(simd: S, values: &[Self; LANES]) -> S::Vector;
}

impl Element for f32 {
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[Self; LANES]) -> S::Vector {
        simd.load(values)
    }
}

impl Element for u16 {
    const ZERO: Self = 0;
    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[Self; LANES]) -> S::Vector {
        simd.load_f16(values)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::float_cmp, reason = "tests of arithmetic")]
mod tests {
    use super::*;

    fn levels() -> Vec<Level> {
        let mut levels = Level::available();
        levels.push(Level::specification());
        levels
    }

    /// A binary16 number by its definition in IEEE 754.
    fn value_of(bits: u16) -> f64 {
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
        let magnitude =
            if exponent == 0 { fraction * 2f64.powi(-14) } else { (1.0 + fraction) * 2f64.powi(exponent - 15) };
        if bits & 0x8000 == 0 { magnitude } else { -magnitude }
    }

    #[test]
    fn every_finite_binary16_number_is_widened_exactly() {
        let all: Vec<u16> = (0..=u16::MAX).filter(|bits| bits & 0x7c00 != 0x7c00).collect();
        let expected: Vec<f32> = all.iter().map(|bits| value_of(*bits) as f32).collect();
        for level in levels() {
            let mut found = vec![f32::NAN; all.len()];
            embedding_bag_mean(level, VectorTable::F16(&all), all.len(), &[0], None, &mut found);
            assert_eq!(found, expected, "{level:?}");
        }
    }

    #[test]
    fn means_against_float64() {
        // Rows of 35 values: two vectors and a part of one.
        let (columns, rows) = (35, [4_u32, 0, 4, 7, 2]);
        let table: Vec<f32> = (0..8 * columns as u16).map(|i| f32::from(i % 89) / 8.0 - 3.0).collect();
        let weights = [0.5_f32, 2.0, 0.25, -1.0, 0.75];
        for level in levels() {
            for weights in [None, Some(&weights[..])] {
                for width in [1, 16, 20, 35] {
                    let mut found = vec![f32::NAN; width];
                    embedding_bag_mean(level, VectorTable::F32(&table), columns, &rows, weights, &mut found);
                    for (column, found) in found.iter().enumerate() {
                        let weight = |index: usize| weights.map_or(1.0, |weights| f64::from(weights[index]));
                        let terms = rows
                            .iter()
                            .enumerate()
                            .map(|(index, row)| weight(index) * f64::from(table[*row as usize * columns + column]));
                        // Every product and sum of these eighths is exact in float32; the division rounds once.
                        assert_eq!(*found, (terms.sum::<f64>() / 5.0) as f32, "{level:?}, {column}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_rows_are_zero() {
        for level in levels() {
            let mut output = [f32::NAN; 3];
            embedding_bag_mean(level, VectorTable::F32(&[1.0; 6]), 3, &[], None, &mut output);
            assert_eq!(output, [0.0; 3]);
        }
    }
}
