//! From token vectors to one row a text.

use std::fmt;
use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaStorage, Error, Layout, Result, Shape};
use cuda_kernels::{Gpu, Lengths, LogitChunk, PoolingOutput};
use kernels::{PoolingMode, TermFormula};

use super::{Cuda, product, with_number, wrap};
use crate::format::Format;
use crate::ragged_batch::RaggedBatch;

/// Terms of one product: their logits of a batch stay in the device's cache until they are pooled.
const TERMS_PER_CHUNK: usize = 1024;

/// The lengths of a batch on the device that it was first used on.
#[derive(Clone, Default)]
pub(crate) struct DeviceLengths(OnceLock<(u64, Arc<Lengths<Gpu>>)>);

impl fmt::Debug for DeviceLengths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeviceLengths({:?})", self.0.get().map(|(device, _)| device))
    }
}

impl PartialEq for DeviceLengths {
    /// Whether they were needed yet is no property of a batch.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for DeviceLengths {}

impl DeviceLengths {
    /// The lengths on `gpu`, copied there on first use.
    pub(crate) fn get(&self, gpu: &Gpu, ends: &[u32]) -> Result<Arc<Lengths<Gpu>>> {
        let (device, lengths) = if let Some(present) = self.0.get() {
            present
        } else {
            let lengths = Arc::new(Lengths::upload(gpu, ends).map_err(wrap)?);
            self.0.get_or_init(|| (gpu.id(), lengths))
        };
        if *device != gpu.id() {
            return Err(Error::Msg("batch: expected one device, found two".to_owned()));
        }
        Ok(Arc::clone(lengths))
    }
}

/// Vectors of all modes side by side, `[texts, modes * columns]` in float32.
pub(crate) fn pooling(
    cuda: &Cuda,
    modes: &[PoolingMode],
    batch: &RaggedBatch,
    excluded: usize,
    storage: &CudaStorage,
    layout: &Layout,
) -> Result<(CudaStorage, Shape)> {
    const OP: &str = "pooling";
    let (_, columns) = layout.shape().dims2()?;
    let width = modes.len() * columns;
    let lengths = batch.on_device(&cuda.gpu)?;
    let mut rows = cuda.reserve::<f32>(batch.texts(), width)?;
    with_number!(storage.dtype(), OP, |T| {
        let hidden = cuda.slice::<T>(storage, layout, OP)?;
        for (place, mode) in modes.iter().enumerate() {
            let mut output = PoolingOutput { rows: &mut rows, width, first_column: place * columns };
            cuda_kernels::pool(&cuda.gpu, *mode, &lengths, hidden, excluded, &mut output).map_err(wrap)?;
        }
        Ok(())
    })?;
    Ok(cuda.result(rows, batch.texts(), width))
}

/// Rows of float32 over their Euclidean norms.
pub(crate) fn normalize(cuda: &Cuda, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    const OP: &str = "normalize";
    let (rows, columns) = layout.shape().dims2()?;
    cuda.check(storage, layout, OP)?;
    let mut copy = storage.try_clone(layout)?;
    cuda_kernels::l2_normalize(&cuda.gpu, cuda.slice_mut::<f32>(&mut copy, layout, OP)?, columns).map_err(wrap)?;
    Ok((copy, Shape::from((rows, columns))))
}

/// The decoder of a masked language model, in chunks of neighbouring terms.
pub(crate) struct CudaTermWeights {
    cuda: Arc<Cuda>,
    chunks: Vec<DecoderChunk>,
    terms: usize,
    input_features: usize,
}

struct DecoderChunk {
    /// `[terms of the chunk, input_features]`.
    weight: CudaStorage,
    bias: CudaSlice<f32>,
    first_term: usize,
    terms: usize,
}

impl fmt::Debug for CudaTermWeights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CudaTermWeights([{}, {}], {:?})", self.terms, self.input_features, self.cuda)
    }
}

impl CudaTermWeights {
    /// Copies a decoder whose lengths were checked to the device.
    pub(crate) fn new(
        cuda: &Arc<Cuda>,
        format: Format,
        decoder: &[f32],
        bias: &[f32],
        input_features: usize,
    ) -> Result<Self> {
        let dtype = format.on_device()?;
        let parts = decoder.chunks(TERMS_PER_CHUNK * input_features).zip(bias.chunks(TERMS_PER_CHUNK));
        let chunks = parts.enumerate().map(|(place, (decoder, bias))| {
            Ok(DecoderChunk {
                weight: cuda.place(decoder, dtype)?,
                bias: cuda.place_floats(bias)?,
                first_term: place * TERMS_PER_CHUNK,
                terms: bias.len(),
            })
        });
        let chunks = chunks.collect::<Result<_>>()?;
        Ok(Self { cuda: Arc::clone(cuda), chunks, terms: bias.len(), input_features })
    }
}

/// The weights of all terms for each text, `[texts, terms]` in float32. The logits of one chunk exist at a time.
pub(crate) fn term_weights(
    decoder: &CudaTermWeights,
    formula: TermFormula,
    batch: &RaggedBatch,
    storage: &CudaStorage,
    layout: &Layout,
) -> Result<(CudaStorage, Shape)> {
    const OP: &str = "term-weights";
    let CudaTermWeights { cuda, chunks, terms, input_features } = decoder;
    let (tokens, columns) = layout.shape().dims2()?;
    if (tokens, columns) != (batch.tokens(), *input_features) {
        let expected = [batch.tokens(), *input_features];
        return Err(Error::Msg(format!("term weights: expected rows of {expected:?}, found [{tokens}, {columns}]")));
    }
    cuda.check(storage, layout, OP)?;
    let lengths = batch.on_device(&cuda.gpu)?;
    let mut output = cuda.reserve::<f32>(batch.texts(), *terms)?;
    with_number!(storage.dtype(), OP, |T| {
        for chunk in chunks {
            let logits = product(storage, tokens, &chunk.weight, chunk.terms, columns)?;
            let logits =
                LogitChunk { logits: logits.as_cuda_slice::<T>()?, bias: &chunk.bias, first_term: chunk.first_term };
            cuda_kernels::pool_logits(&cuda.gpu, formula, &lengths, &logits, *terms, &mut output).map_err(wrap)?;
        }
        Ok(())
    })?;
    Ok(cuda.result(output, batch.texts(), *terms))
}
