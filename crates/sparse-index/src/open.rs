//! Reading an index: every claim of the file checked before it is used.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::{IndexError, IndexFileError};
use crate::file::{ALIGNMENT, BYTE_ORDER, Entry, HEADER, Header, MAGIC, OLDEST_VERSION, Section, VERSION, WHOLE_INDEX};
use crate::index::SparseIndex;
use crate::mapping::{MappedFile, Memory};
use crate::open_segment;
use crate::storage::FileBytes;

/// A file whose header and section table are right.
pub(crate) struct OpenedFile<'p> {
    pub(crate) path: &'p Path,
    pub(crate) bytes: Arc<FileBytes>,
    pub(crate) version: u32,
    entries: Vec<Entry>,
}

impl SparseIndex {
    /// Opens a file that [`SparseIndex::save`] wrote: mapped, which takes milliseconds whatever its size, or read into memory. With `verify`
    /// every checksum is compared; without it a damaged file may give wrong scores, never more.
    ///
    /// A mapped file must not be cut shorter while it is open: that would end the process. To replace it, save over it: that
    /// leaves the old one to those who have it open.
    ///
    /// # Errors
    /// [`IndexError::File`] names the section of a file that is not an index of this version; [`IndexError::Io`].
    pub fn open(path: &Path, mmap: bool, verify: bool) -> Result<Self, IndexError> {
        let bytes = Arc::new(read(path, mmap)?);
        let opened = OpenedFile::check(path, bytes)?;
        if verify {
            opened.verify()?;
        }
        Ok(Self::from_snapshot(open_segment::snapshot(&opened)?))
    }
}

fn read(path: &Path, mmap: bool) -> Result<FileBytes, IndexError> {
    let on_error = |source| IndexError::io(path, source);
    // Before opening: to open a pipe would wait for its writer.
    must_be_file(path).map_err(on_error)?;
    let mut file = File::open(path).map_err(on_error)?;
    let length = file.metadata().map_err(on_error)?.len();
    // A file without bytes cannot be mapped.
    if mmap && length > 0 {
        return MappedFile::new(&file).map(FileBytes::Mapped).map_err(on_error);
    }
    if length == 0 {
        return Ok(FileBytes::Read(None));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let no_memory = |_| IndexError::OutOfMemory { bytes: length, what: "an index" };
    let mut memory = Memory::zeroed(length).map_err(no_memory)?;
    file.read_exact(memory.as_mut_slice()).map_err(on_error)?;
    Ok(FileBytes::Read(Some(memory)))
}

/// An error for what is there under this name and is not a file; for a folder the system's own.
pub(crate) fn must_be_file(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        File::open(path)?.read_exact(&mut [0])?;
    }
    if found.is_file() { Ok(()) } else { Err(io::Error::other("expected a file, found something else")) }
}

impl<'p> OpenedFile<'p> {
    pub(crate) fn error(
        &self,
        section: impl std::fmt::Display,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> IndexError {
        IndexFileError::new(self.path, section, expected, found).into()
    }

    fn check(path: &'p Path, bytes: Arc<FileBytes>) -> Result<Self, IndexError> {
        let mut opened = Self { path, bytes, version: 0, entries: Vec::new() };
        let header = opened.check_header()?;
        opened.version = header.version;
        opened.entries = opened.read_table(&header)?;
        Ok(opened)
    }

    fn check_header(&self) -> Result<Header, IndexError> {
        let all = self.bytes.as_slice();
        let wrong = |expected: String, found: String| self.error("header", expected, found);
        let Some(bytes) = all.get(..HEADER) else {
            return Err(wrong(format!("at least {HEADER} bytes"), all.len().to_string()));
        };
        let header: Header = bytemuck::pod_read_unaligned(bytes);
        if header.magic != MAGIC {
            let found = String::from_utf8_lossy(&header.magic).into_owned();
            return Err(wrong("the magic \"CortenSI\" of an index".to_owned(), format!("{found:?}")));
        }
        if header.byte_order != BYTE_ORDER {
            let found = if header.byte_order.swap_bytes() == BYTE_ORDER { "the other byte order" } else { "damage" };
            return Err(wrong("this machine's byte order".to_owned(), found.to_owned()));
        }
        if !(OLDEST_VERSION..=VERSION).contains(&header.version) {
            let found = format!("{} (hint: a newer corten may read it)", header.version);
            return Err(wrong(format!("version {OLDEST_VERSION} to {VERSION}"), found));
        }
        if header.checksum() != header.own_checksum {
            return Err(wrong(format!("checksum {:08x}", header.own_checksum), format!("{:08x}", header.checksum())));
        }
        if header.required_features != 0 || header.reserved != 0 || header.padding != 0 {
            return Err(wrong("no features of later versions".to_owned(), format!("{:#x}", header.required_features)));
        }
        if header.length != all.len() as u64 {
            return Err(wrong(format!("a file of {} bytes", header.length), all.len().to_string()));
        }
        Ok(header)
    }

    fn read_table(&self, header: &Header) -> Result<Vec<Entry>, IndexError> {
        let all = self.bytes.as_slice();
        let wrong = |expected: String, found: String| self.error("section table", expected, found);
        let end = usize::try_from(header.sections)
            .ok()
            .and_then(|sections| sections.checked_mul(size_of::<Entry>())?.checked_add(HEADER));
        let Some(bytes) = end.and_then(|end| all.get(HEADER..end)) else {
            return Err(wrong(format!("{} sections", header.sections), "fewer".to_owned()));
        };
        let checksum = crc32fast::hash(bytes);
        if checksum != header.table_checksum {
            return Err(wrong(format!("checksum {:08x}", header.table_checksum), format!("{checksum:08x}")));
        }
        let entries: Vec<Entry> = bytes.chunks_exact(size_of::<Entry>()).map(bytemuck::pod_read_unaligned).collect();
        let mut position = (HEADER + bytes.len()) as u64;
        for (index, entry) in entries.iter().enumerate() {
            let name = Section::ALL.iter().find(|section| **section as u32 == entry.section);
            let Some(name) = name else {
                return Err(wrong("known sections".to_owned(), format!("number {} at {index}", entry.section)));
            };
            let aligned = position.checked_next_multiple_of(ALIGNMENT);
            let end = entry.offset.checked_add(entry.length).filter(|end| *end <= header.length);
            let (Some(aligned), Some(end)) = (aligned, end) else {
                return Err(self.error(name.name(), "to end inside the file", "an end beyond it"));
            };
            if entry.offset != aligned {
                return Err(self.error(name.name(), format!("offset {aligned}"), entry.offset));
            }
            position = end;
        }
        if position != header.length {
            return Err(wrong(format!("sections up to byte {}", header.length), format!("up to {position}")));
        }
        Ok(entries)
    }

    /// Where a section of a segment lies, if the file has it.
    pub(crate) fn find(&self, section: Section, segment: u32) -> Option<(Range<usize>, u32)> {
        let entry = self.entries.iter().find(|entry| entry.section == section as u32 && entry.segment == segment)?;
        let start = usize::try_from(entry.offset).ok()?;
        Some((start..start.checked_add(usize::try_from(entry.length).ok()?)?, entry.checksum))
    }

    /// An error unless every section is there for one of `segments` segments, and once.
    pub(crate) fn check_owners(&self, segments: u32) -> Result<(), IndexError> {
        let mut seen: Vec<(u32, u32)> = self.entries.iter().map(|entry| (entry.segment, entry.section)).collect();
        seen.sort_unstable();
        let name =
            |section: u32| Section::ALL.iter().find(|known| **known as u32 == section).map_or("", |it| it.name());
        if let Some(pair) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(self.error(name(pair[0].1), "one in each segment", "two"));
        }
        match seen.iter().find(|(segment, _)| *segment >= segments && *segment != WHOLE_INDEX) {
            Some((segment, section)) => {
                Err(self.error(name(*section), format!("one of {segments} segments"), format!("segment {segment}")))
            }
            None => Ok(()),
        }
    }

    /// Compares the checksums of all sections, and the zeros between them.
    fn verify(&self) -> Result<(), IndexError> {
        let all = self.bytes.as_slice();
        let mut position = HEADER + self.entries.len() * size_of::<Entry>();
        for entry in &self.entries {
            let name = Section::ALL.iter().find(|section| **section as u32 == entry.section).map_or("", |it| it.name());
            let start = usize::try_from(entry.offset).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(entry.length).unwrap_or(usize::MAX));
            if all.get(position..start).unwrap_or_default().iter().any(|byte| *byte != 0) {
                return Err(self.error(name, "zeros before it", "other bytes"));
            }
            let checksum = crc32fast::hash(all.get(start..end).unwrap_or_default());
            if checksum != entry.checksum {
                return Err(self.error(name, format!("checksum {:08x}", entry.checksum), format!("{checksum:08x}")));
            }
            position = end;
        }
        Ok(())
    }
}
