//! `config.json` of a BERT model.

use std::path::{Path, PathBuf};

use crate::activation::Activation;
use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::{Fields, Json};
use crate::unsupported;

/// The widest vector accepted, in values. The largest published encoders are some ten thousand wide.
pub(crate) const WIDTH_LIMIT: usize = 1 << 20;

/// The most layers accepted. The deepest published encoders have some hundred.
const LAYERS_LIMIT: usize = 1_000;

/// The most rows of a table accepted; token ids are 32-bit numbers.
pub(crate) const ROWS_LIMIT: usize = i32::MAX as usize;

/// The classes of transformers' own `modeling_bert.py`, which `architectures` may name.
const BERT_CLASSES: [&str; 9] = [
    "BertModel",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertLMHeadModel",
    "BertForNextSentencePrediction",
    "BertForSequenceClassification",
    "BertForMultipleChoice",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
];

/// The classes of the code that comes with `BertHash` models (NeuML/bert-hash-pico), whose computation is built in here: that
/// code itself is never run.
const BERT_HASH_CLASSES: [&str; 3] = ["BertHashModel", "BertHashForMaskedLM", "BertHashForSequenceClassification"];

/// The sizes of a BERT encoder, all checked to be possible.
///
/// `hidden_size` is a multiple of `num_attention_heads`, and no size is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct BertConfig {
    /// The file they were read from, for errors.
    pub file: PathBuf,
    /// The width of a token vector.
    pub hidden_size: usize,
    /// The width between the two maps of a layer's feed-forward part.
    pub intermediate_size: usize,
    /// The number of layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads per layer.
    pub num_attention_heads: usize,
    /// The number of rows of the word embedding table.
    pub vocab_size: usize,
    /// The number of rows of the position embedding table, and so the longest text in tokens.
    pub max_position_embeddings: usize,
    /// The number of rows of the token type embedding table.
    pub type_vocab_size: usize,
    /// Added to the variance in every layer normalisation.
    pub layer_norm_eps: f32,
    /// The function inside the feed-forward part.
    pub hidden_act: Activation,
    /// Whether a masked-language-model head decodes with the word embeddings; true if absent.
    pub tie_word_embeddings: bool,
    /// The width of the word embedding table of a `BertHash` model, whose rows a linear map brings to `hidden_size`;
    /// `None` for BERT, whose table has that width itself.
    pub projections: Option<usize>,
}

impl BertConfig {
    /// Reads and checks `config.json` in `inside`, a folder relative to the model folder.
    ///
    /// Also gives the tokenizer class that it names, if any.
    pub(crate) fn read(folder: &Folder, inside: &Path) -> Result<(Self, Option<String>), ModelFileError> {
        let relative = inside.join("config.json");
        let file = folder.path(&relative);
        let Some(json) = folder.read_json(&relative)? else {
            let hint = "a model folder is what model.save_pretrained(path) writes".to_owned();
            return Err(ModelFileError::MissingFile { file, hint: Some(hint) });
        };
        let fields = Fields::of_file(&file, &json)?;
        let config = Self::from_fields(&fields)?;
        Ok((config, fields.string("tokenizer_class")?.map(str::to_owned)))
    }

    pub(crate) fn from_fields(fields: &Fields<'_>) -> Result<Self, ModelFileError> {
        let is_bert_hash = check_is_bert(fields)?;
        let config = Self {
            file: fields.file.to_path_buf(),
            hidden_size: fields.required_integer("hidden_size", 1..=WIDTH_LIMIT)?,
            intermediate_size: fields.required_integer("intermediate_size", 1..=WIDTH_LIMIT)?,
            num_hidden_layers: fields.required_integer("num_hidden_layers", 1..=LAYERS_LIMIT)?,
            num_attention_heads: fields.required_integer("num_attention_heads", 1..=WIDTH_LIMIT)?,
            vocab_size: fields.required_integer("vocab_size", 1..=ROWS_LIMIT)?,
            max_position_embeddings: fields.required_integer("max_position_embeddings", 1..=ROWS_LIMIT)?,
            // Configurations of 2018 and 2019 lack these three; the reference has the same defaults.
            type_vocab_size: fields.integer("type_vocab_size", 1..=ROWS_LIMIT)?.unwrap_or(2),
            layer_norm_eps: layer_norm_eps(fields)?,
            hidden_act: hidden_act(fields)?,
            tie_word_embeddings: fields.boolean("tie_word_embeddings")?.unwrap_or(true),
            projections: if is_bert_hash {
                Some(fields.required_integer("projections", 1..=WIDTH_LIMIT)?)
            } else {
                None
            },
        };
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            let expected = format!("a divisor of hidden_size {}", config.hidden_size);
            return Err(fields.wrong("num_attention_heads", expected));
        }
        Ok(config)
    }
}

/// Refuses other models, and settings under which a BERT computes something else. Gives whether the model is a `BertHash`.
fn check_is_bert(fields: &Fields<'_>) -> Result<bool, ModelFileError> {
    let architectures = match fields.get("architectures") {
        None => &[][..],
        Some(Json::List(names)) => names.as_slice(),
        Some(_) => return Err(fields.wrong("architectures", "a list of strings")),
    };
    let (is_bert_hash, classes) = match fields.string("model_type")? {
        Some("bert") => (false, BERT_CLASSES.as_slice()),
        Some("bert_hash") => (true, BERT_HASH_CLASSES.as_slice()),
        Some(other) => return Err(unsupported::model_type(fields.file, other)),
        None => return Err(fields.wrong("model_type", "\"bert\"")),
    };
    let code = fields.get("auto_map");
    for (index, name) in architectures.iter().enumerate() {
        let Json::String(name) = name else {
            return Err(fields.wrong("architectures", "a list of strings"));
        };
        // Without auto_map the reference pays no heed to this field, so neither is an unknown name refused here.
        if name == "HF_ColBERT" || (code.is_some() && !classes.contains(&name.as_str())) {
            return Err(unsupported::architecture(fields.file, index, name));
        }
    }
    if let Some(code) = code.filter(|_| architectures.is_empty() && !is_bert_hash) {
        return Err(unsupported::own_code(fields.file, "auto_map", &code.describe()));
    }
    match fields.string("position_embedding_type")? {
        None | Some("absolute") => {}
        Some(_) => return Err(fields.wrong("position_embedding_type", "\"absolute\"")),
    }
    for field in ["is_decoder", "add_cross_attention"] {
        if fields.boolean(field)? == Some(true) {
            return Err(fields.wrong(field, "false"));
        }
    }
    if fields.get("quantization_config").is_some() {
        return Err(fields.wrong("quantization_config", "nothing, since quantized weights are not supported"));
    }
    if fields.object("pruned_heads")?.is_some_and(|heads| !heads.entries().is_empty()) {
        return Err(fields.wrong("pruned_heads", "no pruned heads"));
    }
    Ok(is_bert_hash)
}

fn layer_norm_eps(fields: &Fields<'_>) -> Result<f32, ModelFileError> {
    let value = match fields.get("layer_norm_eps") {
        None => Some(1e-12),
        Some(Json::Number(number)) => number.as_f64(),
        Some(_) => None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the reference computes with it in float32 too")]
    let value = value.map(|value| value as f32);
    value
        .filter(|value| *value > 0.0 && *value < 1.0)
        .ok_or_else(|| fields.wrong("layer_norm_eps", "a number above 0 and below 1"))
}

fn hidden_act(fields: &Fields<'_>) -> Result<Activation, ModelFileError> {
    Activation::from_transformers(fields.string("hidden_act")?.unwrap_or("gelu")).ok_or_else(|| {
        fields.wrong(
            "hidden_act",
            "one of gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, tanh, sigmoid, silu, linear",
        )
    })
}
