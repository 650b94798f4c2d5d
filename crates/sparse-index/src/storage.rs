//! Where an index's arrays lie: in memory of their own, or in an opened file.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

use crate::mapping::{MappedFile, Memory};

/// The bytes of an opened file.
#[derive(Debug)]
pub(crate) enum FileBytes {
    /// Mapped: pages are read as they are used.
    Mapped(MappedFile),
    /// Read into memory, which begins at a page: every array in it is aligned. None of a file without bytes.
    Read(Option<Memory>),
}

impl FileBytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file.as_slice(),
            Self::Read(memory) => memory.as_ref().map(Memory::as_slice).unwrap_or_default(),
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped(_))
    }
}

/// An array of an index.
#[derive(Clone, Debug)]
pub(crate) enum Buffer<T: Pod> {
    Owned(Vec<T>),
    /// A range of a file's bytes, checked to be aligned and whole when the file was opened.
    Stored(Arc<FileBytes>, Range<usize>),
}

impl<T: Pod> Default for Buffer<T> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl<T: Pod> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Owned(values)
    }
}

impl<T: Pod> Buffer<T> {
    /// The array at `range` of the file, if that lies in the file, aligned, and holds whole values.
    pub(crate) fn stored(file: &Arc<FileBytes>, range: Range<usize>) -> Option<Self> {
        let bytes = file.as_slice().get(range.clone())?;
        bytemuck::try_cast_slice::<u8, T>(bytes).ok()?;
        Some(Self::Stored(Arc::clone(file), range))
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Owned(values) => values,
            Self::Stored(file, range) => {
                let bytes = file.as_slice().get(range.clone()).unwrap_or_default();
                bytemuck::try_cast_slice(bytes).unwrap_or_default()
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self.as_slice())
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self, Self::Stored(file, _) if file.is_mapped())
    }
}
