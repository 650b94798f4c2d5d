//! The sparse kernels against plain loops, with the same bits at every level.

use proptest::prelude::*;

use crate::level::Level;
use crate::sparse_row::{PackedRow, PackedWeights, QueryTable, RowScratch, row_dot, short_weight, unpack_terms};
use crate::sparse_window::{Addition, WINDOW, WINDOW_WORDS, WindowScores};

/// All documents of a window and their sums.
fn drain(scores: &mut WindowScores, level: Level, limit: u16) -> Vec<(usize, u16)> {
    let mut found = Vec::new();
    scores.drain(level, limit, |document, score| {
        found.push((document, score));
        limit
    });
    found
}

/// Terms in the form of Elias and Fano.
fn pack(terms: &[u16]) -> (Vec<u8>, Vec<u8>) {
    let mut bits = vec![0_u8; (terms.len() + 256).div_ceil(8)];
    for (index, term) in terms.iter().enumerate() {
        let bit = index + usize::from(term >> 8);
        bits[bit / 8] |= 1 << (bit % 8);
    }
    (bits, terms.iter().map(|term| term.to_le_bytes()[0]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_of_postings_and_bitmaps(
        postings in prop::collection::vec((prop::collection::vec((0..WINDOW as u16, any::<u8>()), 0..200), any::<u16>()), 0..6),
        bits in prop::collection::vec(0..WINDOW, 0..300),
        value in any::<u16>(),
        limit in any::<u16>(),
        skipped in 0_usize..3,
        beyond in 0_usize..12,
        ahead in any::<usize>(),
    ) {
        let mut expected = vec![0_u16; WINDOW];
        // The last ones lie beyond the count.
        let count = |documents: &[u16]| documents.len().saturating_sub(beyond);
        let lists: Vec<(Vec<u16>, Vec<u8>, u16)> =
            postings.into_iter().map(|(list, factor)| {
                // A slice that starts off alignment.
                let (documents, weights): (Vec<u16>, Vec<u8>) = list.into_iter().skip(skipped).unzip();
                (documents, weights, factor)
            }).collect();
        for (documents, weights, factor) in &lists {
            for (document, weight) in documents.iter().zip(weights).take(count(documents)) {
                let product = (u32::from(*weight) * u32::from(*factor) / 256) as u16;
                let sum = &mut expected[usize::from(*document)];
                *sum = sum.wrapping_add(product);
            }
        }
        let mut words = [0_u64; WINDOW_WORDS];
        for bit in bits {
            if words[bit / 64] >> (bit % 64) & 1 == 0 {
                words[bit / 64] |= 1 << (bit % 64);
                expected[bit] = expected[bit].wrapping_add(value);
            }
        }
        let limit_of = |limit: u16| expected.iter().copied().enumerate().filter(move |entry| entry.1 >= limit.max(1));
        for level in Level::available() {
            let mut scores = WindowScores::default();
            for limit in [limit, 0] {
                let numbers = lists.iter().map(|(documents, weights, factor)| Addition::Postings {
                    documents, weights, count: count(documents), factor: *factor, ahead
                });
                scores.add(level, numbers.chain([Addition::Bitmap { words: &words, value }]));
                prop_assert_eq!(drain(&mut scores, level, limit), limit_of(limit).collect::<Vec<_>>());
                // Nothing is left for the next window.
                prop_assert_eq!(drain(&mut scores, level, 0), vec![]);
            }
        }
    }

    #[test]
    fn a_limit_that_rises_holds_for_what_follows(values in prop::collection::vec(any::<u8>(), 300)) {
        let documents: Vec<u16> = (0..300).map(|place| place * 7).collect();
        let mut expected = Vec::new();
        let mut limit = 1;
        for (document, value) in documents.iter().zip(&values) {
            if u16::from(*value) >= limit {
                expected.push(*document);
                limit = u16::from(*value) + 1;
            }
        }
        for level in Level::available() {
            let mut scores = WindowScores::default();
            scores.add(level, std::iter::once(Addition::Postings { documents: &documents, weights: &values, count: 300, factor: 256, ahead: 300 }));
            let mut found = Vec::new();
            scores.drain(level, 0, |document, score| {
                found.push(document as u16);
                score + 1
            });
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn an_inner_product(
        terms in prop::collection::btree_set(any::<u16>(), 0..400),
        codes in prop::collection::vec(0_u32..1 << 24, 400),
        query in prop::collection::btree_map(any::<u16>(), prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO, 0..200),
        float in any::<bool>(),
    ) {
        let terms: Vec<u16> = terms.into_iter().collect();
        let codes = &codes[..terms.len()];
        let (term_bits, term_bytes) = pack(&terms);
        let mut table = QueryTable::default();
        // Half of the query's terms are the row's.
        let query: Vec<(u16, f32)> = query.into_iter().zip(terms.iter().map(Some).chain(std::iter::repeat(None)))
            .map(|((term, weight), of_row)| (of_row.copied().filter(|term| term % 2 == 0).unwrap_or(term), weight)).collect();
        for &(term, weight) in &query {
            table.set(term, weight);
        }
        let weight_of = |term: u16| query.iter().rev().find(|entry| entry.0 == term).map_or(0.0, |entry| f64::from(entry.1));
        let value = |code: u32| if float { f64::from(f32::from_bits(code << 4)) } else { f64::from(short_weight(code)) };
        let (upper, lower, floats): (Vec<u8>, Vec<u8>, Vec<u8>) = (
            codes.iter().flat_map(|code| [code.to_le_bytes()[1], code.to_le_bytes()[2]]).collect(),
            codes.iter().map(|code| code.to_le_bytes()[0]).collect(),
            codes.iter().flat_map(|code| (code << 4).to_le_bytes()).collect(),
        );
        let weights = if float { PackedWeights::Float(&floats) } else { PackedWeights::Short { upper: &upper, lower: &lower } };
        let row = PackedRow { term_bits: &term_bits, term_bytes: &term_bytes, weights };
        // Sixteen partial sums folded in halves, the order that every level has.
        let mut sums = [0.0_f64; 16];
        for (index, (&term, &code)) in terms.iter().zip(codes).enumerate() {
            sums[index % 16] += weight_of(term) * value(code);
        }
        for width in [8, 4, 2, 1] {
            (0..width).for_each(|lane| sums[lane] += sums[lane + width]);
        }
        let mut scratch = RowScratch::default();
        for level in Level::available() {
            prop_assert_eq!(row_dot(level, row, &table, &mut scratch).to_bits(), sums[0].to_bits());
        }
        let mut unpacked = Vec::new();
        unpack_terms(&term_bits, &term_bytes, &mut scratch, &mut unpacked);
        prop_assert_eq!(unpacked, terms);
    }

    /// Bytes that are no row: any answer, but one.
    #[test]
    fn any_bytes_are_safe(term_bits in prop::collection::vec(any::<u8>(), 0..80), term_bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let weights = vec![0xA5; 4 * term_bytes.len()];
        let row = PackedRow { term_bits: &term_bits, term_bytes: &term_bytes, weights: PackedWeights::Float(&weights) };
        let mut scratch = RowScratch::default();
        let mut unpacked = Vec::new();
        unpack_terms(&term_bits, &term_bytes, &mut scratch, &mut unpacked);
        prop_assert_eq!(unpacked.len(), term_bytes.len());
        for level in Level::available() {
            row_dot(level, row, &QueryTable::default(), &mut scratch);
        }
    }
}

/// Document numbers beyond the window, as a damaged file can hold: they change nothing that is read.
#[test]
fn documents_beyond_the_window_are_harmless() {
    let documents: Vec<u16> = (0..=u16::MAX).step_by(5).collect();
    let weights = vec![200; documents.len()];
    for level in Level::available() {
        let mut scores = WindowScores::default();
        scores.add(
            level,
            std::iter::once(Addition::Postings {
                documents: &documents,
                weights: &weights,
                count: documents.len(),
                factor: 256,
                ahead: usize::MAX,
            }),
        );
        let expected: Vec<(usize, u16)> = (0..WINDOW).step_by(5).map(|document| (document, 200)).collect();
        assert_eq!(drain(&mut scores, level, 0), expected);
    }
}

#[test]
fn short_weights_by_hand() {
    for (code, whole) in
        [(0, 0), (1, 1), (1 << 21, 1 << 21), ((1 << 22) + 1, (1 << 22) + 2), ((1 << 24) - 1, ((1 << 22) - 1) << 6)]
    {
        assert_eq!(short_weight(code), whole);
    }
}
