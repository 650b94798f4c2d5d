//! Files cut short at every length and changed in every byte: an error that names the section, or wrong scores, nothing worse.

use std::fs;
use std::path::Path;

use super::files::{answers, varied};
use super::go_on;
use super::random::Rows;
use crate::error::IndexError;
use crate::file::Section;
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

/// Uses all that an opened index offers; it may answer anything.
fn use_it(index: &SparseIndex, queries: &Rows) {
    let ids = index.ids();
    for mode in [Mode::Exact, Mode::Approximate { recall: 0.9 }] {
        for k in [3, 5000] {
            for filter in [None, Some(Filter::Ids(&ids))] {
                let options = SearchOptions { k, mode, filter, threads: Some(1) };
                index.search(queries.view(), &options, &go_on).unwrap();
            }
        }
    }
    if let Some(id) = ids.get(ids.len() / 2) {
        let _ = index.get(&id);
        let _ = index.explain(queries.part(0, 1).view(), &id);
        let _ = index.delete(&super::brute_force::list(&[id]));
    }
    let _ = (index.stats(), index.len());
    let _ = index.compact(Some(1), &go_on);
}

/// Opens these bytes; an error must be one about the file, and name a part of it.
fn open(path: &Path, bytes: &[u8], mmap: bool, verify: bool) -> Result<SparseIndex, String> {
    // A new file each time: the old one may still be mapped.
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
    SparseIndex::open(path, mmap, verify).map_err(|error| {
        let IndexError::File(error) = error else { panic!("not an error about the file: {error}") };
        let known = ["header", "section table"].into_iter().chain(Section::ALL.iter().map(|section| section.name()));
        assert!(known.into_iter().any(|name| name == error.section), "unknown section: {error}");
        error.section
    })
}

#[test]
fn every_length_but_the_whole_is_refused() {
    let (bytes, _) = small();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut");
    for length in (0..bytes.len()).filter(|length| *length < 4096 || length % 97 == 0 || bytes.len() - length < 200) {
        for mmap in [false, true] {
            let section = open(&path, &bytes[..length], mmap, false).map(|_| ()).unwrap_err();
            assert_eq!(section, "header", "cut at {length}");
        }
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(open(&path, &longer, true, false).map(|_| ()).unwrap_err(), "header");
    assert!(open(&path, &bytes, true, true).is_ok());
}

#[test]
fn every_changed_byte_is_found_by_verify() {
    let (bytes, _) = small();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed");
    for (place, bit) in (0..bytes.len()).zip([0, 3, 7].into_iter().cycle()) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << bit;
        assert!(open(&path, &changed, place % 2 == 0, true).is_err(), "bit {bit} of byte {place}");
    }
}

/// Every second byte of the first part, where the structure is, and a sample of the rest.
#[test]
fn a_changed_byte_without_verify_gives_wrong_scores_at_worst() {
    let (bytes, queries) = small();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed");
    let (mut opened, mut refused) = (0, 0);
    for place in 0..bytes.len() {
        let step = if place < 3000 { 7 } else { 173 };
        if place % step != 0 {
            continue;
        }
        for change in [0x01_u8, 0x80, 0xFF] {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            match open(&path, &changed, place % 2 == 0, false) {
                Ok(index) => {
                    opened += 1;
                    use_it(&index, &queries);
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(opened > 300 && refused > 300, "{opened} opened, {refused} refused");
}

/// A file whose checksums are right but whose sections do not fit each other.
#[test]
fn sections_that_do_not_fit_are_refused() {
    let (bytes, queries) = small();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged");
    let sections = usize::try_from(u64::from_le_bytes(bytes[32..40].try_into().unwrap())).unwrap();
    let mut refused = 0;
    for section in 0..sections {
        let entry = 64 + 32 * section;
        for (field, value) in [(0, 77_u64), (0, 6), (4, 9), (8, 1 << 40), (8, 64), (16, u64::MAX), (16, 8), (16, 0)] {
            let mut forged = bytes.clone();
            let width = if field < 8 { 4 } else { 8 };
            forged[entry + field..entry + field + width].copy_from_slice(&value.to_le_bytes()[..width]);
            seal(&mut forged, sections);
            match open(&path, &forged, true, false) {
                Ok(index) => use_it(&index, &queries),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 6 * sections, "{refused} of {}", 8 * sections);
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
    assert_eq!(error(8, 2), format!("{name}: header: expected version 1, found 2 (hint: a newer corten may read it)"));
    assert_eq!(
        error(0, b'X'),
        format!("{name}: header: expected the magic \"CortenSI\" of an index, found \"XortenSI\"")
    );
    assert!(error(12, 9).starts_with(&format!("{name}: header: expected this machine's byte order")));
    fs::write(&path, &bytes).unwrap();
    answers(&SparseIndex::open(&path, false, true).unwrap(), &queries);
}
