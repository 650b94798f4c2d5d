//! An untrusted model folder, read into a typed and checked description.
//!
//! [`open`] reads the folder of a sentence-transformers model, BERT (dense or SPLADE) or static, or a plain folder of
//! transformers or model2vec, and promises:
//!
//! 1. Nothing in the folder is ever executed: weights are read from safetensors files only, code files are never read.
//! 2. Nothing outside the folder is read. The one exception are the links of the Hugging Face hub's cache, from
//!    `snapshots/<revision>/` to `blobs/`.
//! 3. Every number is checked before anything is allocated by it, and whatever is wrong is a [`ModelFileError`] that
//!    names the file and the field or tensor, what was expected and what was found. There is no panic.
//! 4. A model that would be computed differently from the reference is refused, never computed wrongly.
//!
//! It does not promise anything about a folder that somebody changes while it is read, except that there is an error
//! or a consistent model: weights files stay open, are read with exact lengths into owned memory, and are never mapped.
//!
//! Memory: JSON files are limited to 16 MiB each, tokenizer files to 128 MiB, safetensors headers to 16 MiB; tensors
//! are read one at a time when they are asked for.
//!
//! ```no_run
//! let model = model_files::open("all-MiniLM-L6-v2".as_ref())?;
//! println!("{} values", model.dimension());
//! # Ok::<(), model_files::ModelFileError>(())
//! ```
//!
//! "The reference" is the Python package sentence-transformers 6.2.0 with transformers 5.23.0.

#![forbid(unsafe_code)]

mod activation;
mod added_tokens;
mod bert_config;
mod dense;
mod error;
mod folder;
mod json;
mod model;
mod modules;
mod pooling;
mod read_tensor;
mod safetensors;
mod settings;
mod shards;
mod splade_pooling;
mod static_embedding;
mod tokenizer;
mod transformer;
mod unsupported;
mod weights;
mod wording;

pub use activation::Activation;
pub use added_tokens::{AddedToken, AddedTokens, SpecialTokens};
pub use bert_config::BertConfig;
pub use dense::Dense;
pub use error::ModelFileError;
pub use model::{Model, Module, SentenceModel, SpladeModel, StaticModel, open};
pub use pooling::{Pooling, PoolingMode};
pub use settings::{Settings, Similarity};
pub use splade_pooling::{SpladePooling, SpladeStrategy};
pub use static_embedding::{StaticEmbedding, StaticTable};
pub use tokenizer::TokenizerFiles;
pub use transformer::Transformer;
pub use weights::{Selected, TensorSpec, Weights};
pub use wording::TensorShapeMismatch;
