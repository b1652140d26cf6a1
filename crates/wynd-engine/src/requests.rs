//! The course of one HTTP request: passed on, received whole, answered; then the next is awaited.
//! Which bytes belong to it is decided in `http`, how its connection ends in `answering`.

use std::time::Duration;

use wynd_protocol::body::BodyScanner;
use wynd_protocol::handshake::{without_upgrade, PlainRequest};

use crate::batch::{EventBatch, Introduction, Span};
use crate::clock::Tick;
use crate::connection::{Flags, Phase};
use crate::http::Mode;
use crate::ids::ConnId;
use crate::net::Network;
use crate::shard::Shard;

impl<N: Network> Shard<N> {
    /// Passes the head of a request on.
    pub(crate) fn begin_request(
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
    pub(crate) fn open_http(&mut self, id: ConnId, batch: &mut EventBatch) {
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
            secure: conn.tls.is_some(),
            upgrade: false,
            subprotocol: None,
            buffered: Some(conn.buffered.clone()),
            local: self.network.local_address(&conn.socket),
        };
        batch.push_http_opened(id, about);
    }

    /// The request that was passed on is here as a whole.
    pub(crate) fn end_request(&mut self, id: ConnId) {
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
        let greeting = conn.greeting.as_deref();
        let idle = greeting
            .and_then(|greeting| greeting.http.as_ref())
            .map_or(Duration::ZERO, |http| http.idle);
        if conn.has_pending() {
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

    pub(crate) fn set_http_deadline(&mut self, id: ConnId, deadline: Tick) {
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
}
