//! The documents' own rows, packed: what scores are computed from.
//!
//! A row of a dimension up to 65,536 is, little-endian and without padding:
//!
//! | bytes | what |
//! |---|---|
//! | 2 | length of the term bits `b` |
//! | 2 | exponent `e` of the unit of weight, or 32,767: weights are float32 |
//! | b, n | the n terms in the form of Elias and Fano, see [`kernels::PackedRow`] |
//! | 3n or 4n | upper 16 bits of all weights, then lower 8 bits of all weights, see [`kernels::PackedWeights`], in units of 2^e; or float32 |
//!
//! In a larger dimension: terms in 32 bits, then weights in float32. A row without entries has no bytes.
//!
//! The unit is chosen so that the row's largest weight fits: weights within a factor of 64 to 128 of it keep 22 bits, smaller ones the
//! fewer the smaller they are. Every stored weight is a float32. Rows in which that would lose too much stay float32, see
//! [`crate::pack_rows::unit_exponent`].

use kernels::{Level, PackedRow, PackedWeights, QueryTable, RowScratch};

use crate::storage::Buffer;

/// The largest dimension whose terms fit 16 bits.
pub(crate) const LARGEST_PACKED_DIMENSION: u32 = 1 << 16;
/// Instead of an exponent: the weights are float32.
pub(crate) const FLOAT: i16 = i16::MAX;
const HEADER: usize = 4;
/// Rows whose starts count from the same 64-bit number.
pub(crate) const ROWS_OF_A_BLOCK: usize = 256;

/// The packed rows of a segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForwardRows {
    /// `[rows / ROWS_OF_A_BLOCK + 1]`
    pub(crate) blocks: Buffer<u64>,
    /// `[rows + 1]`: row i starts at `blocks[i / ROWS_OF_A_BLOCK] + starts[i]` of `bytes`, and ends where the next one starts.
    pub(crate) starts: Buffer<u32>,
    pub(crate) bytes: Buffer<u8>,
    pub(crate) dimension: u32,
}

/// A query, ready to be compared with rows.
#[derive(Debug, Default)]
pub(crate) struct PreparedQuery {
    terms: Vec<u32>,
    weights: Vec<f32>,
    table: QueryTable,
    scratch: RowScratch,
}

impl PreparedQuery {
    /// Replaces the query.
    pub(crate) fn set(&mut self, terms: &[u32], weights: &[f32]) {
        for &term in &self.terms {
            if let Ok(term) = u16::try_from(term) {
                self.table.set(term, 0.0);
            }
        }
        self.terms.clear();
        self.weights.clear();
        self.terms.extend_from_slice(terms);
        self.weights.extend_from_slice(weights);
        for (&term, &weight) in terms.iter().zip(weights) {
            if let Ok(term) = u16::try_from(term) {
                self.table.set(term, weight);
            }
        }
    }
}

/// A row's parts, their lengths checked against each other.
enum Row<'a> {
    Packed(PackedRow<'a>, f64),
    Wide { terms: &'a [[u8; 4]], weights: &'a [[u8; 4]] },
}

/// 2^exponent for exponents from -1022 to 1023.
#[inline]
pub(crate) fn power_of_two(exponent: i16) -> f64 {
    f64::from_bits((i64::from(exponent) + 1023).cast_unsigned() << 52)
}

/// The arrays of [`ForwardRows`], found once for a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardView<'a> {
    blocks: &'a [u64],
    starts: &'a [u32],
    bytes: &'a [u8],
    dimension: u32,
}

impl ForwardRows {
    pub(crate) fn view(&self) -> ForwardView<'_> {
        ForwardView {
            blocks: self.blocks.as_slice(),
            starts: self.starts.as_slice(),
            bytes: self.bytes.as_slice(),
            dimension: self.dimension,
        }
    }
}

impl<'a> ForwardView<'a> {
    /// Where a row starts.
    #[inline]
    pub(crate) fn start(&self, row: usize) -> Option<usize> {
        let block = *self.blocks.get(row / ROWS_OF_A_BLOCK)?;
        usize::try_from(block.checked_add(u64::from(*self.starts.get(row)?))?).ok()
    }

    #[inline]
    fn bytes_of(&self, row: usize) -> Option<&'a [u8]> {
        self.bytes.get(self.start(row)?..self.start(row + 1)?)
    }

    /// `None` for a row without entries and for bytes that are no row.
    #[inline]
    fn parts(&self, row: usize) -> Option<Row<'a>> {
        let bytes = self.bytes_of(row)?;
        if self.dimension > LARGEST_PACKED_DIMENSION {
            let (terms, weights) = bytes.split_at_checked(bytes.len() / 2)?;
            let (terms, weights) = (terms.as_chunks().0, weights.as_chunks().0);
            return (!terms.is_empty() && weights.len() == terms.len()).then_some(Row::Wide { terms, weights });
        }
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let [a, b, c, d] = *header;
        let (term_bits, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([a, b])))?;
        let exponent = i16::from_le_bytes([c, d]);
        let bytes_of_entry = if exponent == FLOAT { 5 } else { 4 };
        let entries = rest.len() / bytes_of_entry;
        if rest.len() % bytes_of_entry != 0 {
            return None;
        }
        let (term_bytes, rest) = rest.split_at_checked(entries)?;
        let (weights, unit) = if exponent == FLOAT {
            (PackedWeights::Float(rest), 1.0)
        } else {
            let (upper, lower) = rest.split_at_checked(2 * entries)?;
            (PackedWeights::Short { upper, lower }, power_of_two(exponent.clamp(-149, 127)))
        };
        Some(Row::Packed(PackedRow { term_bits, term_bytes, weights }, unit))
    }

    /// The inner product of a row and the query, in float64; zero for a row that does not exist.
    #[inline]
    pub(crate) fn score(&self, level: Level, row: usize, query: &mut PreparedQuery) -> f64 {
        match self.parts(row) {
            None => 0.0,
            Some(Row::Packed(packed, unit)) => kernels::row_dot(level, packed, &query.table, &mut query.scratch) * unit,
            Some(Row::Wide { terms, weights }) => {
                let mut sum = 0.0;
                let mut place = 0;
                for (&term, &weight) in terms.iter().zip(weights) {
                    let term = u32::from_le_bytes(term);
                    while query.terms.get(place).is_some_and(|&other| other < term) {
                        place += 1;
                    }
                    if let (Some(&other), Some(&query_weight)) = (query.terms.get(place), query.weights.get(place))
                        && other == term
                    {
                        sum += f64::from(query_weight) * f64::from(f32::from_le_bytes(weight));
                    }
                }
                sum
            }
        }
    }

    /// Asks for what says where a row lies.
    #[inline]
    pub(crate) fn prefetch_start(&self, row: usize) {
        kernels::prefetch_line(self.starts, row);
        kernels::prefetch_line(self.blocks, row / ROWS_OF_A_BLOCK);
    }

    /// Asks for the bytes of a row ahead of their use.
    #[inline]
    pub(crate) fn prefetch(&self, row: usize) {
        if let Some(bytes) = self.bytes_of(row) {
            kernels::prefetch(bytes);
        }
    }

    /// The terms, ascending, and weights of a row, appended to `terms` and `weights`.
    pub(crate) fn unpack(&self, row: usize, scratch: &mut RowScratch, terms: &mut Vec<u32>, weights: &mut Vec<f32>) {
        match self.parts(row) {
            None => {}
            Some(Row::Wide { terms: from, weights: values }) => {
                terms.extend(from.iter().copied().map(u32::from_le_bytes));
                weights.extend(values.iter().copied().map(f32::from_le_bytes));
            }
            Some(Row::Packed(row, unit)) => {
                let mut short = Vec::new();
                kernels::unpack_terms(row.term_bits, row.term_bytes, scratch, &mut short);
                terms.extend(short.into_iter().map(u32::from));
                match row.weights {
                    PackedWeights::Float(bytes) => {
                        weights.extend(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes));
                    }
                    PackedWeights::Short { upper, lower } => {
                        weights.extend(upper.as_chunks::<2>().0.iter().zip(lower).map(|(&upper, &lower)| {
                            let [low, high] = upper;
                            to_float(u32::from_le_bytes([lower, low, high, 0]), unit)
                        }));
                    }
                }
            }
        }
    }
}

/// The weight that 24 bits stand for: exact in float32, which has 24 bits itself.
#[expect(clippy::cast_possible_truncation, reason = "22 bits fit float32")]
fn to_float(code: u32, unit: f64) -> f32 {
    (f64::from(kernels::short_weight(code)) * unit) as f32
}
