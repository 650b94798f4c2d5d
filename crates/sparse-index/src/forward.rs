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
//! [`unit_exponent`].

use kernels::{Level, PackedRow, PackedWeights, QueryTable, RowScratch, SHORT_WEIGHT_FRACTION};

use crate::storage::Buffer;

/// The largest dimension whose terms fit 16 bits.
pub(crate) const LARGEST_PACKED_DIMENSION: u32 = 1 << 16;
/// Instead of an exponent: the weights are float32.
const FLOAT: i16 = i16::MAX;
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
fn power_of_two(exponent: i16) -> f64 {
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

/// The 24 bits nearest to a weight; 2^24 or more if it is too large for the unit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, from 0 to 2^29")]
fn to_code(weight: f32, unit: f64) -> u32 {
    const ONE: u32 = 1 << SHORT_WEIGHT_FRACTION;
    let whole = f64::from(weight) / unit;
    let exponent = ((whole as u32).max(ONE) / ONE).ilog2();
    // Below ONE the exponent is 0 and the number itself the code. A fraction that rounds up to the next power of two carries into the
    // exponent, as it should.
    exponent * ONE + (whole / f64::from(1_u32 << exponent)).round_ties_even() as u32
}

/// The exponent of the unit in which a row's weights are stored in 24 bits, or `None` if they must stay float32.
///
/// A weight then is off by at most 2^-22 of itself if it is at least 1/64 of the largest, and by at most 2^-17 of itself in any case: rows with
/// weights so small that they would lose more stay float32, unless nothing is lost at all. So a score is within 2^-17 (7.6e-6) of
/// itself, and in practice within 2^-22 (2.4e-7), since its sum is mostly of larger weights and of errors of both signs.
pub(crate) fn unit_exponent(weights: &[f32]) -> Option<i16> {
    let (largest, smallest) =
        weights.iter().fold((0.0_f32, f32::INFINITY), |(largest, smallest), &w| (largest.max(w), smallest.min(w)));
    // 2^binade is the largest power of two that the largest weight reaches; a subnormal one has none of its own.
    let binade = i16::try_from(largest.to_bits() >> 23).ok()?.max(1) - 127;
    let mut exponent = (binade - 27).max(-149);
    if to_code(largest, power_of_two(exponent)) >= 1 << 24 {
        exponent += 1;
    }
    let unit = power_of_two(exponent);
    // Off by half a unit at most, where it is stored as a plain number of units.
    let enough = f64::from(smallest) >= unit * f64::from(1 << 16);
    let exact = || weights.iter().all(|&weight| to_float(to_code(weight, unit), unit).to_bits() == weight.to_bits());
    (enough || exact()).then_some(exponent)
}

/// The weight that a row of this unit stores for `weight`.
pub(crate) fn stored_weight(weight: f32, exponent: Option<i16>) -> f32 {
    exponent.map_or(weight, |exponent| {
        let unit = power_of_two(exponent);
        to_float(to_code(weight, unit), unit)
    })
}

/// Appends the packed form of a row to `bytes`. Terms ascend and are below the dimension.
pub(crate) fn pack_row(terms: &[u32], weights: &[f32], exponent: Option<i16>, dimension: u32, bytes: &mut Vec<u8>) {
    if terms.is_empty() {
        return;
    }
    if dimension > LARGEST_PACKED_DIMENSION {
        bytes.extend(terms.iter().flat_map(|term| term.to_le_bytes()));
        bytes.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        return;
    }
    let last_bit = terms.len() - 1 + terms.last().map_or(0, |&term| term as usize >> 8);
    let term_bits = last_bit / 8 + 1;
    // At most (65,535 + 255) / 8 + 1.
    bytes.extend_from_slice(&u16::try_from(term_bits).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(&exponent.unwrap_or(FLOAT).to_le_bytes());
    let first = bytes.len();
    bytes.resize(first + term_bits, 0);
    for (index, &term) in terms.iter().enumerate() {
        let bit = index + (term as usize >> 8);
        if let Some(byte) = bytes.get_mut(first + bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
    bytes.extend(terms.iter().map(|term| term.to_le_bytes()[0]));
    let Some(exponent) = exponent else {
        bytes.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        return;
    };
    let unit = power_of_two(exponent);
    let codes = || weights.iter().map(|&weight| to_code(weight, unit).to_le_bytes());
    codes().for_each(|[_, low, high, _]| bytes.extend_from_slice(&[low, high]));
    bytes.extend(codes().map(|[lowest, ..]| lowest));
}
