//! The one door between Python and the work: everything slow goes through [`run`].

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use encoder::{EncodeError, Watch, panic_message};
use pyo3::prelude::*;

use crate::errors;

/// Does `work` without the GIL. While it lasts, this thread takes the GIL about every 50 ms to let Python handle
/// signals (Ctrl-C, on the main thread) and to call `progress` with the number of texts finished. An exception
/// from either cancels the work; it is raised as soon as the work has stopped.
///
/// # Errors
/// What the signal handlers or `progress` raised, else the error of the work by [`errors::to_python`]. A panic is an
/// `InternalError`.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&mut Watch<'_>) -> Result<T, EncodeError> + Send,
) -> PyResult<T> {
    let mut raised = None;
    let result = py.detach(|| {
        let mut watch = |finished| match look(progress, finished) {
            Ok(flow) => flow,
            Err(exception) => {
                raised = Some(exception);
                ControlFlow::Break(())
            }
        };
        catch_unwind(AssertUnwindSafe(|| work(&mut watch)))
            .unwrap_or_else(|panic| Err(EncodeError::Internal(panic_message(panic.as_ref()))))
    });
    match (raised, result) {
        (Some(exception), _) => Err(exception),
        (None, result) => result.map_err(|error| errors::to_python(py, &error)),
    }
}

/// One look at Python from the waiting thread.
fn look(progress: Option<&Py<PyAny>>, finished: usize) -> PyResult<ControlFlow<()>> {
    let looked = Python::try_attach(|py| {
        py.check_signals()?;
        progress.map(|progress| progress.call1(py, (finished,))).transpose()
    });
    match looked {
        Some(Ok(_)) => Ok(ControlFlow::Continue(())),
        Some(Err(exception)) => Err(exception),
        // The interpreter is shutting down; nobody will read the result.
        None => Ok(ControlFlow::Break(())),
    }
}
