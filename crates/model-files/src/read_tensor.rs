//! One tensor's bytes, from an open file to float32 values in owned memory.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::PoisonError;

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};

use crate::error::ModelFileError;
use crate::safetensors::{Dtype, Tensor, dtype_name};
use crate::weights::WeightsFile;

/// Bytes read at a time; a multiple of every element size.
const CHUNK: usize = 1 << 20;

/// Appends the values in some bytes, whose number is a multiple of the element size.
type Append = fn(&mut Vec<f32>, &[u8]);

/// Whether [`read_tensor`] can read this type of number.
pub(crate) fn is_readable(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// Reads a whole tensor as float32 and checks that every value is finite.
///
/// Memory: the result and one mebibyte.
pub(crate) fn read_tensor(file: &WeightsFile, tensor: &Tensor) -> Result<Vec<f32>, ModelFileError> {
    let path = || file.path.clone();
    let name = || tensor.name.clone();
    let (append, element_bytes): (Append, u64) = match tensor.dtype {
        Dtype::F32 => (append_f32, 4),
        Dtype::F16 => (append_f16, 2),
        Dtype::BF16 => (append_bf16, 2),
        other => return Err(ModelFileError::TensorDtype { file: path(), tensor: name(), found: dtype_name(other) }),
    };
    let mut values: Vec<f32> = Vec::new();
    let reserved =
        usize::try_from(tensor.bytes / element_bytes).ok().and_then(|count| values.try_reserve_exact(count).ok());
    if reserved.is_none() {
        let what = format!("tensor {:?}", tensor.name);
        let bytes = (tensor.bytes / element_bytes).saturating_mul(4);
        return Err(ModelFileError::OutOfMemory { file: path(), what, bytes });
    }

    let mut buffer = vec![0; usize::try_from(tensor.bytes).unwrap_or(CHUNK).min(CHUNK)];
    let mut position = tensor.start;
    let mut remaining = tensor.bytes;
    while remaining > 0 {
        let size = usize::try_from(remaining).unwrap_or(CHUNK).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..size) else { break };
        let mut handle = file.file.lock().unwrap_or_else(PoisonError::into_inner);
        read_at(&mut handle, chunk, position).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                ModelFileError::Truncated { file: path(), tensor: name(), bytes: tensor.bytes }
            }
            _ => ModelFileError::io(&file.path, error),
        })?;
        drop(handle);
        let done = values.len();
        append(&mut values, chunk);
        if let Some((index, found)) = first_non_finite(values.get(done..).unwrap_or_default()) {
            return Err(ModelFileError::NonFinite { file: path(), tensor: name(), index: done + index, found });
        }
        position += size as u64;
        remaining -= size as u64;
    }
    Ok(values)
}

fn read_at(file: &mut File, buffer: &mut [u8], position: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(buffer)
}

fn append_f32(values: &mut Vec<f32>, bytes: &[u8]) {
    values.extend(bytes.as_chunks().0.iter().map(|element| f32::from_le_bytes(*element)));
}

fn append_f16(values: &mut Vec<f32>, bytes: &[u8]) {
    let halves: Vec<f16> = bytes.as_chunks().0.iter().map(|element| f16::from_le_bytes(*element)).collect();
    let done = values.len();
    values.resize(done + halves.len(), 0.0);
    if let Some(space) = values.get_mut(done..) {
        halves.convert_to_f32_slice(space);
    }
}

fn append_bf16(values: &mut Vec<f32>, bytes: &[u8]) {
    values.extend(bytes.as_chunks().0.iter().map(|element| bf16::from_le_bytes(*element).to_f32()));
}

/// The first NaN or infinity. The common case, that there is none, is one pass without branches.
fn first_non_finite(values: &[f32]) -> Option<(usize, f32)> {
    let all_finite = values.iter().fold(true, |finite, value| finite & value.is_finite());
    if all_finite {
        return None;
    }
    values.iter().copied().enumerate().find(|(_, value)| !value.is_finite())
}
