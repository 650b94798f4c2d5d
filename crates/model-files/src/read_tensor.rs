//! One tensor's bytes, from an open file to values in owned memory.

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
    let (append, element_bytes): (Append, usize) = match tensor.dtype {
        Dtype::F32 => (append_f32, 4),
        Dtype::F16 => (append_f16, 2),
        Dtype::BF16 => (append_bf16, 2),
        other => return Err(dtype_error(file, tensor, other)),
    };
    let mut values: Vec<f32> = reserved(file, tensor, element_bytes)?;
    each_chunk(file, tensor, |chunk| {
        let done = values.len();
        append(&mut values, chunk);
        check_finite(file, tensor, done, values.get(done..).unwrap_or_default())
    })?;
    Ok(values)
}

/// Reads a whole F16 tensor as its bits and checks that every value is finite.
pub(crate) fn read_halves(file: &WeightsFile, tensor: &Tensor) -> Result<Vec<u16>, ModelFileError> {
    if tensor.dtype != Dtype::F16 {
        return Err(dtype_error(file, tensor, tensor.dtype));
    }
    let mut bits: Vec<u16> = reserved(file, tensor, 2)?;
    let mut widened = Vec::new();
    each_chunk(file, tensor, |chunk| {
        widened.clear();
        append_f16(&mut widened, chunk);
        check_finite(file, tensor, bits.len(), &widened)?;
        bits.extend(chunk.as_chunks().0.iter().map(|element| u16::from_le_bytes(*element)));
        Ok(())
    })?;
    Ok(bits)
}

/// Reads a whole tensor of I64 or I32.
pub(crate) fn read_integers(file: &WeightsFile, tensor: &Tensor) -> Result<Vec<i64>, ModelFileError> {
    let append: fn(&mut Vec<i64>, &[u8]) = match tensor.dtype {
        Dtype::I64 => |values, bytes| {
            values.extend(bytes.as_chunks().0.iter().map(|element| i64::from_le_bytes(*element)));
        },
        Dtype::I32 => |values, bytes| {
            values.extend(bytes.as_chunks().0.iter().map(|element| i64::from(i32::from_le_bytes(*element))));
        },
        other => {
            return Err(ModelFileError::TensorLayout {
                file: file.path.clone(),
                tensor: tensor.name.clone(),
                expected: "dtype I64 or I32".to_owned(),
                found: dtype_name(other),
            });
        }
    };
    let mut values = reserved(file, tensor, if tensor.dtype == Dtype::I64 { 8 } else { 4 })?;
    each_chunk(file, tensor, |chunk| {
        append(&mut values, chunk);
        Ok(())
    })?;
    Ok(values)
}

/// An empty vector with room for the tensor's elements.
fn reserved<T>(file: &WeightsFile, tensor: &Tensor, element_bytes: usize) -> Result<Vec<T>, ModelFileError> {
    let count = usize::try_from(tensor.bytes).unwrap_or(usize::MAX) / element_bytes;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| ModelFileError::OutOfMemory {
        file: file.path.clone(),
        what: format!("tensor {:?}", tensor.name),
        bytes: (count as u64).saturating_mul(size_of::<T>() as u64),
    })?;
    Ok(values)
}

/// Reads the tensor's bytes, at most a mebibyte at a time and always whole elements.
fn each_chunk(
    file: &WeightsFile,
    tensor: &Tensor,
    mut each: impl FnMut(&[u8]) -> Result<(), ModelFileError>,
) -> Result<(), ModelFileError> {
    let mut buffer = vec![0; usize::try_from(tensor.bytes).unwrap_or(CHUNK).min(CHUNK)];
    let mut position = tensor.start;
    let mut remaining = tensor.bytes;
    while remaining > 0 {
        let size = usize::try_from(remaining).unwrap_or(CHUNK).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..size) else { break };
        let mut handle = file.file.lock().unwrap_or_else(PoisonError::into_inner);
        read_at(&mut handle, chunk, position).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                ModelFileError::Truncated { file: file.path.clone(), tensor: tensor.name.clone(), bytes: tensor.bytes }
            }
            _ => ModelFileError::io(&file.path, error),
        })?;
        drop(handle);
        each(chunk)?;
        position += size as u64;
        remaining -= size as u64;
    }
    Ok(())
}

fn dtype_error(file: &WeightsFile, tensor: &Tensor, found: Dtype) -> ModelFileError {
    ModelFileError::TensorDtype { file: file.path.clone(), tensor: tensor.name.clone(), found: dtype_name(found) }
}

/// Refuses NaN and infinity; `first` is the index of the first of `values` in the tensor.
fn check_finite(file: &WeightsFile, tensor: &Tensor, first: usize, values: &[f32]) -> Result<(), ModelFileError> {
    match first_non_finite(values) {
        None => Ok(()),
        Some((index, found)) => Err(ModelFileError::NonFinite {
            file: file.path.clone(),
            tensor: tensor.name.clone(),
            index: first + index,
            found,
        }),
    }
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
