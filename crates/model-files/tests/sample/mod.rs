//! A small valid model folder that tests then break in one place.

use std::fs;
use std::path::{Path, PathBuf};

use model_files::{Model, ModelFileError, SentenceModel, TensorSpec, open};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A model folder that is deleted when dropped.
pub(crate) struct Sample {
    folder: TempDir,
}

#[allow(dead_code, reason = "each test file uses some of these")]
impl Sample {
    /// Hidden size 4, one layer, two heads, mean pooling, Dense to 3 and Normalize.
    pub(crate) fn new() -> Self {
        let sample = Self::plain();
        sample.json(
            "modules.json",
            &json!([
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
                {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
            ]),
        );
        sample.json("sentence_bert_config.json", &json!({"max_seq_length": 8, "do_lower_case": false}));
        sample.json("1_Pooling/config.json", &pooling());
        sample.json("2_Dense/config.json", &dense());
        let weights = [floats("linear.weight", &[3, 4]), floats("linear.bias", &[3])];
        sample.bytes("2_Dense/model.safetensors", &safetensors(&weights));
        sample
    }

    /// The same without anything of sentence-transformers.
    pub(crate) fn plain() -> Self {
        let sample = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        sample.json("config.json", &config());
        sample.json("tokenizer_config.json", &json!({"tokenizer_class": "BertTokenizer", "model_max_length": 512}));
        sample.bytes("tokenizer.json", b"{}");
        sample.bytes("model.safetensors", &safetensors(&bert_tensors()));
        sample
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("a written file");
    }

    pub(crate) fn json(&self, name: &str, value: &Value) {
        self.bytes(name, value.to_string().as_bytes());
    }

    /// Sets one field of a JSON file.
    pub(crate) fn set(&self, name: &str, field: &str, value: Value) {
        let text = fs::read(self.path(name)).expect("the file");
        let mut json: Value = serde_json::from_slice(&text).expect("JSON");
        json[field] = value;
        self.json(name, &json);
    }

    /// Removes one field of a JSON file.
    pub(crate) fn unset(&self, name: &str, field: &str) {
        let text = fs::read(self.path(name)).expect("the file");
        let mut json: Value = serde_json::from_slice(&text).expect("JSON");
        json.as_object_mut().expect("an object").remove(field);
        self.json(name, &json);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("a removed file");
    }

    pub(crate) fn open(&self) -> Result<SentenceModel, ModelFileError> {
        open(self.root()).map(sentence)
    }

    /// The message of the error that opening gives, with the folder's path as `ROOT`.
    pub(crate) fn message(&self) -> String {
        self.words(&self.open().expect_err("an error"))
    }

    pub(crate) fn words(&self, error: &ModelFileError) -> String {
        let root = self.root().display().to_string();
        let canonical = self.root().canonicalize().expect("a canonical path").display().to_string();
        error.to_string().replace(&root, "ROOT").replace(&canonical, "ROOT").replace('\\', "/")
    }
}

/// The BERT model that a folder holds.
pub(crate) fn sentence(model: Model) -> SentenceModel {
    match model {
        Model::Sentence(model) => model,
        other => panic!("expected a dense BERT model, found {other:?}"),
    }
}

pub(crate) fn config() -> Value {
    json!({
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": 4,
        "intermediate_size": 8, "layer_norm_eps": 1e-12, "max_position_embeddings": 8,
        "num_attention_heads": 2, "num_hidden_layers": 1, "type_vocab_size": 2, "vocab_size": 6,
        "position_embedding_type": "absolute", "is_decoder": false,
    })
}

pub(crate) fn pooling() -> Value {
    json!({"word_embedding_dimension": 4, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true})
}

pub(crate) fn dense() -> Value {
    json!({"in_features": 4, "out_features": 3, "bias": true,
           "activation_function": "torch.nn.modules.activation.Tanh"})
}

/// Name, dtype, shape and data.
pub(crate) type TensorBytes = (String, String, Vec<usize>, Vec<u8>);

/// A float32 tensor that counts 0, 1, 2...
#[allow(dead_code, reason = "each test file uses some of these")]
pub(crate) fn floats(name: &str, shape: &[usize]) -> TensorBytes {
    let count = u16::try_from(shape.iter().product::<usize>()).expect("a small tensor");
    let data = (0..count).flat_map(|index| f32::from(index).to_le_bytes()).collect();
    (name.to_owned(), "F32".to_owned(), shape.to_vec(), data)
}

/// A safetensors file of these tensors in this order.
pub(crate) fn safetensors(tensors: &[TensorBytes]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        data.extend_from_slice(bytes);
    }
    framed(Value::Object(header).to_string().as_bytes(), &data)
}

/// A file with that header and data.
pub(crate) fn framed(header: &[u8], data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header);
    file.extend_from_slice(data);
    file
}

/// The message when one field of a file of the sample has this value.
#[allow(dead_code, reason = "each test file uses some of these")]
pub(crate) fn with(file: &str, field: &str, value: Value) -> String {
    let sample = Sample::new();
    sample.set(file, field, value);
    sample.message()
}

/// The shapes of a BERT of these sizes, by the names of transformers' `modeling_bert.py`.
pub(crate) fn bert_specs(hidden: usize, intermediate: usize, layers: usize, rows: [usize; 3]) -> Vec<TensorSpec> {
    let mut specs = Vec::new();
    let mut add = |name: String, shape: Vec<usize>| specs.push(TensorSpec { name, shape, source: "config.json" });
    for (table, rows) in ["word", "position", "token_type"].into_iter().zip(rows) {
        add(format!("embeddings.{table}_embeddings.weight"), vec![rows, hidden]);
    }
    add("embeddings.LayerNorm.weight".to_owned(), vec![hidden]);
    add("embeddings.LayerNorm.bias".to_owned(), vec![hidden]);
    for layer in 0..layers {
        for (part, out, input) in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", intermediate, hidden),
            ("output.dense", hidden, intermediate),
        ] {
            add(format!("encoder.layer.{layer}.{part}.weight"), vec![out, input]);
            add(format!("encoder.layer.{layer}.{part}.bias"), vec![out]);
        }
        for part in ["attention.output", "output"] {
            add(format!("encoder.layer.{layer}.{part}.LayerNorm.weight"), vec![hidden]);
            add(format!("encoder.layer.{layer}.{part}.LayerNorm.bias"), vec![hidden]);
        }
    }
    specs
}

/// The specs of the sample.
pub(crate) fn sample_specs() -> Vec<TensorSpec> {
    bert_specs(4, 8, 1, [6, 8, 2])
}

/// The tensors of the sample.
pub(crate) fn bert_tensors() -> Vec<TensorBytes> {
    sample_specs().iter().map(|spec| floats(&spec.name, &spec.shape)).collect()
}
