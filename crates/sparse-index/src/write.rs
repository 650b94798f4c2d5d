//! Adding, deleting, compacting.
//!
//! An add makes a segment of its own. Segments of similar size are merged, the newer into the older, so that their number grows with the
//! logarithm of the documents and each document is rewritten about as often. Merging stops at [`LARGEST_MERGE`] documents, so that
//! no add takes longer than that; `compact` makes one segment of all.

use std::collections::HashSet;
use std::sync::Arc;

use crate::bits::Bits;
use crate::error::IndexError;
use crate::id_table::{IdRef, id_at};
use crate::ids::DocumentIds;
use crate::index::SparseIndex;
use crate::options::Cancel;
use crate::rows::{Builder, CsrRows, Role, SparseRows};
use crate::segment::Segment;
use crate::snapshot::{SegmentView, Snapshot, collect_ids};
use crate::threads::{self, looked};

/// Most documents of a segment that an add makes by merging: four windows, some tenths of a second.
const LARGEST_MERGE: usize = 1 << 16;

impl SparseIndex {
    /// Adds documents: all of them, searchable when this returns, or none. Without `ids` they are numbered on from the number of
    /// documents ever added. With `upsert` a document whose id is in the index is replaced.
    ///
    /// # Errors
    /// What is wrong with the rows or ids, or [`IndexError::Cancelled`].
    pub fn add(
        &self,
        rows: CsrRows<'_>,
        ids: Option<DocumentIds>,
        upsert: bool,
        cancel: &Cancel<'_>,
    ) -> Result<(), IndexError> {
        let threads = threads::count(None)?;
        let rows = SparseRows::check_on(threads, cancel, rows, Role::Documents, Some(self.dimension()))?;
        self.add_rows(&rows, ids, upsert, threads, cancel)
    }

    pub(crate) fn add_rows(
        &self,
        rows: &SparseRows<'_>,
        ids: Option<DocumentIds>,
        upsert: bool,
        threads: usize,
        cancel: &Cancel<'_>,
    ) -> Result<(), IndexError> {
        let _guard = self.writer.lock(cancel)?;
        let mut snapshot = Snapshot::clone(&self.snapshot());
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let after = snapshot.next_number.checked_add(count);
        let after =
            after.ok_or(IndexError::TooLarge { what: "documents ever added", most: i64::MAX.unsigned_abs() })?;
        let ids = ids.unwrap_or_else(|| DocumentIds::Numbers((snapshot.next_number..after).collect()));
        if ids.len() != rows.len() {
            return Err(IndexError::argument("ids", format!("{} ids, one for each row", rows.len()), ids.len()));
        }
        if rows.len() == 0 {
            return Ok(());
        }
        let strings = matches!(ids, DocumentIds::Strings(_));
        snapshot.check_kind(strings)?;
        check_unique(&ids)?;
        let replaced = existing(&snapshot, &ids, upsert)?;
        snapshot.strings = Some(strings);
        snapshot.next_number = after;
        delete_documents(&mut snapshot, &replaced);
        let segment = Segment::build(rows, &ids, snapshot.dimension, threads, cancel)?;
        snapshot.segments.push(SegmentView::new(segment));
        merge_newest(&mut snapshot, threads, cancel)?;
        self.replace(snapshot);
        Ok(())
    }

    /// Deletes the documents with these ids: all, or none if one of them is unknown. Returns how many.
    ///
    /// # Errors
    /// [`IndexError::UnknownId`], [`IndexError::MixedIdKinds`], [`IndexError::DuplicateId`].
    pub fn delete(&self, ids: &DocumentIds) -> Result<usize, IndexError> {
        let _guard = self.writer.lock(&|| false)?;
        let mut snapshot = Snapshot::clone(&self.snapshot());
        if ids.is_empty() {
            return Ok(0);
        }
        snapshot.check_kind(matches!(ids, DocumentIds::Strings(_)))?;
        check_unique(ids)?;
        let mut places = Vec::with_capacity(ids.len());
        for id in (0..ids.len()).filter_map(|index| id_at(ids, index)) {
            places.push(snapshot.find(&id).ok_or_else(|| IndexError::UnknownId { id: id.to_owned() })?);
        }
        delete_documents(&mut snapshot, &places);
        snapshot.segments.retain(|view| view.live() > 0);
        self.replace(snapshot);
        Ok(ids.len())
    }

    /// Rewrites the index as one segment without deleted documents, on `threads` threads (`None`: one a processor).
    ///
    /// # Errors
    /// [`IndexError::Cancelled`].
    pub fn compact(&self, threads: Option<usize>, cancel: &Cancel<'_>) -> Result<(), IndexError> {
        let threads = threads::count(threads)?;
        let _guard = self.writer.lock(cancel)?;
        let mut snapshot = Snapshot::clone(&self.snapshot());
        if snapshot.segments.len() == 1 && snapshot.segments.iter().all(|view| view.deleted.is_none()) {
            return Ok(());
        }
        let merged = merge(&snapshot.segments, snapshot.dimension, snapshot.strings == Some(true), threads, cancel)?;
        snapshot.segments = merged.into_iter().collect();
        self.replace(snapshot);
        Ok(())
    }
}

/// An error if an id is there twice.
fn check_unique(ids: &DocumentIds) -> Result<(), IndexError> {
    if let DocumentIds::Numbers(numbers) = ids
        && numbers.windows(2).all(|pair| pair[0] < pair[1])
    {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(ids.len());
    for id in (0..ids.len()).filter_map(|index| id_at(ids, index)) {
        if !seen.insert(id.clone()) {
            return Err(IndexError::DuplicateId { id: id.to_owned(), problem: "is there twice" });
        }
    }
    Ok(())
}

/// Where those of `ids` are that the index has already.
fn existing(snapshot: &Snapshot, ids: &DocumentIds, upsert: bool) -> Result<Vec<(usize, u32)>, IndexError> {
    let mut places = Vec::new();
    if snapshot.segments.is_empty() {
        return Ok(places);
    }
    for id in (0..ids.len()).filter_map(|index| id_at(ids, index)) {
        if let Some(place) = snapshot.find(&id) {
            if !upsert {
                let problem = "is in the index already (hint: upsert replaces a document)";
                return Err(IndexError::DuplicateId { id: id.to_owned(), problem });
            }
            places.push(place);
        }
    }
    Ok(places)
}

/// Marks documents as deleted, in copies of the bitmaps that readers may hold.
fn delete_documents(snapshot: &mut Snapshot, places: &[(usize, u32)]) {
    for &(segment, document) in places {
        if let Some(view) = snapshot.segments.get_mut(segment) {
            let len = view.segment.len();
            let deleted = view.deleted.get_or_insert_with(|| Arc::new(Bits::none(len)));
            Arc::make_mut(deleted).insert(document);
        }
    }
}

/// Merges the newest segments while the last two are of similar size.
fn merge_newest(snapshot: &mut Snapshot, threads: usize, cancel: &Cancel<'_>) -> Result<(), IndexError> {
    snapshot.segments.retain(|view| view.live() > 0);
    let mut first = snapshot.segments.len().saturating_sub(1);
    let mut size = snapshot.segments.get(first).map_or(0, SegmentView::live);
    while let Some(before) = first.checked_sub(1).and_then(|index| snapshot.segments.get(index)) {
        if before.live() > 2 * size || before.live() + size > LARGEST_MERGE {
            break;
        }
        size += before.live();
        first -= 1;
    }
    if first + 1 >= snapshot.segments.len() {
        return Ok(());
    }
    let newest = snapshot.segments.get(first..).unwrap_or_default();
    let merged = merge(newest, snapshot.dimension, snapshot.strings == Some(true), threads, cancel)?;
    snapshot.segments.truncate(first);
    snapshot.segments.extend(merged);
    Ok(())
}

/// One segment of the live documents of several; none if there are none.
fn merge(
    segments: &[SegmentView],
    dimension: u32,
    strings: bool,
    threads: usize,
    cancel: &Cancel<'_>,
) -> Result<Option<SegmentView>, IndexError> {
    let documents: usize = segments.iter().map(SegmentView::live).sum();
    if documents == 0 {
        return Ok(None);
    }
    let non_zeros: u64 = segments.iter().map(|view| view.segment.non_zeros).sum();
    let mut rows = Builder::with_capacity(documents, usize::try_from(non_zeros).unwrap_or(0));
    let mut ids: Vec<IdRef<'_>> = Vec::with_capacity(documents);
    for view in segments {
        for (step, document) in view.live_documents().enumerate() {
            looked(step, cancel)?;
            let id = view.segment.ids.get(document);
            let valid = rows.push_with(dimension, |scratch, terms, weights| {
                view.segment.forward.view().unpack(document as usize, scratch, terms, weights);
            });
            if !valid {
                return Err(IndexError::Damaged { id: id.to_owned() });
            }
            ids.push(id);
        }
    }
    let ids = collect_ids(ids.into_iter(), strings);
    Segment::build(&rows.finish(), &ids, dimension, threads, cancel).map(|segment| Some(SegmentView::new(segment)))
}
