//! Publishing: a message that was encoded once, into every member's outbox, without waiting for any.
//! Decides what a room's policy does about a member that does not keep up.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::batch::EventBatch;
use crate::commands::{Frames, Target};
use crate::compressing::Forms;
use crate::connection::{Conn, Flags};
use crate::frame::{split_frame, SharedFrame, SHARE_BYTES_MIN};
use crate::ids::{ConnId, RoomId};
use crate::lanes::{push_droppable, DropRule, RoomMessage};
use crate::net::Network;
use crate::rooms::{Member, RoomPolicy};
use crate::shard::Shard;
use crate::stats::count;

/// What is put into each member's outbox.
pub(crate) enum Cargo<'a> {
    /// Copied: small frames, one after another.
    Run(&'a [u8], u64),
    /// Shared.
    Frame(SharedFrame),
}

impl Cargo<'_> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Run(run, _) => run.len(),
            Self::Frame(frame) => frame.bytes().len(),
        }
    }

    /// The frames, one after another.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Run(run, _) => run,
            Self::Frame(frame) => frame.bytes(),
        }
    }
}

impl<N: Network> Shard<N> {
    /// Publishes to a room, or to every admitted connection. Unknown rooms have no members.
    pub(crate) fn publish(
        &mut self,
        target: &Target,
        what: &Frames,
        frames: &[u8],
        names: &[u8],
        batch: &mut EventBatch,
    ) {
        let Some(room) = target.room else {
            return self.publish_to_lobby(target, what, frames, batch);
        };
        let name = std::str::from_utf8(room.of(names)).unwrap_or("");
        let Some(room_id) = self.rooms.find(name) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(room_id) else {
            return;
        };
        // A droppable message never closes its member, whatever the policy.
        let spared = target.droppable.then_some(DropRule::Newest);
        match room.policy.drop_rule().or(spared) {
            None => {
                let members = std::mem::take(&mut room.members);
                let policy = room.policy.clone();
                let slots = members.iter().map(|member| member.slot);
                let slow = self.load_all(target, what, frames, slots, batch);
                self.give_back(room_id, members);
                self.close_slow_members(slow, &policy, batch);
            }
            Some(rule) => {
                let key = hash_key(target.key.map_or(&[][..], |key| key.of(names)));
                let message = RoomMessage {
                    room: room.serial,
                    key,
                    droppable: target.droppable,
                };
                let members = std::mem::take(&mut room.members);
                self.publish_droppable(target, what, frames, &members, message, rule, batch);
                self.give_back(room_id, members);
            }
        }
    }

    /// Lets broadcasts reach a connection: the application let it through.
    pub(crate) fn admit_to_lobby(&mut self, id: ConnId) {
        let place = u32::try_from(self.lobby.len()).unwrap_or(u32::MAX);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.takes_messages() && !conn.flags.has(Flags::ADMITTED) {
            conn.flags.set(Flags::ADMITTED);
            conn.lobby = place;
            self.lobby.push(id.slot());
        }
    }

    fn publish_to_lobby(
        &mut self,
        target: &Target,
        what: &Frames,
        frames: &[u8],
        batch: &mut EventBatch,
    ) {
        let lobby = std::mem::take(&mut self.lobby);
        let slow = self.load_all(target, what, frames, lobby.iter().copied(), batch);
        self.lobby = lobby;
        self.close_slow_members(slow, &RoomPolicy::default(), batch);
    }

    fn give_back(&mut self, id: RoomId, members: Vec<Member>) {
        if let Some(room) = self.rooms.get_mut(id) {
            room.members = members;
        }
    }

    /// Loads every member; returns those that are too slow.
    fn load_all(
        &mut self,
        target: &Target,
        what: &Frames,
        frames: &[u8],
        slots: impl Iterator<Item = u32>,
        batch: &mut EventBatch,
    ) -> Vec<ConnId> {
        let frame_of = |frame: SharedFrame| {
            if frame.bytes().len() >= SHARE_BYTES_MIN {
                frame.count_in(&self.meter);
            }
            Cargo::Frame(frame)
        };
        let cargo = match what {
            Frames::Run(run, 1) if run.of(frames).len() >= SHARE_BYTES_MIN => {
                frame_of(SharedFrame::of(run.of(frames)))
            }
            Frames::Run(run, count) => Cargo::Run(run.of(frames), u64::from(*count)),
            Frames::Shared(frame) => frame_of(frame.clone()),
        };
        let excluded = target.exclude.map_or(u32::MAX, ConnId::slot);
        let soft = self.config.outbox_bytes_soft;
        let mut slow = Vec::new();
        let mut forms = Forms::default();
        for slot in slots {
            let Some((id, conn)) = self.conns.tenant_mut(slot) else {
                continue;
            };
            if slot == excluded && target.exclude == Some(id) {
                continue;
            }
            if conn.protocol.deflate_parameters().is_some() {
                if !self.load_deflated(id, &cargo, &mut forms, batch) {
                    slow.push(id);
                }
                continue;
            }
            if conn.outbox.bytes() + cargo.len() > soft {
                if !self.load_slowly(id, &cargo, batch) {
                    slow.push(id);
                }
                continue;
            }
            match &cargo {
                Cargo::Run(run, count) => {
                    conn.outbox.append(&mut self.pool, run);
                    self.counts.messages_sent += count;
                }
                Cargo::Frame(frame) => {
                    conn.outbox.append_shared(&mut self.pool, frame);
                    self.counts.messages_sent += 1;
                }
            }
            if !conn.flags.has(Flags::TOUCHED) {
                conn.flags.set(Flags::TOUCHED);
                self.touched.push(id);
            }
        }
        slow
    }

    /// Loads a member whose outbox is long, frame by frame; false if it is too slow.
    #[cold]
    pub(crate) fn load_slowly(
        &mut self,
        id: ConnId,
        cargo: &Cargo<'_>,
        batch: &mut EventBatch,
    ) -> bool {
        let mut rest = match cargo {
            Cargo::Run(run, _) => *run,
            Cargo::Frame(frame) => {
                if !self.has_room_for(id, frame.bytes().len(), batch) {
                    return !self.is_open(id);
                }
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.outbox.append_shared(&mut self.pool, frame);
                    self.counts.messages_sent += 1;
                }
                self.touch(id);
                return true;
            }
        };
        while !rest.is_empty() {
            let (frame, after) = split_frame(rest);
            if !self.has_room_for(id, frame.len(), batch) {
                return !self.is_open(id);
            }
            if let Some(conn) = self.conns.get_mut(id) {
                conn.outbox.append(&mut self.pool, frame);
                self.counts.messages_sent += 1;
            }
            self.touch(id);
            rest = after;
        }
        true
    }

    pub(crate) fn is_open(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(Conn::takes_messages)
    }

    /// Whether a member's outbox takes `size` bytes, after sending what its socket takes.
    pub(crate) fn has_room_for(&mut self, id: ConnId, size: usize, batch: &mut EventBatch) -> bool {
        let soft = self.config.outbox_bytes_soft;
        let bytes = self.conns.get(id).map_or(0, |conn| conn.outbox.bytes());
        if bytes + size <= soft {
            return self.is_open(id);
        }
        if bytes >= soft {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.flags.set(Flags::SOFT);
            }
        }
        self.makes_room(id, size, batch)
    }

    /// Publishes under a dropping policy; every frame is shared, so that any can be dropped.
    #[allow(clippy::too_many_arguments)] // one call, and a struct for it would say no more
    fn publish_droppable(
        &mut self,
        target: &Target,
        what: &Frames,
        frames: &[u8],
        members: &[Member],
        message: RoomMessage,
        rule: DropRule,
        batch: &mut EventBatch,
    ) {
        let shared: Vec<SharedFrame> = match what {
            Frames::Shared(frame) => vec![frame.clone()],
            Frames::Run(run, _) => {
                let mut rest = run.of(frames);
                let mut shared = Vec::new();
                while !rest.is_empty() {
                    let (frame, after) = split_frame(rest);
                    shared.push(SharedFrame::of(frame));
                    rest = after;
                }
                shared
            }
        };
        for frame in &shared {
            frame.count_in(&self.meter);
        }
        for member in members {
            let Some((id, _)) = self.conns.tenant_mut(member.slot) else {
                continue;
            };
            if target.exclude == Some(id) {
                continue;
            }
            for frame in &shared {
                let deflated = self.droppable_form(id, frame);
                let frame = deflated.as_ref().unwrap_or(frame);
                self.load_droppable(id, frame, message, rule, batch);
            }
            self.touch(id);
        }
    }

    fn load_droppable(
        &mut self,
        id: ConnId,
        frame: &SharedFrame,
        message: RoomMessage,
        rule: DropRule,
        batch: &mut EventBatch,
    ) {
        let bound = if rule == DropRule::Newest && message.droppable {
            // It goes first: the space up to the hard limit is for what must not be dropped.
            self.config.outbox_bytes_soft
        } else {
            self.config.outbox_bytes_hard
        };
        // What the socket takes need not be dropped.
        self.has_room_for(id, frame.bytes().len(), batch);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.takes_messages() {
            return;
        }
        let is_behind = conn.flags.has(Flags::BLOCKED);
        let dropped = push_droppable(
            &mut conn.outbox,
            &mut self.pool,
            frame,
            message,
            rule,
            bound,
            is_behind,
        );
        self.counts.messages_sent += 1;
        if dropped > 0 {
            // Sent, then dropped: whichever of the two it was, one less arrives.
            self.counts.messages_sent = self.counts.messages_sent.saturating_sub(dropped);
            count(&mut self.counts.limits_hit, "outbox_bytes_hard");
            match rule {
                DropRule::Oldest => self.counts.dropped_oldest += dropped,
                DropRule::Newest => self.counts.dropped_newest += dropped,
                DropRule::Latest => self.counts.dropped_latest += dropped,
            }
        }
    }
}

/// Tells keys of one room apart; a room's name need not be in it, since lanes are per room.
fn hash_key(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
