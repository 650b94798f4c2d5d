//! The parts of error messages that are put together from lists.

use std::fmt::Write as _;
use std::path::PathBuf;

/// One tensor whose shape is not the one the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorShapeMismatch {
    /// The weights file that holds the tensor.
    pub file: PathBuf,
    /// The tensor's full name in that file.
    pub tensor: String,
    /// The shape asked for.
    pub expected: Vec<usize>,
    /// Where the expected shape is from, such as `config.json`.
    pub source: &'static str,
    /// The shape in the file.
    pub found: Vec<usize>,
}

pub(crate) fn hint_suffix(hint: Option<&str>) -> String {
    hint.map(|text| format!(" (hint: {text})")).unwrap_or_default()
}

pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn joined(mismatches: &[TensorShapeMismatch]) -> String {
    let mut text = String::new();
    for mismatch in mismatches {
        if !text.is_empty() {
            text.push_str("; ");
        }
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}: tensor {:?}: expected shape {:?} (from {}), found {:?}",
            mismatch.file.display(),
            mismatch.tensor,
            mismatch.expected,
            mismatch.source,
            mismatch.found
        );
    }
    text
}
