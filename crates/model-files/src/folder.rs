//! Paths inside a model folder, and files read from it without ever leaving it.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::ModelFileError;
use crate::json::Json;

/// The largest JSON file read, in bytes. The largest published ones are shard indexes of some hundred kilobytes.
pub(crate) const JSON_LIMIT: u64 = 16 << 20;

/// The largest `tokenizer.json` or `vocab.txt` read, in bytes. Multilingual vocabularies reach 20 MB.
pub(crate) const TOKENIZER_LIMIT: u64 = 128 << 20;

/// A model folder from which files are read.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    canonical: PathBuf,
    /// The `blobs` folder beside `snapshots`, if the root is a snapshot in the Hugging Face hub's cache.
    blobs: Option<PathBuf>,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> Result<Self, ModelFileError> {
        let metadata = fs::metadata(root).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ModelFileError::FolderNotFound { path: root.to_path_buf() },
            _ => ModelFileError::io(root, error),
        })?;
        if !metadata.is_dir() {
            return Err(ModelFileError::NotAFolder { path: root.to_path_buf(), found: kind_of(&metadata) });
        }
        let canonical = fs::canonicalize(root).map_err(|error| ModelFileError::io(root, error))?;
        let blobs = hub_cache_blobs(&canonical);
        Ok(Self { root: root.to_path_buf(), canonical, blobs })
    }

    /// A path inside the folder as errors name it.
    pub(crate) fn path(&self, relative: &Path) -> PathBuf {
        if relative.as_os_str().is_empty() { self.root.clone() } else { self.root.join(relative) }
    }

    /// The path of an existing file or folder with all links followed, or `None` if nothing is there.
    fn resolve(&self, relative: &Path) -> Result<Option<PathBuf>, ModelFileError> {
        let path = self.path(relative);
        let link = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(ModelFileError::io(&path, error)),
        };
        let resolved = fs::canonicalize(&path).map_err(|error| ModelFileError::io(&path, error))?;
        let is_blob = link.is_symlink() && self.blobs.is_some() && resolved.parent() == self.blobs.as_deref();
        if resolved.starts_with(&self.canonical) || is_blob {
            Ok(Some(resolved))
        } else {
            Err(ModelFileError::OutsideFolder { file: path, found: resolved })
        }
    }

    /// Whether a file or folder of that name is there, without opening it.
    pub(crate) fn exists(&self, relative: &Path) -> Result<bool, ModelFileError> {
        Ok(self.resolve(relative)?.is_some())
    }

    /// Opens a file and gives its size in bytes, or `None` if nothing is there.
    pub(crate) fn open_file(&self, relative: &Path) -> Result<Option<(File, u64)>, ModelFileError> {
        let Some(resolved) = self.resolve(relative)? else { return Ok(None) };
        let path = self.path(relative);
        let check = |metadata: io::Result<Metadata>| match metadata {
            Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
            Ok(metadata) => Err(ModelFileError::NotAFile { file: path.clone(), found: kind_of(&metadata) }),
            Err(error) => Err(ModelFileError::io(&path, error)),
        };
        // Checked before it is opened, since opening a FIFO waits for a writer.
        check(fs::metadata(&resolved))?;
        let file = File::open(&resolved).map_err(|error| ModelFileError::io(&path, error))?;
        let length = check(file.metadata())?;
        Ok(Some((file, length)))
    }

    /// Reads a whole file of at most `limit` bytes, or `None` if nothing is there.
    pub(crate) fn read(&self, relative: &Path, limit: u64) -> Result<Option<Vec<u8>>, ModelFileError> {
        let Some((file, length)) = self.open_file(relative)? else { return Ok(None) };
        let path = self.path(relative);
        if length > limit {
            return Err(ModelFileError::FileTooLarge { file: path, limit, found: length });
        }
        let mut bytes = Vec::new();
        let reserved = usize::try_from(length).ok().and_then(|size| bytes.try_reserve_exact(size).ok());
        if reserved.is_none() {
            return Err(ModelFileError::OutOfMemory { file: path, what: "the file".to_owned(), bytes: length });
        }
        file.take(length).read_to_end(&mut bytes).map_err(|error| ModelFileError::io(&path, error))?;
        Ok(Some(bytes))
    }

    /// Reads and parses a JSON file, or `None` if nothing is there.
    pub(crate) fn read_json(&self, relative: &Path) -> Result<Option<Json>, ModelFileError> {
        self.read(relative, JSON_LIMIT)?.map(|bytes| Json::parse(&self.path(relative), &bytes)).transpose()
    }

    /// The names of what lies directly in a folder, sorted; empty if the folder is not there.
    pub(crate) fn list(&self, relative: &Path) -> Result<Vec<String>, ModelFileError> {
        let Some(resolved) = self.resolve(relative)? else { return Ok(Vec::new()) };
        let path = self.path(relative);
        let mut names = Vec::new();
        for entry in fs::read_dir(resolved).map_err(|error| ModelFileError::io(&path, error))? {
            let entry = entry.map_err(|error| ModelFileError::io(&path, error))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// The `blobs` folder of the hub's cache if `canonical` is `models--x--y/snapshots/<revision>` with one beside.
///
/// Layout: <https://huggingface.co/docs/huggingface_hub/guides/manage-cache>.
fn hub_cache_blobs(canonical: &Path) -> Option<PathBuf> {
    let snapshots = canonical.parent().filter(|parent| parent.file_name().is_some_and(|name| name == "snapshots"))?;
    let blobs = fs::canonicalize(snapshots.parent()?.join("blobs")).ok()?;
    blobs.is_dir().then_some(blobs)
}

/// A path written in a file of the model, or `None` if it could lead out of the folder on any operating system.
///
/// The empty path and `.` are the folder itself. Backslashes and colons are refused everywhere, so that a folder means
/// the same on Windows.
pub(crate) fn relative_path(text: &str) -> Option<PathBuf> {
    if text.starts_with('/') || text.contains(['\\', ':', '\0']) {
        return None;
    }
    let mut path = PathBuf::new();
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." => return None,
            name => path.push(name),
        }
    }
    Some(path)
}

fn kind_of(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a FIFO";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if metadata.is_dir() {
        "a folder"
    } else if metadata.is_file() {
        "a file"
    } else {
        "something else"
    }
}
