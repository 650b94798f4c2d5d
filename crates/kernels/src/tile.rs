//! The inner product that everything rests on: a few rows times one panel of packed columns.

use std::ops::Range;

use crate::lane::{LANES, Lane};
use crate::prefetch::prefetch_early;
use crate::product::{Group, Groups, Product};
use crate::simd::Simd;

/// Rows of a matrix that is read in place: `rows[i]` starts at `data[i * stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T = f32> {
    pub(crate) data: &'a [T],
    pub(crate) stride: usize,
}

impl<'a, T> Rows<'a, T> {
    /// `depth` values of `N` rows from row `first`, column `column`.
    ///
    /// A loop, since `array::from_fn` is a call of its own for twelve rows: with it the compiler neither sees that rows are one
    /// stride apart nor keeps all sums in registers.
    #[inline(always)]
    fn get<const N: usize>(self, first: usize, column: usize, depth: usize) -> [&'a [T]; N] {
        let mut rows: [&[T]; N] = [&[]; N];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = &self.data[(first + i) * self.stride + column..][..depth];
        }
        rows
    }
}

/// Accumulates `N` rows times a panel `V` vectors wide: `sums[i][v] += rows[i][k] * panel[k][v]`, k rising, one step of `P`
/// a term. That order is the whole definition of a product in this crate: it is what makes bits independent of blocks.
///
/// The lines of `next`, at most twice as many as `panel` is deep, are asked for on the way.
#[inline(always)]
pub(crate) fn multiply<S: Simd, P: Product<S>, const N: usize, const V: usize>(
    simd: S,
    rows: Rows<'_, P::Group>,
    first: usize,
    column: usize,
    panel: &[Lane<P::Group>],
    next: &[Lane<P::Group>],
    sums: [[P::Sum; V]; N],
) -> [[P::Sum; V]; N] {
    let rows = rows.get::<N>(first, column, panel.len() / V);
    multiply_rows::<S, P, N, V, V>(simd, rows, panel, 0, next, sums)
}

/// [`multiply`] of rows that lie anywhere, each at least as long as the panel is deep, and of `V` of the `W` vectors of a panel,
/// from vector `first` on.
#[inline(always)]
pub(crate) fn multiply_rows<S: Simd, P: Product<S>, const N: usize, const V: usize, const W: usize>(
    simd: S,
    rows: [&[P::Group]; N],
    panel: &[Lane<P::Group>],
    first: usize,
    next: &[Lane<P::Group>],
    mut sums: [[P::Sum; V]; N],
) -> [[P::Sum; V]; N] {
    assert!(first + V <= W, "vectors of the panel");
    let (panel, _) = panel.as_chunks::<W>();
    let mut rows = rows;
    for row in &mut rows {
        *row = &row[..panel.len()];
    }
    for (k, weights) in panel.iter().enumerate() {
        if let Some(line) = next.get(k) {
            prefetch_early(line);
        }
        if let Some(line) = next.get(panel.len() + k) {
            prefetch_early(line);
        }
        let weights: [Groups<S, P>; V] = std::array::from_fn(
            #[inline(always)]
            |v| P::Group::load(simd, &weights[first + v]),
        );
        for i in 0..N {
            // SAFETY: `rows[i]` was cut to `panel.len()` values above, and k counts that panel.
            let input = unsafe { *rows[i].get_unchecked(k) }.splat(simd);
            for v in 0..V {
                sums[i][v] = P::accumulate(simd, input, weights[v], sums[i][v]);
            }
        }
    }
    sums
}

/// `rows` in tiles of at most `most` that differ by one row at most: a tile of two rows takes as long as one of four, since each step of
/// a sum waits for the one before.
#[inline(always)]
pub(crate) fn even_tiles(rows: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let tiles = rows.div_ceil(most);
    (0..tiles).map(move |tile| part(rows, tile..tile + 1, tiles))
}

/// Where the parts `which` of `parts` lie, if `count` values are cut into so many of about the same length.
#[inline(always)]
pub(crate) fn part(count: usize, which: Range<usize>, parts: usize) -> Range<usize> {
    which.start * count / parts..which.end * count / parts
}

/// Loads `V` vectors from each of `N` rows of one length, which may end inside them.
///
/// Every index of a vector is a constant here and in [`store_rows`] once the loops are unrolled, so that a tile's sums are never in memory.
#[inline(always)]
pub(crate) fn load_rows<S: Simd, const N: usize, const V: usize>(simd: S, rows: [&[f32]; N]) -> [[S::Vector; V]; N] {
    let mut vectors = [[simd.splat(0.0); V]; N];
    if rows.iter().all(|row| row.len() == V * LANES) {
        for i in 0..N {
            let (whole, _) = rows[i].as_chunks();
            for v in 0..V {
                vectors[i][v] = simd.load(&whole[v]);
            }
        }
        return vectors;
    }
    let mut padded = [[[0.0; LANES]; V]; N];
    for (padded, row) in padded.iter_mut().zip(rows) {
        padded.as_flattened_mut()[..row.len()].copy_from_slice(row);
    }
    for i in 0..N {
        for v in 0..V {
            vectors[i][v] = simd.load(&padded[i][v]);
        }
    }
    vectors
}

/// Stores the first `width` values of `N` rows of `V` vectors; row i starts at `output[i * stride]`.
#[inline(always)]
pub(crate) fn store_rows<S: Simd, const N: usize, const V: usize>(
    simd: S,
    vectors: [[S::Vector; V]; N],
    output: &mut [f32],
    stride: usize,
    width: usize,
) {
    if width == V * LANES {
        for i in 0..N {
            let (whole, _) = output[i * stride..][..V * LANES].as_chunks_mut();
            for v in 0..V {
                simd.store(vectors[i][v], &mut whole[v]);
            }
        }
        return;
    }
    let mut padded = [[[0.0; LANES]; V]; N];
    for i in 0..N {
        for v in 0..V {
            simd.store(vectors[i][v], &mut padded[i][v]);
        }
    }
    for (i, padded) in padded.iter().enumerate() {
        output[i * stride..][..width].copy_from_slice(&padded.as_flattened()[..width]);
    }
}

/// Loads `V` vectors from `row`, which may end inside them.
#[inline(always)]
pub(crate) fn load_row<S: Simd, const V: usize>(simd: S, row: &[f32]) -> [S::Vector; V] {
    let [vectors] = load_rows(simd, [row]);
    vectors
}

/// Stores `V` vectors to `row`, which may end inside them.
#[inline(always)]
pub(crate) fn store_row<S: Simd, const V: usize>(simd: S, vectors: [S::Vector; V], row: &mut [f32]) {
    let width = row.len();
    store_rows(simd, [vectors], row, width, width);
}

/// Evaluates the body with two constants: the number of rows, 1 to `TILE_ROWS`, and the level's panel width. Written out
/// because the registers of a tile must be counted at compile time.
macro_rules! with_tile {
    ($simd:ty, $rows:expr, |$n:ident, $v:ident| $body:expr) => {{
        macro_rules! arm {
            ($rows_of_arm:literal) => {{
                const $n: usize = $rows_of_arm;
                if <$simd>::PANEL_VECTORS == 2 {
                    const $v: usize = 2;
                    $body
                } else {
                    const $v: usize = 1;
                    $body
                }
            }};
        }
        match $rows {
            1 => arm!(1),
            2 => arm!(2),
            3 if <$simd>::TILE_ROWS >= 3 => arm!(3),
            4 if <$simd>::TILE_ROWS >= 4 => arm!(4),
            5 if <$simd>::TILE_ROWS >= 5 => arm!(5),
            6 if <$simd>::TILE_ROWS >= 6 => arm!(6),
            7 if <$simd>::TILE_ROWS >= 7 => arm!(7),
            8 if <$simd>::TILE_ROWS >= 8 => arm!(8),
            9 if <$simd>::TILE_ROWS >= 9 => arm!(9),
            10 if <$simd>::TILE_ROWS >= 10 => arm!(10),
            11 if <$simd>::TILE_ROWS >= 11 => arm!(11),
            12 if <$simd>::TILE_ROWS >= 12 => arm!(12),
            rows => unreachable!("a tile of {rows} rows"),
        }
    }};
}
pub(crate) use with_tile;
