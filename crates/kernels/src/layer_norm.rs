//! Layer normalisation (arXiv:1607.06450), with the residual sum before it.

use crate::lane::LANES;
use crate::level::Level;
use crate::simd::{Kernel, Simd};

/// The learned parts of a layer normalisation over rows of `weight.len()` values.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// Scale of each column.
    pub weight: &'a [f32],
    /// Shift of each column.
    pub bias: &'a [f32],
    /// Added to the variance before the root.
    pub epsilon: f32,
}

/// Normalises each row of `rows` (`[n, dim]`) in place.
pub fn layer_norm(level: Level, norm: LayerNorm<'_>, rows: &mut [f32]) {
    norm.check(rows);
    level.run(Normalize { norm, residual: &[], rows });
}

/// Adds `residual` to `rows` (`[n, dim]`), then normalises each row in place. The residual is in parts side by side, each `[n, some of the
/// columns]`, row-major.
pub fn add_layer_norm(level: Level, norm: LayerNorm<'_>, residual: &[&[f32]], rows: &mut [f32]) {
    norm.check(rows);
    let count = rows.len() / norm.weight.len();
    assert_eq!(residual.iter().map(|part| part.len()).sum::<usize>(), rows.len(), "residual and rows");
    assert!(residual.iter().all(|part| part.len().is_multiple_of(count.max(1))), "parts of as many rows");
    level.run(Normalize { norm, residual, rows });
}

impl LayerNorm<'_> {
    fn check(&self, rows: &[f32]) {
        assert!(!self.weight.is_empty(), "layer norm of no columns");
        assert_eq!(self.weight.len(), self.bias.len(), "layer norm weight and bias");
        assert_eq!(rows.len() % self.weight.len(), 0, "rows of the layer norm's width");
    }
}

struct Normalize<'a> {
    norm: LayerNorm<'a>,
    residual: &'a [&'a [f32]],
    rows: &'a mut [f32],
}

impl Kernel for Normalize<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let dim = self.norm.weight.len();
        let count = self.rows.len() / dim;
        for (index, row) in self.rows.chunks_exact_mut(dim).enumerate() {
            let mut rest = &mut *row;
            for part in self.residual {
                let columns = part.len() / count;
                let (values, after) = rest.split_at_mut(columns);
                add(simd, values, &part[index * columns..][..columns]);
                rest = after;
            }
            normalize(simd, self.norm, row);
        }
    }
}

/// `row += other`.
#[inline(always)]
pub(crate) fn add<S: Simd>(simd: S, row: &mut [f32], other: &[f32]) {
    let (vectors, rest) = row.as_chunks_mut::<LANES>();
    let (others, other_rest) = other.as_chunks::<LANES>();
    for (values, other) in vectors.iter_mut().zip(others) {
        simd.store(simd.add(simd.load(values), simd.load(other)), values);
    }
    for (value, other) in rest.iter_mut().zip(other_rest) {
        *value += other;
    }
}

/// Two passes for the moments: the variance of values far from zero would be lost in the difference of two sums.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^24 columns")]
pub(crate) fn normalize<S: Simd>(simd: S, norm: LayerNorm<'_>, row: &mut [f32]) {
    let count = row.len() as f32;
    let (vectors, rest) = row.as_chunks_mut::<LANES>();

    let mut sum = simd.splat(0.0);
    for values in &*vectors {
        sum = simd.add(sum, simd.load(values));
    }
    if !rest.is_empty() {
        sum = simd.add(sum, simd.load_partial(rest, 0.0));
    }
    let mean = simd.sum_lanes(sum) / count;
    let mean_vector = simd.splat(mean);

    let mut squares = simd.splat(0.0);
    for values in &*vectors {
        let centred = simd.sub(simd.load(values), mean_vector);
        squares = simd.mul_add(centred, centred, squares);
    }
    if !rest.is_empty() {
        // Lanes beyond the row are filled with the mean and so add nothing.
        let centred = simd.sub(simd.load_partial(rest, mean), mean_vector);
        squares = simd.mul_add(centred, centred, squares);
    }
    let variance = simd.sum_lanes(squares) / count;
    let scale = simd.splat(1.0 / (variance + norm.epsilon).sqrt());

    let (weights, weight_rest) = norm.weight.as_chunks::<LANES>();
    let (biases, bias_rest) = norm.bias.as_chunks::<LANES>();
    for ((values, weight), bias) in vectors.iter_mut().zip(weights).zip(biases) {
        let scaled = simd.mul(simd.sub(simd.load(values), mean_vector), scale);
        simd.store(simd.mul_add(scaled, simd.load(weight), simd.load(bias)), values);
    }
    if !rest.is_empty() {
        let scaled = simd.mul(simd.sub(simd.load_partial(rest, mean), mean_vector), scale);
        let weight = simd.load_partial(weight_rest, 0.0);
        let bias = simd.load_partial(bias_rest, 0.0);
        simd.store_partial(simd.mul_add(scaled, weight, bias), rest);
    }
}
