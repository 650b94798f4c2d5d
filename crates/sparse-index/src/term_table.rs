//! The terms of a segment and what is stored of each of their lists, as one section of the file.
//!
//! For each term, ascending, as numbers of seven bits a byte, lowest first, the eighth bit set in all but the last byte (LEB128): how far it
//! is behind the one after the term before, the number of its lists, and of its champions. Then for each list twice the number of its
//! documents, one more for a bitmap; the largest weight; and of a bitmap the smallest. Weights are float32, little-endian.
//!
//! Version 1 of the format had four arrays instead, three times the size: in an index of few documents that was a fifteenth of
//! the file. Unlike those the table is read when the file is opened, so its checksum is compared then.

use crate::postings::ListRecord;

/// The terms and lists of a segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TermTable {
    /// `[terms]`: the terms that occur, ascending.
    pub(crate) terms: Vec<u32>,
    /// `[terms + 1]`: the lists of term i are `term_lists[i]..term_lists[i + 1]`, strongest first, bitmaps last.
    pub(crate) term_lists: Vec<u32>,
    /// `[terms + 1]`: the champions of term i are at `champion_starts[i]..champion_starts[i + 1]`.
    pub(crate) champion_starts: Vec<u32>,
    /// `[lists]`
    pub(crate) lists: Vec<ListRecord>,
}

impl TermTable {
    /// Whether the terms ascend and the arrays divide the lists and so many champions among them.
    pub(crate) fn is_sound(&self, champions: usize) -> bool {
        let divides = |bounds: &[u32], length: usize| {
            bounds.len() == self.terms.len() + 1
                && bounds.first() == Some(&0)
                && bounds.last().map(|&last| last as usize) == Some(length)
                && bounds.windows(2).all(|pair| pair[0] <= pair[1])
        };
        self.terms.windows(2).all(|pair| pair[0] < pair[1])
            && divides(&self.term_lists, self.lists.len())
            && divides(&self.champion_starts, champions)
            && self.lists.iter().all(ListRecord::is_usable)
    }

    /// The section. The table is sound.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 * self.terms.len() + 6 * self.lists.len());
        let bounds = self.term_lists.windows(2).zip(self.champion_starts.windows(2));
        let mut next = 0;
        for (&term, (lists, champions)) in self.terms.iter().zip(bounds) {
            push(&mut bytes, u64::from(term) - next);
            next = u64::from(term) + 1;
            push(&mut bytes, u64::from(lists[1] - lists[0]));
            push(&mut bytes, u64::from(champions[1] - champions[0]));
            for list in self.lists.get(lists[0] as usize..lists[1] as usize).unwrap_or_default() {
                push(&mut bytes, 2 * u64::from(list.count) + u64::from(list.is_bitmap()));
                bytes.extend(list.upper.to_le_bytes());
                if list.is_bitmap() {
                    bytes.extend(list.lower.to_le_bytes());
                }
            }
        }
        bytes
    }

    /// The table of a section; `None` if it is none. What it takes is a few times the section's length.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut table = Self { term_lists: vec![0], champion_starts: vec![0], ..Self::default() };
        let (mut next, mut champions) = (0_u32, 0_u32);
        while !bytes.is_empty() {
            let term = next.checked_add(pull(&mut bytes)?)?;
            next = term.checked_add(1)?;
            table.terms.push(term);
            let lists = pull(&mut bytes)?;
            champions = champions.checked_add(pull(&mut bytes)?)?;
            table.champion_starts.push(champions);
            // Each takes bytes, so they end with the section.
            for _ in 0..lists {
                let count: u64 = pull(&mut bytes)?;
                let upper = weight(&mut bytes)?;
                let lower = if count % 2 == 1 { Some(weight(&mut bytes)?).filter(|lower| *lower > 0.0)? } else { 0.0 };
                table.lists.push(ListRecord { upper, lower, count: u32::try_from(count / 2).ok()? });
            }
            table.term_lists.push(u32::try_from(table.lists.len()).ok()?);
        }
        Some(table)
    }
}

/// Appends a number.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Takes a number off the front; none if it does not end, or is too large.
fn pull<T: TryFrom<u64>>(bytes: &mut &[u8]) -> Option<T> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return T::try_from(number).ok();
        }
    }
    None
}

/// Takes a weight off the front.
fn weight(bytes: &mut &[u8]) -> Option<f32> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(f32::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![0_u32..300, any::<u32>()]
    }

    prop_compose! {
        /// Gaps between terms, and for each the number of champions and its lists.
        fn table()(parts in prop::collection::vec(
            (prop_oneof![1_u32..300, Just(1 << 24)], 0_u32..9, prop::collection::vec((number(), 0.1_f32..9.0, any::<bool>()), 0..5)),
            0..40,
        )) -> TermTable {
            let mut table = TermTable { term_lists: vec![0], champion_starts: vec![0], ..TermTable::default() };
            let (mut term, mut champions) = (0, 0);
            for (gap, of_term, lists) in parts {
                term += gap;
                champions += of_term;
                table.terms.push(term);
                table.champion_starts.push(champions);
                table.lists.extend(lists.into_iter().map(|(count, upper, is_bitmap)| {
                    ListRecord { upper, lower: if is_bitmap { upper / 2.0 } else { 0.0 }, count }
                }));
                table.term_lists.push(u32::try_from(table.lists.len()).unwrap());
            }
            table
        }
    }

    proptest! {
        #[test]
        fn a_table_is_what_was_written(table in table()) {
            prop_assert!(table.is_sound(table.champion_starts.last().map_or(0, |&last| last as usize)));
            prop_assert_eq!(TermTable::decode(&table.encode()), Some(table));
        }

        #[test]
        fn any_bytes_are_a_table_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(table) = TermTable::decode(&bytes) {
                prop_assert!(table.terms.len() * 3 <= bytes.len() && table.lists.len() * 5 <= bytes.len());
            }
        }

        #[test]
        fn a_table_cut_short_is_shorter_or_none(table in table(), cut in any::<prop::sample::Index>()) {
            let bytes = table.encode();
            let length = cut.index(bytes.len() + 1);
            let found = TermTable::decode(&bytes[..length]);
            prop_assert!(found.is_none_or(|found| table.terms.starts_with(&found.terms) && table.lists.starts_with(&found.lists)));
        }
    }

    #[test]
    fn by_hand() {
        let lists =
            vec![ListRecord { upper: 2.0, lower: 0.0, count: 100 }, ListRecord { upper: 1.0, lower: 0.5, count: 1 }];
        let table = TermTable { terms: vec![5], term_lists: vec![0, 2], champion_starts: vec![0, 3], lists };
        assert_eq!(table.encode(), [5, 2, 3, 0xc8, 1, 0, 0, 0, 0x40, 3, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f]);
    }
}
