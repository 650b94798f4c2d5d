//! Files cut short at every length and changed in every byte: an error that names the section, or wrong scores, nothing worse.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::files::{answers, fixture, varied};
use super::go_on;
use super::random::Rows;
use crate::error::IndexError;
use crate::file::{OLDEST_VERSION, Section, VERSION};
use crate::ids::DocumentIds;
use crate::index::SparseIndex;
use crate::options::{Filter, Mode, SearchOptions};

/// A small file with every kind of section.
fn small() -> (Vec<u8>, Rows) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small");
    let (index, queries, _) = varied(true);
    index.save(&path, &go_on).unwrap();
    (fs::read(&path).unwrap(), queries)
}

/// The same, and one of each older version.
fn of_each_version() -> Vec<(Vec<u8>, Rows)> {
    let (_, queries, _) = varied(false);
    let older = (OLDEST_VERSION..VERSION).map(|version| (fs::read(fixture(version)).unwrap(), queries.clone()));
    std::iter::once(small()).chain(older).collect()
}

/// Uses all that an opened index offers; it may answer anything.
fn use_it(index: &SparseIndex, queries: &Rows) {
    let ids = index.ids();
    // Looking for all ids takes most of the time: all once, a part of them, which goes the same ways, with the other options.
    let part: Vec<_> = (0..ids.len()).step_by(20).filter_map(|place| ids.get(place)).collect();
    let part = super::brute_force::list(&part);
    let search = |mode: Mode, k: usize, filter: Option<&DocumentIds>, queries: &Rows| {
        let options = SearchOptions { k, mode, filter: filter.map(Filter::Ids), threads: Some(1) };
        index.search(queries.view(), &options, &go_on).unwrap();
    };
    for mode in [Mode::Exact, Mode::Approximate { recall: 0.9 }] {
        // A k beyond the documents compares all of them, which two queries show as well as six.
        for (k, queries) in [(3, queries), (5000, &queries.part(0, 2))] {
            search(mode, k, None, queries);
            search(mode, k, Some(&part), queries);
        }
    }
    search(Mode::Exact, 3, Some(&ids), &queries.part(0, 1));
    if let Some(id) = ids.get(ids.len() / 2) {
        let _ = index.get(&id);
        let _ = index.explain(queries.part(0, 1).view(), &id);
        let _ = index.delete(&super::brute_force::list(&[id]));
    }
    let _ = (index.stats(), index.len());
    let _ = index.compact(Some(1), &go_on);
}

/// Opens a file; an error must be one about the file, and name a part of it.
fn open(path: &Path, mmap: bool, verify: bool) -> Result<SparseIndex, String> {
    SparseIndex::open(path, mmap, verify).map_err(|error| {
        let IndexError::File(error) = error else { panic!("not an error about the file: {error}") };
        let known = ["header", "section table"].into_iter().chain(Section::ALL.iter().map(|section| section.name()));
        assert!(known.into_iter().any(|name| name == error.section), "unknown section: {error}");
        error.section
    })
}

/// A file that is changed byte by byte, in place: writing all of it each time takes longer than opening it.
struct Changing {
    // Deleted when dropped.
    _folder: TempDir,
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
}

impl Changing {
    fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changing");
        fs::write(&path, bytes).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        Self { _folder: folder, path, file, bytes: bytes.to_vec() }
    }

    /// Opens the file with other bytes at `place`, and hands it to `with`. It is not open any more when this returns.
    fn with<T>(
        &mut self,
        place: usize,
        changed: &[u8],
        (mmap, verify): (bool, bool),
        with: impl FnOnce(Result<SparseIndex, String>) -> T,
    ) -> T {
        self.write(place, changed);
        let result = with(open(&self.path, mmap, verify));
        let good = self.bytes[place..place + changed.len()].to_vec();
        self.write(place, &good);
        result
    }

    fn write(&mut self, place: usize, bytes: &[u8]) {
        self.file.seek(SeekFrom::Start(place as u64)).unwrap();
        self.file.write_all(bytes).unwrap();
    }
}

#[test]
fn every_length_but_the_whole_is_refused() {
    let (bytes, _) = small();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut");
    // Cut from the end, so that each file is the one before made shorter.
    fs::write(&path, &bytes).unwrap();
    assert!(open(&path, true, true).is_ok());
    let file = File::options().write(true).open(&path).unwrap();
    for length in
        (0..bytes.len()).rev().filter(|length| *length < 4096 || length % 97 == 0 || bytes.len() - length < 200)
    {
        file.set_len(length as u64).unwrap();
        for mmap in [false, true] {
            let section = open(&path, mmap, false).map(|_| ()).unwrap_err();
            assert_eq!(section, "header", "cut at {length}");
        }
    }
    fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
    assert_eq!(open(&path, true, false).map(|_| ()).unwrap_err(), "header");
}

#[test]
fn every_changed_byte_is_found_by_verify() {
    let (bytes, _) = small();
    let mut changing = Changing::new(&bytes);
    for (place, bit) in (0..bytes.len()).zip([0, 3, 7].into_iter().cycle()) {
        let noticed =
            changing.with(place, &[bytes[place] ^ 1 << bit], (place % 2 == 0, true), |opened| opened.is_err());
        assert!(noticed, "bit {bit} of byte {place}");
    }
    assert!(open(&changing.path, true, true).is_ok());
}

/// Every seventh byte of the first part, where the structure is, and a sample of the rest.
#[test]
fn a_changed_byte_without_verify_gives_wrong_scores_at_worst() {
    for (bytes, queries) in of_each_version() {
        let mut changing = Changing::new(&bytes);
        let (mut opened, mut refused) = (0, 0);
        for (place, &byte) in bytes.iter().enumerate() {
            let step = if place < 3000 { 7 } else { 173 };
            if place % step != 0 {
                continue;
            }
            for change in [0x01_u8, 0x80, 0xFF] {
                changing.with(place, &[byte ^ change], (place % 2 == 0, false), |result| match result {
                    Ok(index) => {
                        opened += 1;
                        use_it(&index, &queries);
                    }
                    Err(_) => refused += 1,
                });
            }
        }
        assert!(opened > 300 && refused > 300, "{opened} opened, {refused} refused");
    }
}

/// A file whose checksums are right but whose sections do not fit each other.
#[test]
fn sections_that_do_not_fit_are_refused() {
    for (bytes, queries) in of_each_version() {
        let mut changing = Changing::new(&bytes);
        let sections = usize::try_from(u64::from_le_bytes(bytes[32..40].try_into().unwrap())).unwrap();
        let mut refused = 0;
        for section in 0..sections {
            let entry = 64 + 32 * section;
            for (field, value) in [(0, 77_u64), (0, 6), (4, 9), (8, 1 << 40), (8, 64), (16, u64::MAX), (16, 8), (16, 0)]
            {
                let mut forged = bytes.clone();
                let width = if field < 8 { 4 } else { 8 };
                forged[entry + field..entry + field + width].copy_from_slice(&value.to_le_bytes()[..width]);
                seal(&mut forged, sections);
                let start = 64 + 32 * sections;
                changing.with(0, &forged[..start], (true, false), |result| match result {
                    Ok(index) => use_it(&index, &queries),
                    Err(_) => refused += 1,
                });
            }
        }
        assert!(refused > 6 * sections, "{refused} of {}", 8 * sections);
    }
}

/// A table of terms whose checksum is right, and which says something else.
#[test]
fn a_forged_term_table_gives_wrong_scores_at_worst() {
    let (bytes, queries) = small();
    let mut changing = Changing::new(&bytes);
    let sections = usize::try_from(u64::from_le_bytes(bytes[32..40].try_into().unwrap())).unwrap();
    let word = |at: usize| usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap();
    let is_table = |entry: &usize| bytes[*entry..entry + 4] == (Section::TermTable as u32).to_le_bytes();
    let (mut opened, mut refused) = (0, 0);
    for entry in (0..sections).map(|section| 64 + 32 * section).filter(is_table) {
        let (start, length) = (word(entry + 8), word(entry + 16));
        for (place, bit) in (0..length).flat_map(|place| [0, 5, 7].map(|bit| (place, bit))) {
            let mut forged = bytes.clone();
            forged[start + place] ^= 1 << bit;
            let checksum = crc32fast::hash(&forged[start..start + length]);
            forged[entry + 24..entry + 28].copy_from_slice(&checksum.to_le_bytes());
            seal(&mut forged, sections);
            changing.with(0, &forged, (place % 2 == 0, false), |result| match result {
                Ok(index) => {
                    opened += 1;
                    use_it(&index, &queries);
                }
                Err(section) => {
                    assert!(section == Section::TermTable.name(), "{section}");
                    refused += 1;
                }
            });
        }
    }
    assert!(opened > 100 && refused > 100, "{opened} opened, {refused} refused");
}

/// More non-zeros than the rows can hold, for which memory would be asked when the index is rewritten: found by the fuzzer.
#[test]
fn more_non_zeros_than_bytes_are_refused() {
    let (mut bytes, _) = small();
    let sections = usize::try_from(u64::from_le_bytes(bytes[32..40].try_into().unwrap())).unwrap();
    let entry = 64 + 32 * (0..sections).find(|section| bytes[64 + 32 * section] == 2).unwrap();
    let word = |at: usize| usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap();
    let (start, length) = (word(entry + 8), word(entry + 16));
    bytes[start + 8..start + 16].copy_from_slice(&(1_u64 << 36).to_le_bytes());
    let checksum = crc32fast::hash(&bytes[start..start + length]);
    bytes[entry + 24..entry + 28].copy_from_slice(&checksum.to_le_bytes());
    seal(&mut bytes, sections);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many");
    fs::write(&path, &bytes).unwrap();
    let error = SparseIndex::open(&path, true, false).unwrap_err().to_string();
    assert!(error.contains("segment settings: expected at most ") && error.ends_with("found 68719476736"), "{error}");
}

/// Makes the checksums of table and header right again.
fn seal(bytes: &mut [u8], sections: usize) {
    let table = crc32fast::hash(&bytes[64..64 + 32 * sections]);
    bytes[48..52].copy_from_slice(&table.to_le_bytes());
    let header = crc32fast::hash(&bytes[..52]);
    bytes[52..56].copy_from_slice(&header.to_le_bytes());
}

#[test]
fn a_future_version_is_named() {
    let (bytes, queries) = small();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    let error = |place: usize, value: u8| {
        let mut changed = bytes.clone();
        changed[place] = value;
        fs::write(&path, &changed).unwrap();
        SparseIndex::open(&path, false, false).unwrap_err().to_string()
    };
    let name = path.display();
    let found = "found 3 (hint: a newer corten may read it)";
    assert_eq!(error(8, 3), format!("{name}: header: expected version 1 to 2, {found}"));
    assert!(error(8, 0).starts_with(&format!("{name}: header: expected version 1 to 2, found 0")));
    assert_eq!(
        error(0, b'X'),
        format!("{name}: header: expected the magic \"CortenSI\" of an index, found \"XortenSI\"")
    );
    assert!(error(12, 9).starts_with(&format!("{name}: header: expected this machine's byte order")));
    fs::write(&path, &bytes).unwrap();
    answers(&SparseIndex::open(&path, false, true).unwrap(), &queries);
}
