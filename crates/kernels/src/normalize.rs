//! Scaling rows to unit length.

use crate::lane::LANES;
use crate::level::Level;
use crate::simd::{Kernel, Simd};

/// A norm below this counts as this, so that a zero row stays zero, as in `torch.nn.functional.normalize`.
const SMALLEST_NORM: f32 = 1e-12;

/// Divides each row of `rows` (`[n, dim]`) by its Euclidean norm, in place; a zero row stays zero.
pub fn l2_normalize(level: Level, rows: &mut [f32], dim: usize) {
    assert!(dim > 0, "rows of no columns");
    assert_eq!(rows.len() % dim, 0, "rows of {dim} columns");
    level.run(L2Normalize { rows, dim });
}

struct L2Normalize<'a> {
    rows: &'a mut [f32],
    dim: usize,
}

impl Kernel for L2Normalize<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.rows.chunks_exact_mut(self.dim) {
            let (vectors, rest) = row.as_chunks_mut::<LANES>();
            let mut squares = simd.splat(0.0);
            for values in &*vectors {
                let vector = simd.load(values);
                squares = simd.mul_add(vector, vector, squares);
            }
            if !rest.is_empty() {
                let vector = simd.load_partial(rest, 0.0);
                squares = simd.mul_add(vector, vector, squares);
            }
            let norm = simd.sum_lanes(squares).sqrt();
            let divisor = if norm < SMALLEST_NORM { SMALLEST_NORM } else { norm };
            let divisor_vector = simd.splat(divisor);
            for values in vectors {
                simd.store(simd.div(simd.load(values), divisor_vector), values);
            }
            for value in rest {
                *value /= divisor;
            }
        }
    }
}
