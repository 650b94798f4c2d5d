//! Saving and opening; files of all versions, which must stay readable.

use std::fs;
use std::path::{Path, PathBuf};

use super::brute_force::{Model, check_exactly, list};
use super::go_on;
use super::random::{Random, Rows, Weights};
use crate::file::{OLDEST_VERSION, VERSION};
use crate::ids::{DocumentId, DocumentIds};
use crate::index::SparseIndex;
use crate::options::{Hits, SearchOptions};
use crate::snapshot::SegmentView;

/// Documents, queries and an index with everything a file can hold: inverted lists with a bitmap, deleted documents, several segments.
pub(super) fn varied(strings: bool) -> (SparseIndex, Rows, Model) {
    let mut random = Random::new(11);
    let mut rows = Rows::new();
    for (row, weight) in (0..3000).zip((1..=16).cycle()) {
        let mut entries = Rows::random(&mut random, 1, 3, 40, Weights::Eighths).row(0);
        // A term of all documents of the first segment: half of them, of less weight, become a bitmap.
        if row < 2300 && entries.iter().all(|entry| entry.0 != 0) {
            entries.push((0, weight as f32 / 8.0));
        }
        rows.push(&entries);
    }
    let id = |row: usize| {
        let number = row * 7919 % 3000;
        if strings { DocumentId::String(format!("{number}-ü")) } else { DocumentId::Number(number as i64) }
    };
    let ids = |range: std::ops::Range<usize>| list(&range.map(id).collect::<Vec<_>>());
    let index = SparseIndex::build(rows.part(0, 2300).view(), Some(ids(0..2300)), Some(40), Some(1), &go_on).unwrap();
    index.add(rows.part(2300, 2950).view(), Some(ids(2300..2950)), false, &go_on).unwrap();
    index.add(rows.part(2950, 3000).view(), Some(ids(2950..3000)), false, &go_on).unwrap();
    index.delete(&ids(40..90)).unwrap();
    let live = (0..3000).filter(|row| !(40..90).contains(row));
    let model = Model(live.map(|row| (id(row), rows.row(row))).collect());
    (index, Rows::random(&mut random, 6, 12, 40, Weights::Eighths), model)
}

pub(super) fn answers(index: &SparseIndex, queries: &Rows) -> Vec<Hits> {
    index.search(queries.view(), &SearchOptions { threads: Some(1), ..SearchOptions::default() }, &go_on).unwrap()
}

#[test]
fn what_is_opened_is_what_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.index");
    for strings in [false, true] {
        let (index, queries, model) = varied(strings);
        for (query, hits) in answers(&index, &queries).iter().enumerate() {
            check_exactly(&model.scores(&queries.row(query), None), hits, 10).unwrap();
        }
        assert!(index.stats().segments > 1 && index.stats().deleted == 50);
        let with_bitmaps =
            |view: &SegmentView| view.segment.postings.as_ref().is_some_and(|it| !it.bitmaps.as_bytes().is_empty());
        assert!(index.snapshot().segments.iter().any(with_bitmaps));
        index.save(&path, &go_on).unwrap();
        for (mmap, verify) in [(true, false), (false, false), (true, true), (false, true)] {
            let opened = SparseIndex::open(&path, mmap, verify).unwrap();
            assert_eq!(answers(&opened, &queries), answers(&index, &queries));
            assert_eq!(opened.ids(), index.ids());
            assert_eq!((opened.stats().mapped, index.stats().mapped), (mmap, false));
            assert_eq!(opened.stats().bytes, index.stats().bytes);
            // An opened index goes on as the saved one would.
            opened.compact(Some(1), &go_on).unwrap();
            assert_eq!(answers(&opened, &queries), answers(&index, &queries));
        }
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["all.index"]);
}

#[test]
fn numbering_goes_on_after_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    let index = SparseIndex::new(5).unwrap();
    index.save(&path, &go_on).unwrap();
    assert!(SparseIndex::open(&path, true, true).unwrap().is_empty());
    index.add(Rows::from(&[&[(1, 1.0)], &[]]).view(), None, false, &go_on).unwrap();
    index.delete(&DocumentIds::Numbers(vec![1])).unwrap();
    index.save(&path, &go_on).unwrap();
    let opened = SparseIndex::open(&path, true, true).unwrap();
    opened.add(Rows::from(&[&[(1, 1.0)]]).view(), None, false, &go_on).unwrap();
    assert_eq!(opened.ids(), DocumentIds::Numbers(vec![0, 2]));
    // Over the file that is mapped: the old one stays with those who have it open.
    opened.save(&path, &go_on).unwrap();
    assert_eq!(SparseIndex::open(&path, true, true).unwrap().ids(), opened.ids());
    assert_eq!(opened.get(&DocumentId::Number(0)), Some((vec![1], vec![1.0])));
}

#[test]
fn a_save_that_cannot_be_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (index, ..) = varied(false);
    let path = folder.path().join("it");
    index.save(&path, &go_on).unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(index.save(&path, &|| true).unwrap_err().to_string(), "cancelled");
    assert_eq!(fs::read(&path).unwrap(), before);
    let missing = folder.path().join("nowhere").join("it");
    let error = index.save(&missing, &go_on).unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("No such file"), "{error}");
    let error = index.save(folder.path(), &go_on).unwrap_err().to_string();
    assert!(error.contains("directory"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_save_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (index, ..) = varied(false);
    // No process has this number: it is above what Linux gives out.
    let abandoned = folder.path().join(".it.saving-4194305-0");
    let others = folder.path().join(".it2.saving-4194305-0");
    let running = folder.path().join(format!(".it.saving-{}-99999", std::process::id()));
    for path in [&abandoned, &others, &running] {
        fs::write(path, "x").unwrap();
    }
    index.save(&folder.path().join("it"), &go_on).unwrap();
    assert!(!abandoned.exists() && others.exists() && running.exists());
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = SparseIndex::open(folder.path(), true, false).unwrap_err().to_string();
    assert!(error.contains("directory"), "{error}");
    let error = SparseIndex::open(&folder.path().join("none"), true, false).unwrap_err().to_string();
    assert!(error.contains("none: No such file"), "{error}");
}

/// A file that a version of the format wrote; never changed since.
pub(super) fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/data/index-v{version}.corten"))
}

/// `cargo test --release -p sparse-index -- --ignored writes_the_fixture` writes the file. Only for a new version.
#[test]
#[ignore = "writes tests/data/index-v2.corten"]
fn writes_the_fixture() {
    varied(false).0.save(&fixture(VERSION), &go_on).unwrap();
}

#[test]
fn files_of_all_versions_open() {
    let (_, queries, model) = varied(false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again");
    for version in OLDEST_VERSION..=VERSION {
        assert_eq!(fs::read(fixture(version)).unwrap()[8], u8::try_from(version).unwrap());
        for mmap in [false, true] {
            let index = SparseIndex::open(&fixture(version), mmap, true).unwrap();
            assert_eq!((index.len(), index.dimension(), index.stats().deleted), (2950, 40, 50));
            for (query, hits) in answers(&index, &queries).iter().enumerate() {
                check_exactly(&model.scores(&queries.row(query), None), hits, 10).unwrap();
            }
            // What is saved is a file of today's version, whichever it came from.
            index.save(&path, &go_on).unwrap();
            assert_eq!(fs::read(&path).unwrap()[8], u8::try_from(VERSION).unwrap());
            assert_eq!(answers(&SparseIndex::open(&path, mmap, true).unwrap(), &queries), answers(&index, &queries));
        }
    }
}
