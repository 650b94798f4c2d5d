//! Which safetensors files a folder's weights are in: one, or several listed in an index.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::ModelFileError;
use crate::folder::{Folder, relative_path};
use crate::json::{Fields, Json};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Files that hold weights but are refused, and files of a trainer that are no weights at all.
const UNSAFE_EXTENSIONS: [&str; 9] = ["bin", "pt", "pth", "pkl", "pickle", "ckpt", "h5", "msgpack", "npz"];
const NOT_WEIGHTS: [&str; 4] = ["training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt"];

/// The weights files of one folder, as paths relative to the model folder.
#[derive(Debug)]
pub(crate) struct WeightFiles {
    /// The one file, or the index.
    pub(crate) source: PathBuf,
    /// The file or shards, each once.
    pub(crate) files: Vec<PathBuf>,
    /// For an index, each tensor and the position of its shard in `files`.
    pub(crate) weight_map: Vec<(String, usize)>,
}

/// Finds the weights in `inside`, a folder relative to the model folder. As in the reference, a single file goes first.
pub(crate) fn find(folder: &Folder, inside: &Path) -> Result<WeightFiles, ModelFileError> {
    let single = inside.join(SINGLE);
    if folder.exists(&single)? {
        return Ok(WeightFiles { source: single.clone(), files: vec![single], weight_map: Vec::new() });
    }
    let index = inside.join(INDEX);
    if let Some(json) = folder.read_json(&index)? {
        return read_index(folder, inside, index, &json);
    }
    for name in folder.list(inside)? {
        let extension = Path::new(&name).extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        if UNSAFE_EXTENSIONS.contains(&extension.as_str()) && !NOT_WEIGHTS.contains(&name.as_str()) {
            return Err(ModelFileError::UnsafeWeights { folder: folder.path(inside), found: name });
        }
    }
    Err(ModelFileError::MissingFile { file: folder.path(&single), hint: None })
}

fn read_index(folder: &Folder, inside: &Path, index: PathBuf, json: &Json) -> Result<WeightFiles, ModelFileError> {
    let path = folder.path(&index);
    let fields = Fields::of_file(&path, json)?;
    let map = fields.object("weight_map")?.ok_or_else(|| fields.wrong("weight_map", "an object"))?;
    let mut files: Vec<PathBuf> = Vec::new();
    let mut positions: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut weight_map = Vec::new();
    for (tensor, value) in map.entries() {
        let wrong = |found| ModelFileError::field(&path, map.name(tensor), "the name of a safetensors file", found);
        let Json::String(shard) = value else { return Err(wrong(value.describe())) };
        let Some(relative) = relative_path(shard) else {
            let field = map.name(tensor);
            return Err(ModelFileError::UnsafePath { file: path.clone(), field, found: shard.clone() });
        };
        if relative.extension() != Some(OsStr::new("safetensors")) {
            return Err(wrong(value.describe()));
        }
        let position = *positions.entry(inside.join(relative)).or_insert_with_key(|file| {
            files.push(file.clone());
            files.len() - 1
        });
        weight_map.push((tensor.clone(), position));
    }
    Ok(WeightFiles { source: index, files, weight_map })
}
