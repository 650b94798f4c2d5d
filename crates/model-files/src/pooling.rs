//! `1_Pooling/config.json`: how the token vectors of a text become one vector.

use std::path::Path;

use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::{Fields, Json};

/// Which token vectors are pooled, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooling {
    /// One or more modes; their results are concatenated in this order.
    pub modes: Vec<PoolingMode>,
    /// Whether the tokens of a prompt are pooled too. If false they are left out.
    pub include_prompt: bool,
}

/// How token vectors `[tokens, hidden]` become one vector `[hidden]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingMode {
    /// The first token's vector.
    Cls,
    /// The largest value of each column.
    Max,
    /// The sum divided by the number of tokens.
    Mean,
    /// The sum divided by the square root of the number of tokens.
    MeanSqrtLen,
    /// The mean with weight `i` for the token at position `i`, counted from 1.
    WeightedMean,
    /// The last token's vector.
    LastToken,
}

/// Each mode with its key in the old layout and its name in the new one, in the order in which the reference
/// concatenates the old keys (`_LEGACY_POOLING_MODE_KWARGS` of `sentence_transformer/modules/pooling.py`).
const MODES: [(PoolingMode, &str, &str); 6] = [
    (PoolingMode::Cls, "pooling_mode_cls_token", "cls"),
    (PoolingMode::Max, "pooling_mode_max_tokens", "max"),
    (PoolingMode::Mean, "pooling_mode_mean_tokens", "mean"),
    (PoolingMode::MeanSqrtLen, "pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    (PoolingMode::WeightedMean, "pooling_mode_weightedmean_tokens", "weightedmean"),
    (PoolingMode::LastToken, "pooling_mode_lasttoken", "lasttoken"),
];

impl Pooling {
    /// What the reference adds to a folder without `modules.json`.
    pub(crate) fn mean() -> Self {
        Self { modes: vec![PoolingMode::Mean], include_prompt: true }
    }

    /// Reads `config.json` in `inside`, a folder relative to the model folder, for token vectors of `hidden_size`.
    pub(crate) fn read(folder: &Folder, inside: &Path, hidden_size: usize) -> Result<Self, ModelFileError> {
        let relative = inside.join("config.json");
        let file = folder.path(&relative);
        match folder.read_json(&relative)? {
            Some(json) => Self::from_fields(&Fields::of_file(&file, &json)?, hidden_size),
            None => Err(ModelFileError::MissingFile { file, hint: None }),
        }
    }

    pub(crate) fn from_fields(fields: &Fields<'_>, hidden_size: usize) -> Result<Self, ModelFileError> {
        for field in ["embedding_dimension", "word_embedding_dimension"] {
            if fields.integer(field, 1..=usize::MAX)?.is_some_and(|width| width != hidden_size) {
                return Err(
                    fields.wrong(field, format!("{hidden_size} (hidden_size of the transformer's config.json)"))
                );
            }
        }
        let mut modes = named_modes(fields)?;
        if modes.is_empty() {
            for (mode, key, _) in MODES {
                if fields.boolean(key)? == Some(true) {
                    modes.push(mode);
                }
            }
        }
        if modes.is_empty() {
            modes.push(PoolingMode::Mean);
        }
        Ok(Self { modes, include_prompt: fields.boolean("include_prompt")?.unwrap_or(true) })
    }
}

/// The modes of `pooling_mode`, which goes before the old keys; unlike those, a list stays in its own order.
fn named_modes(fields: &Fields<'_>) -> Result<Vec<PoolingMode>, ModelFileError> {
    let names = match fields.get("pooling_mode") {
        None => return Ok(Vec::new()),
        Some(Json::List(names)) if !names.is_empty() => names.as_slice(),
        Some(name) => std::slice::from_ref(name),
    };
    let expected = "each once of cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken";
    let mut modes = Vec::new();
    for name in names {
        let known =
            MODES.iter().find(|(mode, _, known)| *name == Json::String((*known).to_owned()) && !modes.contains(mode));
        let Some((mode, _, _)) = known else {
            return Err(ModelFileError::field(fields.file, fields.name("pooling_mode"), expected, name.describe()));
        };
        modes.push(*mode);
    }
    Ok(modes)
}
