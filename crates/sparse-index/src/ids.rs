//! The names of documents: numbers or strings.

use std::fmt;

/// One document's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentId {
    /// A number.
    Number(i64),
    /// A string.
    String(String),
}

impl fmt::Display for DocumentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::String(string) => write!(formatter, "{string:?}"),
        }
    }
}

/// Ids of one kind; an index has one kind only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentIds {
    /// Numbers; they order by value.
    Numbers(Vec<i64>),
    /// Strings; they order by code points.
    Strings(Vec<String>),
}

impl DocumentIds {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Strings(strings) => strings.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<DocumentId> {
        match self {
            Self::Numbers(numbers) => numbers.get(index).copied().map(DocumentId::Number),
            Self::Strings(strings) => strings.get(index).cloned().map(DocumentId::String),
        }
    }

    /// `numbers` or `strings`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Strings(_) => "strings",
        }
    }
}
