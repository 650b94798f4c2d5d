//! The loaded model, by what it gives: dense rows or sparse ones.

use std::sync::Arc;

use model_files::SentenceModel;
use models::{DenseModel, Dtype, SpladeModel, StaticModel};

use crate::error::EncodeError;

/// A model of one of the families.
pub(crate) enum Model {
    /// Rows of floats.
    Dense(DenseModel),
    /// A few weights of many terms.
    Sparse(Arc<SpladeModel>),
    /// Rows of floats, from a table of token vectors.
    Static(Arc<StaticModel>),
}

impl Model {
    /// Reads the weights of a BERT model that `files` describes, for products in `dtype`.
    ///
    /// # Errors
    /// As for the model of that family.
    pub(crate) fn load(dtype: Dtype, files: &SentenceModel) -> Result<Self, EncodeError> {
        Ok(match SpladeModel::load(dtype, files)? {
            Some(model) => Self::Sparse(Arc::new(model)),
            None => Self::Dense(DenseModel::load(dtype, files)?),
        })
    }

    /// Columns of the model's rows.
    pub(crate) fn dimension(&self) -> usize {
        match self {
            Self::Dense(model) => model.dimension(),
            Self::Sparse(model) => model.terms(),
            Self::Static(model) => model.dimension(),
        }
    }

    /// The model for a call that needs an encoder of tokens and gives dense rows.
    ///
    /// # Errors
    /// [`EncodeError::Family`] for a sparse model, [`EncodeError::NoTokenVectors`] for a static embedding.
    pub(crate) fn dense(&self) -> Result<&DenseModel, EncodeError> {
        match self {
            Self::Dense(model) => Ok(model),
            Self::Sparse(_) => Err(EncodeError::Family { expected: "dense", found: "sparse" }),
            Self::Static(_) => Err(EncodeError::NoTokenVectors),
        }
    }

    /// The model for a call that gives sparse rows.
    ///
    /// # Errors
    /// [`EncodeError::Family`].
    pub(crate) fn sparse(&self) -> Result<&Arc<SpladeModel>, EncodeError> {
        match self {
            Self::Dense(_) | Self::Static(_) => Err(EncodeError::Family { expected: "sparse", found: "dense" }),
            Self::Sparse(model) => Ok(model),
        }
    }
}
