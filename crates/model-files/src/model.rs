//! A whole model folder.

use std::path::Path;

use crate::dense::{Dense, Width, check_sentence_embedding};
use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::Fields;
use crate::modules::{self, ModuleEntry, ModuleKind};
use crate::pooling::Pooling;
use crate::settings::{SETTINGS_FILE, Settings, Similarity, check_is_dense, check_model_type};
use crate::splade_pooling::SpladePooling;
use crate::static_embedding::{self, StaticEmbedding};
use crate::transformer::{Task, Transformer};

/// What a model folder holds: one of the families.
#[derive(Debug)]
pub enum Model {
    /// A BERT encoder with pooling.
    Sentence(SentenceModel),
    /// A table of token vectors that are averaged.
    Static(StaticModel),
    /// A BERT encoder with its masked-language-model head and SPLADE pooling.
    Splade(SpladeModel),
}

/// A dense sentence embedding model: a BERT encoder, then pooling, then further modules.
#[derive(Debug)]
pub struct SentenceModel {
    /// The encoder.
    pub transformer: Transformer,
    /// What follows it, in order; the first is always [`Module::Pooling`], and the only one.
    pub modules: Vec<Module>,
    /// Prompts, similarity and truncation.
    pub settings: Settings,
}

/// A static embedding model: the mean of the vectors of a text's tokens, then further modules.
#[derive(Debug)]
pub struct StaticModel {
    /// The table of token vectors.
    pub embedding: StaticEmbedding,
    /// What follows it, in order: [`Module::Dense`] and [`Module::Normalize`] only.
    pub modules: Vec<Module>,
    /// Prompts, similarity and truncation.
    pub settings: Settings,
}

/// A sparse sentence embedding model: one weight for each term of the vocabulary.
#[derive(Debug)]
pub struct SpladeModel {
    /// The encoder. The masked-language-model head is among its weights.
    pub transformer: Transformer,
    /// How the head's logits become one vector a text.
    pub pooling: SpladePooling,
    /// Prompts, similarity and the limit of active dimensions.
    pub settings: Settings,
}

/// A step after the encoder or the static embedding.
#[derive(Debug)]
pub enum Module {
    /// Token vectors to one vector.
    Pooling(Pooling),
    /// A linear map with an activation.
    Dense(Dense),
    /// Division by the Euclidean norm, or by 1e-12 if that is larger.
    Normalize,
}

/// Reads and checks the model folder `root`.
///
/// Every JSON file is read; of weights files only the headers.
///
/// # Errors
///
/// A [`ModelFileError`] that names the file, and the field or tensor in it.
pub fn open(root: &Path) -> Result<Model, ModelFileError> {
    let folder = Folder::open(root)?;
    let settings_path = folder.path(Path::new(SETTINGS_FILE));
    let settings_json = folder.read_json(Path::new(SETTINGS_FILE))?;
    let fields = settings_json.as_ref().map(|json| Fields::of_file(&settings_path, json)).transpose()?;
    if let Some(fields) = &fields {
        check_model_type(fields)?;
    }
    let Some(entries) = modules::read(&folder)? else {
        return open_plain(&folder);
    };
    let settings = |similarity: Similarity| match &fields {
        Some(fields) => Settings::from_fields(fields, similarity),
        None => Ok(Settings { similarity, ..Settings::default() }),
    };
    // `modules::read` checked the order, so the first two say which family it is.
    let inside = entries.first().map_or_else(|| Path::new(""), |entry| entry.folder.as_path());
    let is = |index: usize, kind: ModuleKind| entries.get(index).filter(|entry| entry.kind == kind);
    if let Some(pooling) = is(1, ModuleKind::SpladePooling) {
        let settings = settings(Similarity::Dot)?;
        let is_named = is(0, ModuleKind::MlmTransformer).is_some();
        let task = if is_named { Task::MlmTransformer } else { Task::Logits };
        let transformer = Transformer::read(&folder, inside, task)?;
        let pooling = SpladePooling::read(&folder, &pooling.folder, transformer.config.vocab_size)?;
        return Ok(Model::Splade(SpladeModel { transformer, pooling, settings }));
    }
    if let Some(fields) = &fields {
        check_is_dense(fields)?;
    }
    let settings = settings(Similarity::Cosine)?;
    let others = entries.get(1..).unwrap_or_default();
    if is(0, ModuleKind::StaticEmbedding).is_some() {
        let embedding = StaticEmbedding::read(&folder, inside)?;
        let modules = read_modules(&folder, others, embedding.dimension, embedding.weights.source())?;
        return Ok(Model::Static(StaticModel { embedding, modules, settings }));
    }
    let transformer = Transformer::read(&folder, inside, Task::TokenVectors)?;
    let modules = read_modules(&folder, others, transformer.config.hidden_size, &transformer.config.file)?;
    Ok(Model::Sentence(SentenceModel { transformer, modules, settings }))
}

/// Reads a folder without `modules.json`: of transformers, to which the reference adds mean pooling, or of model2vec, whose
/// `config.json` says whether vectors are normalised. No other file of settings is read.
fn open_plain(folder: &Folder) -> Result<Model, ModelFileError> {
    let settings = Settings::default();
    if let Some(normalize) = static_embedding::model2vec_normalize(folder)? {
        let embedding = StaticEmbedding::read(folder, Path::new(""))?;
        let modules = if normalize { vec![Module::Normalize] } else { Vec::new() };
        return Ok(Model::Static(StaticModel { embedding, modules, settings }));
    }
    let transformer = Transformer::read(folder, Path::new(""), Task::Plain)?;
    let modules = vec![Module::Pooling(Pooling::mean())];
    Ok(Model::Sentence(SentenceModel { transformer, modules, settings }))
}

/// Reads the modules after the first and follows the width of the vector through them, from `width`, which stands in `from`.
fn read_modules(
    folder: &Folder,
    entries: &[ModuleEntry],
    mut width: usize,
    from: &Path,
) -> Result<Vec<Module>, ModelFileError> {
    let mut modules = Vec::new();
    let mut from = from.to_path_buf();
    for entry in entries {
        match entry.kind {
            // Not here: `modules::read` checked the order.
            ModuleKind::Transformer
            | ModuleKind::MlmTransformer
            | ModuleKind::SpladePooling
            | ModuleKind::StaticEmbedding => {}
            ModuleKind::Pooling => {
                let pooling = Pooling::read(folder, &entry.folder, width)?;
                width = width.saturating_mul(pooling.modes.len());
                from = folder.path(&entry.folder.join("config.json"));
                modules.push(Module::Pooling(pooling));
            }
            ModuleKind::Dense => {
                let dense = Dense::read(folder, &entry.folder, Width { size: width, from: &from })?;
                width = dense.out_features;
                from = folder.path(&entry.folder.join("config.json"));
                modules.push(Module::Dense(dense));
            }
            ModuleKind::Normalize => {
                let relative = entry.folder.join("config.json");
                // Folders of the old layout have none, and one in the root is that of the transformer.
                if !entry.folder.as_os_str().is_empty()
                    && let Some(json) = folder.read_json(&relative)?
                {
                    check_sentence_embedding(&Fields::of_file(&folder.path(&relative), &json)?)?;
                }
                modules.push(Module::Normalize);
            }
        }
    }
    Ok(modules)
}

/// The width of the vectors that `modules` give from vectors of `width`.
fn dimension_after(modules: &[Module], width: usize) -> usize {
    modules.iter().fold(width, |width, module| match module {
        Module::Pooling(pooling) => width.saturating_mul(pooling.modes.len()),
        Module::Dense(dense) => dense.out_features,
        Module::Normalize => width,
    })
}

impl Model {
    /// The width of the vectors that the modules give, before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        match self {
            Self::Sentence(model) => model.dimension(),
            Self::Static(model) => model.dimension(),
            Self::Splade(model) => model.dimension(),
        }
    }
}

impl SentenceModel {
    /// The width of the vectors that the modules give, before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        dimension_after(&self.modules, self.transformer.config.hidden_size)
    }
}

impl StaticModel {
    /// The width of the vectors that the modules give, before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        dimension_after(&self.modules, self.embedding.dimension)
    }
}

impl SpladeModel {
    /// The width of the vectors: the size of the vocabulary.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.transformer.config.vocab_size
    }
}
