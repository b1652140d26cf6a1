//! The shard with its batch behind one mutex, and the edge at which panics end.
//!
//! A panic is a bug of ours. It ends here: the shard's connections are aborted, and what happened is
//! told once. Should the shard panic again on the way, it is dropped with its sockets, and the
//! connections that were open are told closed from the list of those that senders know. Then nothing
//! listens any more: the server is to stop.

use std::collections::VecDeque;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pyo3::prelude::*;
use wynd_engine::{CommandQueue, ConnId, EventBatch, Shard};

use crate::batch::{self, Lost, Taken};
use crate::commands::Outbound;
use crate::errors;
use crate::faults;

/// A caught panic, to be told.
pub(crate) struct Fault {
    pub(crate) text: String,
    /// The shard is gone with its listeners: nothing will be served again.
    pub(crate) is_final: bool,
}

/// What a turn works on.
pub(crate) struct State {
    /// `None` after a second panic.
    pub(crate) shard: Option<Shard>,
    pub(crate) batch: EventBatch,
    /// Commands being applied; changes places with the queue that is pushed to.
    applied: CommandQueue,
    /// A panic that was not told yet.
    fault: Option<Fault>,
    /// Connections that vanished with the shard and were not told closed yet.
    orphans: VecDeque<ConnId>,
}

impl State {
    pub(crate) fn new(shard: Shard) -> Self {
        Self {
            shard: Some(shard),
            batch: EventBatch::new(),
            applied: CommandQueue::new(),
            fault: None,
            orphans: VecDeque::new(),
        }
    }

    /// Whether something is to be told.
    pub(crate) fn has_events(&self) -> bool {
        !self.batch.is_dispatched() || self.fault.is_some() || !self.orphans.is_empty()
    }

    /// Carries out what is queued and sends; may add events.
    pub(crate) fn flush(&mut self, outbound: &Outbound, now: Instant) {
        let Some(shard) = &mut self.shard else {
            outbound.lock().shut();
            return;
        };
        faults::at("flush");
        if let Err(message) = outbound.take(&mut self.applied) {
            // The caller was told; the connections end here, as for a panic of this thread.
            resume_unwind(Box::new(message));
        }
        if !self.applied.is_empty() {
            shard.apply(now, &mut self.applied, &mut self.batch);
        }
        shard.flush(now, &mut self.batch);
        outbound.note_applied();
    }

    #[cold]
    fn recover(&mut self, text: String, outbound: &Outbound, now: Instant) {
        let is_final = false;
        let fault = self.fault.get_or_insert(Fault { text, is_final });
        self.applied.clear();
        outbound.catch_up();
        let Some(mut shard) = self.shard.take() else {
            return;
        };
        let batch = &mut self.batch;
        let aborted = catch_unwind(AssertUnwindSafe(|| {
            faults::at("recover");
            shard.abort_all(now, batch);
            shard
        }));
        if let Ok(shard) = aborted {
            self.shard = Some(shard);
        } else {
            fault.is_final = true;
            self.batch.clear();
            self.orphans.extend(outbound.lock().close_all());
        }
    }
}

/// The state's mutex. Only the loop's thread runs turns; others take snapshots.
#[derive(Default)]
pub(crate) struct Turns(Mutex<Option<State>>);

/// What is to be told next.
pub(crate) enum Next<'py> {
    Event(Taken<'py>),
    /// A panic was caught.
    Fault(Fault),
    /// Everything was told.
    Nothing,
}

impl Turns {
    pub(crate) fn new(state: State) -> Self {
        Self(Mutex::new(Some(state)))
    }

    /// Runs `work` on the state, if the engine was not shut down. Nothing in `work` calls Python.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.as_mut().map(work)
    }

    /// Does the same detached from the interpreter, and catches panics; `None` then.
    pub(crate) fn run<T: Send>(
        &self,
        py: Python<'_>,
        outbound: &Outbound,
        now: Instant,
        work: impl FnOnce(&mut State) -> T + Send,
    ) -> Option<T> {
        py.detach(|| {
            self.with(
                |state| match catch_unwind(AssertUnwindSafe(|| work(state))) {
                    Ok(result) => Some(result),
                    Err(panic) => {
                        let text = errors::bug(errors::panic_message(&*panic));
                        state.recover(text, outbound, now);
                        None
                    }
                },
            )
        })
        .flatten()
    }

    /// Deals with a panic that was caught outside of `run`.
    #[cold]
    pub(crate) fn break_down(
        &self,
        py: Python<'_>,
        outbound: &Outbound,
        now: Instant,
        message: &str,
    ) {
        py.detach(|| self.with(|state| state.recover(errors::bug(message), outbound, now)));
    }

    /// Takes what is to be told next, and keeps the list of open connections in step with it.
    pub(crate) fn next<'py>(&self, py: Python<'py>, outbound: &Outbound) -> PyResult<Next<'py>> {
        let taken = self.with(|state| -> Result<Next<'py>, Lost> {
            if let Some(fault) = state.fault.take() {
                return Ok(Next::Fault(fault));
            }
            if let Some(conn) = state.orphans.pop_front() {
                return Ok(Next::Event(Taken::Closed(conn, None, 1006, Box::default())));
            }
            match batch::take(py, &mut state.batch)? {
                Some(taken) => Ok(Next::Event(taken)),
                None => Ok(Next::Nothing),
            }
        });
        match taken {
            None => Ok(Next::Nothing),
            Some(Ok(next)) => {
                match &next {
                    Next::Event(Taken::Opened(conn, _, _, buffered)) => {
                        outbound.lock().open(*conn, buffered.clone());
                    }
                    Next::Event(Taken::Http(taken)) => taken.note(&mut outbound.lock()),
                    Next::Event(Taken::Closed(conn, ..)) => outbound.lock().close(*conn),
                    _ => {}
                }
                Ok(next)
            }
            Some(Err(lost)) => {
                // A message that memory was too short for must not be missing in the middle.
                if let Some(conn) = lost.conn {
                    outbound.lock().queue.push_abort(conn);
                }
                Err(lost.error)
            }
        }
    }

    /// Ends everything: sockets and poller are closed here, once.
    pub(crate) fn take(&self) -> Option<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
