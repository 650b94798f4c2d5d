//! What a reader sees: a list of segments that does not change under it.

use std::sync::Arc;

use crate::bits::Bits;
use crate::error::IndexError;
use crate::id_table::IdRef;
use crate::ids::{DocumentId, DocumentIds};
use crate::segment::Segment;

/// A segment and which of its documents are deleted.
#[derive(Clone, Debug)]
pub(crate) struct SegmentView {
    pub(crate) segment: Arc<Segment>,
    /// None while no document is deleted.
    pub(crate) deleted: Option<Arc<Bits>>,
}

impl SegmentView {
    pub(crate) fn new(segment: Segment) -> Self {
        Self { segment: Arc::new(segment), deleted: None }
    }

    /// Documents that are not deleted.
    pub(crate) fn live(&self) -> usize {
        self.segment.len().saturating_sub(self.deleted.as_ref().map_or(0, |deleted| deleted.count()))
    }

    #[inline]
    pub(crate) fn is_live(&self, document: u32) -> bool {
        self.deleted.as_ref().is_none_or(|deleted| !deleted.contains(document))
    }

    /// The documents that are not deleted, ascending.
    pub(crate) fn live_documents(&self) -> impl Iterator<Item = u32> {
        // A segment has fewer documents than u32::MAX.
        (0..u32::try_from(self.segment.len()).unwrap_or(0)).filter(|&document| self.is_live(document))
    }
}

/// The index at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) dimension: u32,
    /// In the order in which their documents were added.
    pub(crate) segments: Vec<SegmentView>,
    /// Number of documents ever added: the id of the next one that is added without an id.
    pub(crate) next_number: i64,
    /// Whether ids are strings; unknown while no document was added.
    pub(crate) strings: Option<bool>,
}

/// `numbers` or `strings`.
pub(crate) fn kind_name(strings: bool) -> &'static str {
    if strings { "strings" } else { "numbers" }
}

impl Snapshot {
    pub(crate) fn new(dimension: u32) -> Self {
        Self { dimension, segments: Vec::new(), next_number: 0, strings: None }
    }

    /// Documents that are not deleted.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(SegmentView::live).sum()
    }

    /// The segment and the document within it that has this id.
    pub(crate) fn find(&self, id: &IdRef<'_>) -> Option<(usize, u32)> {
        self.segments.iter().enumerate().rev().find_map(|(number, view)| {
            let document = view.segment.ids.find(id)?;
            view.is_live(document).then_some((number, document))
        })
    }

    /// An error unless ids of this kind fit the index.
    pub(crate) fn check_kind(&self, strings: bool) -> Result<(), IndexError> {
        match self.strings {
            Some(expected) if expected != strings => {
                Err(IndexError::MixedIdKinds { expected: kind_name(expected), found: kind_name(strings) })
            }
            _ => Ok(()),
        }
    }

    /// The ids of the live documents, in the order in which they were added.
    pub(crate) fn ids(&self) -> DocumentIds {
        let all =
            self.segments.iter().flat_map(|view| view.live_documents().map(|document| view.segment.ids.get(document)));
        collect_ids(all, self.strings == Some(true))
    }
}

/// Ids of one kind as a list.
pub(crate) fn collect_ids<'a>(ids: impl Iterator<Item = IdRef<'a>>, strings: bool) -> DocumentIds {
    if strings {
        DocumentIds::Strings(
            ids.map(|id| match id.to_owned() {
                DocumentId::String(string) => string,
                DocumentId::Number(number) => number.to_string(),
            })
            .collect(),
        )
    } else {
        DocumentIds::Numbers(ids.map(|id| if let IdRef::Number(number) = id { number } else { 0 }).collect())
    }
}
