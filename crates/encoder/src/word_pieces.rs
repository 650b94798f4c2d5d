//! Greedy longest-match `WordPiece` (arXiv:1609.08144) over the ASCII part of a vocabulary.
//!
//! An ASCII word can only be made of ASCII pieces, so this is all that most words of most texts need. Pieces are found in a
//! hash table; the hashes of all prefixes of a word come from one pass over it.

use std::collections::BTreeMap;

/// Longest word looked at, in characters: the limit of the tokenizers this stands in for is at most this.
pub(crate) const LONGEST_WORD: usize = 100;

/// Most slots looked at for one piece. A vocabulary for which this is not enough was made to be slow and is left to the
/// library.
const MOST_PROBES: usize = 64;

/// Where the hash of a piece begins: for the first piece of a word, and for those that continue one.
const SEEDS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

/// An entry of the table; `length` 0 is an empty one.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    tag: u32,
    id: u32,
    start: u32,
    length: u32,
}

/// The pieces of a vocabulary by their text.
#[derive(Debug)]
pub(crate) struct WordPieces {
    slots: Vec<Slot>,
    /// The texts of all pieces, one after another; continuing ones without their prefix.
    texts: Vec<u8>,
    longest_piece: usize,
    unknown: u32,
}

impl WordPieces {
    /// The table of a vocabulary in which `unknown` is the id of the unknown token and continuing pieces begin with `prefix`;
    /// `None` if it is too large or was made to be slow.
    pub(crate) fn new<'a>(
        vocabulary: impl Iterator<Item = (&'a str, u32)>,
        prefix: &str,
        unknown: u32,
    ) -> Option<Self> {
        let mut pieces = BTreeMap::new();
        for (text, id) in vocabulary.filter(|(text, _)| text.is_ascii()) {
            for (kind, piece) in [(0, Some(text)), (1, text.strip_prefix(prefix))] {
                if let Some(piece) = piece.filter(|piece| (1..=LONGEST_WORD).contains(&piece.len())) {
                    pieces.insert((kind, piece), id);
                }
            }
        }
        let size = pieces.len().checked_mul(2)?.checked_next_power_of_two()?;
        let mut table = Self { slots: vec![Slot::default(); size], texts: Vec::new(), longest_piece: 0, unknown };
        for ((kind, piece), id) in pieces {
            let hash = piece.bytes().fold(SEEDS.get(kind).copied()?, step);
            let (start, length) = (u32::try_from(table.texts.len()).ok()?, u32::try_from(piece.len()).ok()?);
            let free = (0..MOST_PROBES)
                .map(|probe| table.place(hash, probe))
                .find(|place| table.slots.get(*place).is_some_and(|slot| slot.length == 0))?;
            *table.slots.get_mut(free)? = Slot { tag: tag(hash), id, start, length };
            table.texts.extend_from_slice(piece.as_bytes());
            table.longest_piece = table.longest_piece.max(piece.len());
        }
        Some(table)
    }

    /// Where the `probe`-th look for a hash goes.
    fn place(&self, hash: u64, probe: usize) -> usize {
        let mixed = hash ^ (hash >> 29);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
        let first = mixed as usize;
        first.wrapping_add(probe) & (self.slots.len() - 1)
    }

    /// The id of the piece with this text and hash.
    fn find(&self, text: &[u8], hash: u64) -> Option<u32> {
        for probe in 0..MOST_PROBES {
            let slot = self.slots.get(self.place(hash, probe))?;
            if slot.length == 0 {
                return None;
            }
            if slot.tag == tag(hash) && slot.length as usize == text.len() {
                let start = slot.start as usize;
                if self.texts.get(start..start + text.len()) == Some(text) {
                    return Some(slot.id);
                }
            }
        }
        None
    }

    /// The id of the unknown token.
    pub(crate) fn unknown(&self) -> u32 {
        self.unknown
    }

    /// The id of a word that is one piece, or the unknown token's.
    pub(crate) fn id_of(&self, word: &[u8]) -> u32 {
        self.find(word, word.iter().copied().fold(SEEDS[0], step)).unwrap_or(self.unknown)
    }

    /// Appends the ids of the pieces of `word`, at most [`LONGEST_WORD`] bytes of ASCII: the longest piece it begins with, the
    /// longest that what is left begins with, and so on; the unknown token alone if the word cannot be taken apart so.
    pub(crate) fn append(&self, word: &[u8], ids: &mut Vec<u32>) {
        if let Some(id) = self.find(word, word.iter().copied().fold(SEEDS[0], step)) {
            ids.push(id);
            return;
        }
        let before = ids.len();
        let mut rest = word;
        let mut seed = SEEDS[0];
        let mut hashes = [0; LONGEST_WORD];
        while !rest.is_empty() {
            let mut hash = seed;
            for (byte, place) in rest.iter().take(self.longest_piece).zip(&mut hashes) {
                hash = step(hash, *byte);
                *place = hash;
            }
            let longest = rest.len().min(self.longest_piece);
            let piece = (1..=longest).rev().find_map(|length| {
                let (text, rest) = rest.split_at_checked(length)?;
                Some((self.find(text, *hashes.get(length - 1)?)?, rest))
            });
            let Some((id, after)) = piece else {
                ids.truncate(before);
                ids.push(self.unknown);
                return;
            };
            ids.push(id);
            rest = after;
            seed = SEEDS[1];
        }
    }
}

/// The hash of a text and one more byte (FNV-1a with a constant of 64 random bits).
fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x9fb2_1c65_1e98_df25)
}

/// The part of a hash that is kept in the table.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}
