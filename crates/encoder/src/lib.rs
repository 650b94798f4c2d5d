//! Texts in, rows out: the room between the models and their users.
//!
//! An [`Encoder`] tokenises texts, plans ragged batches, runs the model on a pool of threads and puts each row in its
//! place. It promises:
//!
//! 1. One row per text, in the order of the texts. A row has the same bits whatever the other texts of the call, their
//!    order, the batch size and the number of threads.
//! 2. Rows are finite. A text whose vector is not is an error that names it, as is any other failure; of several the
//!    one of the lowest text is reported.
//! 3. Memory in flight is bounded by threads and a token budget, and a text by a number of characters, whatever the input.
//! 4. A call can be cancelled and watched ([`Watch`]) and leaves nothing running behind.
//! 5. Any number of threads may use an encoder, and so may a forked child: thread pools belong to one process.
//!
//! It does not choose prompts by name, download models or know of Python.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::path::Path;
//! use encoder::{EncodeOptions, Encoder, LoadOptions};
//!
//! # fn main() -> Result<(), encoder::EncodeError> {
//! let encoder = Encoder::load(Path::new("all-MiniLM-L6-v2"), &LoadOptions::default())?;
//! let texts = vec!["insulin resistance".to_owned(), "in mice".to_owned()];
//! let rows = encoder.encode(texts, &EncodeOptions::default(), &mut |_| ControlFlow::Continue(()))?;
//! assert_eq!(rows.len(), 2 * encoder.dimension());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod added_tokens;
mod batcher;
mod bert_words;
mod compute;
mod embed;
mod encode_sparse;
mod encoder;
mod error;
mod limits;
mod loaded_on;
mod model;
mod options;
mod pipeline;
mod plan;
mod processor;
mod rows;
mod run;
mod short_call;
mod sparse_rows;
mod standby;
mod static_texts;
mod text_tokenizer;
mod thread_pool;
mod tokenise;
mod tokenizer_checks;
mod tokenizer_definition;
mod word_pieces;

pub use encoder::Encoder;
pub use error::EncodeError;
pub use loaded_on::LoadedOn;
pub use model_files::{ModelFileError, Settings, Similarity, TokenizerFiles};
pub use models::{DeviceProducts, Dtype, Level, LevelError, ModelError};
pub use options::{Device, DtypeChoice, EncodeOptions, LoadOptions, SparseOptions};
pub use run::{Watch, panic_message};
pub use sparse_rows::SparseRows;
pub use text_tokenizer::{TableSize, TextTokenizer};
pub use thread_pool::{MOST_THREADS, default_threads};
