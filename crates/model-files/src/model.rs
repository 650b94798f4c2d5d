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
use crate::transformer::{Task, Transformer};

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

/// A step after the encoder.
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
pub fn open(root: &Path) -> Result<SentenceModel, ModelFileError> {
    let folder = Folder::open(root)?;
    let settings_path = folder.path(Path::new(SETTINGS_FILE));
    let settings_json = folder.read_json(Path::new(SETTINGS_FILE))?;
    let settings_fields = settings_json.as_ref().map(|json| Fields::of_file(&settings_path, json)).transpose()?;
    if let Some(fields) = &settings_fields {
        check_model_type(fields)?;
    }
    let Some(entries) = modules::read(&folder)? else {
        // A plain transformers folder. The reference adds mean pooling and reads no other file of settings.
        let transformer = Transformer::read(&folder, Path::new(""), Task::Plain)?;
        let modules = vec![Module::Pooling(Pooling::mean())];
        return Ok(SentenceModel { transformer, modules, settings: Settings::default() });
    };
    let task = task(&entries);
    if let Some(fields) = settings_fields.as_ref().filter(|_| task == Task::TokenVectors) {
        check_is_dense(fields)?;
    }
    let similarity = if task == Task::TokenVectors { Similarity::Cosine } else { Similarity::Dot };
    let settings = settings_fields.as_ref().map(|fields| Settings::from_fields(fields, similarity)).transpose()?;
    let settings = settings.unwrap_or_else(|| Settings { similarity, ..Settings::default() });
    let inside = entries.first().map_or_else(|| Path::new(""), |entry| entry.folder.as_path());
    let transformer = Transformer::read(&folder, inside, task)?;
    let modules = read_modules(&folder, &transformer, &entries)?;
    Ok(SentenceModel { transformer, modules, settings })
}

/// What the modules ask of the transformer; `modules::read` checked their order.
fn task(entries: &[ModuleEntry]) -> Task {
    match entries {
        [first, ..] if first.kind == ModuleKind::MlmTransformer => Task::MlmTransformer,
        [_, second, ..] if second.kind == ModuleKind::SpladePooling => Task::Logits,
        _ => Task::TokenVectors,
    }
}

/// Reads the modules after the transformer and follows the width of the vector through them.
fn read_modules(
    folder: &Folder,
    transformer: &Transformer,
    entries: &[ModuleEntry],
) -> Result<Vec<Module>, ModelFileError> {
    let mut modules = Vec::new();
    let mut width = transformer.config.hidden_size;
    let mut from = transformer.config.file.clone();
    for entry in entries {
        match entry.kind {
            // The first entry, and only that: `modules::read` checked the order.
            ModuleKind::Transformer | ModuleKind::MlmTransformer => {}
            ModuleKind::SpladePooling => {
                let pooling = SpladePooling::read(folder, &entry.folder, transformer.config.vocab_size)?;
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

impl SentenceModel {
    /// The width of the vectors that the modules give, before any truncation.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.modules.iter().fold(self.transformer.config.hidden_size, |width, module| match module {
            Module::Pooling(pooling) => width.saturating_mul(pooling.modes.len()),
            Module::Splade(_) => self.transformer.config.vocab_size,
            Module::Dense(dense) => dense.out_features,
            Module::Normalize => width,
        })
    }
}
