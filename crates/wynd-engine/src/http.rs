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
use wynd_protocol::handshake::{HeadScanner, Refusal};

use crate::batch::{EventBatch, Span};
use crate::clock::Tick;
use crate::connection::{Conn, Flags, Phase};
use crate::handshaking::Verdict;
use crate::ids::ConnId;
use crate::net::Network;
use crate::receiving::{receive, Received};
use crate::shard::Shard;
use crate::stats::count;

/// Bytes of later requests that wait for an answer, at most about a read more.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// Bytes of them that are taken up at first; grows while all of it is wanted.
const WAITING_CHUNK: usize = 4 * 1024;

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
#[allow(clippy::struct_excessive_bools)] // independent facts of few connections
pub(crate) struct Http {
    pub(crate) mode: Mode,
    /// How long a connection may wait for its next request.
    pub(crate) idle: Duration,
    /// The request that was passed on last is answered.
    pub(crate) is_answered: bool,
    /// An answer to it began.
    pub(crate) has_written: bool,
    /// Another request may follow it.
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
    /// The rest has to wait for an answer.
    Wait,
}

impl<S> Conn<S> {
    /// Bytes that wait to be taken up.
    fn waiting(&self) -> usize {
        let rare = self.rare.as_deref();
        rare.map_or(0, |rare| rare.pending.len() - rare.pending_at)
    }

    /// Whether the next request has to wait for the answer to the present one.
    fn awaits_answer(&self) -> bool {
        let greeting = self.greeting.as_deref();
        greeting
            .and_then(|greeting| greeting.http.as_deref())
            .is_some_and(|http| !http.is_answered && matches!(http.mode, Mode::Head))
    }
}

impl<N: Network> Shard<N> {
    /// Takes up what waited, then receives once; passes on what belongs to the present request.
    pub(crate) fn receive_http(&mut self, id: ConnId, batch: &mut EventBatch) {
        self.take_waiting(id, batch);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let is_wanted = conn.flags.has(Flags::READABLE) && conn.reads();
        if conn.phase != Phase::Http || !is_wanted || conn.has_pending() && !conn.awaits_answer() {
            return self.settle_http(id);
        }
        if conn.waiting() >= WAITING_BYTES_MAX {
            conn.flags.set(Flags::STARVED);
            return self.account(id);
        }
        match receive(&mut self.network, conn, batch, self.now, &mut self.counts) {
            Received::Bytes(size) => {
                let base = batch.used();
                self.take_received(id, batch, base..base + size);
                self.settle_http(id);
            }
            Received::Nothing => {}
            Received::Overhead => self.note_overhead(id, batch),
            Received::End if conn.flags.has(Flags::HTTP) => batch.push_http_ended(id),
            Received::End | Received::Broken => self.remove(id, batch),
        }
    }

    /// Takes input that lies in the arena behind what is used; what has to wait is kept.
    pub(crate) fn take_received(
        &mut self,
        id: ConnId,
        batch: &mut EventBatch,
        range: Range<usize>,
    ) {
        let is_behind = self.conns.get(id).is_some_and(Conn::has_pending);
        let taken = if is_behind {
            0
        } else {
            self.take_http(id, batch, range.clone())
        };
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if taken < range.len() {
            let rare = conn.rare_mut();
            rare.pending.drain(..rare.pending_at);
            rare.pending_at = 0;
            let rest = batch.slice(range.start + taken..range.end);
            rare.pending.extend_from_slice(rest);
        }
    }

    /// Takes up what waited for an answer, in pieces: the rest of a piece is copied once more.
    fn take_waiting(&mut self, id: ConnId, batch: &mut EventBatch) {
        let mut chunk = WAITING_CHUNK;
        while let Some(conn) = self.conns.get_mut(id) {
            let may_go_on = conn.has_pending() && conn.reads() && !conn.awaits_answer();
            if conn.phase != Phase::Http || !may_go_on {
                break;
            }
            let base = batch.used();
            let Some(rare) = conn.rare.as_deref_mut() else {
                break;
            };
            let waiting = rare.pending.get(rare.pending_at..).unwrap_or(&[]);
            let space = batch.free_mut(chunk.min(waiting.len()));
            let size = space.len();
            if size == 0 {
                break; // the next turn has an empty arena
            }
            space.copy_from_slice(&waiting[..size]);
            let taken = self.take_http(id, batch, base..base + size);
            if let Some(conn) = self.conns.get_mut(id) {
                conn.rare_mut().note_decoded(taken);
                conn.tidy_rare();
            }
            if taken < size {
                break;
            }
            chunk *= 2;
        }
        self.keep_early_rest(id, batch);
    }

    /// What waited behind the head of an upgrade belongs to the upgrade.
    fn keep_early_rest(&mut self, id: ConnId, batch: &mut EventBatch) {
        let early_bytes_max = self.config.early_bytes_max;
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase != Phase::Asking || !conn.has_pending() {
            return;
        }
        let rare = conn.rare_mut();
        let rest = rare.pending.split_off(rare.pending_at);
        rare.note_decoded(rest.len());
        conn.tidy_rare();
        let Some(greeting) = conn.greeting.as_deref_mut() else {
            return;
        };
        greeting.early.extend_from_slice(&rest);
        if greeting.early.len() > early_bytes_max {
            batch.push_handshake_lost(id);
            self.refuse_early(id);
        }
    }

    /// Asks for another turn if input is left that may be taken.
    fn settle_http(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let may_go_on = conn.has_pending() && !conn.awaits_answer();
        if conn.reads() && (conn.flags.has(Flags::READABLE) || may_go_on) {
            self.queue_ready(id);
        }
        self.account(id);
    }

    /// Takes input that lies in the arena behind what is used; less than all of it only where the
    /// rest has to wait.
    fn take_http(&mut self, id: ConnId, batch: &mut EventBatch, range: Range<usize>) -> usize {
        let mut at = range.start;
        while at < range.end {
            match self.step_http(id, batch, at..range.end) {
                Step::Consumed(size) => at += size,
                Step::Stop => return range.len(),
                Step::Wait => return at - range.start,
            }
        }
        range.len()
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
            Mode::Head => Step::Wait,
            Mode::Body(body) => {
                let scanned = body.scan(batch.slice(range.clone()));
                let is_done = body.is_done();
                let Ok(part) = scanned else {
                    self.refuse_http(id, Refusal::BodyMalformed);
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
                self.refuse_http(id, refusal);
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
        let is_secure = self.conns.get(id).is_some_and(|conn| conn.tls.is_some());
        let verdict = self.verdict_on(batch.bytes_of(&head), is_secure);
        let is_memory_short = self.is_memory_short();
        match verdict {
            Verdict::Refused(refusal) => self.refuse_http(id, refusal),
            Verdict::Plain(request) => {
                self.begin_request(id, batch, head, request);
                return Step::Consumed(consumed);
            }
            Verdict::Upgrade(_) if is_memory_short => {
                count(&mut self.counts.limits_hit, "process_bytes_max");
                self.refuse_http(id, Refusal::TooManyConnections);
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
                    self.refuse_http(id, Refusal::TooManyEarlyBytes);
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

    pub(crate) fn http_mut(&mut self, id: ConnId) -> Option<&mut Http> {
        let greeting = self.conns.get_mut(id)?.greeting.as_deref_mut()?;
        greeting.http.as_deref_mut()
    }
}
