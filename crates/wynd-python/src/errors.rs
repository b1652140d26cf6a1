//! What went wrong below as Python exceptions; each says what to do where something can be done.

use std::any::Any;
use std::io;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// Text with a lone surrogate has no UTF-8 form.
pub(crate) fn lone_surrogate() -> PyErr {
    PyValueError::new_err("text holds a lone surrogate and is not valid UTF-8")
}

/// A text message given as bytes that are no UTF-8.
pub(crate) fn not_text() -> PyErr {
    PyValueError::new_err("a text message must be valid UTF-8; send these bytes as binary")
}

/// The engine was used in a child process.
pub(crate) fn forked() -> PyErr {
    PyRuntimeError::new_err(
        "the native engine does not survive a fork; start workers with the spawn method",
    )
}

/// A system call failed; Python's `OSError` picks the subclass by the number.
pub(crate) fn os_error(error: &io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(errno) => PyOSError::new_err((errno, error.to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}

/// The message of a caught panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// What is reported of a panic.
pub(crate) fn bug(message: &str) -> String {
    format!("the native engine met a bug and closed its connections: {message}")
}

/// A call panicked. No `PanicException`: that is no `Exception`, so that it would pass the handlers
/// of the application and end its task.
#[cold]
pub(crate) fn panicked(message: &str) -> PyErr {
    PyRuntimeError::new_err(bug(message))
}
