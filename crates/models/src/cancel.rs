//! Stopping a forward pass from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ModelError;

/// A flag that the models look at between layers; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    cancelled: Arc<AtomicBool>,
}

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag: work that looks at it ends with [`ModelError::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Fails once the flag is set.
    ///
    /// # Errors
    /// [`ModelError::Cancelled`].
    pub fn check(&self) -> Result<(), ModelError> {
        if self.is_cancelled() { Err(ModelError::Cancelled) } else { Ok(()) }
    }
}
