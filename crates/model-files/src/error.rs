//! The one error type of this crate and the exact words of its messages.

use std::io;
use std::path::{Path, PathBuf};

use crate::wording::{TensorShapeMismatch, hint_suffix, joined, plural, quoted};

/// What is wrong with a model folder.
///
/// Every message has the shape `{file}: {field}: expected X, found Y` or `{file}: tensor "{name}": expected X, found Y`:
/// lower case, no full stop, the found value last, then a ` (hint: ...)` where there is a cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The model folder itself does not exist.
    #[error("{}: no such folder", path.display())]
    FolderNotFound {
        /// The folder as the caller named it.
        path: PathBuf,
    },
    /// The model folder is something else, such as a file.
    #[error("{}: expected a model folder, found {found}", path.display())]
    NotAFolder {
        /// The path as the caller named it.
        path: PathBuf,
        /// What it is, in words.
        found: &'static str,
    },
    /// The operating system refused or failed an operation on a file.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// There is not enough memory for the contents of a file or tensor.
    #[error("{}: not enough memory for {what}: {bytes} bytes", file.display())]
    OutOfMemory {
        /// The file.
        file: PathBuf,
        /// What was to be held, in words.
        what: String,
        /// How much was asked for.
        bytes: u64,
    },
    /// A file that a model folder must have is not there.
    #[error("{}: expected a file, found nothing{}", file.display(), hint_suffix(hint.as_deref()))]
    MissingFile {
        /// The file looked for.
        file: PathBuf,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A folder, FIFO, socket or device stands where a file is expected.
    #[error("{}: expected a regular file, found {found}", file.display())]
    NotAFile {
        /// The path.
        file: PathBuf,
        /// What it is, in words.
        found: &'static str,
    },
    /// A file is larger than any file of its kind.
    #[error("{}: expected at most {limit} bytes, found {found}", file.display())]
    FileTooLarge {
        /// The file.
        file: PathBuf,
        /// The limit in bytes.
        limit: u64,
        /// Its size in bytes.
        found: u64,
    },
    /// A path written in a file of the model could lead out of the model folder.
    #[error("{}: {field}: expected a relative path inside the model folder, found {found:?}", file.display())]
    UnsafePath {
        /// The file in which the path is written.
        file: PathBuf,
        /// The field that holds it.
        field: String,
        /// The path.
        found: String,
    },
    /// A symbolic link leads out of the model folder (and not into the hub cache's `blobs`).
    #[error("{}: expected a path inside the model folder, found a link to {} (hint: copy the file into the folder)", file.display(), found.display())]
    OutsideFolder {
        /// The link.
        file: PathBuf,
        /// Where it leads.
        found: PathBuf,
    },
    /// A JSON file is not JSON.
    #[error("{}: not valid JSON: {message}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// The parser's words, with line and column.
        message: String,
    },
    /// A JSON object holds the same key twice, so that its meaning depends on the reader.
    #[error("{}: expected each key once, found twice: {key:?}", file.display())]
    DuplicateKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
    },
    /// A field is missing, of the wrong type, out of range, or disagrees with another file.
    #[error("{}: {field}: expected {expected}, found {found}{}", file.display(), hint_suffix(hint.as_deref()))]
    Field {
        /// The file.
        file: PathBuf,
        /// The field, nested ones joined by dots, list items in brackets.
        field: String,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The folder is a valid model of a kind that is not supported.
    #[error("{}: {field}: {what} is not supported: {found}", file.display())]
    Unsupported {
        /// The file that says so.
        file: PathBuf,
        /// The field that says so.
        field: String,
        /// What the model is, in words.
        what: String,
        /// The value of the field.
        found: String,
    },
    /// The weights are there only in a format that can run code when it is read, or that is not supported.
    #[error(
        "{}: expected weights in safetensors format, found only {found} (hint: load the model where it was made and \
         save it again with model.save_pretrained(path, safe_serialization=True))",
        folder.display()
    )]
    UnsafeWeights {
        /// The folder of the weights.
        folder: PathBuf,
        /// The name of the pickle, checkpoint or HDF5 file found there.
        found: String,
    },
    /// The length of a safetensors header, its first 8 bytes, is impossible.
    #[error("{}: header length: expected at most {limit} bytes, found {found}", file.display())]
    HeaderLength {
        /// The file.
        file: PathBuf,
        /// The largest length possible, from the limit for headers or the size of the file.
        limit: u64,
        /// The length the file states.
        found: u64,
    },
    /// A safetensors header is not UTF-8, not JSON, or not a map of tensors.
    #[error("{}: header: {message}", file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A safetensors file is shorter or longer than its header says.
    #[error("{}: expected {expected} bytes, found {found}", file.display())]
    FileLength {
        /// The file.
        file: PathBuf,
        /// 8 + header + data, as the header states them.
        expected: u64,
        /// The size of the file.
        found: u64,
    },
    /// A tensor's shape, type or place in the file is impossible.
    #[error("{}: tensor {tensor:?}: expected {expected}, found {found}", file.display())]
    TensorLayout {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Tensors that the model needs are not in its weights.
    #[error("{}: missing {}: {} (prefixes tried: {})", file.display(), plural(tensors.len(), "tensor"), quoted(tensors), quoted(prefixes))]
    MissingTensors {
        /// The weights file, or the index of the shards.
        file: PathBuf,
        /// All missing names, with the prefix under which most of the others were found.
        tensors: Vec<String>,
        /// The prefixes tried.
        prefixes: Vec<String>,
    },
    /// Tensors have other shapes than the configuration asks for.
    #[error("{}", joined(_0))]
    TensorShapes(Vec<TensorShapeMismatch>),
    /// A tensor has a type of number that is not supported.
    #[error("{}: tensor {tensor:?}: expected dtype F32, F16 or BF16, found {found}", file.display())]
    TensorDtype {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// A weight is NaN or infinite.
    #[error("{}: tensor {tensor:?}: expected finite values, found at index {index}: {found}", file.display())]
    NonFinite {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The flat, row-major index of the first such value.
        index: usize,
        /// The value.
        found: f32,
    },
    /// The file became shorter after it was opened.
    #[error("{}: tensor {tensor:?}: expected {bytes} bytes, found the end of the file (hint: it was changed while it was being read)", file.display())]
    Truncated {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The size of the tensor in bytes.
        bytes: u64,
    },
}

impl ModelFileError {
    pub(crate) fn io(file: &Path, source: io::Error) -> Self {
        Self::Io { file: file.to_path_buf(), source }
    }

    pub(crate) fn field(
        file: &Path,
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Field {
            file: file.to_path_buf(),
            field: field.into(),
            expected: expected.into(),
            found: found.into(),
            hint: None,
        }
    }

    pub(crate) fn unsupported(
        file: &Path,
        field: impl Into<String>,
        what: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Unsupported { file: file.to_path_buf(), field: field.into(), what: what.into(), found: found.into() }
    }

    /// Adds a hint to the variants that can carry one.
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Field { hint, .. } | Self::MissingFile { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}
