//! The Transformer module: its configuration, weights, tokenizer and length limit.

use std::path::{Path, PathBuf};

use crate::bert_config::BertConfig;
use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::{Fields, Json, quote};
use crate::tokenizer::TokenizerFiles;
use crate::weights::Weights;

/// The encoder that turns token ids into token vectors.
#[derive(Debug)]
pub struct Transformer {
    /// Its sizes.
    pub config: BertConfig,
    /// Its tensors, not yet read.
    pub weights: Weights,
    /// The files of its tokenizer.
    pub tokenizer: TokenizerFiles,
    /// The longest text in tokens, special tokens included; between 1 and `config.max_position_embeddings`.
    pub max_seq_length: usize,
    /// The file and the field which that is from, for errors.
    pub max_seq_length_from: (PathBuf, String),
}

/// The names that the Transformer module's own file has had; the first that is there and not empty counts.
const MODULE_FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Arguments that a module file may pass on to transformers without changing what is computed in float32.
const HARMLESS_ARGUMENTS: [&str; 8] = [
    "add_pooling_layer",
    "attn_implementation",
    "dtype",
    "low_cpu_mem_usage",
    "torch_dtype",
    "trust_remote_code",
    "use_fast",
    "use_safetensors",
];

/// What the modules around a transformer make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// A plain transformers folder gives token vectors; the reference reads no module file there.
    Plain,
    /// Token vectors, for a pooling.
    TokenVectors,
    /// Logits of a masked-language-model head, for a SPLADE pooling; the module file must say so.
    Logits,
    /// The same under the name `MLMTransformer`, which says so itself.
    MlmTransformer,
}

impl Transformer {
    /// Reads the module in `inside`, a folder relative to the model folder.
    pub(crate) fn read(folder: &Folder, inside: &Path, task: Task) -> Result<Self, ModelFileError> {
        let (config, tokenizer_class) = BertConfig::read(folder, inside)?;
        if config.projections.is_some() && matches!(task, Task::Logits | Task::MlmTransformer) {
            let what = "a SPLADE model over BertHash";
            return Err(ModelFileError::unsupported(&config.file, "model_type", what, quote("bert_hash")));
        }
        let module_file = if task == Task::Plain { None } else { find_module_file(folder, inside)? };
        let settings = match &module_file {
            Some((file, json)) => {
                ModuleSettings::from_fields(&Fields::of_file(file, json)?, config.max_position_embeddings, task)?
            }
            None if task == Task::Logits => {
                let file = folder.path(&inside.join(MODULE_FILES[0]));
                return Err(ModelFileError::field(&file, "transformer_task", "\"fill-mask\"", "nothing"));
            }
            None => ModuleSettings::default(),
        };
        let adapter = inside.join("adapter_config.json");
        if folder.exists(&adapter)? {
            let file = folder.path(&adapter);
            return Err(ModelFileError::unsupported(&file, "peft_type", "a PEFT adapter beside the model", "the file"));
        }
        let (tokenizer, tokenizer_limit) =
            TokenizerFiles::read(folder, inside, tokenizer_class, settings.lowercase_first)?;
        let positions = config.max_position_embeddings;
        let (max_seq_length, max_seq_length_from) = match (settings.max_seq_length, tokenizer_limit) {
            (Some((limit, from)), _) => (limit, from),
            (None, Some(limit)) if limit < positions => {
                (limit, (folder.path(&inside.join("tokenizer_config.json")), "model_max_length".to_owned()))
            }
            (None, _) => (positions, (config.file.clone(), "max_position_embeddings".to_owned())),
        };
        let weights = Weights::open(folder, inside)?;
        Ok(Self { config, weights, tokenizer, max_seq_length, max_seq_length_from })
    }
}

fn find_module_file(folder: &Folder, inside: &Path) -> Result<Option<(PathBuf, Json)>, ModelFileError> {
    for name in MODULE_FILES {
        let relative = inside.join(name);
        match folder.read_json(&relative)? {
            None => {}
            Some(Json::Object(entries)) if entries.is_empty() => {}
            Some(json) => return Ok(Some((folder.path(&relative), json))),
        }
    }
    Ok(None)
}

/// What counts of `sentence_bert_config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ModuleSettings {
    /// The limit, and the file and field it is from.
    max_seq_length: Option<(usize, (PathBuf, String))>,
    lowercase_first: bool,
}

impl ModuleSettings {
    fn from_fields(fields: &Fields<'_>, positions: usize, task: Task) -> Result<Self, ModelFileError> {
        check_module(fields, task)?;
        let mut max_seq_length = fields.integer("max_seq_length", 1..=usize::MAX)?;
        let mut place = (fields.clone(), "max_seq_length");
        for (arguments, allowed) in [
            ("model_args", None),
            ("model_kwargs", None),
            ("config_args", None),
            ("config_kwargs", None),
            ("tokenizer_args", Some("model_max_length")),
            ("processor_kwargs", Some("model_max_length")),
        ] {
            let Some(arguments) = fields.object(arguments)? else { continue };
            for (name, _) in arguments.entries() {
                if Some(name.as_str()) != allowed && !HARMLESS_ARGUMENTS.contains(&name.as_str()) {
                    return Err(arguments.wrong(name, "nothing, since this argument is not supported"));
                }
            }
            // It goes before max_seq_length, as in the reference's `base/modules/transformer.py`.
            if allowed.is_some()
                && let Some(length) = arguments.integer("model_max_length", 1..=usize::MAX)?
            {
                max_seq_length = Some(length);
                place = (arguments, "model_max_length");
            }
        }
        let (place, field) = place;
        if max_seq_length.is_some_and(|length| length > positions) {
            let expected = format!("at most {positions} (max_position_embeddings of config.json)");
            let hint = format!("longer texts have no position embeddings; set {field} to {positions} or less");
            return Err(place.wrong(field, expected).with_hint(hint));
        }
        let max_seq_length = max_seq_length.map(|length| (length, (place.file.to_path_buf(), place.name(field))));
        Ok(Self { max_seq_length, lowercase_first: fields.boolean("do_lower_case")?.unwrap_or(false) })
    }
}

/// Refuses a module that does anything but its task: turn texts into token vectors, or into logits.
fn check_module(fields: &Fields<'_>, task: Task) -> Result<(), ModelFileError> {
    let expect = |fields: &Fields<'_>, field: &str, right: &str| match fields.string(field)? {
        Some(other) if other != right => Err(fields.wrong(field, format!("{right:?}"))),
        _ => Ok(()),
    };
    let (name, output) = match task {
        Task::Plain | Task::TokenVectors => ("feature-extraction", "last_hidden_state"),
        Task::Logits | Task::MlmTransformer => ("fill-mask", "logits"),
    };
    // Without this field a Transformer gives token vectors.
    if task == Task::Logits && fields.string("transformer_task")?.is_none() {
        return Err(fields.wrong("transformer_task", format!("{name:?}")));
    }
    expect(fields, "transformer_task", name)?;
    expect(fields, "module_output_name", "token_embeddings")?;
    if let Some(modalities) = fields.object("modality_config")? {
        let text = modalities.object("text")?.ok_or_else(|| modalities.wrong("text", "an object"))?;
        expect(&text, "method", "forward")?;
        expect(&text, "method_output_name", output)?;
    }
    for field in ["query_length", "document_length", "query_expansion", "tokenizer_name_or_path"] {
        if fields.get(field).is_some() {
            return Err(fields.wrong(field, "nothing, since this field is not supported"));
        }
    }
    if fields.object("processing_kwargs")?.is_some_and(|arguments| !arguments.entries().is_empty()) {
        return Err(fields.wrong("processing_kwargs", "nothing, since this field is not supported"));
    }
    Ok(())
}
