//! The blocks of a BERT layer, and their parts.

use std::fmt;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::CudaDType;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaStorage, Layout, Result, Shape};
use cuda_kernels::{FusedLinear, Number};
use kernels::{Activation, AttentionShape};

use super::{Cuda, product, with_number, wrap};
use crate::format::Format;
use crate::ragged_batch::RaggedBatch;

/// A linear layer's weight, `[output_features, input_features]` in the type of the activations, and its bias.
pub(crate) struct CudaLinear {
    pub(super) cuda: Arc<Cuda>,
    weight: CudaStorage,
    bias: CudaSlice<f32>,
    /// In the type of the weight, for [`cuda_kernels::FusedProducts`] where they are used.
    narrow_bias: Option<CudaStorage>,
    input_features: usize,
    output_features: usize,
}

impl fmt::Debug for CudaLinear {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CudaLinear([{}, {}], {:?})", self.output_features, self.input_features, self.cuda)
    }
}

impl CudaLinear {
    /// Copies a layer whose lengths were checked to the device.
    pub(crate) fn new(
        cuda: &Arc<Cuda>,
        format: Format,
        weight: &[f32],
        bias: &[f32],
        input_features: usize,
    ) -> Result<Self> {
        let dtype = format.on_device()?;
        let is_fused = cuda.fused_products.is_some();
        Ok(Self {
            cuda: Arc::clone(cuda),
            weight: cuda.place(weight, dtype)?,
            narrow_bias: if is_fused { Some(cuda.place(bias, dtype)?) } else { None },
            bias: cuda.place_floats(bias)?,
            input_features,
            output_features: bias.len(),
        })
    }

    /// The product without the bias: `[count, output_features]`.
    fn product(&self, rows: &CudaStorage, count: usize) -> Result<CudaStorage> {
        product(rows, count, &self.weight, self.output_features, self.input_features)
    }

    /// `activation(x * weight^T + bias)`.
    fn forward<T: Number + CudaDType>(
        &self,
        rows: &CudaStorage,
        count: usize,
        activation: Activation,
    ) -> Result<CudaStorage> {
        if let Some(fused) = self.fused::<T>(rows, count, activation)? {
            return Ok(fused);
        }
        let mut product = self.product(rows, count)?;
        let values = product.as_cuda_slice_mut::<T>()?;
        cuda_kernels::add_bias_activate(&self.cuda.gpu, activation, &self.bias, values).map_err(wrap)?;
        Ok(product)
    }
}

impl CudaLinear {
    /// [`CudaLinear::forward`] in one by cuBLASLt; none where it is not to be used, or cannot.
    fn fused<T: Number + CudaDType>(
        &self,
        rows: &CudaStorage,
        count: usize,
        activation: Activation,
    ) -> Result<Option<CudaStorage>> {
        let (Some(products), Some(bias)) = (&self.cuda.fused_products, &self.narrow_bias) else { return Ok(None) };
        if !products.takes(T::KIND, activation) {
            return Ok(None);
        }
        let (weight, bias) = (self.weight.as_cuda_slice::<T>()?, bias.as_cuda_slice::<T>()?);
        let mut output = self.cuda.reserve::<T>(count, self.output_features)?;
        let layer = FusedLinear { weight, bias, activation };
        let done = products.linear(&layer, rows.as_cuda_slice::<T>()?, count, &mut output).map_err(wrap)?;
        Ok(done.then(|| self.cuda.storage(output)))
    }
}

/// The learned parts of a layer normalisation.
#[derive(Debug)]
pub(crate) struct CudaNorm {
    pub(super) cuda: Arc<Cuda>,
    weight: CudaSlice<f32>,
    bias: CudaSlice<f32>,
    epsilon: f32,
}

impl CudaNorm {
    /// Copies them to the device.
    pub(crate) fn new(cuda: &Arc<Cuda>, weight: &[f32], bias: &[f32], epsilon: f32) -> Result<Self> {
        let (weight, bias) = (cuda.place_floats(weight)?, cuda.place_floats(bias)?);
        Ok(Self { cuda: Arc::clone(cuda), weight, bias, epsilon })
    }

    pub(super) fn view(&self) -> cuda_kernels::LayerNorm<'_, cuda_kernels::Gpu> {
        cuda_kernels::LayerNorm { weight: &self.weight, bias: &self.bias, epsilon: self.epsilon }
    }
}

/// `activation(x * weight^T + bias)` for each row.
pub(crate) fn linear(
    layer: &CudaLinear,
    activation: Activation,
    storage: &CudaStorage,
    layout: &Layout,
) -> Result<(CudaStorage, Shape)> {
    const OP: &str = "linear";
    layer.cuda.check(storage, layout, OP)?;
    let count = rows_of(layout, layer.input_features, OP)?;
    let output = with_number!(storage.dtype(), OP, |T| layer.forward::<T>(storage, count, activation))?;
    Ok((output, Shape::from((count, layer.output_features))))
}

/// The normalised rows.
pub(crate) fn layer_norm(norm: &CudaNorm, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    const OP: &str = "layer-norm";
    let (rows, columns) = layout.shape().dims2()?;
    let cuda = &norm.cuda;
    with_number!(storage.dtype(), OP, |T| {
        let input = cuda.slice::<T>(storage, layout, OP)?;
        let mut output = cuda.reserve::<T>(rows, columns)?;
        cuda_kernels::add_layer_norm(&cuda.gpu, &norm.view(), input, None, None, &mut output).map_err(wrap)?;
        Ok(cuda.result(output, rows, columns))
    })
}

/// `hidden = layer_norm(hidden + output(attention(query_key_value(hidden))))` within each text.
pub(crate) fn self_attention(
    (query_key_value, output, norm): (&CudaLinear, &CudaLinear, &CudaNorm),
    shape: AttentionShape,
    batch: &RaggedBatch,
    hidden: &mut CudaStorage,
    layout: &Layout,
) -> Result<()> {
    const OP: &str = "self-attention";
    let cuda = &norm.cuda;
    cuda.check(hidden, layout, OP)?;
    let count = rows_of(layout, query_key_value.input_features, OP)?;
    with_number!(hidden.dtype(), OP, |T| {
        let qkv = query_key_value.forward::<T>(hidden, count, Activation::Identity)?;
        let mut context = cuda.reserve::<T>(count, output.input_features)?;
        let lengths = batch.on_device(&cuda.gpu)?;
        cuda_kernels::attention(&cuda.gpu, shape, &lengths, qkv.as_cuda_slice::<T>()?, &mut context).map_err(wrap)?;
        drop(qkv);
        add_output::<T>(output, norm, &cuda.storage(context), hidden, layout, count)
    })
}

/// `hidden = layer_norm(hidden + output(activation(intermediate(hidden))))` for each row.
pub(crate) fn feed_forward(
    (intermediate, output, norm): (&CudaLinear, &CudaLinear, &CudaNorm),
    activation: Activation,
    hidden: &mut CudaStorage,
    layout: &Layout,
) -> Result<()> {
    const OP: &str = "feed-forward";
    norm.cuda.check(hidden, layout, OP)?;
    let count = rows_of(layout, intermediate.input_features, OP)?;
    with_number!(hidden.dtype(), OP, |T| {
        let wide = intermediate.forward::<T>(hidden, count, activation)?;
        add_output::<T>(output, norm, &wide, hidden, layout, count)
    })
}

/// `hidden = layer_norm(hidden + layer(rows))`.
fn add_output<T: Number + CudaDType>(
    layer: &CudaLinear,
    norm: &CudaNorm,
    rows: &CudaStorage,
    hidden: &mut CudaStorage,
    layout: &Layout,
    count: usize,
) -> Result<()> {
    const OP: &str = "add-layer-norm";
    let cuda = &norm.cuda;
    let product = layer.product(rows, count)?;
    let mut sum = cuda.reserve::<T>(count, layer.output_features)?;
    let residual = cuda.slice::<T>(hidden, layout, OP)?;
    let product = product.as_cuda_slice::<T>()?;
    cuda_kernels::add_layer_norm(&cuda.gpu, &norm.view(), product, Some(&layer.bias), Some(residual), &mut sum)
        .map_err(wrap)?;
    *cuda.slice_mut::<T>(hidden, layout, OP)? = sum;
    Ok(())
}

/// The number of rows of a `[rows, columns]` tensor.
fn rows_of(layout: &Layout, columns: usize, op: &'static str) -> Result<usize> {
    match layout.shape().dims2()? {
        (rows, found) if found == columns => Ok(rows),
        (_, found) => Err(candle_core::Error::Msg(format!("{op}: expected rows of {columns} columns, found {found}"))),
    }
}
