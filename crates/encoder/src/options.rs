//! What a caller can choose.

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Number of threads, from 1 to [`crate::MOST_THREADS`]; `None` for [`crate::default_threads`]. All encoders of a
    /// process with the same number share the same threads.
    pub threads: Option<usize>,
}

/// How to turn texts into rows.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// Put before every text as it is; it counts towards the length limit.
    pub prompt: Option<String>,
    /// Most texts that go through the model together, at least 1. It changes speed and memory, never a result.
    pub batch_size: usize,
    /// Whether to bring every row to length 1, after the truncation. A zero row stays zero.
    pub normalize: bool,
    /// Number of leading values kept of each row, at least 1; more than there are keeps all. `None` for the model's own.
    pub truncate_dim: Option<usize>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { prompt: None, batch_size: 32, normalize: false, truncate_dim: None }
    }
}
