//! The native step: an idle connection's message to its one handler, and a coroutine's first step,
//! without a Python frame of ours in between.
//!
//! `dispatch.py` is the plain twin and the authority: whatever queues, suspends, fails or is out of
//! the ordinary is handed to it, so that both ways behave alike.
//!
//! # Rules
//!
//! 1. Context and resident task are entered once per run of messages of one connection. Before
//!    anything of Python but a handler is called, the run is ended.
//! 2. The task is current only while a coroutine is made or stepped. A plain function sees no
//!    task, as in `dispatch.py`; making a coroutine runs no code of the application.
//! 3. `Steps` ends its run when it is dropped, on whatever way that comes.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use wynd_engine::ConnId;

use crate::lane::{Idle, LaneBase};
use crate::messages::{BinaryMessage, TextMessage};
use crate::raw::{self, is_coroutine, Stepped};

/// What the native step needs of the dispatcher. Stands in the place of the receiver `received`.
#[pyclass(frozen, module = "wynd._engine")]
pub struct Stepper {
    /// The plain twin of all this.
    received: Py<PyAny>,
    /// `ConnectionLane` by key.
    lanes: Py<PyDict>,
    event_loop: Py<PyAny>,
    /// asyncio's current task by loop.
    current_tasks: Py<PyDict>,
    follow: Py<PyAny>,
    suspended: Py<PyAny>,
    failed: Py<PyAny>,
    cancelled: Py<PyAny>,
    /// The `Sent` of a send that need not wait.
    completed: Py<PyAny>,
    /// A lane's handlers changed, or it became busy, other than by what is done here.
    is_changed: AtomicBool,
}

#[pymethods]
impl Stepper {
    /// `quick` is a `wynd.engines.base.QuickPath`.
    #[new]
    fn new(received: Py<PyAny>, quick: &Bound<'_, PyAny>) -> PyResult<Self> {
        let of = |name: &str| quick.getattr(name).map(Bound::unbind);
        Ok(Self {
            received,
            lanes: quick.getattr("lanes")?.cast_into::<PyDict>()?.unbind(),
            event_loop: of("loop")?,
            current_tasks: quick
                .getattr("current_tasks")?
                .cast_into::<PyDict>()?
                .unbind(),
            follow: of("follow")?,
            suspended: of("suspended")?,
            failed: of("failed")?,
            cancelled: of("cancelled")?,
            completed: of("completed")?,
            is_changed: AtomicBool::new(false),
        })
    }

    /// Look at the lane again before its next message; see `wynd.dispatch`.
    fn changed(&self) {
        self.is_changed.store(true, Ordering::Relaxed);
    }

    fn __call__(&self, py: Python<'_>, key: u64, message: &Bound<'_, PyAny>) -> PyResult<()> {
        self.received.bind(py).call1((key, message)).map(drop)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.received)?;
        visit.call(&self.lanes)?;
        visit.call(&self.event_loop)?;
        visit.call(&self.current_tasks)?;
        visit.call(&self.follow)?;
        visit.call(&self.suspended)?;
        visit.call(&self.failed)?;
        visit.call(&self.cancelled)?;
        visit.call(&self.completed)
    }
}

/// A message before it is an object of its own.
pub(crate) enum Data<'py> {
    Text(Bound<'py, PyString>),
    Binary(Bound<'py, PyBytes>),
}

/// How messages of one kind reach the application.
enum Way<'py> {
    /// Not looked up since the lane changed.
    Unknown,
    /// By the plain twin: no handler, or several.
    Plain,
    Call {
        handler: Bound<'py, PyAny>,
        takes_handle: bool,
        /// Calling it only makes a coroutine.
        is_async: bool,
    },
}

/// One connection whose messages come one after another.
struct Run<'py> {
    conn: ConnId,
    lane: Bound<'py, LaneBase>,
    handlers: Bound<'py, PyAny>,
    /// The resident task, if there is one to use.
    task: Option<Bound<'py, PyAny>>,
    is_context_entered: bool,
    text: Way<'py>,
    binary: Way<'py>,
}

impl<'py> Run<'py> {
    fn new(conn: ConnId, lane: Bound<'py, LaneBase>, idle: Idle<'py>) -> Self {
        Self {
            conn,
            lane,
            handlers: idle.handlers,
            task: idle.task,
            is_context_entered: false,
            text: Way::Unknown,
            binary: Way::Unknown,
        }
    }

    fn way(&mut self, data: &Data<'_>) -> &mut Way<'py> {
        match data {
            Data::Text(_) => &mut self.text,
            Data::Binary(_) => &mut self.binary,
        }
    }

    /// Enters the connection's context; false if it is entered already, further out.
    fn enter_context(&mut self, py: Python<'_>) -> bool {
        self.is_context_entered = raw::enter_context(self.lane.get().context.bind(py));
        self.is_context_entered
    }

    /// Exits it, if it was entered.
    fn exit_context(&mut self, py: Python<'_>) -> PyResult<()> {
        if !self.is_context_entered {
            return Ok(());
        }
        self.is_context_entered = false;
        raw::exit_context(self.lane.get().context.bind(py))
    }
}

/// The native steps of one dispatch.
pub(crate) struct Steps<'a, 'py> {
    py: Python<'py>,
    with: &'a Stepper,
    run: Option<Run<'py>>,
    /// A resident task is the current one: the run's, or that of the run before.
    is_in_task: bool,
    /// The last message of each kind; its object is used again if nobody kept it.
    last_text: Option<Bound<'py, TextMessage>>,
    last_binary: Option<Bound<'py, BinaryMessage>>,
}

/// How the call of a handler ended, if it did not raise.
enum Outcome<'py> {
    Finished,
    /// Something that may have to be awaited.
    Returned(Bound<'py, PyAny>),
    /// The coroutine's first step ended with what it waits for.
    Suspended(Bound<'py, PyAny>, Bound<'py, PyAny>),
    /// The first step raised.
    Failed(PyErr),
}

impl<'py> Way<'py> {
    /// Calls the handler, and steps the coroutine it made if the resident task is current.
    #[inline]
    fn call(
        &self,
        event: &Bound<'py, PyAny>,
        handle: &Bound<'py, PyAny>,
        with: &Stepper,
        is_in_task: bool,
    ) -> PyResult<Outcome<'py>> {
        let Self::Call {
            handler,
            takes_handle,
            ..
        } = self
        else {
            return Ok(Outcome::Finished);
        };
        let result = if *takes_handle {
            handler.call1((event, handle))?
        } else {
            handler.call1((event,))?
        };
        Ok(if result.is_none() || result.is(&with.completed) {
            Outcome::Finished
        } else if is_in_task && is_coroutine(&result) {
            step(result)
        } else {
            Outcome::Returned(result)
        })
    }
}

impl<'a, 'py> Steps<'a, 'py> {
    pub(crate) fn new(py: Python<'py>, with: &'a Stepper) -> Self {
        Self {
            py,
            with,
            run: None,
            is_in_task: false,
            last_text: None,
            last_binary: None,
        }
    }

    /// Leaves the task and the context of the run, if there is one.
    pub(crate) fn end(&mut self) -> PyResult<()> {
        let left = self.leave_task();
        let exited = match self.run.take() {
            Some(mut run) => run.exit_context(self.py),
            None => Ok(()),
        };
        left.and(exited)
    }

    /// Handles one message; the caller's errors are those that concern more than the connection.
    pub(crate) fn message(&mut self, conn: ConnId, data: Data<'py>) -> PyResult<()> {
        if !self.prepare(conn, &data)? {
            return self.pass_on(conn, data);
        }
        let (with, is_in_task) = (self.with, self.is_in_task);
        let Some(run) = &self.run else {
            return Ok(());
        };
        let handle = run.lane.get().handle.bind(self.py);
        let (event, called) = match data {
            Data::Text(text) => {
                let event = TextMessage::renew(self.last_text.take(), text, handle)?;
                let called = run.text.call(event.as_any(), handle, with, is_in_task);
                if matches!(called, Ok(Outcome::Finished)) {
                    self.last_text = Some(event);
                    return Ok(());
                }
                (event.into_any(), called)
            }
            Data::Binary(bytes) => {
                let event = BinaryMessage::renew(self.last_binary.take(), bytes, handle)?;
                let called = run.binary.call(event.as_any(), handle, with, is_in_task);
                if matches!(called, Ok(Outcome::Finished)) {
                    self.last_binary = Some(event);
                    return Ok(());
                }
                (event.into_any(), called)
            }
        };
        self.go_on(event, called)
    }

    /// Deals with what a handler returned or raised, if it has not simply finished.
    fn go_on(&mut self, event: Bound<'py, PyAny>, called: PyResult<Outcome<'py>>) -> PyResult<()> {
        let Some(run) = &self.run else {
            return Ok(());
        };
        let lane = run.lane.clone();
        self.end()?;
        let with = self.with;
        match called {
            Ok(Outcome::Finished) => Ok(()),
            Ok(Outcome::Returned(result)) => {
                let follow = with.follow.bind(self.py);
                follow.call1((lane, result, event)).map(drop)
            }
            Ok(Outcome::Suspended(coroutine, yielded)) => {
                let suspended = with.suspended.bind(self.py);
                suspended.call1((lane, coroutine, yielded, event)).map(drop)
            }
            Ok(Outcome::Failed(error)) => self.failed(&lane, &event, error, true),
            Err(error) => self.failed(&lane, &event, error, false),
        }
    }

    /// Enters what the one handler of an idle connection is called in; false if this message is the
    /// plain twin's.
    fn prepare(&mut self, conn: ConnId, data: &Data<'_>) -> PyResult<bool> {
        let is_new = self.run.as_ref().is_none_or(|run| run.conn != conn);
        let has_changed = self.with.is_changed.load(Ordering::Relaxed);
        if (is_new || has_changed) && !self.begin(conn)? {
            return Ok(false);
        }
        let py = self.py;
        let Some(run) = &mut self.run else {
            return Ok(false);
        };
        if matches!(run.way(data), Way::Unknown) {
            *run.way(data) = find(&run.handlers, data)?;
        }
        let &mut Way::Call { is_async, .. } = run.way(data) else {
            return Ok(false);
        };
        if !run.is_context_entered && !run.enter_context(py) {
            return Ok(false);
        }
        if !is_async {
            self.leave_task()?;
        } else if !self.is_in_task {
            self.enter_task()?;
        }
        Ok(true)
    }

    /// Begins the run of a connection; false if its messages are the plain twin's.
    ///
    /// A task that is current stays so: `prepare` leaves it, or this makes the next one current
    /// in its place, before any code of the application runs.
    fn begin(&mut self, conn: ConnId) -> PyResult<bool> {
        let py = self.py;
        self.with.is_changed.store(false, Ordering::Relaxed);
        if let Some(mut run) = self.run.take() {
            run.exit_context(py)?;
        }
        let Some(lane) = self.with.lanes.bind(py).get_item(conn.as_u64())? else {
            return Ok(false); // closed already
        };
        let lane = lane.cast_into::<LaneBase>()?;
        let Some(idle) = lane.get().idle(py)? else {
            return Ok(false);
        };
        let run = Run::new(conn, lane, idle);
        if self.is_in_task {
            match &run.task {
                Some(task) => self.set_current(task)?,
                None => self.leave_task()?,
            }
        }
        self.run = Some(run);
        Ok(true)
    }

    /// Makes the run's task the current one, if it has one and no other is.
    fn enter_task(&mut self) -> PyResult<()> {
        let Some(task) = self.run.as_ref().and_then(|run| run.task.clone()) else {
            return Ok(());
        };
        let current = self.with.current_tasks.bind(self.py);
        // Where another task is current work, the plain twin knows what to do.
        if current.contains(&self.with.event_loop)? {
            return Ok(());
        }
        self.set_current(&task)
    }

    fn set_current(&mut self, task: &Bound<'py, PyAny>) -> PyResult<()> {
        let current = self.with.current_tasks.bind(self.py);
        current.set_item(&self.with.event_loop, task)?;
        self.is_in_task = true;
        Ok(())
    }

    fn leave_task(&mut self) -> PyResult<()> {
        if self.is_in_task {
            self.is_in_task = false;
            let current = self.with.current_tasks.bind(self.py);
            current.del_item(&self.with.event_loop)?;
        }
        Ok(())
    }

    /// Gives a message to the plain twin.
    fn pass_on(&mut self, conn: ConnId, data: Data<'py>) -> PyResult<()> {
        self.end()?;
        let received = self.with.received.bind(self.py);
        match data {
            Data::Text(text) => received.call1((conn.as_u64(), text))?,
            Data::Binary(bytes) => received.call1((conn.as_u64(), bytes))?,
        };
        Ok(())
    }

    fn failed(
        &mut self,
        lane: &Bound<'py, LaneBase>,
        event: &Bound<'py, PyAny>,
        error: PyErr,
        was_stepped: bool,
    ) -> PyResult<()> {
        self.end()?;
        let py = self.py;
        let is_cancelled = was_stepped && error.matches(py, self.with.cancelled.bind(py))?;
        if !is_cancelled && !error.is_instance_of::<PyException>(py) {
            return Err(error); // KeyboardInterrupt and its like
        }
        let failed = self.with.failed.bind(py);
        failed.call1((lane, event, error.into_value(py))).map(drop)
    }
}

impl Drop for Steps<'_, '_> {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            error.write_unraisable(self.py, None);
        }
    }
}

/// Finds how messages of this kind reach the application.
fn find<'py>(handlers: &Bound<'py, PyAny>, data: &Data<'_>) -> PyResult<Way<'py>> {
    let py = handlers.py();
    let kind = match data {
        Data::Text(_) => intern!(py, "text"),
        Data::Binary(_) => intern!(py, "binary"),
    };
    let handlers = handlers.getattr(kind)?;
    let handlers = handlers.cast::<PyTuple>()?;
    if handlers.len() != 1 {
        return Ok(Way::Plain);
    }
    let registered = handlers.get_borrowed_item(0)?;
    let registered = registered.cast::<PyTuple>()?;
    let handler = registered.get_item(0)?;
    let takes_handle = registered.get_borrowed_item(1)?.extract::<usize>()? == 2;
    let is_async = registered.get_borrowed_item(2)?.is_truthy()?;
    Ok(Way::Call {
        handler,
        takes_handle,
        is_async,
    })
}

/// Runs a coroutine up to where it first waits.
fn step(coroutine: Bound<'_, PyAny>) -> Outcome<'_> {
    match raw::step(&coroutine) {
        Err(error) => Outcome::Failed(error),
        Ok(Stepped::Yielded(yielded)) => Outcome::Suspended(coroutine, yielded),
        Ok(Stepped::Finished) => Outcome::Finished,
    }
}
