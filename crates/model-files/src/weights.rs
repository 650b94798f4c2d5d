//! Tensors by name, read on demand from one or several safetensors files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::read_tensor::{is_readable, read_halves, read_integers, read_tensor};
use crate::safetensors::{Dtype, Tensor, dtype_name, read_header};
use crate::shards;
use crate::static_embedding::StaticTable;
use crate::wording::TensorShapeMismatch;

/// The tensors of a model: one or several safetensors files whose headers are read and checked and which stay open.
///
/// It can be shared between threads; reads of one file take turns.
#[derive(Debug)]
pub struct Weights {
    source: PathBuf,
    files: Vec<WeightsFile>,
    tensors: BTreeMap<String, Place>,
}

/// An open safetensors file.
#[derive(Debug)]
pub(crate) struct WeightsFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Mutex<File>,
}

/// A tensor and the position of its file in [`Weights::files`].
#[derive(Debug)]
struct Place {
    file: usize,
    tensor: Tensor,
}

/// A tensor that a model needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name without prefix.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Where that shape is from, for errors: a file name such as `config.json`.
    pub source: &'static str,
}

/// The tensors of a [`Weights`] under one prefix, of which the required ones were found with their shapes.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'weights> {
    weights: &'weights Weights,
    prefix: &'weights str,
}

impl Weights {
    /// Opens the weights in `inside`, a folder relative to the model folder, and checks their headers.
    pub(crate) fn open(folder: &Folder, inside: &Path) -> Result<Self, ModelFileError> {
        let found = shards::find(folder, inside)?;
        let mut weights = Self { source: folder.path(&found.source), files: Vec::new(), tensors: BTreeMap::new() };
        for relative in &found.files {
            weights.add_file(folder, relative)?;
        }
        for (name, shard) in found.weight_map {
            if weights.tensors.get(&name).is_none_or(|place| place.file != shard) {
                let shard = weights.files.get(shard).map(|file| file.path.display().to_string());
                return Err(ModelFileError::TensorLayout {
                    file: weights.source,
                    tensor: name,
                    expected: format!("it in {}", shard.unwrap_or_default()),
                    found: "nothing".to_owned(),
                });
            }
        }
        Ok(weights)
    }

    fn add_file(&mut self, folder: &Folder, relative: &Path) -> Result<(), ModelFileError> {
        let path = folder.path(relative);
        let Some((file, length)) = folder.open_file(relative)? else {
            return Err(ModelFileError::MissingFile { file: path, hint: None });
        };
        let position = self.files.len();
        for tensor in read_header(&path, &file, length)? {
            if let Some(first) = self.tensors.get(&tensor.name).and_then(|place| self.files.get(place.file)) {
                return Err(ModelFileError::TensorLayout {
                    file: path,
                    tensor: tensor.name,
                    expected: "it in one shard only".to_owned(),
                    found: format!("another in {}", first.path.display()),
                });
            }
            self.tensors.insert(tensor.name.clone(), Place { file: position, tensor });
        }
        self.files.push(WeightsFile { path, file: Mutex::new(file) });
        Ok(())
    }

    /// The weights file, or the index of the shards, as errors name it.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, by its full name in the file.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|place| place.tensor.shape.as_slice())
    }

    /// Finds the first of `prefixes` under which every tensor of `required` is there, and checks that each has its
    /// shape and a type of number that can be read.
    ///
    /// A name `X.LayerNorm.weight` or `.bias` is also found as `X.LayerNorm.gamma` or `.beta`, its name in old files
    /// (`conversion_mapping.py` of the reference's transformers renames them too).
    ///
    /// # Errors
    ///
    /// [`ModelFileError::MissingTensors`] lists all that are missing under the prefix where most were found;
    /// [`ModelFileError::TensorShapes`] lists all shapes that differ; [`ModelFileError::TensorDtype`] names the first
    /// tensor that is not F32, F16 or BF16.
    pub fn select<'weights>(
        &'weights self,
        prefixes: &[&'weights str],
        required: &[TensorSpec],
    ) -> Result<Selected<'weights>, ModelFileError> {
        let mut fewest: Option<(&str, Vec<String>)> = None;
        for prefix in prefixes.iter().copied() {
            let missing: Vec<String> = required
                .iter()
                .filter(|spec| self.find(prefix, &spec.name).is_none())
                .map(|spec| format!("{prefix}{}", spec.name))
                .collect();
            if fewest.as_ref().is_none_or(|(_, names)| missing.len() < names.len()) {
                fewest = Some((prefix, missing));
            }
        }
        let (prefix, missing) = fewest.unwrap_or_default();
        if !missing.is_empty() {
            return Err(self.missing(missing, prefixes));
        }
        self.check_shapes(prefix, required)?;
        Ok(Selected { weights: self, prefix })
    }

    fn check_shapes(&self, prefix: &str, required: &[TensorSpec]) -> Result<(), ModelFileError> {
        let mut mismatches = Vec::new();
        for spec in required {
            let Some((file, tensor)) = self.find(prefix, &spec.name) else { continue };
            if tensor.shape != spec.shape {
                mismatches.push(TensorShapeMismatch {
                    file: file.path.clone(),
                    tensor: tensor.name.clone(),
                    expected: spec.shape.clone(),
                    source: spec.source,
                    found: tensor.shape.clone(),
                });
            }
        }
        if !mismatches.is_empty() {
            return Err(ModelFileError::TensorShapes(mismatches));
        }
        for spec in required {
            if let Some((file, tensor)) = self.find(prefix, &spec.name)
                && !is_readable(tensor.dtype)
            {
                return Err(ModelFileError::TensorDtype {
                    file: file.path.clone(),
                    tensor: tensor.name.clone(),
                    found: dtype_name(tensor.dtype),
                });
            }
        }
        Ok(())
    }

    /// A tensor under a prefix, by its name or its name in old files.
    fn find(&self, prefix: &str, name: &str) -> Option<(&WeightsFile, &Tensor)> {
        let full = format!("{prefix}{name}");
        let place = self.tensors.get(&full).or_else(|| self.tensors.get(&legacy_name(&full)?))?;
        Some((self.files.get(place.file)?, &place.tensor))
    }

    /// Reads a table in its own type, by its full name; BF16 is widened to float32.
    pub(crate) fn read_static_table(&self, name: &str) -> Result<StaticTable, ModelFileError> {
        match self.find("", name) {
            Some((file, tensor)) if tensor.dtype == Dtype::F16 => read_halves(file, tensor).map(StaticTable::F16),
            Some((file, tensor)) => read_tensor(file, tensor).map(StaticTable::F32),
            None => Err(self.missing(vec![name.to_owned()], &[""])),
        }
    }

    /// Reads a tensor of integers, by its full name.
    pub(crate) fn read_integers(&self, name: &str) -> Result<Vec<i64>, ModelFileError> {
        match self.find("", name) {
            Some((file, tensor)) => read_integers(file, tensor),
            None => Err(self.missing(vec![name.to_owned()], &[""])),
        }
    }

    /// An error about a tensor, by its full name.
    pub(crate) fn layout_error(
        &self,
        name: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ModelFileError {
        let file = self.find("", name).map_or_else(|| self.source.clone(), |(file, _)| file.path.clone());
        ModelFileError::TensorLayout { file, tensor: name.to_owned(), expected: expected.into(), found: found.into() }
    }

    fn missing(&self, tensors: Vec<String>, prefixes: &[&str]) -> ModelFileError {
        let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        ModelFileError::MissingTensors { file: self.source.clone(), tensors, prefixes }
    }
}

impl Selected<'_> {
    /// The prefix under which the tensors were found.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.prefix
    }

    /// The shape of a tensor, by its name without prefix; `None` if there is no such tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.find(self.prefix, name).map(|(_, tensor)| tensor.shape.as_slice())
    }

    /// Reads a tensor, by its name without prefix, as float32 in row-major order.
    ///
    /// F16 and BF16 are converted. All values are finite. The tensor need not be one of the required ones.
    ///
    /// # Errors
    ///
    /// [`ModelFileError::MissingTensors`], [`ModelFileError::TensorDtype`], [`ModelFileError::NonFinite`],
    /// [`ModelFileError::Truncated`], [`ModelFileError::OutOfMemory`] or [`ModelFileError::Io`].
    pub fn read(&self, name: &str) -> Result<Vec<f32>, ModelFileError> {
        match self.weights.find(self.prefix, name) {
            Some((file, tensor)) => read_tensor(file, tensor),
            None => Err(self.weights.missing(vec![format!("{}{name}", self.prefix)], &[self.prefix])),
        }
    }
}

/// The name that TensorFlow's BERT, and files converted from it, give a layer normalisation's tensor.
fn legacy_name(name: &str) -> Option<String> {
    if let Some(layer) = name.strip_suffix("LayerNorm.weight") {
        Some(format!("{layer}LayerNorm.gamma"))
    } else {
        name.strip_suffix("LayerNorm.bias").map(|layer| format!("{layer}LayerNorm.beta"))
    }
}
