//! `config_sentence_transformers.json`: prompts, similarity function and truncation.

use crate::error::ModelFileError;
use crate::json::{Fields, Json, quote};
use crate::unsupported;

/// The file of these settings, in the root of the model folder.
pub(crate) const SETTINGS_FILE: &str = "config_sentence_transformers.json";

/// The settings of a sentence-transformers model that are not part of its computation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Prompts by name in the reference's order: `query` and `document`, always present and empty if the model has
    /// none, then the others as in the file.
    pub prompts: Vec<(String, String)>,
    /// The prompt used when none is asked for; always a name in `prompts`.
    pub default_prompt_name: Option<String>,
    /// The function by which vectors of this model are compared.
    pub similarity: Similarity,
    /// The number of leading values kept of each vector; at least 1.
    pub truncate_dim: Option<usize>,
    /// The number of largest values kept of each sparse vector; at least 1.
    pub max_active_dims: Option<usize>,
}

/// A function that compares two vectors; larger is more similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Similarity {
    /// The cosine of the angle between them.
    #[default]
    Cosine,
    /// The dot product.
    Dot,
    /// The negative Euclidean distance.
    Euclidean,
    /// The negative sum of absolute differences.
    Manhattan,
}

impl Similarity {
    /// The reference's name: `cosine`, `dot`, `euclidean` or `manhattan`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclidean => "euclidean",
            Self::Manhattan => "manhattan",
        }
    }
}

impl Default for Settings {
    /// The settings of a model that has none.
    fn default() -> Self {
        let prompts = ["query", "document"].map(|name| (name.to_owned(), String::new())).to_vec();
        Self {
            prompts,
            default_prompt_name: None,
            similarity: Similarity::Cosine,
            truncate_dim: None,
            max_active_dims: None,
        }
    }
}

impl Settings {
    /// `unnamed` is the similarity function of a model that names none.
    pub(crate) fn from_fields(fields: &Fields<'_>, unnamed: Similarity) -> Result<Self, ModelFileError> {
        let mut settings = Self::default();
        if let Some(prompts) = fields.object("prompts")? {
            for (name, value) in prompts.entries() {
                let text = match value {
                    Json::String(text) => text.clone(),
                    // The reference turns a prompt without text into an empty one (`_validate_prompts`).
                    Json::Null => String::new(),
                    _ => return Err(prompts.wrong(name, "a string")),
                };
                match settings.prompts.iter_mut().take(2).find(|(known, _)| known == name) {
                    Some((_, prompt)) => *prompt = text,
                    None => settings.prompts.push((name.clone(), text)),
                }
            }
        }
        if let Some(name) = fields.string("default_prompt_name")? {
            if !settings.prompts.iter().any(|(known, _)| known == name) {
                let names: Vec<String> = settings.prompts.iter().take(20).map(|(name, _)| quote(name)).collect();
                return Err(fields.wrong("default_prompt_name", format!("the name of a prompt ({})", names.join(", "))));
            }
            settings.default_prompt_name = Some(name.to_owned());
        }
        settings.similarity = match fields.string("similarity_fn_name")? {
            None => unnamed,
            Some("cosine") => Similarity::Cosine,
            Some("dot") => Similarity::Dot,
            Some("euclidean") => Similarity::Euclidean,
            Some("manhattan") => Similarity::Manhattan,
            Some(_) => return Err(fields.wrong("similarity_fn_name", "cosine, dot, euclidean or manhattan")),
        };
        settings.truncate_dim = fields.integer("truncate_dim", 1..=usize::MAX)?;
        settings.max_active_dims = fields.integer("max_active_dims", 1..=usize::MAX)?;
        Ok(settings)
    }
}

/// Refuses a folder whose settings say that it is another kind of model, such as a cross-encoder.
pub(crate) fn check_model_type(fields: &Fields<'_>) -> Result<(), ModelFileError> {
    match fields.string("model_type")? {
        None | Some("SentenceTransformer" | "SparseEncoder") => Ok(()),
        Some(other) => Err(unsupported::saved_as(fields.file, other)),
    }
}

/// Refuses a folder that was saved as a sparse encoder and has dense modules.
pub(crate) fn check_is_dense(fields: &Fields<'_>) -> Result<(), ModelFileError> {
    match fields.string("model_type")? {
        Some(saved_as @ "SparseEncoder") => Err(unsupported::saved_as(fields.file, saved_as)),
        _ => Ok(()),
    }
}
