//! `HandleBase`: the sends of a connection's handle, straight to the command queue.
//!
//! `wynd.sending` has the plain twin, which also serves handles of other engines. What is not the
//! common case (no str or bytes, a full outbox, a closed connection, another thread) is handed to
//! the methods `_send` and `_sent` of `wynd.handle.ConnectionHandle`.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};
use wynd_engine::{ConnId, MessageKind};

use crate::commands::Outgoing;
use crate::engine::Engine;
use crate::faults;

/// What every send returns that need not wait.
static COMPLETED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn completed(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let made = COMPLETED.get_or_try_init(py, || {
        let sent = py.import("wynd.sent")?.getattr("Sent")?;
        sent.call_method0("completed").map(Bound::unbind)
    })?;
    Ok(made.clone_ref(py))
}

/// The base of `ConnectionHandle`; see `wynd.sending` for its plain twin.
#[pyclass(frozen, subclass, module = "wynd._engine")]
pub struct HandleBase {
    /// `None` on other engines.
    engine: Option<Py<Engine>>,
    conn: ConnId,
    /// Unsent bytes from which on a send waits.
    soft: i64,
    takes_messages: AtomicBool,
}

impl HandleBase {
    /// Queues a message; `None` if that is not the common case and nothing was done.
    #[inline]
    fn quick(&self, py: Python<'_>, kind: MessageKind, payload: &[u8]) -> PyResult<Option<i64>> {
        faults::at("handle");
        if !self.takes_messages.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(engine) = &self.engine else {
            return Ok(None);
        };
        let engine = engine.get();
        engine
            .queue(py, self.conn, kind, &Outgoing::Plain(payload))
            .map(Some)
    }

    fn is_common(&self, unsent: i64) -> bool {
        let on_loop = self
            .engine
            .as_ref()
            .is_some_and(|engine| engine.get().is_on_loop());
        (0..self.soft).contains(&unsent) && on_loop
    }
}

/// Finishes a send: the completed `Sent`, or whatever `ConnectionHandle` makes of it.
fn finish(
    handle: &Bound<'_, HandleBase>,
    queued: Option<i64>,
    opcode: u8,
    message: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let py = handle.py();
    match queued {
        Some(unsent) if handle.get().is_common(unsent) => completed(py),
        Some(unsent) => handle
            .call_method1(intern!(py, "_sent"), (unsent,))
            .map(Bound::unbind),
        None => handle
            .call_method1(intern!(py, "_send"), (opcode, message))
            .map(Bound::unbind),
    }
}

#[pymethods]
impl HandleBase {
    /// See `wynd.sending.HandleBase`.
    #[new]
    #[pyo3(signature = (registry, key, *_others))]
    fn new(registry: &Bound<'_, PyAny>, key: u64, _others: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let py = registry.py();
        let engine = registry.getattr(intern!(py, "engine"))?;
        let core = engine.getattr(intern!(py, "core"))?;
        Ok(Self {
            engine: core.cast_into::<Engine>().ok().map(Bound::unbind),
            conn: ConnId::from_u64(key),
            soft: registry
                .getattr(intern!(py, "outbox_bytes_soft"))?
                .extract()?,
            takes_messages: AtomicBool::new(true),
        })
    }

    /// The engine's name for the connection.
    #[getter]
    fn _key(&self) -> u64 {
        self.conn.as_u64()
    }

    /// Whether sends are still taken.
    #[getter]
    fn _takes_messages(&self) -> bool {
        self.takes_messages.load(Ordering::Relaxed)
    }

    /// Refuse sends from now on.
    fn _refuse_messages(&self) {
        self.takes_messages.store(false, Ordering::Relaxed);
    }

    /// Send one text message; see `wynd.handle`.
    fn send_text(slf: &Bound<'_, Self>, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let queued = match message.cast::<PyString>() {
            // A str with a lone surrogate is refused by the plain way.
            Ok(text) => match text.to_str() {
                Ok(text) => slf
                    .get()
                    .quick(slf.py(), MessageKind::Text, text.as_bytes())?,
                Err(_) => None,
            },
            Err(_) => None,
        };
        finish(slf, queued, 1, message)
    }

    /// Send one binary message; see `wynd.handle`.
    fn send_binary(slf: &Bound<'_, Self>, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let queued = match message.cast::<PyBytes>() {
            Ok(bytes) => slf
                .get()
                .quick(slf.py(), MessageKind::Binary, bytes.as_bytes())?,
            Err(_) => None,
        };
        finish(slf, queued, 2, message)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)
    }
}

/// What makes a `Sent` one that need not be waited for: awaiting it enters no Python frame.
#[pyclass(frozen, subclass, module = "wynd._engine")]
pub struct Completed;

#[pymethods]
impl Completed {
    #[new]
    fn new() -> Self {
        Self
    }

    #[allow(clippy::unused_self)] // the slot's signature
    fn __await__(&self, py: Python<'_>) -> PyResult<Py<Exhausted>> {
        let made = EXHAUSTED.get_or_try_init(py, || Py::new(py, Exhausted))?;
        Ok(made.clone_ref(py))
    }
}

static EXHAUSTED: PyOnceLock<Py<Exhausted>> = PyOnceLock::new();

/// An iterator at its end.
#[pyclass(frozen, module = "wynd._engine")]
pub struct Exhausted;

#[pymethods]
impl Exhausted {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[allow(clippy::unused_self)] // the slot's signature
    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }
}
