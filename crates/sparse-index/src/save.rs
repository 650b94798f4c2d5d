//! Writing an index: whole or not at all.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::IndexError;
use crate::file::{
    ALIGNMENT, BYTE_ORDER, Entry, HEADER, Header, MAGIC, Section, SegmentSettings, Settings, VERSION, WHOLE_INDEX,
    each_section,
};
use crate::index::SparseIndex;
use crate::open::must_be_file;
use crate::options::Cancel;
use crate::snapshot::Snapshot;
use crate::whole_blocks::WholeBlocks;

/// Bytes written between two looks for cancellation.
const CHUNK: usize = 1 << 23;

impl SparseIndex {
    /// Writes the index as it is now to `path`, and returns when the file would survive a power cut. It is written beside `path` under a
    /// temporary name and renamed: whatever happens, `path` is what it was or the whole new file. Readers that have the old file
    /// mapped keep it. A link at `path` stays; the file it leads to is replaced.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Cancelled`].
    pub fn save(&self, path: &Path, cancel: &Cancel<'_>) -> Result<(), IndexError> {
        let snapshot = self.snapshot();
        // A link that leads nowhere is replaced itself.
        let target = fs::canonicalize(path);
        let path = target.as_deref().unwrap_or(path);
        let name = path.file_name().ok_or_else(|| IndexError::io(path, io::ErrorKind::InvalidFilename.into()))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if path.exists() {
            must_be_file(path).map_err(|source| IndexError::io(path, source))?;
        }
        remove_abandoned(folder, name);
        let temporary = Temporary::create(folder, name)?;
        let on_error = |source| IndexError::io(&temporary.path, source);
        let mut file = &temporary.file;
        write_all(&snapshot, &mut file, cancel, &on_error)?;
        file.sync_all().map_err(on_error)?;
        fs::rename(&temporary.path, path).map_err(|source| IndexError::io(path, source))?;
        // The name is durable once its folder is. Where a folder cannot be opened (Windows), the rename is all there is.
        if let Ok(opened) = File::open(folder) {
            opened.sync_all().map_err(|source| IndexError::io(folder, source))?;
        }
        Ok(())
    }
}

/// The file under its temporary name; removed when dropped, which after the rename finds nothing.
struct Temporary {
    path: PathBuf,
    file: File,
}

/// What the temporary names of a file begin with.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".saving-");
    prefix
}

impl Temporary {
    fn create(folder: &Path, name: &OsStr) -> Result<Self, IndexError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let mut temporary = prefix(name);
            temporary.push(format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
            let path = folder.join(temporary);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path, file }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(IndexError::io(&path, error)),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what processes that were killed while saving this file left behind. Only where it can be told that they are gone.
fn remove_abandoned(folder: &Path, name: &OsStr) {
    let (prefix, processes) = (prefix(name), Path::new("/proc"));
    if !processes.join("self").exists() {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let rest = file_name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let process = rest.and_then(|rest| std::str::from_utf8(rest).ok()?.split_once('-')?.0.parse::<u32>().ok());
        if process.is_some_and(|process| !processes.join(process.to_string()).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Writes header, table and sections.
fn write_all(
    snapshot: &Snapshot,
    file: &mut (impl Write + Seek),
    cancel: &Cancel<'_>,
    on_error: &impl Fn(io::Error) -> IndexError,
) -> Result<(), IndexError> {
    let settings = Settings {
        dimension: u64::from(snapshot.dimension),
        next_number: snapshot.next_number,
        id_kind: snapshot.strings.map_or(0, |strings| 1 + u64::from(strings)),
        segments: snapshot.segments.len() as u64,
    };
    let of_segments: Vec<_> = snapshot.segments.iter().map(|view| SegmentSettings::of(&view.segment)).collect();
    let mut arrays: Vec<(Section, u32, Cow<'_, [u8]>)> =
        vec![(Section::Settings, WHOLE_INDEX, bytemuck::bytes_of(&settings).into())];
    for ((view, segment), number) in snapshot.segments.iter().zip(&of_segments).zip(0_u32..) {
        arrays.push((Section::SegmentSettings, number, bytemuck::bytes_of(segment).into()));
        if let Some(deleted) = &view.deleted {
            arrays.push((Section::Deleted, number, bytemuck::cast_slice(deleted.words()).into()));
        }
        each_section(&view.segment, &mut |section, bytes| arrays.push((section, number, bytes)));
    }
    // The header and the table are written last: only then are the checksums known.
    let room = vec![0; HEADER + arrays.len() * size_of::<Entry>()];
    let mut position = room.len() as u64;
    let mut blocks = WholeBlocks::new(file);
    blocks.push(&room).map_err(on_error)?;
    let mut table = Vec::with_capacity(arrays.len());
    for (section, segment, bytes) in arrays {
        let offset = position.next_multiple_of(ALIGNMENT);
        let padding = usize::try_from(offset - position).unwrap_or(0);
        blocks.push([0; 64].get(..padding).unwrap_or_default()).map_err(on_error)?;
        let mut checksum = crc32fast::Hasher::new();
        for chunk in bytes.chunks(CHUNK) {
            if cancel() {
                return Err(IndexError::Cancelled);
            }
            checksum.update(chunk);
            blocks.push(chunk).map_err(on_error)?;
        }
        let length = bytes.len() as u64;
        let checksum = checksum.finalize();
        table.push(Entry { section: section as u32, segment, offset, length, checksum, reserved: 0 });
        position = offset + length;
    }
    let table_bytes: &[u8] = bytemuck::cast_slice(&table);
    let mut header = Header {
        magic: MAGIC,
        version: VERSION,
        byte_order: BYTE_ORDER,
        length: position,
        sections: table.len() as u64,
        table_checksum: crc32fast::hash(table_bytes),
        ..Header::default()
    };
    header.own_checksum = header.checksum();
    let file = blocks.finish().map_err(on_error)?;
    file.seek(SeekFrom::Start(0)).map_err(on_error)?;
    file.write_all(bytemuck::bytes_of(&header)).map_err(on_error)?;
    file.write_all(table_bytes).map_err(on_error)
}
