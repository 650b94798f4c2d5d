//! The inner product of a packed sparse row and a query.

use crate::level::Level;
use crate::simd::{Kernel, Simd};

/// Partial sums of an inner product: entry i of a row goes to sum `i % SUMS`.
const SUMS: usize = 16;

/// The weight of every 16-bit term in the query; zero for terms it does not have.
#[derive(Clone, Debug)]
pub struct QueryTable {
    weights: Box<[f32; 1 << 16]>,
    /// 1 where the weight is not zero: a quarter of the size, so that the first-level cache holds more of it.
    present: Box<[u8; 1 << 16]>,
}

impl Default for QueryTable {
    fn default() -> Self {
        Self { weights: zeros(), present: zeros() }
    }
}

/// Zeros made on the heap, not the stack.
#[expect(clippy::unnecessary_box_returns, reason = "128 KiB and more, which must not pass over the stack")]
pub(crate) fn zeros<T: Copy + Default>() -> Box<[T; 1 << 16]> {
    // The length is right.
    vec![T::default(); 1 << 16].try_into().unwrap_or_else(|_| Box::new([T::default(); 1 << 16]))
}

impl QueryTable {
    /// Sets the weight of a term.
    pub fn set(&mut self, term: u16, weight: f32) {
        self.weights[usize::from(term)] = weight;
        self.present[usize::from(term)] = u8::from(weight != 0.0);
    }
}

/// The weights of a packed row.
#[derive(Clone, Copy, Debug)]
pub enum PackedWeights<'a> {
    /// Numbers of 24 bits: an exponent e of three bits over a fraction m of 21. As in IEEE 754 the number is m for e = 0, else
    /// (2^21 + m) 2^(e - 1): a whole number below 2^28 whose first 22 bits are kept.
    Short {
        /// The upper 16 bits of each, little-endian: `[2 * entries]`.
        upper: &'a [u8],
        /// The lower 8 bits of each: `[entries]`.
        lower: &'a [u8],
    },
    /// float32, little-endian: `[4 * entries]`.
    Float(&'a [u8]),
}

/// A row of ascending 16-bit terms in the form of Elias and Fano: the lower eight bits of each term are bytes; of the upper eight,
/// bit `upper + i` is set for entry i. That takes about ten bits for a term of SPLADE.
#[derive(Clone, Copy, Debug)]
pub struct PackedRow<'a> {
    /// The bits of the upper halves, least significant bit first.
    pub term_bits: &'a [u8],
    /// The lower halves: `[entries]`.
    pub term_bytes: &'a [u8],
    /// The weights.
    pub weights: PackedWeights<'a>,
}

/// Bits of the fraction of a short weight.
pub const SHORT_WEIGHT_FRACTION: u32 = 21;

/// The whole number that 24 bits stand for, see [`PackedWeights::Short`].
#[inline(always)]
#[must_use]
pub fn short_weight(code: u32) -> i32 {
    let exponent = code >> SHORT_WEIGHT_FRACTION & 7;
    let fraction = code & ((1 << SHORT_WEIGHT_FRACTION) - 1);
    let whole = fraction | u32::from(exponent != 0) << SHORT_WEIGHT_FRACTION;
    // Below 2^28.
    (whole << exponent.saturating_sub(1)).cast_signed()
}

/// Room for a row's terms while it is unpacked; grows to the longest row.
#[derive(Clone, Debug, Default)]
pub struct RowScratch {
    /// First the places of set bits, then the terms that they stand for.
    terms: Vec<u16>,
    /// The entries whose terms the query has.
    matches: Vec<u16>,
}

/// For each byte the places of its set bits, lowest first.
static BIT_PLACES: [[u16; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte][count] = bit;
                count += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

/// For each byte how many bits are set: counting them takes an instruction that not every level has.
static BIT_COUNTS: [usize; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte.count_ones() as usize;
        byte += 1;
    }
    table
};

/// Writes the terms of a row to the first `bytes.len()` entries of `terms`; what is beyond them means nothing.
///
/// The zeros before an entry's bit are the upper half of its term: the bit's place less the number of bits before it.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a row has at most 2^16 entries, and only the lower half counts")]
fn unpack(bits: &[u8], bytes: &[u8], terms: &mut Vec<u16>) {
    let room = bytes.len().max(bits.len() * 8) + 8;
    if terms.len() < room {
        terms.resize(room, 0);
    }
    let mut count = 0;
    let mut first_bit = 0_u16;
    for &byte in bits {
        if let Some(target) = terms[count..].first_chunk_mut::<8>() {
            *target = BIT_PLACES[usize::from(byte)].map(|bit| first_bit.wrapping_add(bit));
        }
        count += BIT_COUNTS[usize::from(byte)];
        first_bit = first_bit.wrapping_add(8);
    }
    for (index, (term, &byte)) in terms.iter_mut().zip(bytes).enumerate() {
        *term = (term.wrapping_sub(index as u16) << 8) | u16::from(byte);
    }
}

/// Appends the terms of a row to `terms`.
pub fn unpack_terms(term_bits: &[u8], term_bytes: &[u8], scratch: &mut RowScratch, terms: &mut Vec<u16>) {
    unpack(term_bits, term_bytes, &mut scratch.terms);
    terms.extend(scratch.terms.iter().take(term_bytes.len()));
}

/// The sum over the entries of weight times query weight, in float64. Products are exact; the order of the sum is the row's alone, so
/// every level returns the same bits. Short weights count as whole numbers. Bits that are no valid row give a wrong sum, no more.
pub fn row_dot(level: Level, row: PackedRow<'_>, query: &QueryTable, scratch: &mut RowScratch) -> f64 {
    let entries = row.term_bytes.len();
    match row.weights {
        PackedWeights::Short { upper, lower } => {
            assert_eq!((upper.len(), lower.len()), (2 * entries, entries), "weights of {entries} entries");
        }
        PackedWeights::Float(bytes) => assert_eq!(bytes.len(), 4 * entries, "weights of {entries} entries"),
    }
    level.run(RowDot { row, query, scratch })
}

struct RowDot<'a> {
    row: PackedRow<'a>,
    query: &'a QueryTable,
    scratch: &'a mut RowScratch,
}

impl Kernel for RowDot<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let Self { row, query, scratch } = self;
        let RowScratch { terms, matches } = scratch;
        unpack(row.term_bits, row.term_bytes, terms);
        let terms = &terms[..row.term_bytes.len()];
        let matches = find_matches(terms, query, matches);
        match row.weights {
            PackedWeights::Short { upper, lower } => {
                let upper = upper.as_chunks::<2>().0;
                sum(
                    matches,
                    terms,
                    query,
                    #[inline(always)]
                    |entry| {
                        f64::from(short_weight(
                            u32::from(u16::from_le_bytes(upper[entry])) << 8 | u32::from(lower[entry]),
                        ))
                    },
                )
            }
            PackedWeights::Float(bytes) => {
                let weights = bytes.as_chunks::<4>().0;
                sum(
                    matches,
                    terms,
                    query,
                    #[inline(always)]
                    |entry| f64::from(f32::from_le_bytes(weights[entry])),
                )
            }
        }
    }
}

/// The entries whose terms the query has: found without a branch, since which they are cannot be foreseen.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a row has at most 2^16 entries")]
fn find_matches<'s>(terms: &[u16], query: &QueryTable, matches: &'s mut Vec<u16>) -> &'s [u16] {
    if matches.len() < terms.len() {
        matches.resize(terms.len(), 0);
    }
    let matches = &mut matches[..terms.len()];
    let present = query.present.as_ref();
    let mut count = 0;
    for (entry, &term) in terms.iter().enumerate() {
        // Never more than there are entries.
        if let Some(place) = matches.get_mut(count) {
            *place = entry as u16;
        }
        count += usize::from(present[usize::from(term)]);
    }
    &matches[..count]
}

/// Sixteen partial sums, folded in halves. Entries that the query does not have would add zeros.
#[inline(always)]
fn sum(matches: &[u16], terms: &[u16], query: &QueryTable, weight: impl Fn(usize) -> f64) -> f64 {
    let mut sums = [0.0_f64; SUMS];
    for &entry in matches {
        let entry = usize::from(entry);
        sums[entry % SUMS] += f64::from(query.weights[usize::from(terms[entry])]) * weight(entry);
    }
    let mut width = SUMS / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}
