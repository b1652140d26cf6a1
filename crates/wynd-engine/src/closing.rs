//! How connections end: closing handshake, slow members, lost transports.
//! Deadlines are in `deadlines`; what a close frame may say is the protocol's.
//!
//! 1. A broken rule and the peer's close frame are endings: ours waits until the batch is dispatched
//!    and the connection is not paused, so that the replies to what came before leave first.
//! 2. Our close frame is the last thing queued. Once it has left we end our direction, if the peer's
//!    close frame has come or does not matter any more, and discard input until it ends, so that no
//!    reset destroys what the peer has still to read.
//! 3. A connection leaves all rooms when its closing begins, and before `Closed` in any case.
//! 4. `remove` is the only way out. It tells `Closed` or `HandshakeLost` if they are owed.

use crate::batch::EventBatch;
use crate::connection::{Ending, Flags, Phase};
use crate::ids::ConnId;
use crate::net::Network;
use crate::rooms::RoomPolicy;
use crate::shard::Shard;
use crate::stats::count;
use wynd_protocol::{Connection as Protocol, Role};

/// Close code for a connection that ended without a close frame (RFC 6455 §7.1.5).
pub(crate) const ABNORMAL: u16 = 1006;
/// Close code for a close frame without one (RFC 6455 §7.1.5).
const NO_STATUS: u16 = 1005;
const TRY_AGAIN_LATER: u16 = 1013;

/// As long as the `Retry-After` of upgrades that are refused for the same reason.
const BUSY: &str = "Server is busy. retry_after=5";

impl<N: Network> Shard<N> {
    /// Notes an ending; reading stops, and `finish_endings` does the rest.
    pub(crate) fn begin_ending(&mut self, id: ConnId, ending: Ending) {
        let deadline = self.after(self.config.close_timeout);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let rare = conn.rare_mut();
        rare.ending = Some(ending);
        rare.deadline = deadline;
        rare.pending = Vec::new();
        rare.pending_at = 0;
        conn.flags.set(Flags::ENDING);
        self.endings.push(id);
        self.timers.set_earlier(id.slot(), deadline);
    }

    /// Ends what may end, now that the batch is dispatched; paused connections wait for `resume`.
    pub(crate) fn finish_endings(&mut self, batch: &mut EventBatch) {
        let mut endings = std::mem::take(&mut self.endings);
        for id in endings.drain(..) {
            let Some(conn) = self.conns.get(id) else {
                continue;
            };
            let ending = conn.rare.as_ref().and_then(|rare| rare.ending);
            if conn.flags.has(Flags::PAUSED) && ending != Some(Ending::Lost) {
                continue;
            }
            self.finish_ending(id, batch);
        }
        self.endings = endings;
    }

    /// Queues the close frame of an ending, or gives a lost connection up.
    pub(crate) fn finish_ending(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Some(ending) = conn.rare.as_deref_mut().and_then(|rare| rare.ending.take()) else {
            return;
        };
        conn.flags.clear(Flags::ENDING);
        let mut frame = Vec::new();
        let sent = match ending {
            Ending::Lost => {
                self.flush_one(id, batch);
                if self.end_tls(id) {
                    self.flush_one(id, batch);
                }
                self.remove(id, batch);
                return;
            }
            Ending::Violation(violation) => {
                conn.protocol.fail(&violation, &mut frame);
                let code = violation.close_code();
                batch.push_closing(id, Some(code), None);
                code
            }
            Ending::PeerClosed(code) => {
                // The code was judged when it was received, so the echo cannot be refused.
                let _ = conn.protocol.send_close(code, "", &mut frame);
                code.unwrap_or(NO_STATUS)
            }
        };
        conn.flags.set(Flags::DISCARD);
        self.enter_closing(id, sent, &frame);
    }

    /// Starts the closing handshake on our side; nothing if it has begun.
    pub(crate) fn start_close(
        &mut self,
        id: ConnId,
        code: Option<u16>,
        reason: &str,
        batch: &mut EventBatch,
    ) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase != Phase::Open || conn.flags.has(Flags::ENDING) {
            return;
        }
        let mut frame = Vec::new();
        let is_sent = conn.protocol.send_close(code, reason, &mut frame).is_ok();
        let code = if is_sent { code } else { None };
        if !is_sent {
            // Checked by the caller; what must not go on the wire becomes an empty close frame.
            let _ = conn.protocol.send_close(None, "", &mut frame);
        }
        let sent = code.unwrap_or(NO_STATUS);
        batch.push_closing(id, Some(sent), None);
        self.enter_closing(id, sent, &frame);
    }

    /// Closes a connection that holds too much: its queue is freed, and the code leaves only if the
    /// socket takes it.
    pub(crate) fn close_slow(
        &mut self,
        id: ConnId,
        code: u16,
        reason: &str,
        batch: &mut EventBatch,
    ) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase != Phase::Open {
            return;
        }
        conn.outbox.keep_started(&mut self.pool);
        // A new protocol state frees a partial message; input is discarded from here on.
        conn.protocol = Protocol::new(Role::Server);
        conn.flags.set(Flags::DISCARD);
        conn.flags.clear(Flags::ENDING);
        if let Some(rare) = conn.rare.as_deref_mut() {
            rare.ending = None;
            rare.pong = None;
            rare.pending = Vec::new();
            rare.pending_at = 0;
        }
        self.start_close(id, Some(code), reason, batch);
        self.account(id);
    }

    /// Closes members that a room's policy gave up.
    pub(crate) fn close_slow_members(
        &mut self,
        slow: Vec<ConnId>,
        policy: &RoomPolicy,
        batch: &mut EventBatch,
    ) {
        let RoomPolicy::Close { code, reason } = policy else {
            return;
        };
        for id in slow {
            count(&mut self.counts.limits_hit, "outbox_bytes_hard");
            self.close_slow(id, *code, reason, batch);
        }
    }

    /// Queues our close frame and waits for the end of input.
    fn enter_closing(&mut self, id: ConnId, sent: u16, frame: &[u8]) {
        let deadline = self.after(self.config.close_timeout);
        self.leave_all(id);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.phase = Phase::Closing;
        conn.buffered.close();
        conn.outbox.append(&mut self.pool, frame);
        // The peer's close frame has to be read, whoever paused.
        conn.flags
            .clear(Flags::PAUSED | Flags::STARVED | Flags::SOFT);
        let rare = conn.rare_mut();
        rare.sent = Some(sent);
        rare.deadline = deadline;
        rare.pong = None;
        let is_left = conn.flags.has(Flags::READABLE) || conn.has_pending();
        let has_ended = conn.flags.has(Flags::ENDED);
        if !has_ended {
            self.watch(id, true);
        }
        if is_left {
            self.queue_ready(id);
        }
        self.timers.set(id.slot(), deadline);
        self.touch(id);
    }

    /// The peer's close frame arrived.
    pub(crate) fn receive_close(
        &mut self,
        id: ConnId,
        batch: &mut EventBatch,
        code: Option<u16>,
        reason: String,
    ) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let received = code.unwrap_or(NO_STATUS);
        conn.rare_mut().received = Some((received, reason));
        if conn.phase == Phase::Open {
            batch.push_closing(id, None, Some(received));
            self.begin_ending(id, Ending::PeerClosed(code));
        } else {
            conn.flags.set(Flags::DISCARD);
            self.touch(id);
        }
    }

    /// The outbox of an ending connection is empty: ends our direction, or the connection.
    pub(crate) fn after_last_byte(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let is_last = conn.flags.has(Flags::ENDED | Flags::DISCARD);
        if is_last && conn.tls.is_some() && self.end_tls(id) {
            return; // comes back when that has left
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.flags.has(Flags::ENDED) {
            self.remove(id, batch);
            return;
        }
        if conn.flags.has(Flags::DISCARD) && !conn.flags.has(Flags::WRITE_SHUT) {
            conn.flags.set(Flags::WRITE_SHUT);
            // If the peer is gone, reading says so next.
            let _ = self.network.shutdown_write(&conn.socket);
        }
    }

    /// Ends a connection at once: out of rooms and lists, out of the poller, and closed.
    pub(crate) fn remove(&mut self, id: ConnId, batch: &mut EventBatch) {
        self.leave_all(id);
        let Some(mut conn) = self.conns.remove(id) else {
            return;
        };
        self.timers.cancel(id.slot());
        self.held -= conn.held;
        conn.outbox.clear(&mut self.pool);
        conn.buffered.clear();
        self.addresses.release(conn.address);
        if conn.flags.has(Flags::UNCOUNTED) {
            self.lingering -= 1;
        }
        if conn.interest.is_some() {
            // Deregister before close: another process may hold the same socket.
            let _ = self.network.deregister(&conn.socket);
        }
        let _ = self.network.shutdown(&conn.socket);
        if conn.flags.has(Flags::OPENED) {
            self.opened = self.opened.saturating_sub(1);
            let rare = conn.rare.take().unwrap_or_default();
            let sent = rare.sent;
            let (received, reason) = rare.received.unwrap_or((ABNORMAL, String::new()));
            let seen = if received == ABNORMAL {
                sent.unwrap_or(ABNORMAL)
            } else {
                received
            };
            count(&mut self.counts.closes, seen);
            batch.push_closed(id, sent, received, reason);
        } else if conn.flags.has(Flags::ASKED) {
            batch.push_handshake_lost(id);
        }
        if conn.flags.has(Flags::HTTP) {
            batch.push_http_closed(id);
        }
        drop(conn.socket);
    }

    /// Takes a connection out of its rooms and out of the lobby.
    pub(crate) fn leave_all(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let is_listed = conn.flags.has(Flags::ADMITTED)
            && self.lobby.get(conn.lobby as usize) == Some(&id.slot());
        let place = conn.lobby;
        let memberships = std::mem::take(&mut conn.memberships);
        for membership in memberships {
            if let Some(moved) = self.rooms.strike(membership) {
                self.note_index(moved, membership.index);
            }
        }
        if is_listed {
            self.lobby.swap_remove(place as usize);
            if let Some(&moved) = self.lobby.get(place as usize) {
                if let Some((_, conn)) = self.conns.tenant_mut(moved) {
                    conn.lobby = place;
                }
            }
        }
    }

    /// Closes connections that hold most, until the process's memory suffices.
    pub(crate) fn close_largest(&mut self, batch: &mut EventBatch) {
        count(&mut self.counts.limits_hit, "process_bytes_max");
        let mut excess = self
            .meter
            .bytes()
            .saturating_sub(self.config.process_bytes_max);
        let mut holders: Vec<(usize, ConnId)> = Vec::new();
        for id in self.conns.ids() {
            let Some(conn) = self.conns.get(id) else {
                continue;
            };
            let holds = conn.held + conn.outbox.bytes() - conn.outbox.own_bytes();
            if holds > 0 && matches!(conn.phase, Phase::Open | Phase::Http) {
                holders.push((holds, id));
            }
        }
        holders.sort_unstable_by(|a, b| b.cmp(a));
        for (holds, id) in holders {
            if excess == 0 {
                return;
            }
            if self
                .conns
                .get(id)
                .is_some_and(|conn| conn.phase == Phase::Http)
            {
                self.remove(id, batch);
            }
            self.close_slow(id, TRY_AGAIN_LATER, BUSY, batch);
            excess = excess.saturating_sub(holds);
        }
    }
}
