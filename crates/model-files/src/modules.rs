//! `modules.json`: the list of modules of a sentence-transformers folder.

use std::path::{Path, PathBuf};

use crate::error::ModelFileError;
use crate::folder::{Folder, relative_path};
use crate::json::{Fields, Json};
use crate::unsupported;

const MODULES_FILE: &str = "modules.json";

/// More modules than any model has.
const MODULES_LIMIT: usize = 64;

/// A module that is supported, with the folder of its files relative to the model folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModuleEntry {
    pub(crate) kind: ModuleKind,
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModuleKind {
    Transformer,
    /// The Transformer with a masked-language-model head, under its name before sentence-transformers 5.4.
    MlmTransformer,
    SpladePooling,
    Pooling,
    Dense,
    Normalize,
    StaticEmbedding,
}

/// The modules in the order of the file, checked to be a transformer with its pooling or a static embedding, then Dense and
/// Normalize modules, or a transformer and SPLADE pooling alone; `None` if there is no such file, which makes the folder a plain
/// transformers or model2vec one.
pub(crate) fn read(folder: &Folder) -> Result<Option<Vec<ModuleEntry>>, ModelFileError> {
    let relative = Path::new(MODULES_FILE);
    let Some(json) = folder.read_json(relative)? else { return Ok(None) };
    parse(&folder.path(relative), &json).map(Some)
}

pub(crate) fn parse(file: &Path, json: &Json) -> Result<Vec<ModuleEntry>, ModelFileError> {
    let Json::List(items) = json else {
        let message = format!("expected a list of modules, found {}", json.describe());
        return Err(ModelFileError::Json { file: file.to_path_buf(), message });
    };
    if items.len() > MODULES_LIMIT {
        let expected = format!("at most {MODULES_LIMIT} modules");
        return Err(ModelFileError::field(file, "[]", expected, items.len().to_string()));
    }
    let mut modules = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let fields = Fields::of_value(file, &format!("[{index}]"), item)?;
        let class = fields.required_string("type")?;
        let Some(kind) = kind(class) else {
            return Err(unsupported::module(file, &fields.name("type"), class));
        };
        let Some(Json::String(path)) = fields.raw("path") else {
            return Err(fields.wrong("path", "a string"));
        };
        let Some(folder) = relative_path(path) else {
            let field = fields.name("path");
            return Err(ModelFileError::UnsafePath { file: file.to_path_buf(), field, found: path.clone() });
        };
        modules.push(ModuleEntry { kind, folder });
    }
    check_order(file, &modules, items)?;
    Ok(modules)
}

/// Both layouts are matched: `sentence_transformers.models.Dense` and `sentence_transformers.base.modules.dense.Dense`.
fn kind(class: &str) -> Option<ModuleKind> {
    let rest = class.strip_prefix("sentence_transformers.")?;
    if let Some(module) = rest.strip_prefix("sparse_encoder.") {
        return match module.rsplit('.').next()? {
            "MLMTransformer" => Some(ModuleKind::MlmTransformer),
            "SpladePooling" => Some(ModuleKind::SpladePooling),
            _ => None,
        };
    }
    if rest.starts_with("multi_vector_encoder.") || rest.starts_with("cross_encoder.") {
        return None;
    }
    match rest.rsplit('.').next()? {
        "Transformer" => Some(ModuleKind::Transformer),
        "Pooling" => Some(ModuleKind::Pooling),
        "Dense" => Some(ModuleKind::Dense),
        "Normalize" => Some(ModuleKind::Normalize),
        "StaticEmbedding" => Some(ModuleKind::StaticEmbedding),
        _ => None,
    }
}

fn check_order(file: &Path, modules: &[ModuleEntry], items: &[Json]) -> Result<(), ModelFileError> {
    use ModuleKind::{Dense, MlmTransformer, Normalize, Pooling, SpladePooling, StaticEmbedding, Transformer};
    let kind = |index: usize| modules.get(index).map(|module| module.kind);
    // The modules that there must be: a static embedding gives one vector a text and needs no pooling.
    let required = if kind(0) == Some(StaticEmbedding) { 1 } else { 2 };
    for index in 0..modules.len().max(required) {
        let follows = matches!(kind(index), Some(Dense | Normalize));
        let (right, expected) = match (index, kind(0), kind(1)) {
            (0, first, _) => (
                matches!(first, Some(Transformer | MlmTransformer | StaticEmbedding)),
                "a Transformer or StaticEmbedding module first",
            ),
            (_, Some(StaticEmbedding), _) => (follows, "a Dense or Normalize module after the StaticEmbedding"),
            (1, Some(MlmTransformer), second) => {
                (second == Some(SpladePooling), "a SpladePooling module after the MLMTransformer")
            }
            (1, _, second) => {
                (matches!(second, Some(Pooling | SpladePooling)), "a Pooling module after the Transformer")
            }
            (_, _, Some(SpladePooling)) => (false, "nothing after the SpladePooling"),
            _ => (follows, "a Dense or Normalize module after the Pooling"),
        };
        if !right {
            let found = match items.get(index) {
                Some(item) => Fields::of_value(file, "", item)?.raw("type").map_or_else(String::new, Json::describe),
                None => "nothing".to_owned(),
            };
            return Err(ModelFileError::field(file, format!("[{index}].type"), expected, found));
        }
    }
    Ok(())
}
