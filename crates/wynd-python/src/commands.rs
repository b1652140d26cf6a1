//! Sends to the queue: payloads are encoded straight into the queue's memory, under one short mutex
//! and without the shard.
//!
//! 1. Any thread may push; nothing here waits for the shard or the interpreter while locked.
//! 2. A connection is known from its `Opened` to its `Closed` event, as the loop's thread meets them.
//! 3. After `close` or `abort` was queued, sends of that connection are refused at once.
//! 4. The queue is bounded: who makes it long has it applied (on the loop's thread) or waits until
//!    it was (on another).
//! 5. A panic in a push may leave a command half written: the queue is thrown away, and the next
//!    flush ends the connections, as after a panic in the turn.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use wynd_engine::{Buffered, CommandQueue, ConnId, MessageKind, SharedFrame};

use crate::errors;
use crate::faults;

/// Bytes waiting from which on the queue is applied before it grows further. The default soft limit
/// of one outbox: a loop of sends then meets the socket before it meets a limit.
const QUEUE_BYTES_LONG: usize = 256 * 1024;

/// Commands waiting from which on the queue is applied; some 200 KiB of entries.
const QUEUE_COMMANDS_LONG: usize = 4096;

/// How long a thread that floods the queue waits for the loop. A loop that is blocked for longer,
/// perhaps by waiting for that very thread, gets the bounds enforced without it.
const LOOP_WAIT_MAX: Duration = Duration::from_millis(100);

/// A message framed once: what `Prepared` keeps for this engine.
#[pyclass(frozen, module = "wynd._engine")]
pub struct Frame(SharedFrame);

#[pymethods]
impl Frame {
    /// Bytes on the wire, header included.
    fn __len__(&self) -> usize {
        self.0.bytes().len()
    }
}

/// What a send was given.
pub(crate) enum Outgoing<'a, 'py> {
    /// UTF-8 of a str, or bytes.
    Plain(&'a [u8]),
    /// A frame that was built before.
    Framed(Bound<'py, Frame>),
}

/// Reads a payload without a copy: a str, bytes, or a `Prepared`, which gets its frame here.
pub(crate) fn outgoing<'a, 'py>(
    payload: &'a Bound<'py, PyAny>,
    kind: MessageKind,
) -> PyResult<Outgoing<'a, 'py>> {
    if let Ok(text) = payload.cast::<PyString>() {
        return match text.to_str() {
            Ok(text) => Ok(Outgoing::Plain(text.as_bytes())),
            Err(_) => Err(errors::lone_surrogate()),
        };
    }
    if let Ok(bytes) = payload.cast::<PyBytes>() {
        let bytes = bytes.as_bytes();
        if kind == MessageKind::Text && std::str::from_utf8(bytes).is_err() {
            return Err(errors::not_text());
        }
        return Ok(Outgoing::Plain(bytes));
    }
    prepared(payload, kind).map(Outgoing::Framed)
}

#[cold]
fn wrong_payload(payload: &Bound<'_, PyAny>) -> PyErr {
    match payload.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!(
            "payload must be str, bytes or Prepared, not {name}"
        )),
        Err(error) => error,
    }
}

fn prepared<'py>(payload: &Bound<'py, PyAny>, kind: MessageKind) -> PyResult<Bound<'py, Frame>> {
    let py = payload.py();
    let Ok(kept) = payload.getattr(intern!(py, "_frame")) else {
        return Err(wrong_payload(payload));
    };
    if let Ok(frame) = kept.cast_into::<Frame>() {
        return Ok(frame);
    }
    let content = payload.getattr(intern!(py, "payload"))?;
    let bytes = content.cast::<PyBytes>()?.as_bytes();
    let frame = Bound::new(py, Frame(SharedFrame::new(kind, bytes)))?;
    payload.setattr(intern!(py, "_frame"), &frame)?;
    Ok(frame)
}

#[cfg(feature = "fault-injection")]
impl Drop for Frame {
    fn drop(&mut self) {
        faults::at("drop");
    }
}

impl Frame {
    /// The engine's half.
    pub(crate) fn shared(&self) -> &SharedFrame {
        &self.0
    }
}

/// The kind of a data frame's opcode.
pub(crate) fn kind_of(opcode: u8) -> MessageKind {
    if opcode == 1 {
        MessageKind::Text
    } else {
        MessageKind::Binary
    }
}

/// One connection as senders see it.
struct Peer {
    conn: ConnId,
    buffered: Buffered,
    /// `close` or `abort` was queued.
    is_closing: bool,
}

/// The queue and the connections it may name.
#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) queue: CommandQueue,
    /// How often the queue was taken.
    taken: u64,
    /// Nobody will take the queue again.
    is_shut: bool,
    /// What a push that panicked said; the next flush deals with it.
    fault: Option<String>,
    /// By slot of the id; one entry per slot, so that a lookup hashes nothing.
    peers: Vec<Option<Peer>>,
}

fn slot(conn: ConnId) -> usize {
    // The low half of an id is its slot in the shard's slab, which is dense.
    (conn.as_u64() & 0xffff_ffff) as usize
}

impl Commands {
    fn peer(&self, conn: ConnId) -> Option<&Peer> {
        let peer = self.peers.get(slot(conn))?.as_ref()?;
        (peer.conn == conn).then_some(peer)
    }

    /// Makes a connection known.
    pub(crate) fn open(&mut self, conn: ConnId, buffered: Buffered) {
        let slot = slot(conn);
        if slot >= self.peers.len() {
            self.peers.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.peers.get_mut(slot) {
            *place = Some(Peer {
                conn,
                buffered,
                is_closing: false,
            });
        }
    }

    /// Forgets a connection.
    pub(crate) fn close(&mut self, conn: ConnId) {
        if self.peer(conn).is_none() {
            return;
        }
        if let Some(place) = self.peers.get_mut(slot(conn)) {
            *place = None;
        }
        if self.peers.iter().rev().take(64).all(Option::is_none) {
            let used = self
                .peers
                .iter()
                .rposition(Option::is_some)
                .map_or(0, |last| last + 1);
            self.peers.truncate(used);
            self.peers.shrink_to(2 * used);
        }
    }

    /// Forgets what is queued, now and ever after.
    pub(crate) fn shut(&mut self) {
        self.is_shut = true;
        self.close_all();
    }

    /// Forgets all connections and returns them.
    pub(crate) fn close_all(&mut self) -> Vec<ConnId> {
        self.queue.clear();
        let peers = std::mem::take(&mut self.peers);
        peers.into_iter().flatten().map(|peer| peer.conn).collect()
    }

    #[cold]
    fn break_down(&mut self, panic: &(dyn Any + Send)) -> String {
        let message = errors::panic_message(panic).to_owned();
        self.queue = CommandQueue::new();
        self.fault.get_or_insert_with(|| message.clone());
        message
    }

    /// Refuses further sends of a connection; false if it is unknown or was closing before.
    pub(crate) fn begin_close(&mut self, conn: ConnId) -> bool {
        match self.peers.get_mut(slot(conn)).and_then(Option::as_mut) {
            Some(peer) if peer.conn == conn && !peer.is_closing => {
                peer.is_closing = true;
                true
            }
            _ => false,
        }
    }

    /// Queues one message; the connection's unsent bytes before and after, or `None` if it takes no
    /// more.
    pub(crate) fn send(
        &mut self,
        conn: ConnId,
        kind: MessageKind,
        payload: &Outgoing<'_, '_>,
    ) -> Option<(usize, usize)> {
        let peer = self.peers.get(slot(conn))?.as_ref()?;
        if peer.conn != conn || peer.is_closing || peer.buffered.is_closed() {
            return None;
        }
        let before = peer.buffered.bytes();
        let after = match payload {
            Outgoing::Plain(bytes) => self.queue.push_send(conn, &peer.buffered, kind, bytes),
            Outgoing::Framed(frame) => {
                self.queue
                    .push_shared(conn, &peer.buffered, frame.get().shared())
            }
        };
        Some((before, after))
    }

    /// The unsent bytes of a connection, to be charged; `None` if it is unknown.
    pub(crate) fn buffered_of(&self, conn: ConnId) -> Option<Buffered> {
        self.peer(conn).map(|peer| peer.buffered.clone())
    }

    /// Whether sends of a connection are taken.
    pub(crate) fn takes_messages(&self, conn: ConnId) -> bool {
        self.peer(conn)
            .is_some_and(|peer| !peer.is_closing && !peer.buffered.is_closed())
    }

    /// Unsent bytes of a connection, 0 if it is unknown.
    pub(crate) fn buffered_bytes(&self, conn: ConnId) -> usize {
        self.peer(conn).map_or(0, |peer| peer.buffered.bytes())
    }
}

/// How far the shard is, and who waits for it: a wake-up costs a system call, so none without need.
#[derive(Default)]
struct Progress {
    /// How often what was taken has been applied; a step behind `Commands::taken` meanwhile.
    applied: u64,
    waiting: usize,
}

/// `Commands` behind its mutex, and what can be said of it without locking.
#[derive(Default)]
pub(crate) struct Outbound {
    commands: Mutex<Commands>,
    is_long: AtomicBool,
    progress: Mutex<Progress>,
    has_applied: Condvar,
}

impl Outbound {
    /// Locks for a look. Nothing may call Python while this is held.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Commands> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pushes; also tells when it will be applied, for `wait_applied`.
    ///
    /// # Errors
    ///
    /// What a panic said. The queue's memory is safe, what it says is not to be trusted.
    #[inline]
    pub(crate) fn push<T>(
        &self,
        work: impl FnOnce(&mut Commands) -> T,
    ) -> Result<(T, u64), String> {
        let mut commands = self.lock();
        let pushed = catch_unwind(AssertUnwindSafe(|| {
            faults::at("push");
            work(&mut commands)
        }));
        let result = match pushed {
            Ok(result) => result,
            Err(panic) => return Err(commands.break_down(&*panic)),
        };
        let queue = &mut commands.queue;
        if queue.bytes() > QUEUE_BYTES_LONG || queue.len() > QUEUE_COMMANDS_LONG {
            self.is_long.store(true, Ordering::Relaxed);
        }
        if commands.is_shut {
            commands.queue.clear();
        }
        Ok((result, commands.taken))
    }

    /// Whether the queue should be applied before it grows further.
    pub(crate) fn is_long(&self) -> bool {
        self.is_long.load(Ordering::Relaxed)
    }

    /// Takes what is queued into `queue`, which is empty and takes its place. `note_applied` follows.
    ///
    /// # Errors
    ///
    /// What a push that panicked said.
    pub(crate) fn take(&self, queue: &mut CommandQueue) -> Result<(), String> {
        let mut commands = self.lock();
        std::mem::swap(&mut commands.queue, queue);
        commands.taken += 1;
        self.is_long.store(false, Ordering::Relaxed);
        commands.fault.take().map_or(Ok(()), Err)
    }

    /// Says that what was taken has been applied and sent.
    pub(crate) fn note_applied(&self) {
        self.advance(|applied| applied + 1);
    }

    /// Says so after a panic in between.
    pub(crate) fn catch_up(&self) {
        let taken = self.lock().taken;
        self.advance(|_| taken);
    }

    fn advance(&self, step: impl FnOnce(u64) -> u64) {
        let mut progress = self.progress();
        progress.applied = step(progress.applied);
        if progress.waiting > 0 {
            self.has_applied.notify_all();
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what `push` queued has been applied; false if the loop takes too long. Call it
    /// detached, on another thread than the loop's.
    pub(crate) fn wait_applied(&self, taken: u64) -> bool {
        let mut progress = self.progress();
        progress.waiting += 1;
        let waited = self
            .has_applied
            .wait_timeout_while(progress, LOOP_WAIT_MAX, |progress| {
                progress.applied <= taken
            });
        let (mut progress, result) = waited.unwrap_or_else(PoisonError::into_inner);
        progress.waiting -= 1;
        !result.timed_out()
    }

    /// Whether something waits.
    pub(crate) fn has_commands(&self) -> bool {
        let commands = self.lock();
        !commands.queue.is_empty() || commands.fault.is_some()
    }
}
