//! Answers of HTTP connections, and how these end: written, refused, passed on, closed, too late.
//! Which bytes belong to which request is decided in `http`.
//!
//! 1. A refusal never cuts into an answer: a head is judged only when the one before is answered, and
//!    a body that breaks after an answer began ends the connection without a word.
//! 2. An ending connection parses nothing more. When its outbox is empty the caller is told, and the
//!    connection lingers until the peer has read everything.

use wynd_protocol::handshake::Refusal;

use crate::batch::EventBatch;
use crate::clock::Tick;
use crate::connection::{Conn, Flags, Phase};
use crate::frame::SharedFrame;
use crate::http::Mode;
use crate::ids::ConnId;
use crate::net::Network;
use crate::shard::Shard;
use crate::stats::count;

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
    /// Refuses what comes next; once an answer to the present request began, ends without a word.
    pub(crate) fn refuse_http(&mut self, id: ConnId, refusal: Refusal) {
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
                    return self.refuse_http(id, Refusal::HeadTimeout);
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
}
