//! JSON from an untrusted file: objects keep their order, duplicate keys are refused, fields are read with their type
//! and range checked.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::error::ModelFileError;

/// A JSON value whose objects keep the order of the file and hold each key once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses the bytes of `file`.
    pub(crate) fn parse(file: &Path, bytes: &[u8]) -> Result<Self, ModelFileError> {
        let duplicate = RefCell::new(None);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let parsed = JsonSeed { duplicate: &duplicate }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        parsed.map_err(|error| match duplicate.into_inner() {
            Some(key) => ModelFileError::DuplicateKey { file: file.to_path_buf(), key },
            None => ModelFileError::Json { file: file.to_path_buf(), message: error.to_string() },
        })
    }

    /// The value as an error message shows it: short, and on one line.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::String(value) => quote(value),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

/// A string as an error message shows it: in quotes, escaped, cut after 100 characters.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The first key that occurs twice.
pub(crate) fn duplicate_key<'key>(keys: impl Iterator<Item = &'key str>) -> Option<&'key str> {
    let mut sorted: Vec<&str> = keys.collect();
    sorted.sort_unstable();
    sorted.array_windows().find_map(|[left, right]| (left == right).then_some(*left))
}

/// Parses any value; a duplicate key is an error and is left in `duplicate`.
#[derive(Clone, Copy)]
pub(crate) struct JsonSeed<'parse> {
    pub(crate) duplicate: &'parse RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for JsonSeed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonSeed<'_> {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(String, Json)> = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value_seed(self)?));
        }
        if let Some(key) = duplicate_key(entries.iter().map(|(key, _)| key.as_str())) {
            *self.duplicate.borrow_mut() = Some(key.to_owned());
            return Err(A::Error::custom("duplicate key"));
        }
        Ok(Json::Object(entries))
    }
}

/// The fields of one JSON object, with the file and place of it for errors.
///
/// A field that is `null` counts as absent, as it does in the reference.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'json> {
    pub(crate) file: &'json Path,
    place: String,
    entries: &'json [(String, Json)],
}

impl<'json> Fields<'json> {
    /// The fields of `value`, which is the whole of `file`.
    pub(crate) fn of_file(file: &'json Path, value: &'json Json) -> Result<Self, ModelFileError> {
        match value {
            Json::Object(entries) => Ok(Self { file, place: String::new(), entries }),
            _ => Err(ModelFileError::Json {
                file: file.to_path_buf(),
                message: format!("expected an object, found {}", value.describe()),
            }),
        }
    }

    /// The fields of `value`, which stands at `place` in `file`.
    pub(crate) fn of_value(file: &'json Path, place: &str, value: &'json Json) -> Result<Self, ModelFileError> {
        match value {
            Json::Object(entries) => Ok(Self { file, place: format!("{place}."), entries }),
            _ => Err(ModelFileError::field(file, place, "an object", value.describe())),
        }
    }

    /// The name of a field with the place of this object in front.
    pub(crate) fn name(&self, field: &str) -> String {
        format!("{}{}", self.place, field.escape_debug())
    }

    /// All fields in the order of the file.
    pub(crate) fn entries(&self) -> &'json [(String, Json)] {
        self.entries
    }

    /// A field as it stands, `null` included.
    pub(crate) fn raw(&self, field: &str) -> Option<&'json Json> {
        self.entries.iter().find_map(|(key, value)| (key == field).then_some(value))
    }

    /// A field that is there and not `null`.
    pub(crate) fn get(&self, field: &str) -> Option<&'json Json> {
        self.raw(field).filter(|value| **value != Json::Null)
    }

    /// An error about a field.
    pub(crate) fn wrong(&self, field: &str, expected: impl Into<String>) -> ModelFileError {
        let found = self.raw(field).map_or_else(|| "nothing".to_owned(), Json::describe);
        ModelFileError::field(self.file, self.name(field), expected, found)
    }

    pub(crate) fn string(&self, field: &str) -> Result<Option<&'json str>, ModelFileError> {
        match self.get(field) {
            None => Ok(None),
            Some(Json::String(value)) => Ok(Some(value)),
            Some(_) => Err(self.wrong(field, "a string")),
        }
    }

    pub(crate) fn required_string(&self, field: &str) -> Result<&'json str, ModelFileError> {
        self.string(field)?.ok_or_else(|| self.wrong(field, "a string"))
    }

    pub(crate) fn boolean(&self, field: &str) -> Result<Option<bool>, ModelFileError> {
        match self.get(field) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(field, "true or false")),
        }
    }

    pub(crate) fn object(&self, field: &str) -> Result<Option<Fields<'json>>, ModelFileError> {
        self.get(field).map(|value| Fields::of_value(self.file, &self.name(field), value)).transpose()
    }

    /// A whole number in `range`. A number with a decimal point is not one.
    pub(crate) fn integer(&self, field: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, ModelFileError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let number = match value {
            Json::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(field, integer_expectation(&range))),
        }
    }

    pub(crate) fn required_integer(&self, field: &str, range: RangeInclusive<usize>) -> Result<usize, ModelFileError> {
        let expected = integer_expectation(&range);
        self.integer(field, range)?.ok_or_else(|| self.wrong(field, expected))
    }
}

fn integer_expectation(range: &RangeInclusive<usize>) -> String {
    if *range.end() == usize::MAX {
        format!("an integer of at least {}", range.start())
    } else {
        format!("an integer from {} to {}", range.start(), range.end())
    }
}
