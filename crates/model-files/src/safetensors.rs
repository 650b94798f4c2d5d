//! The header of a safetensors file: where each tensor lies, checked before any data is read.
//!
//! The format: 8 bytes with the header's length as little-endian u64, the header as JSON, then the tensors' bytes
//! without holes or overlaps (<https://github.com/huggingface/safetensors#format>).

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ::safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserializer as _, MapAccess, Visitor};

use crate::error::ModelFileError;
use crate::json::{JsonSeed, duplicate_key};

pub(crate) use ::safetensors::tensor::Dtype;

/// The largest header read, in bytes; one of a 12-layer BERT has 20 kilobytes.
const HEADER_LIMIT: u64 = 16 << 20;

/// The bytes in front of the header.
const LENGTH_BYTES: u64 = 8;

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// The position of its first byte in the file.
    pub(crate) start: u64,
    /// Its size in bytes; shape times dtype gives the same.
    pub(crate) bytes: u64,
}

/// Reads and checks the header of a file of `length` bytes, up to and including that the file ends with its last tensor.
pub(crate) fn read_header(path: &Path, mut file: &File, length: u64) -> Result<Vec<Tensor>, ModelFileError> {
    let header_error = |message: String| ModelFileError::Header { file: path.to_path_buf(), message };
    let room = length
        .checked_sub(LENGTH_BYTES)
        .ok_or_else(|| header_error(format!("expected at least {LENGTH_BYTES} bytes, found {length}")))?;
    let mut length_bytes = [0; 8];
    file.read_exact(&mut length_bytes).map_err(|error| ModelFileError::io(path, error))?;
    let header_length = u64::from_le_bytes(length_bytes);
    let limit = room.min(HEADER_LIMIT);
    if header_length > limit {
        return Err(ModelFileError::HeaderLength { file: path.to_path_buf(), limit, found: header_length });
    }
    let mut header = Vec::new();
    let reserved = usize::try_from(header_length).ok().and_then(|size| header.try_reserve_exact(size).ok());
    if reserved.is_none() {
        let what = "the header".to_owned();
        return Err(ModelFileError::OutOfMemory { file: path.to_path_buf(), what, bytes: header_length });
    }
    file.take(header_length).read_to_end(&mut header).map_err(|error| ModelFileError::io(path, error))?;

    // Neither sum can overflow: header_length <= room, and parse_header checks the sizes of the tensors.
    let data_start = LENGTH_BYTES + header_length;
    let tensors = parse_header(path, &header, data_start)?;
    let expected = tensors.last().map_or(data_start, |tensor| tensor.start.saturating_add(tensor.bytes));
    if expected != length {
        return Err(ModelFileError::FileLength { file: path.to_path_buf(), expected, found: length });
    }
    Ok(tensors)
}

/// The tensors of a header in the order of their data, which starts at byte `data_start` of the file.
pub(crate) fn parse_header(path: &Path, header: &[u8], data_start: u64) -> Result<Vec<Tensor>, ModelFileError> {
    let header_error = |message: String| ModelFileError::Header { file: path.to_path_buf(), message };
    if header.first() != Some(&b'{') {
        return Err(header_error("expected a JSON object that starts at its first byte".to_owned()));
    }
    let duplicate = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(header);
    let mut tensors = (&mut deserializer)
        .deserialize_map(HeaderVisitor { duplicate: &duplicate })
        .and_then(|tensors| deserializer.end().map(|()| tensors))
        .map_err(|error| match duplicate.into_inner() {
            Some(key) => ModelFileError::DuplicateKey { file: path.to_path_buf(), key },
            None => header_error(error.to_string()),
        })?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    check_layout(path, &tensors)?;

    // The crate's own check of the same rules, which stays the authority on the format.
    let metadata = Metadata::new(None, tensors).map_err(|error| header_error(error.to_string()))?;
    let mut checked = Vec::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let (start, end) = info.data_offsets;
        let place = u64::try_from(start).ok().and_then(|start| data_start.checked_add(start));
        let bytes = end.checked_sub(start).and_then(|bytes| u64::try_from(bytes).ok());
        let (Some(start), Some(bytes)) = (place, bytes) else {
            return Err(layout_error(path, &name, "data_offsets in 64 bits", format!("[{start}, {end}]")));
        };
        checked.push(Tensor { name, dtype: info.dtype, shape: info.shape.clone(), start, bytes });
    }
    Ok(checked)
}

/// The same checks as `Metadata::new`, with the name of the tensor in each error.
fn check_layout(path: &Path, tensors: &[(String, TensorInfo)]) -> Result<(), ModelFileError> {
    let mut previous_end = 0;
    for (name, info) in tensors {
        let (start, end) = info.data_offsets;
        let bits = info
            .shape
            .iter()
            .try_fold(1_usize, |product, size| product.checked_mul(*size))
            .and_then(|elements| elements.checked_mul(info.dtype.bitsize()))
            .ok_or_else(|| {
                layout_error(path, name, "a shape whose size in bits fits 64 bits", format!("{:?}", info.shape))
            })?;
        if start != previous_end {
            return Err(layout_error(
                path,
                name,
                format!("data that starts at byte {previous_end}"),
                start.to_string(),
            ));
        }
        let Some(bytes) = end.checked_sub(start) else {
            return Err(layout_error(path, name, "data_offsets that ascend", format!("[{start}, {end}]")));
        };
        if bits % 8 != 0 || bytes != bits / 8 {
            let expected = format!("{} bytes for {} {:?}", bits.div_ceil(8), dtype_name(info.dtype), info.shape);
            return Err(layout_error(path, name, expected, bytes.to_string()));
        }
        previous_end = end;
    }
    Ok(())
}

fn layout_error(path: &Path, tensor: &str, expected: impl Into<String>, found: impl Into<String>) -> ModelFileError {
    ModelFileError::TensorLayout {
        file: path.to_path_buf(),
        tensor: tensor.to_owned(),
        expected: expected.into(),
        found: found.into(),
    }
}

/// The name of a dtype in the format, such as `F32`.
pub(crate) fn dtype_name(dtype: Dtype) -> String {
    format!("{dtype:?}")
}

/// Collects the tensors of a header, refusing duplicate names; `__metadata__` is checked to be JSON and dropped.
struct HeaderVisitor<'parse> {
    duplicate: &'parse RefCell<Option<String>>,
}

impl<'de> Visitor<'de> for HeaderVisitor<'_> {
    type Value = Vec<(String, TensorInfo)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tensors: Vec<(String, TensorInfo)> = Vec::new();
        let mut has_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value_seed(JsonSeed { duplicate: self.duplicate })?;
                if std::mem::replace(&mut has_metadata, true) {
                    return Err(self.refuse(&name));
                }
            } else {
                tensors.push((name, map.next_value()?));
            }
        }
        match duplicate_key(tensors.iter().map(|(name, _)| name.as_str())) {
            Some(name) => Err(self.refuse(name)),
            None => Ok(tensors),
        }
    }
}

impl HeaderVisitor<'_> {
    fn refuse<E: serde::de::Error>(&self, name: &str) -> E {
        *self.duplicate.borrow_mut() = Some(name.to_owned());
        E::custom("duplicate key")
    }
}
