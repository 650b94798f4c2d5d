//! From the sections of a file to segments: the arrays' lengths checked against each other.

use std::sync::Arc;

use bytemuck::Pod;
use kernels::WINDOW;

use crate::bits::Bits;
use crate::error::IndexError;
use crate::file::{Section, SegmentSettings, Settings, WHOLE_INDEX};
use crate::forward::{ForwardRows, ROWS_OF_A_BLOCK};
use crate::id_table::IdTable;
use crate::open::OpenedFile;
use crate::postings::Postings;
use crate::segment::Segment;
use crate::snapshot::{SegmentView, Snapshot};
use crate::storage::Buffer;
use crate::term_table::TermTable;

/// The index in a file.
pub(crate) fn snapshot(file: &OpenedFile<'_>) -> Result<Snapshot, IndexError> {
    let settings: Settings = record(file, Section::Settings, WHOLE_INDEX)?;
    let wrong = |expected: &str, found: String| file.error(Section::Settings.name(), expected, found);
    let dimension = u32::try_from(settings.dimension).ok().filter(|dimension| (1..=1 << 31).contains(dimension));
    let dimension =
        dimension.ok_or_else(|| wrong("a dimension from 1 to 2147483648", settings.dimension.to_string()))?;
    let strings = match settings.id_kind {
        0 => None,
        1 => Some(false),
        2 => Some(true),
        other => return Err(wrong("a kind of ids from 0 to 2", other.to_string())),
    };
    if settings.next_number < 0 {
        return Err(wrong("a next number of at least 0", settings.next_number.to_string()));
    }
    let segments = u32::try_from(settings.segments).ok().filter(|segments| *segments != WHOLE_INDEX);
    let segments = segments.ok_or_else(|| wrong("fewer segments", settings.segments.to_string()))?;
    file.check_owners(segments)?;
    let views = (0..segments).map(|number| view(file, number, dimension, strings)).collect::<Result<_, _>>()?;
    Ok(Snapshot { dimension, segments: views, next_number: settings.next_number, strings })
}

/// A section of one record.
fn record<T: Pod>(file: &OpenedFile<'_>, section: Section, segment: u32) -> Result<T, IndexError> {
    let bytes = checked(file, section, segment)?;
    if bytes.len() != size_of::<T>() {
        return Err(file.error(section.name(), format!("{} bytes", size_of::<T>()), bytes.len()));
    }
    Ok(bytemuck::pod_read_unaligned(bytes))
}

/// A section that is read when the file is opened: such sections are small, so their checksums are always compared.
fn checked<'f>(file: &'f OpenedFile<'_>, section: Section, segment: u32) -> Result<&'f [u8], IndexError> {
    let (range, checksum) =
        file.find(section, segment).ok_or_else(|| file.error(section.name(), "a section", "none"))?;
    let bytes = file.bytes.as_slice().get(range).unwrap_or_default();
    let found = crc32fast::hash(bytes);
    if found != checksum {
        return Err(file.error(section.name(), format!("checksum {checksum:08x}"), format!("{found:08x}")));
    }
    Ok(bytes)
}

/// Reads the arrays of one segment.
struct Arrays<'f, 'p> {
    file: &'f OpenedFile<'p>,
    segment: u32,
}

impl Arrays<'_, '_> {
    /// An array of any length.
    fn any<T: Pod>(&self, section: Section) -> Result<Buffer<T>, IndexError> {
        let found = self.file.find(section, self.segment);
        let (range, _) = found.ok_or_else(|| self.file.error(section.name(), "a section", "none"))?;
        let length = range.len();
        Buffer::stored(&self.file.bytes, range)
            .ok_or_else(|| self.file.error(section.name(), format!("a multiple of {} bytes", size_of::<T>()), length))
    }

    /// An array of `length` entries, if that is a number.
    fn exactly<T: Pod>(&self, section: Section, length: Option<usize>) -> Result<Buffer<T>, IndexError> {
        let array = self.any(section)?;
        let found = array.as_slice().len();
        if Some(found) == length {
            return Ok(array);
        }
        let expected = length.map_or_else(|| "fewer entries".to_owned(), |length| format!("{length} entries"));
        Err(self.file.error(section.name(), expected, found))
    }

    /// An array of `length` entries, or of none.
    fn optional<T: Pod>(&self, section: Section, length: usize) -> Result<Buffer<T>, IndexError> {
        let array = self.any(section)?;
        if array.as_slice().is_empty() { Ok(array) } else { self.exactly(section, Some(length)) }
    }
}

fn view(file: &OpenedFile<'_>, number: u32, dimension: u32, strings: Option<bool>) -> Result<SegmentView, IndexError> {
    let settings: SegmentSettings = record(file, Section::SegmentSettings, number)?;
    let arrays = Arrays { file, segment: number };
    let wrong = |expected: &str, found: u64| file.error(Section::SegmentSettings.name(), expected, found);
    let documents = u32::try_from(settings.documents).ok().filter(|documents| *documents < u32::MAX);
    let documents = documents.ok_or_else(|| wrong("fewer documents", settings.documents))? as usize;
    let ids = id_table(&arrays, &settings, documents)?;
    if strings != Some(ids.is_strings()) {
        return Err(wrong("ids of the kind of the index", settings.id_table));
    }
    let starts: Buffer<u32> = arrays.exactly(Section::RowStarts, documents.checked_add(1))?;
    let blocks: Buffer<u64> = arrays.exactly(Section::RowBlocks, Some(documents / ROWS_OF_A_BLOCK + 1))?;
    let bytes: Buffer<u8> = arrays.any(Section::Rows)?;
    let forward = ForwardRows { blocks, starts, bytes, dimension };
    let (last, length) = (forward.view().start(documents), forward.bytes.as_slice().len());
    if last != Some(length) {
        let found = last.map_or_else(|| "none".to_owned(), |last| last.to_string());
        return Err(file.error(Section::RowStarts.name(), format!("an end of {length}"), found));
    }
    // An entry takes at least four bytes. Memory for so many is asked for at once when the index is rewritten.
    if settings.non_zeros > length as u64 / 4 {
        return Err(wrong(&format!("at most {} non-zeros in rows of {length} bytes", length / 4), settings.non_zeros));
    }
    let postings = match settings.has_postings {
        0 => None,
        1 => Some(postings(&arrays, documents.div_ceil(WINDOW))?),
        other => return Err(wrong("0 or 1 for inverted lists", other)),
    };
    let deleted = if file.find(Section::Deleted, number).is_some() {
        let words: Buffer<u64> = arrays.exactly(Section::Deleted, Some(documents.div_ceil(64)))?;
        let bits = Bits::from_words(words.as_slice().to_vec());
        if bits.iter().last().is_some_and(|last| last as usize >= documents) {
            return Err(file.error(Section::Deleted.name(), format!("documents below {documents}"), "more"));
        }
        Some(Arc::new(bits))
    } else {
        None
    };
    Ok(SegmentView { segment: Arc::new(Segment { ids, forward, postings, non_zeros: settings.non_zeros }), deleted })
}

fn postings(arrays: &Arrays<'_, '_>, windows: usize) -> Result<Postings, IndexError> {
    let (table, section) = if arrays.file.version == 1 {
        (table_of_version_1(arrays)?, Section::Lists)
    } else {
        (term_table(arrays)?, Section::TermTable)
    };
    let documents: Buffer<u16> = arrays.any(Section::ListDocuments)?;
    let entries = documents.as_slice().len();
    let mut postings = Postings {
        windows,
        table,
        champions: arrays.any(Section::Champions)?,
        counts: arrays.any(Section::ListCounts)?,
        weights: arrays.exactly(Section::ListWeights, Some(entries))?,
        bitmaps: arrays.any(Section::Bitmaps)?,
        documents,
        ..Postings::default()
    };
    let fit = postings.find_starts();
    fit.map(|()| postings)
        .ok_or_else(|| arrays.file.error(section.name(), "lists that fit the other sections", "others"))
}

fn term_table(arrays: &Arrays<'_, '_>) -> Result<TermTable, IndexError> {
    let bytes = checked(arrays.file, Section::TermTable, arrays.segment)?;
    let table = TermTable::decode(bytes);
    table.ok_or_else(|| arrays.file.error(Section::TermTable.name(), "terms and their lists", "other bytes"))
}

/// The four arrays that were the table of terms.
fn table_of_version_1(arrays: &Arrays<'_, '_>) -> Result<TermTable, IndexError> {
    let terms: Buffer<u32> = arrays.any(Section::Terms)?;
    let bounds = terms.as_slice().len().checked_add(1);
    Ok(TermTable {
        terms: terms.as_slice().to_vec(),
        term_lists: arrays.exactly(Section::TermLists, bounds)?.as_slice().to_vec(),
        champion_starts: arrays.exactly(Section::ChampionStarts, bounds)?.as_slice().to_vec(),
        lists: arrays.any(Section::Lists)?.as_slice().to_vec(),
    })
}

fn id_table(arrays: &Arrays<'_, '_>, settings: &SegmentSettings, documents: usize) -> Result<IdTable, IndexError> {
    match settings.id_table {
        0 => {
            let last = i64::try_from(documents).ok().and_then(|count| settings.first_id.checked_add(count));
            let wrong = || arrays.file.error(Section::SegmentSettings.name(), "a smaller first id", settings.first_id);
            last.ok_or_else(wrong).map(|_| IdTable::Range(settings.first_id, documents))
        }
        1 => Ok(IdTable::Numbers {
            values: arrays.exactly(Section::IdNumbers, Some(documents))?,
            order: arrays.optional(Section::IdOrder, documents)?,
        }),
        2 => Ok(IdTable::Strings {
            starts: arrays.exactly(Section::IdStringStarts, documents.checked_add(1))?,
            bytes: arrays.any(Section::IdStrings)?,
            order: arrays.optional(Section::IdOrder, documents)?,
        }),
        other => Err(arrays.file.error(Section::SegmentSettings.name(), "a kind of ids from 0 to 2", other)),
    }
}
