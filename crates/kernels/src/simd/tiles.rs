//! Matrix tiles: products of whole blocks of rows and columns.

use super::Dots;
use crate::lane::Lane;

/// Rows and columns of one tile of sums.
pub(crate) const TILE: usize = 16;
/// Rows and columns of the block of sums that one call adds to: two tiles each way.
pub(crate) const BLOCK: usize = 2 * TILE;
/// Lines of a block of sums: tile (0, 0), then (0, 1), (1, 0) and (1, 1), row by row.
pub(crate) const BLOCK_LINES: usize = 4 * TILE;

/// What makes a block of sums: two times sixteen rows of an input, and two times sixteen columns of weights.
///
/// Tile t of sixteen rows of the input holds, row by row, words `16 t` to `16 t + 15`; the tiles lie one after another. Tile t of
/// sixteen columns of the weights holds, word by word, the sixteen columns' words `16 t` to `16 t + 15`; the tiles of two
/// groups of columns alternate.
#[derive(Clone, Copy)]
pub(crate) struct TileProduct<'a> {
    pub(crate) input: [&'a [Lane<u32>]; 2],
    pub(crate) weights: &'a [Lane<u32>],
}

/// A unit that multiplies tiles of sixteen rows of sixteen words. All products of a call have as many tiles.
pub(crate) trait Tiles {
    /// Adds products to `sums`, words being pairs of bfloat16. The products at even and at odd places are summed apart within a
    /// tile; denormals may be taken for zero.
    fn add_bfloat16<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane; BLOCK_LINES]);

    /// The same for words of four bytes, unsigned in the input and signed in the weights, with integer sums.
    fn add_int8<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane<u32>; BLOCK_LINES]);

    /// The same for bytes that are signed in the input as well.
    fn add_signed_int8<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane<u32>; BLOCK_LINES]);
}

/// A kernel of tile products.
pub(crate) trait TileKernel {
    type Output;
    fn run<S: Dots, T: Tiles>(self, simd: S, tiles: T) -> Self::Output;
}

/// Tiles in each row block of the products' inputs, after checking that the shapes fit each other.
pub(crate) fn checked_tiles(products: &[TileProduct<'_>]) -> usize {
    let tiles = products.first().map_or(0, |product| product.input[0].len() / TILE);
    for TileProduct { input, weights } in products {
        assert_eq!(input[0].len(), tiles * TILE, "whole tiles of input, as many in each product");
        assert_eq!(input[1].len(), tiles * TILE, "as many tiles in both row blocks");
        assert_eq!(weights.len(), 2 * tiles * TILE, "as many tiles in both column blocks");
    }
    tiles
}

/// The specification, in plain Rust.
#[cfg(any(test, feature = "emulated-tiles"))]
pub(crate) struct EmulatedTiles;

#[cfg(any(test, feature = "emulated-tiles"))]
impl Tiles for EmulatedTiles {
    fn add_bfloat16<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane; BLOCK_LINES]) {
        use crate::bfloat16::bfloat16_value;
        let halves = |word: u32| [bfloat16_value((word & 0xffff) as u16), bfloat16_value((word >> 16) as u16)];
        each_tile(&products, |line, row, columns| {
            for (n, sum) in sums[line].0.iter_mut().enumerate() {
                let (mut even, mut odd) = (0.0_f32, 0.0_f32);
                for (word, column) in row.0.iter().zip(columns) {
                    let ([a0, a1], [b0, b1]) = (halves(*word), halves(column.0[n]));
                    even = a0.mul_add(b0, even);
                    odd = a1.mul_add(b1, odd);
                }
                *sum += even + odd;
            }
        });
    }

    fn add_int8<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane<u32>; BLOCK_LINES]) {
        add_bytes(&products, i32::from, sums);
    }

    fn add_signed_int8<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane<u32>; BLOCK_LINES]) {
        add_bytes(&products, |byte| i32::from(byte.cast_signed()), sums);
    }
}

/// Adds products of bytes that mean `input_value` in the input.
#[cfg(any(test, feature = "emulated-tiles"))]
fn add_bytes(products: &[TileProduct<'_>], input_value: impl Fn(u8) -> i32, sums: &mut [Lane<u32>; BLOCK_LINES]) {
    each_tile(products, |line, row, columns| {
        for (n, sum) in sums[line].0.iter_mut().enumerate() {
            for (word, column) in row.0.iter().zip(columns) {
                for (a, b) in word.to_le_bytes().into_iter().zip(column.0[n].to_le_bytes()) {
                    *sum = sum.wrapping_add((input_value(a) * i32::from(b.cast_signed())).cast_unsigned());
                }
            }
        }
    });
}

/// Calls `add` with the line of sums, the row and the columns of each product of a tile row with a tile.
#[cfg(any(test, feature = "emulated-tiles"))]
fn each_tile(products: &[TileProduct<'_>], mut add: impl FnMut(usize, &Lane<u32>, &[Lane<u32>])) {
    let tiles = checked_tiles(products);
    for TileProduct { input, weights } in products {
        for tile in 0..tiles {
            for (i, input) in input.iter().enumerate() {
                for j in 0..2 {
                    let columns = &weights[(2 * tile + j) * TILE..][..TILE];
                    for (r, row) in input[tile * TILE..][..TILE].iter().enumerate() {
                        add((2 * i + j) * TILE + r, row, columns);
                    }
                }
            }
        }
    }
}
