//! Memory from the system: a file mapped, the one place of this crate that needs `unsafe`, and pages without a file.

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapMut};

/// A file mapped for reading.
///
/// Another process may change the file under the mapping. Whatever is read from it is therefore treated as untrusted
/// each time, not only when the file is opened; a file cut shorter ends the process (`SIGBUS`), which only reading
/// into memory avoids. [`crate::SparseIndex::save`] never writes into an existing file.
#[derive(Debug)]
pub(crate) struct MappedFile(Mmap);

impl MappedFile {
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "a mapping cannot be made otherwise")]
        // SAFETY: the map is only read, as plain bytes and numbers for which every bit pattern is valid.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(map))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Memory of its own, zeros at first, in huge pages where the system has them: a search touches hundreds of places.
#[derive(Debug)]
pub(crate) struct Memory(MmapMut);

impl Memory {
    /// `bytes` of memory, which must not be none.
    pub(crate) fn zeroed(bytes: usize) -> io::Result<Self> {
        let memory = MmapMut::map_anon(bytes)?;
        // A hint that need not be followed.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(Self(memory))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
