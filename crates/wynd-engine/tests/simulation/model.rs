//! The model: what the commands of a queue have to come to, told without any of the engine's means.

use std::collections::BTreeSet;

use wynd_engine::{ConnId, RoomPolicy};

use super::app::Phase;
use super::message::{Expected, Message};
use super::world::World;

/// A command as the model takes it.
#[derive(Clone, Debug)]
pub enum Order {
    Send(ConnId, Message),
    Publish {
        room: Option<String>,
        message: Message,
        exclude: Option<ConnId>,
        droppable: bool,
    },
    Join(ConnId, String),
    Leave(ConnId, String),
    Admit(ConnId),
    Close(ConnId),
    Pause(ConnId),
    Resume(ConnId),
    HttpWrite(ConnId, Vec<u8>),
    HttpDone(ConnId),
}

impl World {
    pub fn set_policy(&mut self, pattern: &str, policy: RoomPolicy) {
        self.shard.set_room_policy(pattern, policy.clone());
        match self.policies.iter_mut().find(|(old, _)| old == pattern) {
            Some(entry) => entry.1 = policy,
            None => self.policies.push((pattern.to_owned(), policy)),
        }
    }

    fn may_drop(&self, room: &str) -> bool {
        let policy = self
            .policies
            .iter()
            .find(|(pattern, _)| room.starts_with(pattern.trim_end_matches('*')));
        policy.is_some_and(|(_, policy)| !matches!(policy, RoomPolicy::Close { .. }))
    }

    pub fn carry_out_orders(&mut self, is_dispatched: bool) {
        for order in std::mem::take(&mut self.orders) {
            self.carry_out(order);
        }
        if is_dispatched {
            // Endings leave with the next flush: what was applied until now goes before them.
            for conn in self.conns.values_mut() {
                if conn.phase == Phase::Ending && !conn.is_frozen {
                    conn.is_frozen = true;
                    let peer = &mut self.peers[conn.peer];
                    peer.required = peer.required.or(Some(peer.expected.len()));
                }
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        let now = self.clock();
        match order {
            Order::Send(id, message) => self.expect(id, message, false),
            Order::Publish {
                room,
                message,
                exclude,
                droppable,
            } => {
                let is_optional = room
                    .as_deref()
                    .is_some_and(|room| droppable || self.may_drop(room));
                let members: BTreeSet<ConnId> = if let Some(room) = &room {
                    self.members_of(room)
                } else {
                    let admitted = self.conns.iter().filter(|(_, conn)| conn.is_admitted);
                    admitted.map(|(id, _)| *id).collect()
                };
                for id in members {
                    if Some(id) != exclude {
                        self.expect(id, message, is_optional);
                    }
                }
            }
            Order::Join(id, room) => {
                let max = self.config.rooms_per_connection_max;
                let is_long = room.len() > self.config.room_name_bytes_max;
                let count = self
                    .rooms
                    .values()
                    .filter(|room| room.members.contains(&id));
                if self.is_open(id) && !is_long && count.count() < max {
                    self.rooms.entry(room).or_default().members.insert(id);
                }
            }
            Order::Leave(id, room) => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.members.remove(&id);
                }
            }
            Order::Admit(id) => self.with(id, |conn| {
                conn.is_admitted |= matches!(conn.phase, Phase::Open | Phase::Ending);
            }),
            Order::Close(id) => {
                if let Some(conn) = self.conns.get(&id).filter(|conn| conn.phase == Phase::Open) {
                    let peer = &mut self.peers[conn.peer];
                    peer.required = peer.required.or(Some(peer.expected.len()));
                }
            }
            Order::Pause(id) => self.with(id, |conn| {
                let is_open = matches!(conn.phase, Phase::Open | Phase::Ending | Phase::Http);
                conn.is_paused |= is_open;
            }),
            Order::Resume(id) => self.with(id, |conn| {
                (conn.is_paused, conn.is_held) = (false, false);
                conn.lives_from = now;
            }),
            Order::HttpWrite(id, bytes) => {
                if let Some(conn) = self.conns.get(&id).filter(|conn| conn.is_http) {
                    let peer = &mut self.peers[conn.peer];
                    peer.answers.extend(bytes);
                    peer.answer_ends.push(peer.answers.len());
                }
            }
            Order::HttpDone(id) => self.with(id, |conn| conn.http_done += 1),
        }
    }

    fn with(&mut self, id: ConnId, work: impl FnOnce(&mut super::app::Conn)) {
        if let Some(conn) = self.conns.get_mut(&id) {
            work(conn);
        }
    }

    pub fn is_open(&self, id: ConnId) -> bool {
        let conn = self.conns.get(&id);
        conn.is_some_and(|conn| matches!(conn.phase, Phase::Open | Phase::Ending))
    }

    fn expect(&mut self, id: ConnId, message: Message, is_optional: bool) {
        if self.is_open(id) {
            let number = self.conns[&id].peer;
            self.note("expect", number as u64, u64::from(message.tag));
            let peer = &mut self.peers[number];
            peer.expected.push(Expected {
                message,
                is_optional,
            });
        }
    }

    /// A connection is in no room any more.
    pub fn leave_all(&mut self, id: ConnId) {
        self.rooms.values_mut().for_each(|room| {
            room.members.remove(&id);
        });
        self.with(id, |conn| conn.is_admitted = false);
    }
}
