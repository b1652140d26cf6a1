//! Applying: commands of the application, in call order. One for a connection that is gone, or that
//! closes, does nothing.

use wynd_protocol::frames::{encode_frame, Opcode};
use wynd_protocol::DEFLATE_BYTES_MIN;

use crate::batch::EventBatch;
use crate::commands::{Command, CommandQueue, Frames};
use crate::connection::{Flags, Phase};
use crate::frame::{split_frame, SharedFrame, SHARE_BYTES_MIN};
use crate::ids::ConnId;
use crate::net::Network;
use crate::rooms::Member;
use crate::shard::Shard;
use crate::stats::count;

const TOO_SLOW: (u16, &str) = (1013, "Too slow.");

/// A name from the queue; names come from `&str`, so nothing is ever lost here.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

impl<N: Network> Shard<N> {
    pub(crate) fn carry_out(&mut self, queue: &mut CommandQueue, batch: &mut EventBatch) {
        let mut commands = std::mem::take(&mut queue.commands);
        let (frames, names) = (queue.frames.as_slice(), queue.names.as_slice());
        for command in commands.drain(..) {
            match command {
                Command::Send(id, Frames::Run(run, count)) => {
                    self.send_run(id, run.of(frames), u64::from(count), batch);
                }
                Command::Send(id, Frames::Shared(frame)) => self.send_shared(id, &frame, batch),
                Command::Publish(target, what) => {
                    self.publish(&target, &what, frames, names, batch);
                }
                Command::Join(id, room) => self.join(id, text(room.of(names))),
                Command::Leave(id, room) => self.leave(id, text(room.of(names))),
                Command::Admit(id) => self.admit_to_lobby(id),
                Command::Ping(id, payload) => self.ping(id, payload.of(names)),
                Command::Close(id, code, reason) => {
                    self.start_close(id, code, text(reason.of(names)), batch);
                }
                Command::Abort(id) => self.remove(id, batch),
                Command::Pause(id) => self.pause(id),
                Command::Resume(id) => self.resume(id),
                Command::Accept(id, acceptance) => self.accept_request(id, &acceptance, batch),
                Command::HttpPass(id) => self.pass_http(id, batch),
                Command::HttpWrite(id, bytes, tells) => {
                    let is_taken = match bytes {
                        Frames::Run(run, _) => self.write_http(id, run.of(frames)),
                        Frames::Shared(bytes) => self.write_http_shared(id, &bytes),
                    };
                    if is_taken && tells {
                        self.owe_drained(id);
                    }
                }
                Command::HttpDone(id) => self.note_http_done(id),
                Command::HttpClose(id) => self.close_http(id, batch),
                Command::Respond(id, status, response) => {
                    self.respond(id, status, response.of(names));
                }
            }
        }
        queue.commands = commands;
    }

    /// Sends frames that lie one after another.
    fn send_run(&mut self, id: ConnId, run: &[u8], count: u64, batch: &mut EventBatch) {
        if run.len() >= DEFLATE_BYTES_MIN && self.deflates(id) {
            return self.send_deflated(id, run, batch);
        }
        // Several together never pass the hard limit; one alone may, into an empty outbox.
        let is_one = count == 1;
        if !self.may_send(id, run.len(), is_one, batch) {
            return self.send_run_slowly(id, run, batch);
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.outbox.append(&mut self.pool, run);
            conn.reflected += run.len();
            self.counts.messages_sent += count;
        }
        self.touch(id);
    }

    /// Frame by frame, up to the one that does not fit.
    #[cold]
    fn send_run_slowly(&mut self, id: ConnId, run: &[u8], batch: &mut EventBatch) {
        let mut rest = run;
        while !rest.is_empty() {
            let (frame, after) = split_frame(rest);
            if !self.may_send(id, frame.len(), true, batch) {
                return self.refuse_send(id, rest.len(), batch);
            }
            if let Some(conn) = self.conns.get_mut(id) {
                conn.outbox.append(&mut self.pool, frame);
                conn.reflected += frame.len();
                self.counts.messages_sent += 1;
            }
            self.touch(id);
            rest = after;
        }
    }

    fn send_shared(&mut self, id: ConnId, frame: &SharedFrame, batch: &mut EventBatch) {
        let size = frame.bytes().len();
        if size >= DEFLATE_BYTES_MIN && self.deflates(id) {
            return self.send_shared_deflated(id, frame, batch);
        }
        if !self.may_send(id, size, true, batch) {
            return self.refuse_send(id, size, batch);
        }
        if size >= SHARE_BYTES_MIN {
            frame.count_in(&self.meter);
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.outbox.append_shared(&mut self.pool, frame);
            conn.reflected += size;
            self.counts.messages_sent += 1;
        }
        self.touch(id);
    }

    /// Whether a connection takes `size` bytes more. Notes that the soft limit was reached.
    #[inline]
    pub(crate) fn may_send(
        &mut self,
        id: ConnId,
        size: usize,
        is_one: bool,
        batch: &mut EventBatch,
    ) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        if !conn.takes_messages() {
            return false;
        }
        // What was queued counts already; whoever saw that sum waits for `Drained`.
        if conn.buffered.bytes() >= self.config.outbox_bytes_soft {
            conn.flags.set(Flags::SOFT);
        }
        let outbox = conn.outbox.bytes();
        outbox + size <= self.config.outbox_bytes_soft
            || (is_one || size <= self.config.outbox_bytes_hard) && self.makes_room(id, size, batch)
    }

    /// Above the soft limit: sends what the socket takes, then judges by the hard limit. A message
    /// above that is taken only into an empty outbox.
    #[cold]
    pub(crate) fn makes_room(&mut self, id: ConnId, size: usize, batch: &mut EventBatch) -> bool {
        // Flushing an empty outbox would tell who waits for it that it has drained.
        if self
            .conns
            .get(id)
            .is_some_and(|conn| !conn.outbox.is_empty())
        {
            self.flush_one(id, batch);
        }
        self.conns.get(id).is_some_and(|conn| {
            let bytes = conn.outbox.bytes();
            conn.takes_messages() && (bytes + size <= self.config.outbox_bytes_hard || bytes == 0)
        })
    }

    /// Takes back what was charged; an open connection is too slow and is closed.
    #[cold]
    pub(crate) fn refuse_send(&mut self, id: ConnId, size: usize, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.buffered.release(size);
        if conn.takes_messages() {
            count(&mut self.counts.limits_hit, "outbox_bytes_hard");
            self.close_slow(id, TOO_SLOW.0, TOO_SLOW.1, batch);
        }
    }

    fn join(&mut self, id: ConnId, name: &str) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase != Phase::Open {
            return;
        }
        if name.len() > self.config.room_name_bytes_max {
            count(&mut self.counts.limits_hit, "room_name_bytes_max");
            return;
        }
        let present = self.rooms.find(name);
        if conn
            .memberships
            .iter()
            .any(|membership| Some(membership.room) == present)
        {
            return;
        }
        if conn.memberships.len() >= self.config.rooms_per_connection_max {
            count(&mut self.counts.limits_hit, "rooms_per_connection_max");
            return;
        }
        let room = self.rooms.find_or_make(name);
        if let Some(membership) = self.rooms.add(room, id.slot(), conn.memberships.len()) {
            conn.memberships.push(membership);
        }
    }

    fn leave(&mut self, id: ConnId, name: &str) {
        let (Some(conn), Some(room)) = (self.conns.get_mut(id), self.rooms.find(name)) else {
            return;
        };
        let Some(nth) = conn
            .memberships
            .iter()
            .position(|membership| membership.room == room)
        else {
            return;
        };
        let membership = conn.memberships.swap_remove(nth);
        if let Some(&other) = conn.memberships.get(nth) {
            self.rooms.note_nth(other, nth);
        }
        if let Some(moved) = self.rooms.strike(membership) {
            self.note_index(moved, membership.index);
        }
    }

    /// Tells a member's connection where its room lists it now.
    pub(crate) fn note_index(&mut self, moved: Member, index: u32) {
        if let Some((_, conn)) = self.conns.tenant_mut(moved.slot) {
            if let Some(membership) = conn.memberships.get_mut(moved.nth as usize) {
                membership.index = index;
            }
        }
    }

    fn ping(&mut self, id: ConnId, payload: &[u8]) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase != Phase::Open || payload.len() > 125 {
            return;
        }
        let mut frame = Vec::with_capacity(payload.len() + 2);
        encode_frame(Opcode::Ping, payload, &mut frame);
        // A caller that pings without end is stopped like one that sends without end.
        if conn.outbox.bytes() + frame.len() <= self.config.outbox_bytes_hard {
            conn.outbox.append(&mut self.pool, &frame);
            self.touch(id);
        }
    }

    fn pause(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            if matches!(conn.phase, Phase::Open | Phase::Http) {
                conn.flags.set(Flags::PAUSED);
                self.account(id);
            }
        }
    }

    fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.flags.has(Flags::PAUSED) {
            return;
        }
        conn.flags.clear(Flags::PAUSED);
        if conn.flags.has(Flags::ENDING) {
            self.endings.push(id);
        }
        self.account(id);
        self.resume_input(id);
    }
}
