//! What the application does of its own accord, sensible or not.

use wynd_engine::{ConnId, MessageKind, PublishOptions, RoomPolicy, SharedFrame};

use super::app::{Deferred, Phase};
use super::message::Message;
use super::model::Order;
use super::world::{Event, Season, World};

const ROOMS: [&str; 8] = [
    "hall",
    "kitchen",
    "old.news",
    "new.news",
    "latest.price",
    "kick.slow",
    "latest.mood",
    "a name that is longer than is allowed",
];

impl World {
    pub fn draw_tag(&mut self) -> u32 {
        self.next_tag += 1;
        self.next_tag
    }

    pub fn draw_size(&mut self, max: usize) -> usize {
        let size = match self.chance.below(40) {
            0..=26 => self.chance.size(8, 150),
            27..=35 => self.chance.size(150, 6_000),
            36..=38 => self.chance.size(6_000, 30_000),
            _ => self.chance.size(30_000, 80_000),
        };
        size.min(max)
    }

    fn draw_message(&mut self) -> Message {
        let kind = if self.chance.one_in(2) {
            MessageKind::Text
        } else {
            MessageKind::Binary
        };
        Message {
            tag: self.draw_tag(),
            size: self.draw_size(80_000),
            kind,
        }
    }

    /// Any connection the application knows of; seldom one that is gone, or that never was.
    fn draw_conn(&mut self) -> ConnId {
        if self.chance.one_in(12) {
            return match self.dead.len() {
                0 => ConnId::from_u64(self.chance.next()),
                len => self.dead[self.chance.index(len)],
            };
        }
        let open: Vec<ConnId> = self.conns.keys().copied().collect();
        match open.len() {
            0 => ConnId::from_u64(self.chance.next()),
            len => open[self.chance.index(len)],
        }
    }

    pub fn follow_whim(&mut self) {
        if self.season != Season::Storm {
            return;
        }
        let next = self.chance.between(10, 250);
        self.plan(next, Event::Whim);
        for _ in 0..self.chance.below(4) {
            let id = self.draw_conn();
            match self.chance.below(32) {
                0..=7 => self.send_some(id),
                8..=17 => self.publish(Some(id)),
                18 => self.join(id),
                19 | 20 => {
                    let room = self.chance.pick(&ROOMS);
                    self.queue.push_leave(id, room);
                    self.orders.push(Order::Leave(id, room.to_owned()));
                }
                // The model knows no joins of what is not told of as open yet.
                21 if self.is_open(id) || !self.conns.contains_key(&id) => {
                    self.queue.push_admit(id);
                    self.orders.push(Order::Admit(id));
                }
                22 => {
                    self.pause(id);
                    if !self.chance.one_in(4) {
                        let delay = self.chance.between(1, 4_000);
                        self.defer(delay, Deferred::Resume(id));
                    }
                }
                23 | 24 => self.resume(id),
                25 if self.chance.one_in(2) => self.close(id),
                26 if self.chance.one_in(3) => {
                    self.abort(id);
                }
                27 => self.queue.push_ping(id, b"are you there"),
                28 => self.publish(None),
                29 => {
                    let policy = self.chance.pick(&[0, 1, 2]);
                    let policy = match policy {
                        0 => RoomPolicy::DropOldest,
                        1 => RoomPolicy::DropNewest,
                        _ => RoomPolicy::Latest,
                    };
                    self.set_policy("latest.*", policy);
                }
                30 => self.burst(id),
                _ => self.misuse(id),
            }
        }
    }

    /// Commands that fit no state of the connection, or not this one.
    fn misuse(&mut self, id: ConnId) {
        match self.chance.below(5) {
            0 => self
                .queue
                .push_http_done(ConnId::from_u64(self.chance.next())),
            1 => self.queue.push_http_close(self.open_or_dead(id)),
            2 => self.queue.push_http_pass(self.open_or_dead(id)),
            3 => self
                .queue
                .push_accept(self.open_or_dead(id), None, Vec::new()),
            _ => self
                .queue
                .push_respond(self.open_or_dead(id), 500, &[], b""),
        }
    }

    /// The same connection if it is a WebSocket, else none at all.
    fn open_or_dead(&self, id: ConnId) -> ConnId {
        let conn = self.conns.get(&id);
        let is_open = conn.is_none_or(|conn| !conn.is_http && conn.phase == Phase::Open);
        if is_open {
            id
        } else {
            ConnId::from_u64(u64::MAX)
        }
    }

    pub fn send_some(&mut self, id: ConnId) {
        for _ in 0..self.chance.between(1, 3) {
            self.send_one(id);
        }
    }

    /// As much as no outbox takes, without a look at what it holds.
    fn burst(&mut self, id: ConnId) {
        for _ in 0..self.chance.between(10, 40) {
            self.send_one(id);
        }
    }

    fn send_one(&mut self, id: ConnId) {
        let message = self.draw_message();
        let soft = self.config.outbox_bytes_soft;
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if !matches!(conn.phase, Phase::Open | Phase::Ending) {
            return;
        }
        if conn.waits && !self.chance.one_in(4) {
            return;
        }
        let Some(buffered) = &conn.buffered else {
            return;
        };
        let payload = message.payload();
        let unsent = if self.chance.one_in(5) {
            let frame = SharedFrame::new(message.kind, &payload);
            self.queue.push_shared(id, buffered, &frame)
        } else {
            self.queue.push_send(id, buffered, message.kind, &payload)
        };
        conn.waits |= unsent >= soft;
        self.orders.push(Order::Send(id, message));
    }

    /// Publishes to a room, or to all.
    pub fn publish(&mut self, sender: Option<ConnId>) {
        let message = self.draw_message();
        self.note("publish", u64::from(message.tag), message.size as u64);
        let room = (!self.chance.one_in(5)).then(|| self.chance.pick(&ROOMS));
        let key = self
            .chance
            .one_in(3)
            .then(|| self.chance.pick(&["a", "b", "c"]));
        let options = PublishOptions {
            exclude: sender.filter(|_| self.chance.one_in(2)),
            key,
            droppable: self.chance.one_in(6),
        };
        let payload = message.payload();
        if self.chance.one_in(4) {
            let frame = SharedFrame::new(message.kind, &payload);
            self.queue.push_publish_shared(room, &frame, options);
        } else {
            self.queue
                .push_publish(room, message.kind, &payload, options);
        }
        self.orders.push(Order::Publish {
            room: room.map(str::to_owned),
            message,
            exclude: options.exclude,
            droppable: options.droppable,
        });
    }

    pub fn join(&mut self, id: ConnId) {
        if !self.is_open(id) && self.conns.contains_key(&id) {
            return; // as above
        }
        let room = self.chance.pick(&ROOMS);
        self.queue.push_join(id, room);
        self.orders.push(Order::Join(id, room.to_owned()));
    }

    pub fn pause(&mut self, id: ConnId) {
        self.queue.push_pause(id);
        self.orders.push(Order::Pause(id));
    }

    pub fn resume(&mut self, id: ConnId) {
        self.queue.push_resume(id);
        self.orders.push(Order::Resume(id));
    }

    pub fn close(&mut self, id: ConnId) {
        let code = self.chance.pick(&[
            None,
            Some(1000),
            Some(1001),
            Some(1011),
            Some(3000),
            Some(4321),
        ]);
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.codes.push(code.unwrap_or(1005));
        }
        self.queue.push_close(id, code, "");
        self.orders.push(Order::Close(id));
    }

    pub fn abort(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.is_aborted = true;
            self.cut_short.insert(conn.peer);
        }
        self.queue.push_abort(id);
    }

    /// Does what was put off until now.
    pub fn do_deferred(&mut self) {
        while let Some(entry) = self.deferred.first_entry() {
            if entry.key().0 > self.ms {
                return;
            }
            match entry.remove() {
                Deferred::Accept(id) => {
                    self.queue.push_accept(id, None, Vec::new());
                    if let Some(conn) = self.conns.get_mut(&id) {
                        conn.is_accepted |= conn.phase == Phase::Asked;
                    }
                }
                Deferred::Respond(id) => {
                    self.queue.push_respond(id, 404, &[], b"Late.");
                    if let Some(conn) = self.conns.get_mut(&id) {
                        if conn.phase == Phase::Asked && !conn.is_accepted {
                            conn.phase = Phase::Responded;
                        }
                    }
                }
                Deferred::Resume(id) => self.resume(id),
                Deferred::Answer(id) => self.answer_http(id),
                Deferred::HttpClose(id) => self.queue.push_http_close(id),
            }
        }
    }

    /// The storm is over: nothing stays paused, unanswered or unread.
    pub fn calm_down(&mut self) {
        for peer in &mut self.peers {
            peer.reads_from = 0;
        }
        let ids: Vec<ConnId> = self.conns.keys().copied().collect();
        for id in ids {
            self.resume(id);
            if self.conns[&id].phase == Phase::Asked {
                self.defer(0, Deferred::Accept(id));
            }
        }
    }

    /// Everything ends: each connection in the way that is right for it.
    pub fn end_all(&mut self) {
        for number in 0..super::world::LISTENERS.len() {
            let id = wynd_engine::ListenerId(u32::try_from(number).unwrap());
            self.shard.remove_listener(id);
        }
        let ids: Vec<ConnId> = self.conns.keys().copied().collect();
        for id in ids {
            let conn = self.conns.get_mut(&id).unwrap();
            conn.codes.push(1001);
            if conn.is_http {
                self.queue.push_http_close(id);
            }
            self.queue.push_close(id, Some(1001), "");
            self.orders.push(Order::Close(id));
        }
    }
}
