//! Readiness: who has something to receive, and what the network is asked to report.
//!
//! 1. The network reports a fact once. It is kept in the connection's flags until a call on the
//!    socket shows that it holds no longer.
//! 2. Whoever has work that the network will not report again is on the ready list, once.
//! 3. A connection that does not read is left registered until an event finds it so; then it is
//!    registered for output only, or deregistered, never left with an empty interest.

use crate::batch::EventBatch;
use crate::connection::{Flags, Phase};
use crate::ids::ConnId;
use crate::net::{Interest, Network, Readiness};
use crate::securing::TLS_HANDSHAKES_MAX;
use crate::shard::Shard;

impl<N: Network> Shard<N> {
    /// Turns what the network said into flags and lists.
    pub(crate) fn note_readiness(&mut self, batch: &mut EventBatch) {
        let mut readiness = std::mem::take(&mut self.readiness);
        for ready in readiness.drain(..) {
            let id = ConnId::from_u64(ready.token);
            if id.generation() == 0 {
                self.note_listener_ready(id.slot());
            } else {
                self.note_ready(id, ready, batch);
            }
        }
        self.readiness = readiness;
    }

    #[inline]
    fn note_ready(&mut self, id: ConnId, ready: Readiness, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return; // the socket was closed after the kernel reported it
        };
        if ready.writable && conn.flags.has(Flags::BLOCKED) {
            conn.flags.clear(Flags::BLOCKED);
            self.touch(id);
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !(ready.readable || ready.read_closed || ready.broken) {
            return;
        }
        conn.flags.set(Flags::READABLE);
        if ready.read_closed {
            conn.flags.set(Flags::READ_CLOSED);
        }
        if conn.reads() {
            self.queue_ready(id);
        } else if ready.broken && conn.flags.has(Flags::PAUSED | Flags::STARVED) {
            self.remove(id, batch);
        } else {
            // Lazily, at the first event that finds the connection not reading.
            self.watch(id, false);
        }
    }

    /// Puts a connection on the ready list, once.
    #[inline]
    pub(crate) fn queue_ready(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            if !conn.flags.has(Flags::QUEUED) {
                conn.flags.set(Flags::QUEUED);
                self.ready.push_back(id);
            }
        }
    }

    /// Puts a connection on the list to flush, once.
    #[inline]
    pub(crate) fn touch(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            if !conn.flags.has(Flags::TOUCHED) {
                conn.flags.set(Flags::TOUCHED);
                self.touched.push(id);
            }
        }
    }

    /// Lets the network report input or not, and room for output while the socket is blocked.
    pub(crate) fn watch(&mut self, id: ConnId, read: bool) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let wanted = Interest::of(read, conn.flags.has(Flags::BLOCKED));
        if wanted == conn.interest {
            return;
        }
        let token = id.as_u64();
        let done = match (conn.interest, wanted) {
            (_, None) => self.network.deregister(&conn.socket),
            (None, Some(interest)) => self.network.register(&conn.socket, token, interest),
            (Some(_), Some(interest)) => self.network.reregister(&conn.socket, token, interest),
        };
        // A descriptor the poller refuses is of no use; reading it next finds out why.
        if done.is_err() {
            conn.flags.set(Flags::READABLE | Flags::READ_CLOSED);
            self.queue_ready(id);
            return;
        }
        conn.interest = wanted;
    }

    /// Serves each connection of the ready list once, within the bounds of the turn.
    pub(crate) fn serve_ready(&mut self, batch: &mut EventBatch) {
        self.tls_handshakes_left = TLS_HANDSHAKES_MAX;
        for _ in 0..self.ready.len() {
            if batch.len() >= self.config.turn_events_max || !batch.has_receive_space() {
                return;
            }
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            let Some(conn) = self.conns.get_mut(id) else {
                continue;
            };
            conn.flags.clear(Flags::QUEUED);
            if conn.flags.has(Flags::LATE) {
                conn.flags.set(Flags::SERVED);
            }
            let phase = conn.phase;
            match phase {
                Phase::Handshaking if self.defers_handshake(id) => self.queue_ready(id),
                Phase::Handshaking | Phase::Asking => self.receive_head(id, batch),
                Phase::Open | Phase::Closing => self.receive_messages(id, batch),
                Phase::Http => self.receive_http(id, batch),
                Phase::Lingering => self.discard_input(id, batch),
            }
        }
    }
}
