//! How peers act, and how bytes travel between them and the shard: late, in pieces, or not at all.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use wynd_engine::{ListenerId, PeerAddress};
use wynd_protocol::MessageKind;

use crate::support::network::MemorySocket;

use super::message::Message;
use super::peer::{Ending, Opening, Parcel, Reading, Stage, Vice};
use super::world::{Event, Season, World, LISTENERS};

/// Bytes a socket takes while its peer reads nothing.
const ROOMS: [usize; 5] = [40, 700, 5_000, 30_000, 200_000];

/// More than the shard reads at once.
const LONG_BYTES: usize = 140_000;

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

impl World {
    pub fn connect(&mut self, number: usize) {
        let host = if self.config.connections_per_address_max.is_some() {
            u8::try_from(number % 4).unwrap()
        } else {
            u8::try_from(number).unwrap()
        };
        let port = u16::try_from(1_000 + number).unwrap();
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), port));
        let opening = self.peers[number].habits.opening;
        let listener = match opening {
            Opening::Http | Opening::HttpThenUpgrade => 2,
            Opening::Refusable => self.chance.index(2), // HTTP would take some of it
            _ => self.chance.index(LISTENERS.len()),
        };
        let mut inner = self.network.0.borrow_mut();
        let socket = inner.new_line(PeerAddress::Inet(address));
        // Through the smallest ones a long outbox takes longer than a closing handshake may.
        let least = if self.peers[number].is_good() { 2 } else { 0 };
        let room = self.chance.pick(&ROOMS[least..]);
        let line = inner.line(socket);
        line.room = room;
        if self.chance.one_in(5) {
            line.recv_max = self.chance.pick(&[100, 1_500]);
        }
        if !inner.is_strict {
            inner.line(socket).recv_max = usize::MAX;
        }
        drop(inner);
        self.note("connect", number as u64, listener as u64);
        let now = self.clock();
        let peer = &mut self.peers[number];
        peer.socket = socket;
        peer.listener = Some(listener);
        peer.heard_at = now;
        if matches!(opening, Opening::Http | Opening::HttpThenUpgrade) {
            peer.stage = Stage::Http;
        }
        if listener == 3 {
            self.adopt(number);
        } else {
            self.network.0.borrow_mut().arrive_at(listener, Ok(socket));
        }
        let delay = self.chance.between(0, 30);
        self.plan(delay, Event::Act(number));
    }

    /// Hands the socket over as another process would, where listening is not the shard's affair.
    fn adopt(&mut self, number: usize) {
        let socket = MemorySocket {
            number: self.peers[number].socket,
            world: std::rc::Rc::clone(&self.network.0),
        };
        let asks = self.chance.one_in(2);
        let now = self.instant();
        let adopted = self.shard.adopt(socket, ListenerId(3), asks, now);
        assert!(adopted.is_ok(), "not adopted");
        let mut inner = self.network.0.borrow_mut();
        inner.line(self.peers[number].socket).is_taken = true;
    }

    /// A peer does the next thing it has in mind.
    pub fn act(&mut self, number: usize) {
        self.act_once(number);
        self.transmit(number);
        let peer = &self.peers[number];
        let floods = matches!(peer.habits.vice, Vice::Floods | Vice::Pings);
        let goes_on = peer.acts_left > 0 || floods || peer.habits.opening == Opening::Dribble;
        if goes_on && !peer.has_cut && self.season == Season::Storm {
            let delay = if floods && peer.stage == Stage::Open {
                self.chance.between(1, 40)
            } else {
                self.chance.between(1, 1_200)
            };
            self.plan(delay, Event::Act(number));
        }
    }

    fn act_once(&mut self, number: usize) {
        let max = self.config.message_bytes_max;
        let size = if max >= LONG_BYTES && self.chance.one_in(20) {
            self.chance.size(LONG_BYTES, max)
        } else {
            self.draw_size(max)
        };
        let (tag, is_text) = (self.draw_tag(), self.chance.one_in(2));
        let peer = &mut self.peers[number];
        let chance = &mut self.chance;
        let is_first = peer.acts_left == peer.habits.acts;
        if peer.stage == Stage::Greeting {
            peer.acts_left = peer.acts_left.saturating_sub(u64::from(is_first));
            match peer.habits.opening {
                Opening::Upgrade if is_first => peer.write_upgrade(),
                Opening::Garbage if is_first => {
                    let size = chance.size(1, 300);
                    peer.written
                        .extend((0..size).map(|_| chance.next().to_be_bytes()[0]));
                }
                Opening::Refusable if is_first => peer.write_refusable(chance),
                Opening::Dribble if is_first => {
                    peer.written.extend_from_slice(b"GET / HTTP/1.1\r\nX: ");
                }
                Opening::Dribble => peer.written.push(b'x'),
                _ => {}
            }
            return;
        }
        peer.acts_left = peer.acts_left.saturating_sub(1);
        if peer.stage == Stage::Http && peer.acts_left == 0 {
            return match peer.habits.ending {
                Ending::Finishes => self.cut(number, Parcel::Fin),
                Ending::Resets => self.cut(number, Parcel::Rst),
                _ => {}
            };
        }
        if peer.stage == Stage::Http {
            match peer.habits.opening {
                Opening::HttpThenUpgrade if !peer.is_last_request && chance.one_in(3) => {
                    if peer.has_all_answers() && peer.answers_seen == peer.answers.len() {
                        peer.is_last_request = true;
                        peer.write_upgrade();
                    } else {
                        peer.acts_left += 1;
                    }
                }
                _ if !peer.is_last_request => peer.write_request(chance),
                _ => {}
            }
            return;
        }
        let hears_nothing = peer.stage == Stage::Deaf || peer.close_seen.is_some();
        if hears_nothing && peer.habits.vice == Vice::Floods {
            // The server has to end this by itself.
            self.flood(number);
            return;
        }
        if peer.stage != Stage::Open {
            return;
        }
        if peer.acts_left == 0 {
            return self.end_peer(number);
        }
        let kind = if is_text {
            MessageKind::Text
        } else {
            MessageKind::Binary
        };
        let message = Message { tag, size, kind };
        match peer.habits.vice {
            Vice::Mute => {}
            Vice::Breaks(which) if chance.one_in(4) && !peer.has_broken => peer.write_broken(which),
            Vice::Raves if chance.one_in(3) => {
                peer.has_raved = true;
                let size = chance.size(1, 400);
                peer.written
                    .extend((0..size).map(|_| chance.next().to_be_bytes()[0]));
            }
            Vice::Pings if peer.may_write() => {
                (0..chance.between(1, 60)).for_each(|_| peer.write_ping(chance));
            }
            _ if !peer.may_write() => {}
            _ if chance.one_in(5) => peer.write_ping(chance),
            _ => peer.write_message(message, chance),
        }
    }

    fn flood(&mut self, number: usize) {
        let socket = self.peers[number].socket;
        let is_closed = self.network.0.borrow_mut().line(socket).is_closed;
        if !is_closed && self.flooded.is_none() {
            self.note("flood", number as u64, 0);
            self.network.flood(socket, true);
            self.flooded = Some(number);
        }
    }

    /// Ends a flood when the server has, or when the storm is over.
    pub fn end_flood(&mut self) {
        let Some(number) = self.flooded else {
            return;
        };
        let socket = self.peers[number].socket;
        let is_closed = self.network.0.borrow_mut().line(socket).is_closed;
        if is_closed || self.season != Season::Storm {
            self.network.flood(socket, false);
            self.flooded = None;
            self.cut(number, Parcel::Fin);
        }
    }

    fn end_peer(&mut self, number: usize) {
        let code = self
            .chance
            .pick(&[None, Some(1000), Some(1001), Some(3333), Some(4999)]);
        let peer = &mut self.peers[number];
        if peer.has_cut {
            return;
        }
        let ending = peer.habits.ending;
        if matches!(
            ending,
            Ending::Closes | Ending::ClosesAndFinishes | Ending::ClosesAndResets
        ) && peer.may_write()
        {
            peer.write_close(code);
        }
        self.transmit(number);
        match ending {
            Ending::ClosesAndFinishes | Ending::Finishes => self.cut(number, Parcel::Fin),
            Ending::ClosesAndResets | Ending::Resets => self.cut(number, Parcel::Rst),
            Ending::Stays | Ending::Closes => {}
        }
    }

    /// Ends a peer's direction behind what is on its way.
    pub fn cut(&mut self, number: usize, parcel: Parcel) {
        let peer = &mut self.peers[number];
        if peer.has_cut || peer.listener.is_none() {
            return;
        }
        peer.has_cut = true;
        self.send_parcel(number, parcel);
    }

    /// Puts what a peer wrote on its way, in one piece or many.
    pub fn transmit(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        let written = std::mem::take(&mut peer.written);
        if written.is_empty() || peer.has_cut {
            return;
        }
        let mut rest = written.as_slice();
        let pieces = match self.chance.below(8) {
            0 if rest.len() < 60 => rest.len(),
            1 => self.chance.size(2, 6),
            _ => 1,
        };
        for left in (1..=pieces).rev() {
            let size = match left {
                1 => rest.len(),
                _ if pieces == written.len() => 1,
                _ => self.chance.index(rest.len() + 1),
            };
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            if !piece.is_empty() {
                self.send_parcel(number, Parcel::Bytes(piece.to_vec()));
            }
        }
    }

    fn send_parcel(&mut self, number: usize, parcel: Parcel) {
        let delay = match self.chance.below(12) {
            0 => self.chance.between(50, 400),
            1..=5 => self.chance.between(1, 40),
            _ => 0,
        };
        let delay = if self.season == Season::Storm {
            delay
        } else {
            1
        };
        let peer = &mut self.peers[number];
        let at = peer.wire_at.max(self.ms + delay);
        peer.wire_at = at;
        peer.wire.push_back(parcel);
        let delay = at - self.ms;
        self.plan(delay, Event::Arrive(number));
    }

    /// The next parcel of a peer arrives at the server.
    pub fn arrive(&mut self, number: usize) {
        let now = self.clock();
        let peer = &mut self.peers[number];
        let Some(parcel) = peer.wire.pop_front() else {
            return;
        };
        let socket = peer.socket;
        if self.network.0.borrow_mut().line(socket).is_closed {
            if matches!(parcel, Parcel::Bytes(_)) {
                self.reset_by_server(number);
            }
            return;
        }
        match parcel {
            Parcel::Bytes(bytes) => {
                self.note("arrive", number as u64, bytes.len() as u64);
                self.peers[number].heard_at = now;
                self.network.write(socket, &bytes);
            }
            Parcel::Fin => {
                self.note("fin", number as u64, 0);
                self.network.finish(socket);
            }
            Parcel::Rst => {
                self.note("rst", number as u64, 0);
                self.network.reset(socket);
            }
        }
    }

    /// Bytes met a closed socket: what its peer has not read may be lost.
    fn reset_by_server(&mut self, number: usize) {
        if self.chance.one_in(2) {
            self.note("answered by rst", number as u64, 0);
            self.network.take_output(self.peers[number].socket);
        }
    }

    /// A peer reads some of what the server sent.
    pub fn carry(&mut self, number: usize) {
        self.peers[number].is_carrying = false;
        let (socket, reading) = (self.peers[number].socket, self.peers[number].habits.reading);
        let mut inner = self.network.0.borrow_mut();
        let line = inner.line(socket);
        let limit = match reading {
            Reading::Promptly => usize::MAX,
            Reading::Stalls => self.chance.size(1, 4_000),
            Reading::Never => return,
        };
        let size = line.outgoing.len().min(limit);
        let bytes: Vec<u8> = line.outgoing.drain(..size).collect();
        let room = line.room + size;
        let has_ended = line.outgoing.is_empty() && (line.is_shut || line.is_closed);
        drop(inner);
        self.note("carry", number as u64, size as u64);
        self.network.make_room(socket, room);
        if reading == Reading::Stalls && self.season == Season::Storm && self.chance.one_in(4) {
            self.peers[number].reads_from = self.ms + self.chance.between(100, 4_000);
        }
        self.peers[number].receive(&bytes);
        self.transmit(number);
        let peer = &mut self.peers[number];
        if has_ended {
            peer.stage = Stage::Deaf;
            if peer.habits.vice != Vice::Floods {
                self.cut(number, Parcel::Fin);
            }
        }
        self.plan_reading_of(number..number + 1);
    }

    /// Lets peers read where there is something to read.
    pub fn plan_reading(&mut self) {
        self.plan_reading_of(0..self.peers.len());
    }

    fn plan_reading_of(&mut self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let peer = &self.peers[number];
            if peer.is_carrying || peer.listener.is_none() || peer.habits.reading == Reading::Never
            {
                continue;
            }
            let mut inner = self.network.0.borrow_mut();
            let line = inner.line(peer.socket);
            if line.is_closed && !line.incoming.is_empty() {
                // Closed with input unread: a reset, which outruns what was sent.
                line.incoming.clear();
                line.outgoing.clear();
            }
            let has_ended = (line.is_shut || line.is_closed) && !peer.has_cut;
            let is_due = !line.outgoing.is_empty() || has_ended && peer.stage != Stage::Deaf;
            drop(inner);
            if !is_due {
                continue;
            }
            let delay = match self.chance.below(6) {
                _ if self.season != Season::Storm => 1,
                0 => self.chance.between(20, 300),
                1..=3 => self.chance.between(0, 20),
                _ => 0,
            };
            let delay = delay.max(self.peers[number].reads_from.saturating_sub(self.ms));
            self.peers[number].is_carrying = true;
            self.plan(delay, Event::Carry(number));
        }
    }

    /// The network or the clock does something nobody asked for.
    pub fn fault(&mut self) {
        if self.season != Season::Storm {
            return;
        }
        let next = self.chance.between(20, 400);
        self.plan(next, Event::Fault);
        let number = self.chance.index(self.peers.len());
        let what = self.chance.below(40);
        if what == 0 {
            let listener = self.chance.index(3);
            for _ in 0..self.chance.between(1, 3) {
                let error = match self.chance.below(4) {
                    0 => io::ErrorKind::Interrupted.into(),
                    1 => io::ErrorKind::ConnectionAborted.into(),
                    2 => io::Error::from_raw_os_error(ENFILE),
                    _ => io::Error::from_raw_os_error(EMFILE),
                };
                self.note("accept fails", listener as u64, 0);
                self.network.0.borrow_mut().arrive_at(listener, Err(error));
            }
        } else if what == 1 && self.chance.one_in(4) {
            self.jump();
        } else if self.peers[number].listener.is_some() {
            let (socket, is_good) = (self.peers[number].socket, self.peers[number].is_good());
            let mut inner = self.network.0.borrow_mut();
            match what {
                2..=15 => inner.announce_falsely(socket),
                16..=30 => inner.line(socket).interrupts = 3,
                31 if !is_good || self.chance.one_in(4) => {
                    drop(inner);
                    self.peers[number].is_excused = true;
                    self.cut(number, Parcel::Rst);
                }
                _ => {}
            }
        }
    }
}
