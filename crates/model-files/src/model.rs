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

/// What a model folder holds.
#[derive(Debug)]
pub enum Model {
    /// A BERT encoder with pooling, dense or sparse.
    Sentence(SentenceModel),
    /// A table of token vectors that are averaged.
    Static(StaticModel),
}

/// A sentence embedding model: a BERT encoder, then pooling and further modules (dense), or SPLADE pooling (sparse).
#[derive(Debug)]
pub struct SentenceModel {
    /// The encoder.
    pub transformer: Transformer,
    /// What follows it, in order: one [`Module::Pooling`] and then others, or one [`Module::Splade`] alone.
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

/// A step after the encoder or the static embedding.
#[derive(Debug)]
pub enum Module {
    /// Token vectors to one vector.
    Pooling(Pooling),
    /// Token vectors to one sparse vector, through the masked-language-model head that is among the transformer's weights.
    Splade(SpladePooling),
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
    let settings_fields = settings_json.as_ref().map(|json| Fields::of_file(&settings_path, json)).transpose()?;
    if let Some(fields) = &settings_fields {
        check_model_type(fields)?;
    }
    let Some(entries) = modules::read(&folder)? else {
        return open_plain(&folder);
    };
    let task = task(&entries);
    if let Some(fields) = settings_fields.as_ref().filter(|_| task == Task::TokenVectors) {
        check_is_dense(fields)?;
    }
    let similarity = if task == Task::TokenVectors { Similarity::Cosine } else { Similarity::Dot };
    let settings = settings_fields.as_ref().map(|fields| Settings::from_fields(fields, similarity)).transpose()?;
    let settings = settings.unwrap_or_else(|| Settings { similarity, ..Settings::default() });
    let inside = entries.first().map_or_else(|| Path::new(""), |entry| entry.folder.as_path());
    if entries.first().is_some_and(|entry| entry.kind == ModuleKind::StaticEmbedding) {
        let embedding = StaticEmbedding::read(&folder, inside)?;
        let first = Width { size: embedding.dimension, from: embedding.weights.source() };
        // No module that may follow it asks for the terms of a vocabulary.
        let modules = read_modules(&folder, first, 0, &entries)?;
        return Ok(Model::Static(StaticModel { embedding, modules, settings }));
    }
    let transformer = Transformer::read(&folder, inside, task)?;
    let first = Width { size: transformer.config.hidden_size, from: &transformer.config.file };
    let modules = read_modules(&folder, first, transformer.config.vocab_size, &entries)?;
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

/// What the modules ask of the transformer; `modules::read` checked their order.
fn task(entries: &[ModuleEntry]) -> Task {
    match entries {
        [first, ..] if first.kind == ModuleKind::MlmTransformer => Task::MlmTransformer,
        [_, second, ..] if second.kind == ModuleKind::SpladePooling => Task::Logits,
        _ => Task::TokenVectors,
    }
}

/// Reads the modules after the first and follows the width of the vector through them; `vocab_size` is the number of terms
/// that SPLADE pooling gives weights of.
fn read_modules(
    folder: &Folder,
    first: Width<'_>,
    vocab_size: usize,
    entries: &[ModuleEntry],
) -> Result<Vec<Module>, ModelFileError> {
    let mut modules = Vec::new();
    let (mut width, mut from) = (first.size, first.from.to_path_buf());
    for entry in entries {
        match entry.kind {
            // The first entry, and only that: `modules::read` checked the order.
            ModuleKind::Transformer | ModuleKind::MlmTransformer | ModuleKind::StaticEmbedding => {}
            ModuleKind::SpladePooling => {
                let pooling = SpladePooling::read(folder, &entry.folder, vocab_size)?;
                modules.push(Module::Splade(pooling));
            }
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
fn dimension_after(modules: &[Module], width: usize, vocab_size: usize) -> usize {
    modules.iter().fold(width, |width, module| match module {
        Module::Pooling(pooling) => width.saturating_mul(pooling.modes.len()),
        Module::Splade(_) => vocab_size,
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
        }
    }
}

impl SentenceModel {
    /// The width of the vectors that the modules give, before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        let config = &self.transformer.config;
        dimension_after(&self.modules, config.hidden_size, config.vocab_size)
    }
}

impl StaticModel {
    /// The width of the vectors that the modules give, before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        dimension_after(&self.modules, self.embedding.dimension, 0)
    }
}
