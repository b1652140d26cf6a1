//! Deadlines: handshake, keepalive, stalled outbox, closing, lingering.
//! A connection has one timer, set for the earliest of its deadlines; when it fires, what is due is
//! judged here and the timer set again. Messages touch no timer: they note `last_seen`.

use wynd_protocol::frames::{encode_frame, Opcode};
use wynd_protocol::handshake::Refusal;

use crate::batch::EventBatch;
use crate::clock::{ticks, Tick};
use crate::connection::{Flags, Phase};
use crate::ids::ConnId;
use crate::net::Network;
use crate::shard::Shard;
use crate::stats::count;

/// Ticks for reading what was there at a deadline: many turns, and little beside any timeout.
pub(crate) const UNREAD_GRACE: Tick = 1_000;

impl<N: Network> Shard<N> {
    /// Judges every deadline that has passed.
    pub(crate) fn judge_deadlines(&mut self, batch: &mut EventBatch) {
        let mut due = std::mem::take(&mut self.due);
        self.timers.advance(self.now, &mut due);
        for slot in due.drain(..) {
            if let Some((id, conn)) = self.conns.tenant_mut(slot) {
                if conn.flags.has(Flags::QUEUED) && !conn.flags.has(Flags::SERVED) {
                    // Input is left that may say otherwise, a close frame perhaps. It is read first,
                    // but not for ever: who sends without end has always more of it.
                    conn.flags.set(Flags::LATE);
                    self.timers.set(slot, self.now + UNREAD_GRACE);
                    continue;
                }
                conn.flags.clear(Flags::LATE | Flags::SERVED);
                self.judge(id, batch);
            }
        }
        self.due = due;
    }

    fn judge(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        match conn.phase {
            Phase::Handshaking => self.give_up_head(id, batch),
            Phase::Asking => {
                batch.push_handshake_lost(id);
                self.refuse(id, Refusal::AnswerTimeout);
            }
            Phase::Open => self.judge_open(id, batch),
            Phase::Http => self.judge_http_deadline(id, batch),
            Phase::Closing => {
                count(&mut self.counts.limits_hit, "close_timeout");
                self.remove(id, batch);
            }
            Phase::Lingering => self.remove(id, batch),
        }
    }

    /// 408 if a head was begun; a peer that said nothing gets no answer.
    fn give_up_head(&mut self, id: ConnId, batch: &mut EventBatch) {
        let has_begun = self
            .conns
            .get(id)
            .and_then(|conn| conn.greeting.as_ref())
            .is_some_and(|greeting| !greeting.head.is_empty());
        if has_begun {
            self.refuse(id, Refusal::HeadTimeout);
        } else {
            count(&mut self.counts.limits_hit, "handshake_timeout");
            self.remove(id, batch);
        }
    }

    fn judge_open(&mut self, id: ConnId, batch: &mut EventBatch) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.flags.has(Flags::ENDING) {
            let deadline = conn.rare.as_ref().map_or(0, |rare| rare.deadline);
            if deadline <= now && batch.is_dispatched() {
                self.finish_ending(id, batch);
                return;
            }
            // With events of this turn before it, the next turn is early enough.
            self.timers.set(id.slot(), deadline.max(now + 1));
            return;
        }
        if self.is_stalled(id) {
            count(&mut self.counts.limits_hit, "outbox_stall");
            self.remove(id, batch);
            return;
        }
        if self
            .conns
            .get(id)
            .is_some_and(|conn| conn.keepalive_at <= now)
            && !self.keep_alive(id)
        {
            count(&mut self.counts.limits_hit, "ping_timeout");
            self.remove(id, batch);
            return;
        }
        self.set_open_timer(id);
    }

    /// Sets the timer of an open connection for the earlier of keepalive and stall.
    fn set_open_timer(&mut self, id: ConnId) {
        let stall = ticks(self.config.outbox_stall);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let mut at = conn.keepalive_at;
        if conn.flags.has(Flags::BLOCKED) {
            if let Some(progress_at) = conn.progress_at() {
                at = at.min(progress_at.saturating_add(stall));
            }
        }
        if at == Tick::MAX {
            self.timers.cancel(id.slot());
        } else {
            self.timers.set(id.slot(), at);
        }
    }

    /// Whether nothing of the outbox has left for too long. A socket that has room again, or has not
    /// been tried, is not stalled.
    pub(crate) fn is_stalled(&mut self, id: ConnId) -> bool {
        let (now, stall) = (self.now, ticks(self.config.outbox_stall));
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        conn.flags.has(Flags::BLOCKED)
            && conn
                .progress_at()
                .is_some_and(|progress_at| progress_at.saturating_add(stall) <= now)
    }

    /// Begins the keepalive of a connection, its first ping after a random part of the interval, so
    /// that connections that came together do not ping together.
    pub(crate) fn start_keepalive(&mut self, id: ConnId) {
        let Some(interval) = self.config.ping_interval else {
            self.timers.cancel(id.slot());
            return;
        };
        let phase = self.draw.below(ticks(interval));
        let at = self.now + 1 + phase;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.keepalive_at = at;
        }
        self.timers.set(id.slot(), at);
    }

    /// A ping that waited behind other output has left just now: its answer is due from here on.
    pub(crate) fn restart_ping(&mut self, id: ConnId) {
        let due = self.after(self.config.ping_timeout);
        if let Some(conn) = self.conns.get_mut(id) {
            let pinged_at = conn.keepalive_at.saturating_sub(due - self.now);
            if conn.flags.has(Flags::PINGED) && conn.last_seen < pinged_at {
                conn.keepalive_at = due;
            }
        }
    }

    /// Pings, or judges the answer; false if the peer is dead.
    fn keep_alive(&mut self, id: ConnId) -> bool {
        let now = self.now;
        let (interval, timeout) = (self.config.ping_interval, ticks(self.config.ping_timeout));
        let Some(conn) = self.conns.get_mut(id) else {
            return true;
        };
        let Some(interval) = interval.map(ticks) else {
            conn.keepalive_at = Tick::MAX;
            return true;
        };
        if !conn.flags.has(Flags::PINGED) {
            conn.flags.set(Flags::PINGED);
            conn.keepalive_at = now + timeout;
            let mut ping = Vec::new();
            encode_frame(Opcode::Ping, b"", &mut ping);
            conn.outbox.append(&mut self.pool, &ping);
            self.touch(id);
            return true;
        }
        let pinged_at = conn.keepalive_at.saturating_sub(timeout);
        if conn.last_seen < pinged_at {
            // While we do not read, or the ping itself waits behind other output, silence says
            // nothing; the stalled outbox and TCP's own timeout find dead peers then.
            if conn.reads() && !conn.flags.has(Flags::BLOCKED) && !conn.has_output() {
                return false;
            }
            conn.keepalive_at = now + timeout;
            return true;
        }
        conn.flags.clear(Flags::PINGED);
        conn.keepalive_at = (pinged_at + interval).max(now + 1);
        true
    }
}
