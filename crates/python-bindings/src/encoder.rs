//! `corten._native.Encoder`: every method converts, calls [`door::run`] and converts.

use encoder::{EncodeError, EncodeOptions, LoadOptions, LoadedOn, SparseOptions, SparseRows, Watch};
use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arguments::{Given, optional_positive_integer, path_in, positive_integer, progress_in};
use crate::door;
use crate::errors::shape_error;
use crate::texts_in::{prompt_in, texts_in};

/// A loaded model. Any number of threads may use it at the same time.
#[cfg_attr(not(feature = "cuda"), pyclass(frozen, module = "corten._native"))]
#[cfg_attr(feature = "cuda", pyclass(frozen, module = "corten_cuda._native"))]
pub(crate) struct Encoder {
    encoder: encoder::Encoder,
    loaded_on: LoadedOn,
}

type Matrix<'py> = Bound<'py, PyArray2<f32>>;

/// Offsets, columns and values of sparse rows.
type Rows<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>);

#[pymethods]
impl Encoder {
    /// Loads a model folder. `products` says who adds the biases of a GPU's products, "cublas", "cublaslt" or
    /// "cublaslt-tf32", for benches.
    #[new]
    #[pyo3(signature = (path, *, threads = None, dtype = Given::default(), device = Given::default(), products = Given::default()),
           text_signature = "(path, *, threads=None, dtype='float32', device='cpu', products='cublas')")]
    fn new(
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        threads: Option<&Bound<'_, PyAny>>,
        dtype: Given<'_>,
        device: Given<'_>,
        products: Given<'_>,
    ) -> PyResult<Self> {
        let path = path_in(path)?;
        let options = LoadOptions {
            threads: optional_positive_integer(threads, "threads")?,
            dtype: dtype.dtype_or_default()?,
            device: device.device_or_cpu()?,
            products: products.products_or_default()?,
        };
        let encoder = door::run(py, None, |_| encoder::Encoder::load(&path, &options))?;
        Ok(Self { encoder, loaded_on: LoadedOn::by_this_process(options.device) })
    }

    /// Prompts by name; always has "query" and "document".
    #[getter]
    fn prompts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let prompts = PyDict::new(py);
        for (name, prompt) in &self.encoder.settings().prompts {
            prompts.set_item(name, prompt)?;
        }
        Ok(prompts)
    }

    /// The name of the prompt used where none is asked for.
    #[getter]
    fn default_prompt_name(&self) -> Option<&str> {
        self.encoder.settings().default_prompt_name.as_deref()
    }

    /// "cosine", "dot", "euclidean" or "manhattan".
    #[getter]
    fn similarity_fn_name(&self) -> &'static str {
        self.encoder.settings().similarity.as_str()
    }

    /// The number of leading values that the model folder says to keep of each vector.
    #[getter]
    fn truncate_dim(&self) -> Option<usize> {
        self.encoder.settings().truncate_dim
    }

    /// Whether the model's vectors are sparse: for `encode_sparse`, not `encode`.
    #[getter]
    fn is_sparse(&self) -> bool {
        self.encoder.is_sparse()
    }

    /// The number of largest values that the model folder says to keep of each sparse vector.
    #[getter]
    fn max_active_dims(&self) -> Option<usize> {
        self.encoder.settings().max_active_dims
    }

    /// The terms of the vocabulary, one for each dimension of a sparse vector; empty where the tokenizer has none.
    fn vocabulary(&self) -> Vec<String> {
        self.encoder.vocabulary()
    }

    /// The width of the model's vectors before truncation.
    #[getter]
    fn dimension(&self) -> usize {
        self.encoder.dimension()
    }

    /// The most tokens of a text, special tokens included; None for a static embedding, whose texts count whole. Can be set
    /// otherwise; calls that have started keep the old one.
    #[getter]
    fn max_seq_length(&self) -> Option<usize> {
        self.encoder.max_seq_length()
    }

    #[setter]
    fn set_max_seq_length(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = positive_integer(value, "max_seq_length")?;
        self.encoder.set_max_seq_length(value).map_err(|error| crate::errors::to_python(py, &error))
    }

    /// The number of threads that work for this encoder.
    #[getter]
    fn threads(&self) -> usize {
        self.encoder.threads()
    }

    /// Where vectors are computed: "cpu" or "cuda:N".
    #[getter]
    fn device(&self) -> String {
        self.loaded_on.name()
    }

    /// The numbers of the layers' products: "float32", "bfloat16", "int8" or, on a GPU, "float16".
    #[getter]
    fn dtype(&self) -> &'static str {
        self.encoder.dtype().name()
    }

    /// Vectors of texts: a new C-contiguous float32 array of shape [texts, dimension].
    #[pyo3(
        signature = (texts, *, prompt = None, batch_size = Given::default(), normalize = Given::default(), truncate_dim = None,
                     progress = None),
        text_signature = "($self, texts, *, prompt=None, batch_size=32, normalize=False, truncate_dim=None, progress=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "they are the keyword arguments of the Python method")]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompt: Option<&Bound<'py, PyAny>>,
        batch_size: Given<'py>,
        normalize: Given<'py>,
        truncate_dim: Option<&Bound<'py, PyAny>>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Matrix<'py>> {
        let progress = progress_in(progress)?;
        let options = EncodeOptions {
            prompt: prompt_in(prompt)?,
            batch_size: batch_size.positive_integer("batch_size")?,
            normalize: normalize.bool_or_false("normalize")?,
            truncate_dim: optional_positive_integer(truncate_dim, "truncate_dim")?,
        };
        let texts = texts_in(texts)?;
        let shape = (texts.len(), self.encoder.output_dimension(options.truncate_dim));
        let rows = self.run(py, progress.as_ref(), |encoder, watch| encoder.encode(texts, &options, watch))?;
        finish(py, progress.as_ref(), shape.0)?;
        Ok(Array2::from_shape_vec(shape, rows).map_err(|error| shape_error(&error))?.into_pyarray(py))
    }

    /// Sparse vectors of texts, as compressed sparse rows: int64 offsets [texts + 1], and for each value above zero its int32
    /// column, rising within a row, and the float32 value.
    #[pyo3(
        signature = (texts, *, prompt = None, batch_size = Given::default(), max_active_dims = None, progress = None),
        text_signature = "($self, texts, *, prompt=None, batch_size=32, max_active_dims=None, progress=None)"
    )]
    fn encode_sparse<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompt: Option<&Bound<'py, PyAny>>,
        batch_size: Given<'py>,
        max_active_dims: Option<&Bound<'py, PyAny>>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Rows<'py>> {
        let progress = progress_in(progress)?;
        let options = SparseOptions {
            prompt: prompt_in(prompt)?,
            batch_size: batch_size.positive_integer("batch_size")?,
            max_active_dims: optional_positive_integer(max_active_dims, "max_active_dims")?,
        };
        let texts = texts_in(texts)?;
        let count = texts.len();
        let rows = self.run(py, progress.as_ref(), |encoder, watch| encoder.encode_sparse(texts, &options, watch))?;
        finish(py, progress.as_ref(), count)?;
        let SparseRows { offsets, columns, values } = rows;
        Ok((offsets.into_pyarray(py), columns.into_pyarray(py), values.into_pyarray(py)))
    }

    /// Token vectors of texts, special tokens included: for each text a new float32 array [tokens, hidden size].
    #[pyo3(
        signature = (texts, *, prompt = None, batch_size = Given::default(), progress = None),
        text_signature = "($self, texts, *, prompt=None, batch_size=32, progress=None)"
    )]
    fn token_embeddings<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompt: Option<&Bound<'py, PyAny>>,
        batch_size: Given<'py>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Matrix<'py>>> {
        let progress = progress_in(progress)?;
        let options = EncodeOptions {
            prompt: prompt_in(prompt)?,
            batch_size: batch_size.positive_integer("batch_size")?,
            ..EncodeOptions::default()
        };
        let texts = texts_in(texts)?;
        let vectors =
            self.run(py, progress.as_ref(), |encoder, watch| encoder.token_embeddings(texts, &options, watch))?;
        finish(py, progress.as_ref(), vectors.len())?;
        let width = self.encoder.hidden_size().unwrap_or_default();
        let to_array = |values: Vec<f32>| Array2::from_shape_vec((values.len() / width.max(1), width), values);
        let arrays: Result<_, _> = vectors.into_iter().map(to_array).collect();
        let arrays: Vec<Array2<f32>> = arrays.map_err(|error| shape_error(&error))?;
        Ok(arrays.into_iter().map(|array| array.into_pyarray(py)).collect())
    }

    /// The token ids that the model sees of texts, special tokens included.
    #[pyo3(signature = (texts, *, prompt = None))]
    fn token_ids<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompt: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let prompt = prompt_in(prompt)?;
        let texts = texts_in(texts)?;
        let ids = door::run(py, None, |watch| self.encoder.token_ids(texts, prompt.as_deref(), watch))?;
        let lists = PyList::empty(py);
        for ids in ids {
            lists.append(PyList::new(py, ids)?)?;
        }
        Ok(lists)
    }
}

impl Encoder {
    /// [`door::run`], where this process may use the device.
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        progress: Option<&Py<PyAny>>,
        work: impl FnOnce(&encoder::Encoder, &mut Watch<'_>) -> Result<T, EncodeError> + Send,
    ) -> PyResult<T> {
        door::run(py, progress, |watch| {
            self.loaded_on.check_process()?;
            work(&self.encoder, watch)
        })
    }
}

/// The last call of `progress`, with the number of all texts.
fn finish(py: Python<'_>, progress: Option<&Py<PyAny>>, texts: usize) -> PyResult<()> {
    progress.map_or(Ok(()), |progress| progress.call1(py, (texts,)).map(drop))
}
