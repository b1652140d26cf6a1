//! `Engine`: one shard for one loop. `poll`, `dispatch`, `flush` and `settle` are the turn, called
//! by `engines/native.py` in this order; all else queues commands or looks.

use std::any::Any;
use std::ffi::c_ulong;
use std::os::fd::RawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use wynd_engine::{
    Compression, ConnId, ListenerId, ListenerOptions, MessageKind, Meter, MioNetwork,
    PublishOptions, Shard, SocketKind, TrustedProxies, Waker,
};

use crate::batch::{tell_failure, Receiver, Taken, RECEIVERS};
use crate::certificates::Certificates;
use crate::clock::{Clock, Pace};
use crate::commands::{kind_of, outgoing, Outbound, Outgoing};
use crate::config::{self, Compressing, Limits, OriginRules};
use crate::errors;
use crate::faults;
use crate::http::HTTP_RECEIVERS;
use crate::raw::{owned, this_thread};
use crate::state::{Next, State, Turns};
use crate::stepping::{Data, Stepper, Steps};

/// One shard: sockets, connections, rooms and timers of one event loop.
#[pyclass(frozen, module = "wynd._engine")]
pub struct Engine {
    pub(crate) turns: Turns,
    pub(crate) outbound: Outbound,
    /// A flush is going to come: a turn runs, or one is scheduled.
    pub(crate) is_armed: AtomicBool,
    pub(crate) is_forked: AtomicBool,
    /// `None` once the engine was shut down, since it holds a descriptor.
    pub(crate) waker: Mutex<Option<Waker>>,
    pub(crate) fileno: RawFd,
    pub(crate) clock: Clock,
    pub(crate) outbox_bytes_hard: usize,
    /// When the last turn began, in nanoseconds of `clock`.
    pub(crate) polled_ns: AtomicU64,
    pub(crate) loop_thread: c_ulong,
    pub(crate) schedule: Py<PyAny>,
}

impl Engine {
    #[inline]
    pub(crate) fn check_fork(&self) -> PyResult<()> {
        if self.is_forked.load(Ordering::Relaxed) {
            return Err(errors::forked());
        }
        Ok(())
    }

    /// Runs `work` detached, with panics caught.
    pub(crate) fn run<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut State, std::time::Instant) -> T + Send,
    ) -> PyResult<Option<T>> {
        self.check_fork()?;
        let now = self.clock.now(py)?;
        Ok(self
            .turns
            .run(py, &self.outbound, now, |state| work(state, now)))
    }

    /// Runs `work` on the shard; an error if the engine was shut down.
    fn with_shard<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Shard, std::time::Instant) -> T + Send,
    ) -> PyResult<T> {
        let done = self.run(py, |state, now| {
            faults::at("shard");
            state.shard.as_mut().map(|shard| work(shard, now))
        })?;
        match done {
            Some(Some(done)) => Ok(done),
            Some(None) => Err(PyRuntimeError::new_err("the native engine was stopped")),
            None => {
                self.after_push(py)?; // the next turn tells it
                Err(PyRuntimeError::new_err(
                    "the native engine was stopped, or met a bug; then the log says which",
                ))
            }
        }
    }

    /// Deals with a panic that was caught outside of `run`; the next dispatch tells it.
    #[cold]
    fn break_down(&self, py: Python<'_>, panic: &(dyn Any + Send)) -> PyResult<()> {
        let now = self.clock.now(py)?;
        let message = errors::panic_message(panic);
        self.turns.break_down(py, &self.outbound, now, message);
        Ok(())
    }

    /// Queues one message; the connection's unsent bytes, or -1 if it takes none.
    #[inline]
    pub(crate) fn queue(
        &self,
        py: Python<'_>,
        conn: ConnId,
        kind: MessageKind,
        payload: &Outgoing<'_, '_>,
    ) -> PyResult<i64> {
        self.check_fork()?;
        let pushed = self
            .outbound
            .push(|commands| commands.send(conn, kind, payload));
        let (sent, taken) = self.pushed(py, pushed)?;
        let Some((before, after)) = sent else {
            return Ok(-1);
        };
        self.after_push(py)?;
        let is_over = before > 0 && after > self.outbox_bytes_hard;
        if (is_over || self.outbound.is_long()) && self.is_refused(py, conn, taken, is_over)? {
            return Ok(-1);
        }
        Ok(i64::try_from(after).unwrap_or(i64::MAX))
    }

    /// Tells events in the native step, where there is one.
    fn dispatch_in_steps(
        &self,
        py: Python<'_>,
        receivers: &Bound<'_, PyTuple>,
        slice_s: f64,
    ) -> PyResult<bool> {
        let received = receivers.get_item(Receiver::Received as usize)?;
        let mut steps = received
            .cast::<Stepper>()
            .ok()
            .map(|stepper| Steps::new(py, stepper.get()));
        let told = self.tell_all(py, receivers, slice_s, steps.as_mut());
        let ended = steps.as_mut().map_or(Ok(()), Steps::end);
        let is_done = told?;
        ended.map(|()| is_done)
    }

    /// Tells events until all are told (true), `slice_s` has passed or much is queued (false).
    fn tell_all<'py>(
        &self,
        py: Python<'py>,
        receivers: &Bound<'py, PyTuple>,
        slice_s: f64,
        mut steps: Option<&mut Steps<'_, 'py>>,
    ) -> PyResult<bool> {
        let mut pace = Pace::new(slice_s, self.clock.elapsed(py)?.as_secs_f64());
        loop {
            match self.turns.next(py, &self.outbound)? {
                Next::Event(event) => tell(py, event, receivers, steps.as_deref_mut())?,
                Next::Fault(fault) => {
                    steps.as_deref_mut().map_or(Ok(()), Steps::end)?;
                    tell_failure(receivers, &fault)?;
                }
                Next::Nothing => return Ok(true),
            }
            if self.outbound.is_long() {
                return Ok(false);
            }
            if pace.is_due()
                && self.turns.with(|state| state.has_events()).unwrap_or(false)
                && pace.is_over(self.clock.elapsed(py)?.as_secs_f64())
            {
                return Ok(false);
            }
        }
    }
}

/// Tells one event: a message by the native step, if there is one, all else by its receiver.
fn tell<'py>(
    py: Python<'py>,
    event: Taken<'py>,
    receivers: &Bound<'py, PyTuple>,
    steps: Option<&mut Steps<'_, 'py>>,
) -> PyResult<()> {
    faults::at("tell");
    let Some(steps) = steps else {
        return event.tell(py, receivers);
    };
    match event {
        Taken::Text(conn, text) => steps.message(conn, Data::Text(text)),
        Taken::Binary(conn, payload) => steps.message(conn, Data::Binary(payload)),
        event => {
            steps.end()?;
            event.tell(py, receivers)
        }
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    #[pyo3(signature = (limits, origins, subprotocols, *, seed, schedule, clock=None, compression=None))]
    #[allow(clippy::too_many_arguments)] // named ones in Python
    fn new(
        py: Python<'_>,
        limits: Limits,
        origins: OriginRules,
        subprotocols: Vec<String>,
        seed: u64,
        schedule: Py<PyAny>,
        clock: Option<Py<PyAny>>,
        compression: Option<Compressing>,
    ) -> PyResult<Self> {
        let compression = compression.map_or(Ok(Compression::Off), |given| given.parse())?;
        let config = config::config(&limits, origins.parse()?, subprotocols, compression);
        let clock = Clock::new(py, clock)?;
        let network = MioNetwork::new().map_err(|error| errors::os_error(&error))?;
        let shard = Shard::new(config, network, Meter::default(), seed, clock.now(py)?)
            .map_err(|error| errors::os_error(&error))?;
        Ok(Self {
            outbound: Outbound::default(),
            is_armed: AtomicBool::new(false),
            is_forked: AtomicBool::new(false),
            waker: Mutex::new(Some(shard.waker())),
            fileno: shard.as_raw_fd(),
            turns: Turns::new(State::new(shard)),
            clock,
            outbox_bytes_hard: limits.outbox_bytes_hard,
            polled_ns: AtomicU64::new(0),
            loop_thread: this_thread(),
            schedule,
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.schedule)?;
        if let Some(clock) = self.clock.given() {
            visit.call(clock)?;
        }
        Ok(())
    }

    // The turn.

    /// The poller's descriptor: readable while `poll` would find something.
    fn fileno(&self) -> RawFd {
        self.fileno
    }

    /// Accept, receive, decode, judge deadlines; true if there are events to dispatch.
    fn poll(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_armed.store(true, Ordering::SeqCst);
        let polled = self.run(py, |state, now| {
            faults::at("poll");
            self.polled_ns
                .store(self.clock.nanoseconds_of(now), Ordering::Relaxed);
            let polled = match &mut state.shard {
                Some(shard) => shard.poll(now, &mut state.batch),
                None => Ok(()),
            };
            polled.map(|()| state.has_events())
        })?;
        match polled {
            Some(Ok(has_events)) => Ok(has_events),
            Some(Err(error)) => Err(errors::os_error(&error)),
            None => Ok(true), // a panic was caught and is to be told, or the engine was shut down
        }
    }

    /// Tell events until all are told (true), `slice_s` has passed or much is queued (false).
    fn dispatch(
        &self,
        py: Python<'_>,
        receivers: &Bound<'_, PyTuple>,
        slice_s: f64,
    ) -> PyResult<bool> {
        const COUNT: usize = RECEIVERS + HTTP_RECEIVERS;
        if receivers.len() != COUNT {
            return Err(PyValueError::new_err(format!(
                "{COUNT} receivers are needed"
            )));
        }
        self.check_fork()?;
        // PyO3 goes on with a panic that it gave to a handler as an exception, once that comes back.
        let told = catch_unwind(AssertUnwindSafe(|| {
            self.dispatch_in_steps(py, receivers, slice_s)
        }));
        match told {
            Ok(told) => told,
            Err(panic) => self.break_down(py, &*panic).map(|()| false),
        }
    }

    /// Apply what is queued and send; true if that left events to dispatch.
    fn flush(&self, py: Python<'_>) -> PyResult<bool> {
        let flushed = self.run(py, |state, now| {
            state.flush(&self.outbound, now);
            state.has_events()
        })?;
        Ok(flushed.unwrap_or_else(|| self.turns.with(|state| state.has_events()).unwrap_or(false)))
    }

    /// End the turn: when the next one is due, in the seconds of `now()`; -1.0 is at once, and
    /// infinity never.
    fn settle(&self, py: Python<'_>) -> PyResult<f64> {
        self.check_fork()?;
        self.is_armed.store(false, Ordering::SeqCst);
        let due = catch_unwind(AssertUnwindSafe(|| {
            faults::at("settle");
            self.turns.with(|state| {
                let shard = state.shard.as_ref();
                let more = shard.is_some_and(Shard::more);
                (
                    state.has_events() || more,
                    shard.and_then(Shard::next_deadline),
                )
            })
        }));
        let (is_pending, deadline) = match due {
            Ok(due) => due.unwrap_or((false, None)),
            Err(panic) => {
                self.break_down(py, &*panic)?;
                (true, None)
            }
        };
        if is_pending || self.outbound.has_commands() {
            self.is_armed.store(true, Ordering::SeqCst);
            return Ok(-1.0);
        }
        Ok(deadline.map_or(f64::INFINITY, |deadline| self.clock.seconds_of(deadline)))
    }

    /// Seconds since the engine was made, by its clock.
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.clock.elapsed(py)?.as_secs_f64())
    }

    /// Seconds since the last `poll`.
    fn turn_s(&self, py: Python<'_>) -> PyResult<f64> {
        let polled = Duration::from_nanos(self.polled_ns.load(Ordering::Relaxed));
        Ok(self.clock.elapsed(py)?.saturating_sub(polled).as_secs_f64())
    }

    // Listeners and sockets.

    /// Start accepting on a listening socket, whose descriptor the engine owns from now on.
    #[pyo3(signature = (listener, fd, is_unix, asks, http_idle_s=None))]
    fn add_listener(
        &self,
        py: Python<'_>,
        listener: u32,
        fd: RawFd,
        is_unix: bool,
        asks: bool,
        http_idle_s: Option<f64>,
    ) -> PyResult<()> {
        let socket = owned(fd)?;
        let kind = if is_unix {
            SocketKind::Unix
        } else {
            SocketKind::Tcp
        };
        let http_idle = http_idle_s.map(config::duration);
        let options = ListenerOptions {
            kind,
            asks,
            http_idle,
        };
        self.with_shard(py, |shard, _| {
            shard.add_listener(ListenerId(listener), socket, options)
        })?
        .map_err(|error| errors::os_error(&error))
    }

    /// Stop accepting and close the listening socket; nothing if the shard is gone with it.
    fn remove_listener(&self, py: Python<'_>, listener: u32) -> PyResult<()> {
        self.run(py, |state, _| {
            if let Some(shard) = &mut state.shard {
                shard.remove_listener(ListenerId(listener));
            }
        })?;
        Ok(())
    }

    /// Require the PROXY protocol's header of these peers, on connections accepted from now on.
    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    fn expect_proxies(
        &self,
        py: Python<'_>,
        listener: u32,
        proxies: Vec<String>,
    ) -> PyResult<bool> {
        let trusted =
            TrustedProxies::parse(proxies.iter().map(String::as_str)).map_err(|wrong| {
                PyValueError::new_err(format!("{wrong:?} is no address and no network"))
            })?;
        self.with_shard(py, |shard, _| {
            shard.expect_proxies(ListenerId(listener), trusted)
        })
    }

    /// Serve connections that a listener accepts from now on over TLS.
    fn use_certificates(
        &self,
        py: Python<'_>,
        listener: u32,
        certificates: &Bound<'_, Certificates>,
    ) -> PyResult<bool> {
        let certificates = certificates.get().shared();
        self.with_shard(py, |shard, _| {
            shard.use_certificates(ListenerId(listener), &certificates)
        })
    }

    /// Take over a connected socket before its handshake; returns its key.
    fn adopt(&self, py: Python<'_>, fd: RawFd, listener: u32, asks: bool) -> PyResult<u64> {
        let socket = owned(fd)?;
        self.with_shard(py, |shard, now| {
            shard.adopt(socket, ListenerId(listener), asks, now)
        })?
        .map(ConnId::as_u64)
        .map_err(|error| errors::os_error(&error))
    }

    /// Set the policy of rooms whose name matches `pattern`; the first match counts.
    fn set_room_policy(
        &self,
        py: Python<'_>,
        pattern: &str,
        kind: &str,
        code: u16,
        reason: String,
    ) -> PyResult<()> {
        let policy = config::room_policy(kind, code, reason)?;
        self.with_shard(py, |shard, _| shard.set_room_policy(pattern, policy))
    }

    // Commands.

    /// Queue one message; the connection's unsent bytes, or -1 if it takes none. Any thread.
    fn send(
        &self,
        py: Python<'_>,
        key: u64,
        opcode: u8,
        payload: &Bound<'_, PyAny>,
    ) -> PyResult<i64> {
        let kind = kind_of(opcode);
        let payload = outgoing(payload, kind)?;
        self.queue(py, ConnId::from_u64(key), kind, &payload)
    }

    /// Queue one message to a room, or to all admitted connections if `room` is None. Any thread.
    #[pyo3(signature = (room, opcode, payload, *, exclude=None, key=None, droppable=false))]
    #[allow(clippy::too_many_arguments)] // the signature of `Engine.publish` in Python
    fn publish(
        &self,
        py: Python<'_>,
        room: Option<&str>,
        opcode: u8,
        payload: &Bound<'_, PyAny>,
        exclude: Option<u64>,
        key: Option<&str>,
        droppable: bool,
    ) -> PyResult<()> {
        let kind = kind_of(opcode);
        let payload = outgoing(payload, kind)?;
        let exclude = exclude.map(ConnId::from_u64);
        let options = PublishOptions {
            exclude,
            key,
            droppable,
        };
        self.push(py, |commands| match &payload {
            Outgoing::Plain(bytes) => commands.queue.push_publish(room, kind, bytes, options),
            Outgoing::Framed(frame) => {
                let frame = frame.get().shared();
                commands.queue.push_publish_shared(room, frame, options);
            }
        })
    }

    /// Add a connection to a room. Any thread.
    fn join(&self, py: Python<'_>, key: u64, room: &str) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_join(ConnId::from_u64(key), room);
        })
    }

    /// Remove a connection from a room. Any thread.
    fn leave(&self, py: Python<'_>, key: u64, room: &str) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_leave(ConnId::from_u64(key), room);
        })
    }

    /// Let broadcasts reach a connection. Any thread.
    fn admit(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_admit(ConnId::from_u64(key));
        })
    }

    /// Send a ping. Any thread.
    fn ping(&self, py: Python<'_>, key: u64, payload: &[u8]) -> PyResult<bool> {
        self.push(py, |commands| {
            commands.queue.push_ping(ConnId::from_u64(key), payload);
        })?;
        Ok(true)
    }

    /// Start the closing handshake after what is queued; further sends are refused. Any thread.
    fn close(&self, py: Python<'_>, key: u64, code: u16, reason: &str) -> PyResult<()> {
        let conn = ConnId::from_u64(key);
        self.push(py, |commands| {
            if commands.begin_close(conn) {
                commands.queue.push_close(conn, Some(code), reason);
            }
        })
    }

    /// End the transport at once. Any thread.
    fn abort(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        let conn = ConnId::from_u64(key);
        self.push(py, |commands| {
            commands.begin_close(conn);
            commands.queue.push_abort(conn);
        })
    }

    /// Read and decode nothing of a connection.
    fn pause_reading(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_pause(ConnId::from_u64(key));
        })
    }

    /// Undo `pause_reading`.
    fn resume_reading(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_resume(ConnId::from_u64(key));
        })
    }

    /// Answer a request with 101.
    fn accept(
        &self,
        py: Python<'_>,
        key: u64,
        subprotocol: Option<String>,
        headers: Vec<(String, String)>,
    ) -> PyResult<()> {
        self.push(py, |commands| {
            commands
                .queue
                .push_accept(ConnId::from_u64(key), subprotocol, headers);
        })
    }

    /// Answer a request with plain HTTP.
    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    fn respond(
        &self,
        py: Python<'_>,
        key: u64,
        status: u16,
        headers: Vec<(String, String)>,
        body: &[u8],
    ) -> PyResult<()> {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.push(py, |commands| {
            commands
                .queue
                .push_respond(ConnId::from_u64(key), status, &headers, body);
        })
    }

    // HTTP connections.

    /// Queue bytes of an answer; the connection's unsent bytes, or -1 if it takes none.
    fn http_write(&self, py: Python<'_>, key: u64, data: &[u8], tell_from: usize) -> PyResult<i64> {
        self.write_http(py, ConnId::from_u64(key), data, tell_from)
    }

    /// Say that the present request is answered whole.
    fn http_done(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_http_done(ConnId::from_u64(key));
        })
    }

    /// End an HTTP connection after what is queued.
    fn http_close(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_http_close(ConnId::from_u64(key));
        })
    }

    /// Take an upgrade's connection as it is.
    fn http_pass(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        self.push(py, |commands| {
            commands.queue.push_http_pass(ConnId::from_u64(key));
        })
    }

    // Looking.

    /// Unsent bytes of a connection; 0 if unknown. Any thread.
    fn buffered_bytes(&self, key: u64) -> PyResult<usize> {
        self.check_fork()?;
        Ok(self.outbound.lock().buffered_bytes(ConnId::from_u64(key)))
    }

    /// Counters and gauges, named as in `EngineStatistics`. Any thread.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.check_fork()?;
        let counted = py
            .detach(|| {
                self.turns
                    .with(|state| state.shard.as_ref().map(Shard::statistics))
            })
            .flatten()
            .unwrap_or_default();
        config::counters(py, &counted)
    }

    /// Sockets held, refused and closing ones included.
    fn sockets(&self, py: Python<'_>) -> PyResult<usize> {
        self.with_shard(py, |shard, _| shard.sockets())
    }

    // The end.

    /// Abort every connection; their events are to be dispatched.
    fn abort_all(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |state, now| {
            state.flush(&self.outbound, now);
            if let Some(shard) = &mut state.shard {
                shard.abort_all(now, &mut state.batch);
            }
        })?;
        Ok(())
    }

    /// Close every descriptor. Sends are refused from now on; a second call does nothing.
    fn shut_down(&self, py: Python<'_>) -> PyResult<()> {
        self.check_fork()?;
        py.detach(|| {
            drop(self.turns.take());
            self.outbound.lock().shut();
            self.waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
        });
        Ok(())
    }

    /// Refuse every further call: this is a child process, and the sockets are the parent's.
    fn refuse(&self) {
        self.is_forked.store(true, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.is_forked.load(Ordering::Relaxed) {
            // Poller and sockets are shared with the parent: shutting them down here would end its
            // connections. The process's exit closes the copies.
            std::mem::forget(self.turns.take());
        }
    }
}
