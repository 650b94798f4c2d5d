//! The `StaticEmbedding` module: a table with one vector a token, averaged over a text.
//!
//! Source: `sentence_transformer/modules/static_embedding.py` of the reference, which also reads the folders of model2vec.

use std::path::Path;

use crate::bert_config::{ROWS_LIMIT, WIDTH_LIMIT};
use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::Fields;
use crate::tokenizer::TokenizerFiles;
use crate::weights::{TensorSpec, Weights};

/// The table as the reference saves it.
const TABLE: &str = "embedding.weight";
/// The table as model2vec saves it, and its two optional companions.
const MODEL2VEC_TABLE: &str = "embeddings";
const MAPPING: &str = "mapping";
const TOKEN_WEIGHTS: &str = "weights";

/// A table of token vectors, `[rows, dimension]`, checked to be there; not yet read.
///
/// Token t has the row `mapping[t]` (without a mapping, t) times its weight (without weights, 1).
#[derive(Debug)]
pub struct StaticEmbedding {
    /// The weights file.
    pub weights: Weights,
    /// The rows of the table, at least 1.
    pub rows: usize,
    /// The width of a vector, at least 1.
    pub dimension: usize,
    /// The number of token ids that have a vector.
    pub tokens: usize,
    /// The name of the tensor that gives `tokens`, for errors.
    pub tokens_from: &'static str,
    /// The files of its tokenizer. Truncation in `tokenizer.json` counts, padding does not.
    pub tokenizer: TokenizerFiles,
    table: &'static str,
    has_mapping: bool,
    has_weights: bool,
}

/// The values of a table, row-major, in the type of the file: all finite.
#[derive(Debug, Clone, PartialEq)]
pub enum StaticTable {
    /// float32; bfloat16 tables are widened to it.
    F32(Vec<f32>),
    /// The bits of IEEE 754 binary16 numbers.
    F16(Vec<u16>),
}

impl StaticEmbedding {
    /// Reads the module in `inside`, a folder relative to the model folder: the tokenizer's bytes and the weights' header.
    pub(crate) fn read(folder: &Folder, inside: &Path) -> Result<Self, ModelFileError> {
        let tokenizer = TokenizerFiles::read_as_it_stands(folder, inside)?;
        let weights = Weights::open(folder, inside)?;
        let table = if weights.shape(TABLE).is_some() { TABLE } else { MODEL2VEC_TABLE };
        let Some(shape) = weights.shape(table) else {
            let names: Vec<String> = weights.names().take(5).map(|name| format!("{name:?}")).collect();
            let expected = format!("{TABLE:?}, or {MODEL2VEC_TABLE:?} as model2vec names it");
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(ModelFileError::field(weights.source(), "tensors", expected, found));
        };
        let [rows, dimension] = *shape else { return Err(not_a_table(&weights, table, shape)) };
        if !(1..=ROWS_LIMIT).contains(&rows) || !(1..=WIDTH_LIMIT).contains(&dimension) {
            return Err(not_a_table(&weights, table, shape));
        }
        let is_model2vec = table == MODEL2VEC_TABLE;
        let has_mapping = is_model2vec && weights.shape(MAPPING).is_some();
        let has_weights = is_model2vec && weights.shape(TOKEN_WEIGHTS).is_some();
        let (tokens, tokens_from) = match weights.shape(MAPPING) {
            Some(&[tokens]) if has_mapping => (tokens, MAPPING),
            Some(shape) if has_mapping => {
                return Err(weights.layout_error(MAPPING, "one index a token", format!("shape {shape:?}")));
            }
            _ => (rows, table),
        };
        weights
            .select(&[""], &[TensorSpec { name: table.to_owned(), shape: vec![rows, dimension], source: "itself" }])?;
        if has_weights {
            let required = TensorSpec { name: TOKEN_WEIGHTS.to_owned(), shape: vec![tokens], source: tokens_from };
            weights.select(&[""], &[required])?;
        }
        Ok(Self { weights, rows, dimension, tokens, tokens_from, tokenizer, table, has_mapping, has_weights })
    }

    /// Reads the table, `[rows, dimension]`.
    ///
    /// # Errors
    /// As [`crate::Selected::read`].
    pub fn read_table(&self) -> Result<StaticTable, ModelFileError> {
        self.weights.read_static_table(self.table)
    }

    /// Reads the row of each token, `[tokens]`, all below `rows`; `None` if token t has row t.
    ///
    /// # Errors
    /// [`ModelFileError::TensorLayout`] for another type than integers or an index that has no row, and as
    /// [`crate::Selected::read`].
    pub fn read_mapping(&self) -> Result<Option<Vec<u32>>, ModelFileError> {
        if !self.has_mapping {
            return Ok(None);
        }
        let indices = self.weights.read_integers(MAPPING)?;
        let mut rows = Vec::with_capacity(indices.len());
        for (token, index) in indices.into_iter().enumerate() {
            let row =
                usize::try_from(index).ok().filter(|row| *row < self.rows).and_then(|row| u32::try_from(row).ok());
            let Some(row) = row else {
                let expected = format!("indices from 0 to {} (the rows of {:?})", self.rows - 1, self.table);
                return Err(self.weights.layout_error(MAPPING, expected, format!("{index} for token {token}")));
            };
            rows.push(row);
        }
        Ok(Some(rows))
    }

    /// Reads the weight of each token, `[tokens]`; `None` if all are 1.
    ///
    /// # Errors
    /// As [`crate::Selected::read`].
    pub fn read_token_weights(&self) -> Result<Option<Vec<f32>>, ModelFileError> {
        let read = || self.weights.select(&[""], &[])?.read(TOKEN_WEIGHTS);
        self.has_weights.then(read).transpose()
    }
}

fn not_a_table(weights: &Weights, table: &str, shape: &[usize]) -> ModelFileError {
    let expected = format!("shape [tokens, dimension] with at most {ROWS_LIMIT} and {WIDTH_LIMIT}");
    weights.layout_error(table, expected, format!("shape {shape:?}"))
}

/// `normalize` of the `config.json` of a plain model2vec folder; `None` if the folder is not one.
pub(crate) fn model2vec_normalize(folder: &Folder) -> Result<Option<bool>, ModelFileError> {
    let relative = Path::new("config.json");
    let Some(json) = folder.read_json(relative)? else { return Ok(None) };
    let file = folder.path(relative);
    let fields = Fields::of_file(&file, &json)?;
    if fields.string("model_type")? != Some("model2vec") {
        return Ok(None);
    }
    // model2vec's own default.
    Ok(Some(fields.boolean("normalize")?.unwrap_or(false)))
}
