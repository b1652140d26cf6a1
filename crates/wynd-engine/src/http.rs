//! HTTP connections: requests are framed here and answered by the caller, one at a time.
//! What a head must look like is the protocol's; what is done with a request is the caller's.
//!
//! 1. Every head of a connection is judged by the same rules, limits and deadline. What is refused
//!    is never seen by the caller; the connection ends with the refusal.
//! 2. The caller gets a request's bytes as they came (`HttpData`), without chunk extensions,
//!    trailers and `Upgrade` fields of protocols that we do not speak. So it cannot frame them
//!    differently.
//! 3. A request is passed on when the one before was received whole **and** answered (`HttpDone`).
//!    Bytes that come earlier wait, a bounded number; then the connection is not read.
//! 4. An upgrade is put to the caller (`Requested`) like that of a new connection. It may answer 101
//!    (`push_accept`), refuse, or take the connection as it is (`push_http_pass`): what comes from
//!    then on is passed on unframed.
//! 5. `HttpOpened` comes with the first request that is passed on, `HttpClosed` at the end, or
//!    before `Opened`.

use std::ops::Range;
use std::time::Duration;

use wynd_protocol::body::BodyScanner;
use wynd_protocol::handshake::{without_upgrade, HeadScanner, PlainRequest, Refusal};

use crate::batch::{EventBatch, Introduction, Span};
use crate::clock::Tick;
use crate::connection::{Conn, Flags, Phase};
use crate::frame::SharedFrame;
use crate::handshaking::Verdict;
use crate::ids::ConnId;
use crate::net::Network;
use crate::receiving::{receive, Received};
use crate::shard::Shard;
use crate::stats::count;

/// Bytes of later requests that wait for an answer, at most about a read more.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// What the next byte of an HTTP connection belongs to.
#[derive(Debug)]
pub(crate) enum Mode {
    /// A head.
    Head,
    /// The body of the request that was passed on last.
    Body(BodyScanner),
    /// Nothing: the last request was received, or the connection ends.
    Last,
    /// Another protocol, which the caller speaks.
    Raw,
}

/// What an HTTP connection has beside its greeting.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) mode: Mode,
    /// How long a connection may wait for its next request.
    pub(crate) idle: Duration,
    /// The request that was passed on last is answered.
    pub(crate) is_answered: bool,
    /// An answer to it began.
    pub(crate) has_written: bool,
    pub(crate) keeps: bool,
    /// The connection ends when the outbox is empty.
    pub(crate) is_closing: bool,
    /// When the next head, or more of a body, must be here.
    pub(crate) deadline: Tick,
}

impl Http {
    pub(crate) fn new(idle: Duration) -> Self {
        Self {
            mode: Mode::Head,
            idle,
            is_answered: true,
            has_written: false,
            keeps: true,
            is_closing: false,
            deadline: Tick::MAX,
        }
    }
}

/// What became of some input.
enum Step {
    Consumed(usize),
    /// The rest is kept or dropped; the connection takes nothing more now.
    Stop,
}

impl<S> Conn<S> {
    /// Notes that an answer has begun; false if the connection takes no bytes of one.
    fn begin_http_write(&mut self) -> bool {
        if self.phase != Phase::Http || self.flags.has(Flags::WRITE_DEAD) {
            return false;
        }
        let greeting = self.greeting.as_deref_mut();
        match greeting.and_then(|greeting| greeting.http.as_deref_mut()) {
            Some(http) if !http.is_closing => {
                http.has_written = true;
                true
            }
            _ => false,
        }
    }
}

impl<N: Network> Shard<N> {
    /// Receives once, and passes on what belongs to the present request.
    pub(crate) fn receive_http(&mut self, id: ConnId, batch: &mut EventBatch) {
        if self.take_waiting(id, batch) {
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.flags.has(Flags::READABLE) || !conn.reads() {
            return;
        }
        match receive(&mut self.network, conn, batch, self.now, &mut self.counts) {
            Received::Bytes(size) => {
                let base = batch.used();
                self.take_http(id, batch, base..base + size);
                self.settle_http(id);
            }
            Received::Nothing => {}
            Received::End if conn.flags.has(Flags::HTTP) => {
                conn.flags.clear(Flags::READABLE);
                batch.push_http_ended(id);
            }
            Received::End | Received::Broken => self.remove(id, batch),
        }
    }

    /// Takes up what waited for an answer; true if that was all for now.
    fn take_waiting(&mut self, id: ConnId, batch: &mut EventBatch) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return true;
        };
        if !conn.has_pending() {
            return false;
        }
        if !conn.reads() {
            return true;
        }
        let base = batch.used();
        let waiting = conn.rare_mut().pending.len();
        let space = batch.free_mut(waiting);
        if space.len() < waiting {
            self.queue_ready(id); // an empty arena has room for it
            return true;
        }
        space.copy_from_slice(&conn.rare_mut().pending);
        conn.rare_mut().note_decoded(waiting);
        conn.tidy_rare();
        self.take_http(id, batch, base..base + waiting);
        self.settle_http(id);
        true
    }

    fn settle_http(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.reads() && (conn.flags.has(Flags::READABLE) || conn.has_pending()) {
            self.queue_ready(id);
        }
        self.account(id);
    }

    /// Takes input that lies in the arena behind what is used.
    pub(crate) fn take_http(&mut self, id: ConnId, batch: &mut EventBatch, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            match self.step_http(id, batch, at..range.end) {
                Step::Consumed(size) => at += size,
                Step::Stop => return,
            }
        }
    }

    fn step_http(&mut self, id: ConnId, batch: &mut EventBatch, range: Range<usize>) -> Step {
        let stall = self.after(self.config.outbox_stall);
        let Some(conn) = self.conns.get_mut(id) else {
            return Step::Stop;
        };
        let Some(greeting) = conn.greeting.as_deref_mut() else {
            return Step::Stop; // it lingers: what comes is never parsed
        };
        let Some(http) = greeting.http.as_deref_mut() else {
            return Step::Stop;
        };
        match &mut http.mode {
            Mode::Last => Step::Stop,
            Mode::Raw => {
                batch.push_http_data(id, range);
                Step::Stop
            }
            Mode::Head if http.is_answered => self.scan_http_head(id, batch, range),
            Mode::Head => {
                greeting.early.extend_from_slice(batch.slice(range));
                if greeting.early.len() >= WAITING_BYTES_MAX {
                    conn.flags.set(Flags::STARVED);
                }
                Step::Stop
            }
            Mode::Body(body) => {
                let scanned = body.scan(batch.slice(range.clone()));
                let is_done = body.is_done();
                let Ok(part) = scanned else {
                    self.refuse_http(id, Refusal::BodyMalformed, batch);
                    return Step::Stop;
                };
                let Some(part) = part else {
                    return Step::Stop;
                };
                if part.is_kept {
                    batch.push_http_data(id, range.start..range.start + part.len);
                }
                http.deadline = stall;
                if is_done {
                    self.end_request(id);
                }
                Step::Consumed(part.len)
            }
        }
    }

    /// Looks for the end of a head; with it, judges the head.
    fn scan_http_head(&mut self, id: ConnId, batch: &mut EventBatch, range: Range<usize>) -> Step {
        let deadline = self.after(self.config.handshake_timeout);
        let Some(conn) = self.conns.get_mut(id) else {
            return Step::Stop;
        };
        let is_first = conn.phase == Phase::Handshaking;
        let Some(greeting) = conn.greeting.as_deref_mut() else {
            return Step::Stop;
        };
        let before = greeting.head.len();
        let received = batch.slice(range.clone());
        if before > 0 {
            greeting.head.extend_from_slice(received);
        }
        let head = if before > 0 { &greeting.head } else { received };
        match greeting.scanner.find_end(head, &self.head_limits) {
            Err(refusal) => {
                self.refuse_http(id, refusal, batch);
                Step::Stop
            }
            Ok(None) => {
                if before == 0 {
                    greeting.head = received.to_vec();
                    if !is_first {
                        self.set_http_deadline(id, deadline);
                    }
                }
                Step::Stop
            }
            Ok(Some(end)) => {
                greeting.scanner = HeadScanner::default();
                let span = if before > 0 {
                    greeting.head.truncate(end);
                    Span::Owned(std::mem::take(&mut greeting.head))
                } else {
                    batch.keep_until(range.start + end);
                    Span::Arena(range.start..range.start + end)
                };
                let consumed = end - before;
                let rest = range.start + consumed..range.end;
                self.judge_http(id, batch, span, rest, consumed)
            }
        }
    }

    /// Passes a request on, puts an upgrade to the caller, or refuses.
    fn judge_http(
        &mut self,
        id: ConnId,
        batch: &mut EventBatch,
        head: Span,
        rest: Range<usize>,
        consumed: usize,
    ) -> Step {
        let verdict = self.verdict_on(batch.bytes_of(&head));
        let is_memory_short = self.is_memory_short();
        match verdict {
            Verdict::Refused(refusal) => self.refuse_http(id, refusal, batch),
            Verdict::Plain(request) => {
                self.begin_request(id, batch, head, request);
                return Step::Consumed(consumed);
            }
            Verdict::Upgrade(_) if is_memory_short => {
                count(&mut self.counts.limits_hit, "process_bytes_max");
                self.refuse_http(id, Refusal::TooManyConnections, batch);
            }
            Verdict::Upgrade(upgrade) => {
                let early_bytes_max = self.config.early_bytes_max;
                let deadline = self.after(self.config.handshake_timeout);
                let Some(conn) = self.conns.get_mut(id) else {
                    return Step::Stop;
                };
                let is_first = conn.phase == Phase::Handshaking;
                let Some(greeting) = conn.greeting.as_deref_mut() else {
                    return Step::Stop;
                };
                if rest.len() > early_bytes_max {
                    self.refuse_http(id, Refusal::TooManyEarlyBytes, batch);
                    return Step::Stop;
                }
                greeting.early = batch.slice(rest).to_vec();
                greeting.upgrade = Some(upgrade);
                if !is_first {
                    self.timers.set(id.slot(), deadline);
                }
                self.ask(id, head, batch);
            }
        }
        Step::Stop
    }

    /// Passes the head of a request on.
    fn begin_request(
        &mut self,
        id: ConnId,
        batch: &mut EventBatch,
        head: Span,
        request: PlainRequest,
    ) {
        self.open_http(id, batch);
        let stall = self.after(self.config.outbox_stall);
        let Some(http) = self.http_mut(id) else {
            return;
        };
        http.is_answered = false;
        http.has_written = false;
        http.keeps = request.keep_alive;
        http.deadline = stall;
        let body = BodyScanner::new(request.body);
        let is_done = body.is_done();
        http.mode = Mode::Body(body);
        let head = if request.has_upgrade {
            Span::Owned(without_upgrade(batch.bytes_of(&head)))
        } else {
            head
        };
        batch.push_http_head(id, head);
        if is_done {
            self.end_request(id);
        } else {
            self.timers.set(id.slot(), stall);
        }
    }

    /// Tells of an HTTP connection, once.
    fn open_http(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.phase = Phase::Http;
        if conn.flags.has(Flags::HTTP) {
            return;
        }
        conn.flags.set(Flags::HTTP);
        self.timers.cancel(id.slot());
        let Some(greeting) = conn.greeting.as_deref() else {
            return;
        };
        let about = Introduction {
            listener: conn.listener,
            address: greeting.address,
            secure: false,
            upgrade: false,
            subprotocol: None,
            buffered: Some(conn.buffered.clone()),
            local: self.network.local_address(&conn.socket),
        };
        batch.push_http_opened(id, about);
    }

    /// The request that was passed on is here as a whole.
    fn end_request(&mut self, id: ConnId) {
        let Some(http) = self.http_mut(id) else {
            return;
        };
        http.mode = if http.keeps && !http.is_closing {
            Mode::Head
        } else {
            Mode::Last
        };
        let is_answered = http.is_answered;
        // The answer is the caller's affair; only its way out is watched.
        self.set_http_deadline(id, Tick::MAX);
        if is_answered {
            self.await_request(id);
        }
    }

    /// The caller has answered the request that was passed on.
    pub(crate) fn note_http_done(&mut self, id: ConnId) {
        let Some(http) = self.http_mut(id) else {
            return;
        };
        http.is_answered = true;
        if matches!(http.mode, Mode::Head) {
            self.await_request(id);
        }
    }

    /// Received and answered: takes up what waited, or waits for the next request.
    fn await_request(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Some(greeting) = conn.greeting.as_deref_mut() else {
            return;
        };
        let early = std::mem::take(&mut greeting.early);
        let idle = greeting
            .http
            .as_ref()
            .map_or(Duration::ZERO, |http| http.idle);
        if !early.is_empty() {
            conn.rare_mut().pending = early;
            conn.rare_mut().pending_at = 0;
            self.queue_ready(id);
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.flags.has(Flags::STARVED) {
            conn.flags.clear(Flags::STARVED);
            self.resume_input(id);
        }
        let deadline = self.after(idle);
        self.set_http_deadline(id, deadline);
        self.account(id);
    }

    fn set_http_deadline(&mut self, id: ConnId, deadline: Tick) {
        if let Some(http) = self.http_mut(id) {
            http.deadline = deadline;
        }
        if deadline == Tick::MAX {
            let is_blocked = self
                .conns
                .get(id)
                .is_some_and(|conn| conn.flags.has(Flags::BLOCKED));
            if !is_blocked {
                self.timers.cancel(id.slot());
            }
        } else {
            self.timers.set_earlier(id.slot(), deadline);
        }
    }

    /// Refuses what comes next; once an answer to the present request began, ends without a word.
    pub(crate) fn refuse_http(&mut self, id: ConnId, refusal: Refusal, batch: &mut EventBatch) {
        let has_queued = self
            .conns
            .get(id)
            .is_some_and(|conn| conn.buffered.bytes() > conn.reflected);
        let is_answering = self.http_mut(id).is_some_and(|http| {
            let is_body = matches!(http.mode, Mode::Body(_));
            is_body && (http.is_answered || http.has_written || has_queued)
        });
        if is_answering {
            count(&mut self.counts.handshakes_refused, refusal.status());
            self.linger(id, b"");
        } else {
            self.refuse(id, refusal);
        }
        let _ = batch;
    }

    /// Queues bytes of an answer, unless the connection ends.
    pub(crate) fn write_http(&mut self, id: ConnId, bytes: &[u8]) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        if !conn.begin_http_write() {
            conn.buffered.release(bytes.len());
            return false;
        }
        conn.outbox.append(&mut self.pool, bytes);
        conn.reflected += bytes.len();
        self.touch(id);
        true
    }

    /// The same, by reference.
    pub(crate) fn write_http_shared(&mut self, id: ConnId, bytes: &SharedFrame) -> bool {
        let size = bytes.bytes().len();
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        if !conn.begin_http_write() {
            conn.buffered.release(size);
            return false;
        }
        bytes.count_in(&self.meter);
        conn.outbox.append_shared(&mut self.pool, bytes);
        conn.reflected += size;
        self.touch(id);
        true
    }

    /// Owes the caller a `HttpDrained`.
    pub(crate) fn owe_drained(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.flags.set(Flags::SOFT);
        }
    }

    /// Ends an HTTP connection once its outbox is empty.
    pub(crate) fn close_http(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        if conn.phase != Phase::Http {
            return;
        }
        if conn.flags.has(Flags::WRITE_DEAD) {
            self.remove(id, batch);
        } else {
            self.linger(id, b"");
        }
    }

    /// Queues the last answer of an HTTP connection; nothing more is parsed.
    pub(crate) fn end_http(&mut self, id: ConnId, response: &[u8]) {
        let deadline = self.after(self.config.close_timeout);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.phase = Phase::Http;
        conn.flags
            .clear(Flags::ASKED | Flags::PAUSED | Flags::STARVED | Flags::SOFT);
        if !response.is_empty() {
            conn.outbox.append_raw(&mut self.pool, response);
        }
        if let Some(rare) = conn.rare.as_deref_mut() {
            rare.pending = Vec::new();
            rare.pending_at = 0;
        }
        if let Some(greeting) = conn.greeting.as_deref_mut() {
            greeting.early = Vec::new();
            greeting.head = Vec::new();
            if let Some(http) = greeting.http.as_deref_mut() {
                http.mode = Mode::Last;
                http.is_closing = true;
            }
        }
        self.timers.set(id.slot(), deadline);
        self.touch(id);
        self.resume_input(id);
        self.account(id);
    }

    /// The outbox of an HTTP connection is empty: if it ends, tells so, and lingers until the peer
    /// has read everything.
    pub(crate) fn finish_http(&mut self, id: ConnId, batch: &mut EventBatch) {
        if self.http_mut(id).is_some_and(|http| http.is_closing) {
            self.part_http(id, batch);
            self.linger(id, b"");
        }
    }

    /// Tells that the caller has no more to do with an HTTP connection.
    pub(crate) fn part_http(&mut self, id: ConnId, batch: &mut EventBatch) {
        if let Some(conn) = self.conns.get_mut(id) {
            if conn.flags.has(Flags::HTTP) {
                conn.flags.clear(Flags::HTTP);
                batch.push_http_closed(id);
            }
        }
    }

    /// Gives an upgrade's connection to the caller as it is.
    pub(crate) fn pass_http(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase != Phase::Asking {
            return;
        }
        let Some(greeting) = conn.greeting.as_deref_mut() else {
            return;
        };
        let Some(http) = greeting.http.as_deref_mut() else {
            return;
        };
        http.mode = Mode::Raw;
        http.is_answered = false;
        http.deadline = Tick::MAX;
        greeting.upgrade = None;
        let early = std::mem::take(&mut greeting.early);
        conn.flags.clear(Flags::ASKED);
        self.open_http(id, batch);
        self.set_http_deadline(id, Tick::MAX);
        if !early.is_empty() {
            batch.push_http_owned(id, early);
        }
        self.account(id);
    }

    /// Judges what is due on an HTTP connection: its outbox, a head, a body, or silence.
    pub(crate) fn judge_http_deadline(&mut self, id: ConnId, batch: &mut EventBatch) {
        let (now, stall) = (self.now, self.after(self.config.outbox_stall));
        if self.is_stalled(id) {
            count(&mut self.counts.limits_hit, "outbox_stall");
            return self.remove(id, batch);
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let (reads, has_output) = (conn.reads(), !conn.outbox.is_empty());
        let is_dead = conn.flags.has(Flags::WRITE_DEAD);
        let Some(greeting) = conn.greeting.as_deref_mut() else {
            return self.remove(id, batch);
        };
        let has_begun = !greeting.head.is_empty();
        let Some(http) = greeting.http.as_deref_mut() else {
            return self.remove(id, batch);
        };
        if http.is_closing && (is_dead || !has_output) {
            return self.remove(id, batch);
        }
        if !http.is_closing && http.deadline <= now {
            match &http.mode {
                _ if !reads => http.deadline = stall, // it is not the peer who is late
                Mode::Head if !has_begun => return self.linger(id, b""),
                Mode::Head | Mode::Body(_) => {
                    return self.refuse_http(id, Refusal::HeadTimeout, batch);
                }
                Mode::Last | Mode::Raw => http.deadline = Tick::MAX,
            }
        }
        let mut at = if http.is_closing {
            stall
        } else {
            http.deadline
        };
        if conn.flags.has(Flags::BLOCKED) {
            at = at.min(stall);
        }
        if at != Tick::MAX {
            self.timers.set(id.slot(), at);
        }
    }

    pub(crate) fn http_mut(&mut self, id: ConnId) -> Option<&mut Http> {
        let greeting = self.conns.get_mut(id)?.greeting.as_deref_mut()?;
        greeting.http.as_deref_mut()
    }
}
