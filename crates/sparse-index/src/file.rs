//! The file format, versions 1 and 2.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `CortenSI` |
//! | 4 | version |
//! | 4 | 0x01020304 in the byte order of the arrays |
//! | 4, 4 | flags: features that a reader must know, and features that it may ignore; none yet |
//! | 8 | length of the file |
//! | 8 | number of sections |
//! | 8 | zeros |
//! | 4 | checksum (CRC-32) of the section table |
//! | 4 | checksum of the 52 bytes before |
//! | 8 | zeros |
//! | 32 each | section table, see [`Entry`] |
//! | | the sections, in the order of the table, each at the next multiple of 64, zeros between |
//!
//! A section is one array of one segment, as it lies in memory, or in version 2 its table of terms (`term_table.rs`), which was four
//! arrays in version 1. Opening checks the header, the tables, the two kinds of small sections and the
//! lengths of all arrays against each other; the arrays' contents are checked where they are used, each time, so that a file that
//! is damaged, or changes while it is mapped, gives wrong scores at worst. `verify` compares every checksum.

use std::borrow::Cow;

use crate::id_table::IdTable;
use crate::segment::Segment;

pub(crate) const MAGIC: [u8; 8] = *b"CortenSI";
/// The version that is written.
pub(crate) const VERSION: u32 = 2;
/// The oldest version that is read.
pub(crate) const OLDEST_VERSION: u32 = 1;
pub(crate) const BYTE_ORDER: u32 = 0x0102_0304;
/// Bytes of the header.
pub(crate) const HEADER: usize = 64;
/// Every section starts at a multiple of this.
pub(crate) const ALIGNMENT: u64 = 64;
/// The segment number of sections that belong to the whole index.
pub(crate) const WHOLE_INDEX: u32 = u32::MAX;

/// The header, as 32-bit and 64-bit words without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
    pub(crate) byte_order: u32,
    pub(crate) required_features: u32,
    pub(crate) optional_features: u32,
    pub(crate) length: u64,
    pub(crate) sections: u64,
    pub(crate) reserved: u64,
    pub(crate) table_checksum: u32,
    pub(crate) own_checksum: u32,
    pub(crate) padding: u64,
}

impl Header {
    /// The checksum of what lies before it.
    pub(crate) fn checksum(&self) -> u32 {
        crc32fast::hash(bytemuck::bytes_of(self).get(..52).unwrap_or_default())
    }
}

/// A line of the section table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Entry {
    /// See [`Section`].
    pub(crate) section: u32,
    /// The segment it belongs to, from 0, or [`WHOLE_INDEX`].
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) length: u64,
    /// CRC-32 of the section's bytes.
    pub(crate) checksum: u32,
    pub(crate) reserved: u32,
}

macro_rules! sections {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// The arrays of a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub(crate) enum Section {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Section {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

sections! {
    /// Dimension, next number, kind of ids, segments: four 64-bit numbers.
    Settings = 1, "settings";
    /// See [`SegmentSettings`].
    SegmentSettings = 2, "segment settings";
    Deleted = 3, "deleted documents";
    RowBlocks = 4, "row blocks";
    RowStarts = 5, "row starts";
    Rows = 19, "rows";
    /// In version 1, as the three others that the table of terms replaced.
    Terms = 6, "terms";
    TermLists = 7, "term lists";
    ChampionStarts = 8, "champion starts";
    Champions = 9, "champions";
    Lists = 10, "lists";
    ListCounts = 11, "list counts";
    ListDocuments = 12, "list documents";
    ListWeights = 13, "list weights";
    Bitmaps = 14, "bitmaps";
    IdNumbers = 15, "id numbers";
    IdStringStarts = 16, "id string starts";
    IdStrings = 17, "id strings";
    IdOrder = 18, "id order";
    /// From version 2 on.
    TermTable = 20, "term table";
}

/// The numbers of the whole index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Settings {
    pub(crate) dimension: u64,
    pub(crate) next_number: i64,
    /// 0 for none yet, 1 for numbers, 2 for strings.
    pub(crate) id_kind: u64,
    pub(crate) segments: u64,
}

/// The numbers of one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct SegmentSettings {
    pub(crate) documents: u64,
    pub(crate) non_zeros: u64,
    /// 0 for consecutive numbers, 1 for numbers, 2 for strings.
    pub(crate) id_table: u64,
    /// The first of consecutive numbers.
    pub(crate) first_id: i64,
    /// 1 if there are inverted lists.
    pub(crate) has_postings: u64,
}

impl SegmentSettings {
    pub(crate) fn of(segment: &Segment) -> Self {
        let (id_table, first_id) = match segment.ids {
            IdTable::Range(first, _) => (0, first),
            IdTable::Numbers { .. } => (1, 0),
            IdTable::Strings { .. } => (2, 0),
        };
        Self {
            documents: segment.len() as u64,
            non_zeros: segment.non_zeros,
            id_table,
            first_id,
            has_postings: u64::from(segment.postings.is_some()),
        }
    }
}

/// Calls `each` with every section of a segment that is as long as the segment is.
pub(crate) fn each_section<'s>(segment: &'s Segment, take: &mut dyn FnMut(Section, Cow<'s, [u8]>)) {
    let mut each = |section, bytes: &'s [u8]| take(section, Cow::Borrowed(bytes));
    each(Section::RowBlocks, segment.forward.blocks.as_bytes());
    each(Section::RowStarts, segment.forward.starts.as_bytes());
    each(Section::Rows, segment.forward.bytes.as_bytes());
    if let Some(postings) = &segment.postings {
        each(Section::Champions, postings.champions.as_bytes());
        each(Section::ListCounts, postings.counts.as_bytes());
        each(Section::ListDocuments, postings.documents.as_bytes());
        each(Section::ListWeights, postings.weights.as_bytes());
        each(Section::Bitmaps, postings.bitmaps.as_bytes());
    }
    match &segment.ids {
        IdTable::Range(..) => {}
        IdTable::Numbers { values, order } => {
            each(Section::IdNumbers, values.as_bytes());
            each(Section::IdOrder, order.as_bytes());
        }
        IdTable::Strings { bytes, starts, order } => {
            each(Section::IdStringStarts, starts.as_bytes());
            each(Section::IdStrings, bytes.as_bytes());
            each(Section::IdOrder, order.as_bytes());
        }
    }
    if let Some(postings) = &segment.postings {
        take(Section::TermTable, Cow::Owned(postings.table.encode()));
    }
}
