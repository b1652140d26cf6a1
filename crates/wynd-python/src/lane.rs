//! `LaneBase`: what the native step reads of a connection's lane, readable without the interpreter's
//! attribute look-ups. `wynd.lane` has the plain twin, and says what the fields mean.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// What changes.
struct Fields {
    handlers: Py<PyAny>,
    task: Option<Py<PyAny>>,
    queue: Option<Py<PyAny>>,
    busy: u32,
    opening: bool,
}

/// The base of `ConnectionLane`.
#[pyclass(frozen, subclass, module = "wynd._engine")]
pub struct LaneBase {
    #[pyo3(get)]
    pub(crate) handle: Py<PyAny>,
    #[pyo3(get)]
    pub(crate) context: Py<PyAny>,
    /// Only taken attached, and never over a call into Python.
    fields: Mutex<Fields>,
}

/// A lane whose connection is idle: its handlers, and the resident task if it has one to use.
pub(crate) struct Idle<'py> {
    pub(crate) handlers: Bound<'py, PyAny>,
    pub(crate) task: Option<Bound<'py, PyAny>>,
}

impl LaneBase {
    fn lock(&self) -> MutexGuard<'_, Fields> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a message may be handled now, before anything that waits; `None` if not.
    pub(crate) fn idle<'py>(&self, py: Python<'py>) -> PyResult<Option<Idle<'py>>> {
        let (idle, queue) = {
            let fields = self.lock();
            if fields.opening || fields.busy > 0 {
                return Ok(None);
            }
            let idle = Idle {
                handlers: fields.handlers.bind(py).clone(),
                task: fields.task.as_ref().map(|task| task.bind(py).clone()),
            };
            (idle, fields.queue.as_ref().map(|queue| queue.clone_ref(py)))
        };
        match queue {
            Some(queue) if queue.bind(py).is_truthy()? => Ok(None),
            _ => Ok(Some(idle)),
        }
    }
}

#[pymethods]
impl LaneBase {
    #[new]
    #[pyo3(signature = (handle, context, handlers, *_others))]
    fn new(
        handle: Py<PyAny>,
        context: Py<PyAny>,
        handlers: Py<PyAny>,
        _others: &Bound<'_, PyTuple>,
    ) -> Self {
        let fields = Fields {
            handlers,
            task: None,
            queue: None,
            busy: 0,
            opening: true,
        };
        Self {
            handle,
            context,
            fields: Mutex::new(fields),
        }
    }

    #[getter]
    fn handlers(&self, py: Python<'_>) -> Py<PyAny> {
        self.lock().handlers.clone_ref(py)
    }

    #[setter]
    fn set_handlers(&self, handlers: Py<PyAny>) {
        let old = std::mem::replace(&mut self.lock().handlers, handlers);
        drop(old); // may run Python: not under the lock
    }

    #[getter]
    fn task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.lock().task.as_ref().map(|task| task.clone_ref(py))
    }

    #[setter]
    fn set_task(&self, task: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut self.lock().task, task);
        drop(old);
    }

    #[getter]
    fn queue(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.lock().queue.as_ref().map(|queue| queue.clone_ref(py))
    }

    #[setter]
    fn set_queue(&self, queue: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut self.lock().queue, queue);
        drop(old);
    }

    #[getter]
    fn busy(&self) -> u32 {
        self.lock().busy
    }

    #[setter]
    fn set_busy(&self, busy: u32) {
        self.lock().busy = busy;
    }

    #[getter]
    fn opening(&self) -> bool {
        self.lock().opening
    }

    #[setter]
    fn set_opening(&self, opening: bool) {
        self.lock().opening = opening;
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.handle)?;
        visit.call(&self.context)?;
        // The collector runs on a thread that may hold the lock only if that thread is in `lock`'s
        // short use, which allocates nothing and so starts no collection.
        let fields = self.lock();
        visit.call(&fields.handlers)?;
        visit.call(&fields.task)?;
        visit.call(&fields.queue)
    }
}
