//! The ids of a segment's documents, and the way back from an id to its document.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::ids::{DocumentId, DocumentIds};
use crate::storage::Buffer;

/// The ids of the documents 0 to n - 1 of a segment, each there once.
#[derive(Clone, Debug)]
pub(crate) enum IdTable {
    /// Consecutive numbers: first, count.
    Range(i64, usize),
    /// Any numbers. `order` lists the documents by ascending id; it is empty where they ascend already.
    Numbers { values: Buffer<i64>, order: Buffer<u32> },
    /// Strings: document i's is `bytes[starts[i]..starts[i + 1]]`, UTF-8.
    Strings { bytes: Buffer<u8>, starts: Buffer<u64>, order: Buffer<u32> },
}

/// An id without a copy of its string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum IdRef<'a> {
    Number(i64),
    String(Cow<'a, [u8]>),
}

impl<'a> From<&'a DocumentId> for IdRef<'a> {
    fn from(id: &'a DocumentId) -> Self {
        match id {
            DocumentId::Number(number) => Self::Number(*number),
            DocumentId::String(string) => Self::String(Cow::Borrowed(string.as_bytes())),
        }
    }
}

/// The id at `index`, without a copy.
pub(crate) fn id_at(ids: &DocumentIds, index: usize) -> Option<IdRef<'_>> {
    match ids {
        DocumentIds::Numbers(numbers) => numbers.get(index).copied().map(IdRef::Number),
        DocumentIds::Strings(strings) => strings.get(index).map(|string| IdRef::String(string.as_bytes().into())),
    }
}

impl IdRef<'_> {
    pub(crate) fn to_owned(&self) -> DocumentId {
        match self {
            Self::Number(number) => DocumentId::Number(*number),
            Self::String(bytes) => DocumentId::String(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

/// The numbers 0 to `count` - 1, ordered by `key`.
fn sorted_by<K: Ord>(count: usize, key: impl Fn(usize) -> K) -> Vec<u32> {
    // A segment has at most u32::MAX documents.
    let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by_key(|&document| key(document as usize));
    order
}

impl IdTable {
    pub(crate) fn new(ids: &DocumentIds) -> Self {
        match ids {
            DocumentIds::Numbers(numbers) => {
                let first = numbers.first().copied().unwrap_or(0);
                let expected = (0..).map(|step| first.checked_add(step));
                if numbers.iter().zip(expected).all(|(&number, expected)| Some(number) == expected) {
                    return Self::Range(first, numbers.len());
                }
                let order = if numbers.is_sorted() { Vec::new() } else { sorted_by(numbers.len(), |i| numbers[i]) };
                Self::Numbers { values: numbers.clone().into(), order: order.into() }
            }
            DocumentIds::Strings(strings) => {
                let mut starts = vec![0];
                let mut bytes = Vec::new();
                for string in strings {
                    bytes.extend_from_slice(string.as_bytes());
                    starts.push(bytes.len() as u64);
                }
                let order = if strings.is_sorted() { Vec::new() } else { sorted_by(strings.len(), |i| &strings[i]) };
                Self::Strings { bytes: bytes.into(), starts: starts.into(), order: order.into() }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Range(_, count) => *count,
            Self::Numbers { values, .. } => values.as_slice().len(),
            Self::Strings { starts, .. } => starts.as_slice().len().saturating_sub(1),
        }
    }

    /// The id of a document; of a document that does not exist, any id.
    pub(crate) fn get(&self, document: u32) -> IdRef<'_> {
        let index = document as usize;
        match self {
            Self::Range(first, _) => IdRef::Number(first.wrapping_add(i64::from(document))),
            Self::Numbers { values, .. } => IdRef::Number(values.as_slice().get(index).copied().unwrap_or_default()),
            Self::Strings { bytes, starts, .. } => {
                let starts = starts.as_slice();
                let bound = |index: usize| starts.get(index).and_then(|&start| usize::try_from(start).ok());
                let range = bound(index).unwrap_or(0)..bound(index + 1).unwrap_or(0);
                IdRef::String(bytes.as_slice().get(range).unwrap_or_default().into())
            }
        }
    }

    /// The document with this id.
    pub(crate) fn find(&self, id: &IdRef<'_>) -> Option<u32> {
        let order: &[u32] = match self {
            Self::Range(first, count) => {
                let IdRef::Number(number) = id else { return None };
                let place = usize::try_from(number.checked_sub(*first)?).ok()?;
                return (place < *count).then(|| u32::try_from(place).ok()).flatten();
            }
            Self::Numbers { order, .. } | Self::Strings { order, .. } => order.as_slice(),
        };
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let document = if order.is_empty() { u32::try_from(middle).ok()? } else { *order.get(middle)? };
            match self.get(document).cmp(id) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return ((document as usize) < self.len()).then_some(document),
            }
        }
        None
    }

    pub(crate) fn is_strings(&self) -> bool {
        matches!(self, Self::Strings { .. })
    }
}
