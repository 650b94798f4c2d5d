//! What the models are that are refused, in words: an error should say what a folder is, not only what it is not.

use std::path::Path;

use crate::error::ModelFileError;
use crate::json::quote;

/// `model_type` of `config_sentence_transformers.json`.
pub(crate) fn saved_as(file: &Path, model_type: &str) -> ModelFileError {
    let what = match model_type {
        "SparseEncoder" => "a sparse encoder other than SPLADE",
        "MultiVectorEncoder" | "ColBERT" => "a late-interaction (ColBERT) model",
        "CrossEncoder" => "a cross-encoder model",
        _ => "this kind of model",
    };
    ModelFileError::unsupported(file, "model_type", what, quote(model_type))
}

/// `model_type` of `config.json`.
pub(crate) fn model_type(file: &Path, model_type: &str) -> ModelFileError {
    let what = match model_type {
        "model2vec" => "a model2vec static embedding model as a Transformer module",
        "roberta" => "a RoBERTa model",
        "xlm-roberta" => "an XLM-RoBERTa model",
        "distilbert" => "a DistilBERT model",
        "mpnet" => "an MPNet model",
        "albert" => "an ALBERT model",
        "electra" => "an ELECTRA model",
        "modernbert" => "a ModernBERT model",
        "nomic_bert" => "a NomicBERT model",
        "clip" => "a CLIP (image and text) model",
        _ => "a model of this type (other than bert)",
    };
    ModelFileError::unsupported(file, "model_type", what, quote(model_type))
}

/// `architectures` of `config.json`, where they name something else than a BERT of the transformers package.
pub(crate) fn architecture(file: &Path, index: usize, name: &str) -> ModelFileError {
    let field = format!("architectures[{index}]");
    if name == "HF_ColBERT" {
        ModelFileError::unsupported(file, field, "a late-interaction (ColBERT) model", quote(name))
    } else {
        own_code(file, &field, &quote(name))
    }
}

/// A model whose computation is in code of its own.
pub(crate) fn own_code(file: &Path, field: &str, found: &str) -> ModelFileError {
    ModelFileError::unsupported(file, field, "a model with code of its own, which is never run,", found)
}

/// `type` in `modules.json`: a class that is not one of the supported modules.
pub(crate) fn module(file: &Path, field: &str, class: &str) -> ModelFileError {
    let name = class.rsplit('.').next().unwrap_or(class);
    let what = match name {
        _ if class.starts_with("pylate.") => "a late-interaction (PyLate, ColBERT) model".to_owned(),
        _ if !class.starts_with("sentence_transformers.") => {
            return own_code(file, field, &quote(class));
        }
        "SparseStaticEmbedding" | "SparseAutoEncoder" | "IDF" | "CSRSparsity" => "a sparse vector model".to_owned(),
        "MultiVectorMask" => "a late-interaction (ColBERT) model".to_owned(),
        "Router" | "Asym" => "a router between several encoders".to_owned(),
        "CLIPModel" => "a CLIP (image and text) model".to_owned(),
        "WordEmbeddings" | "WordWeights" | "BoW" => "a model of word vectors".to_owned(),
        _ => "this module".to_owned(),
    };
    ModelFileError::unsupported(file, field, what, quote(class))
}
