//! The functions between layers, under the two kinds of names that model files give them.

/// A function applied to each number on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `0.5 x (1 + erf(x / sqrt 2))`, the exact GELU (Hendrycks and Gimpel, arXiv 1606.08415).
    Gelu,
    /// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`, the approximation of the same paper.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x / (1 + exp(-x))`, also called swish.
    Silu,
    /// `x`.
    Identity,
}

impl Activation {
    /// By the name in a `config.json`, as in transformers' `activations.py` (`ACT2CLS`).
    ///
    /// Only names whose formula is exactly one of ours are known; `gelu_10` or `quick_gelu` are other functions.
    pub(crate) fn from_transformers(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" | "gelu_accurate" => Self::GeluTanh,
            "relu" => Self::Relu,
            "tanh" => Self::Tanh,
            "sigmoid" => Self::Sigmoid,
            "silu" | "swish" => Self::Silu,
            "linear" => Self::Identity,
            _ => return None,
        })
    }

    /// By the Python class in a Dense module's `config.json`, such as `torch.nn.modules.activation.Tanh`.
    pub(crate) fn from_torch_class(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("torch.nn.")?.rsplit('.').next()? {
            "GELU" => Self::Gelu,
            "ReLU" => Self::Relu,
            "Tanh" => Self::Tanh,
            "Sigmoid" => Self::Sigmoid,
            "SiLU" => Self::Silu,
            "Identity" => Self::Identity,
            _ => return None,
        })
    }
}
