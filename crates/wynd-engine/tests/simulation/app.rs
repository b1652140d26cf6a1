//! The application: what it does about events, judged while it is told of them.

use std::collections::BTreeSet;

use wynd_engine::{Buffered, ConnId, Event, MessageKind, PeerAddress};

use super::message::{tag_of, Message};
use super::model::Order;
use super::peer::{Ending, Reading, Vice};
use super::world::{Season, World};

/// How far a connection is, as far as the application was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `Requested` was told and is not answered, or accepted.
    Asked,
    /// Answered by a response: nothing follows.
    Responded,
    Http,
    Open,
    /// The peer began to close, or broke a rule; our close frame follows.
    Ending,
    /// Our close frame is queued.
    Closing,
    /// `HandshakeLost` was told and `HttpClosed` follows.
    Lost,
}

#[derive(Debug, Default)]
pub struct Room {
    pub members: BTreeSet<ConnId>,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // what is known of a connection is a set of facts
pub struct Conn {
    pub peer: usize,
    pub phase: Phase,
    pub since: u64,
    pub buffered: Option<Buffered>,
    pub is_http: bool,
    pub is_raw: bool,
    pub is_accepted: bool,
    pub is_admitted: bool,
    pub is_paused: bool,
    /// Paused before the last poll: nothing of it may be told.
    pub is_held: bool,
    pub is_frozen: bool,
    /// A send returned the soft limit or more, so `Drained` is owed.
    pub waits: bool,
    pub lives_from: u64,
    pub codes: Vec<u16>,
    pub is_aborted: bool,
    pub http_told: usize,
    pub http_answered: usize,
    pub http_done: usize,
}

/// What the application puts off.
#[derive(Clone, Copy, Debug)]
pub enum Deferred {
    Accept(ConnId),
    Respond(ConnId),
    Resume(ConnId),
    Answer(ConnId),
    HttpClose(ConnId),
}

impl Conn {
    fn new(peer: usize, phase: Phase, now: u64) -> Self {
        Self {
            peer,
            phase,
            since: now,
            buffered: None,
            is_http: false,
            is_raw: false,
            is_accepted: false,
            is_admitted: false,
            is_paused: false,
            is_held: false,
            is_frozen: false,
            waits: false,
            lives_from: now,
            codes: Vec::new(),
            is_aborted: false,
            http_told: 0,
            http_answered: 0,
            http_done: 0,
        }
    }
}

/// Which peer has an address.
fn number_of(address: PeerAddress) -> usize {
    match address {
        PeerAddress::Inet(address) => usize::from(address.port()) - 1_000,
        PeerAddress::Unix => panic!("no Unix sockets here"),
    }
}

impl World {
    fn conn(&mut self, id: ConnId, what: &str) -> &mut Conn {
        let conn = self.conns.get_mut(&id);
        conn.unwrap_or_else(|| panic!("{what} of {id:?}, which is gone or was never told of"))
    }

    /// Takes one event.
    pub fn handle(&mut self, event: &Event<'_>) {
        match *event {
            Event::Requested {
                conn,
                address,
                upgrade,
                head,
                ..
            } => {
                assert!(head.ends_with(b"\r\n\r\n"), "half a head");
                self.requested(conn, number_of(address), upgrade);
            }
            Event::HandshakeLost { conn } => self.lost(conn),
            Event::Opened {
                conn,
                address,
                buffered,
                ..
            } => self.opened(conn, number_of(address), buffered),
            Event::Text { conn, payload } => self.received(conn, MessageKind::Text, payload),
            Event::Binary { conn, payload } => self.received(conn, MessageKind::Binary, payload),
            Event::Pong { conn, .. } => {
                self.note("pong", conn.as_u64(), 0);
                let phase = self.conn(conn, "Pong").phase;
                assert_eq!(phase, Phase::Open, "a pong of a connection that closes");
            }
            Event::Drained { conn } => {
                self.note("drained", conn.as_u64(), 0);
                self.conn(conn, "Drained").waits = false;
            }
            Event::Closing {
                conn,
                sent,
                received,
            } => self.closing(conn, sent, received),
            Event::Closed {
                conn,
                sent,
                received,
                ..
            } => self.closed(conn, sent, received),
            Event::HttpOpened {
                conn,
                address,
                buffered,
                ..
            } => self.http_opened(conn, number_of(address), buffered),
            Event::HttpData { conn, payload } => self.http_data(conn, payload),
            Event::HttpEnded { conn } => {
                self.note("http ended", conn.as_u64(), 0);
                assert!(self.conn(conn, "HttpEnded").is_http, "no HTTP any more");
                let delay = self.chance.below(800);
                self.defer(delay, Deferred::HttpClose(conn));
            }
            Event::HttpDrained { conn } => {
                self.note("http drained", conn.as_u64(), 0);
                let told = self.conn(conn, "HttpDrained");
                assert!(told.is_http, "no HTTP any more");
                told.waits = false;
            }
            Event::HttpClosed { conn } => self.http_closed(conn),
            Event::ListenerFailed { errno, .. } => {
                self.note("listener failed", u64::try_from(errno).unwrap_or(0), 0);
            }
        }
    }

    fn requested(&mut self, id: ConnId, peer: usize, upgrade: bool) {
        self.note("requested", id.as_u64(), peer as u64);
        let now = self.clock();
        let conn = self
            .conns
            .entry(id)
            .or_insert_with(|| Conn::new(peer, Phase::Lost, now));
        let is_due = matches!(conn.phase, Phase::Lost) && !conn.is_http
            || conn.phase == Phase::Http && conn.is_http;
        assert!(is_due, "asked twice");
        (conn.phase, conn.since, conn.is_accepted) = (Phase::Asked, now, false);
        let delay = self.chance.between(1, 1_500);
        match self.chance.below(20) {
            10..=13 => self.defer(delay, Deferred::Accept(id)),
            14 => self.defer(delay, Deferred::Respond(id)),
            15 if self.conns[&id].is_http => {
                // It is HTTP already, so nothing tells of it again.
                self.queue.push_http_pass(id);
                let conn = self.conn(id, "");
                (conn.phase, conn.is_raw) = (Phase::Http, true);
            }
            16 => {}
            17 => {
                self.abort(id);
            }
            0..=9 | 18.. if upgrade => self.accept(id),
            _ => self.respond(id),
        }
    }

    fn accept(&mut self, id: ConnId) {
        self.queue.push_accept(id, None, Vec::new());
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.is_accepted |= conn.phase == Phase::Asked;
        }
    }

    fn respond(&mut self, id: ConnId) {
        self.queue.push_respond(id, 403, &[], b"No.");
        if let Some(conn) = self.conns.get_mut(&id) {
            if conn.phase == Phase::Asked && !conn.is_accepted {
                conn.phase = Phase::Responded;
            }
        }
    }

    fn lost(&mut self, id: ConnId) {
        self.note("lost", id.as_u64(), 0);
        let conn = self.conn(id, "HandshakeLost");
        assert!(
            matches!(conn.phase, Phase::Asked | Phase::Responded) || conn.is_raw,
            "a handshake lost in phase {:?}",
            conn.phase
        );
        conn.phase = Phase::Lost;
        if !conn.is_http {
            self.bury(id);
        }
    }

    fn bury(&mut self, id: ConnId) {
        self.leave_all(id);
        self.conns.remove(&id);
        self.dead.push(id);
    }

    fn opened(&mut self, id: ConnId, peer: usize, buffered: &Buffered) {
        self.note("opened", id.as_u64(), peer as u64);
        self.told.opened += 1;
        let now = self.clock();
        if let Some(conn) = self.conns.get(&id) {
            let is_due = conn.phase == Phase::Asked && conn.is_accepted && !conn.is_http;
            assert!(is_due, "opened without being accepted, or twice: {conn:?}");
        }
        let mut conn = Conn::new(peer, Phase::Open, now);
        conn.buffered = Some(buffered.clone());
        if let Some(asked) = self.conns.remove(&id) {
            // What was queued behind the acceptance counts.
            (conn.is_aborted, conn.codes) = (asked.is_aborted, asked.codes);
        }
        self.conns.insert(id, conn);
        if !self.chance.one_in(8) {
            self.queue.push_admit(id);
            self.orders.push(Order::Admit(id));
        }
        for _ in 0..self.chance.below(4) {
            self.join(id);
        }
    }

    fn received(&mut self, id: ConnId, kind: MessageKind, payload: &[u8]) {
        self.note("message", id.as_u64(), payload.len() as u64);
        self.told.messages += 1;
        let conn = self.conn(id, "a message");
        assert_eq!(conn.phase, Phase::Open, "a message after the end");
        assert!(!conn.is_held, "a message of a paused connection");
        let peer = conn.peer;
        let peer = &mut self.peers[peer];
        let is_due = |due: &Message| tag_of(payload) == Some(due.tag);
        if peer.has_raved && !peer.sent.get(peer.told).is_some_and(is_due) {
            return; // noise may be a frame
        }
        let due = peer.sent.get(peer.told);
        let due = due.unwrap_or_else(|| panic!("peer {} sent no such message", peer.number));
        assert_eq!(due.kind, kind, "a message changed its kind");
        assert!(
            due.payload() == payload,
            "peer {}: message {} is due, and another came, or it was changed",
            peer.number,
            due.tag
        );
        peer.told += 1;
        self.react(id);
    }

    fn react(&mut self, id: ConnId) {
        if self.season != Season::Storm {
            return;
        }
        match self.chance.below(16) {
            0..=5 => self.send_some(id),
            6..=8 => self.publish(Some(id)),
            9 => {
                self.pause(id);
                let delay = self.chance.between(1, 3_000);
                self.defer(delay, Deferred::Resume(id));
            }
            10 => self.join(id),
            11 if self.chance.one_in(6) => self.close(id),
            _ => {}
        }
    }

    fn closing(&mut self, id: ConnId, sent: Option<u16>, received: Option<u16>) {
        let seen = sent.or(received).unwrap_or(0);
        self.note("closing", id.as_u64(), u64::from(seen));
        let now = self.clock();
        let conn = self.conn(id, "Closing");
        let is_due = match conn.phase {
            Phase::Open => true,
            Phase::Ending => sent.is_some(),
            _ => false,
        };
        assert!(is_due, "closing told again in phase {:?}", conn.phase);
        (conn.phase, conn.since, conn.waits) = (Phase::Ending, now, false);
        if sent.is_some() {
            conn.phase = Phase::Closing;
            self.leave_all(id);
        }
    }

    fn closed(&mut self, id: ConnId, sent: Option<u16>, received: u16) {
        let both = u64::from(sent.unwrap_or(0)) << 16 | u64::from(received);
        self.note("closed", id.as_u64(), both);
        self.told.closed += 1;
        let conn = self.conn(id, "Closed");
        let is_open = matches!(conn.phase, Phase::Open | Phase::Ending | Phase::Closing);
        assert!(is_open, "closed, and never opened");
        let (number, codes, is_aborted) = (conn.peer, conn.codes.clone(), conn.is_aborted);
        self.bury(id);
        self.judge_codes(number, &codes, is_aborted, sent, received);
    }

    /// Whether the codes of an end fit its cause.
    fn judge_codes(
        &mut self,
        number: usize,
        codes: &[u16],
        is_aborted: bool,
        sent: Option<u16>,
        received: u16,
    ) {
        let peer = &self.peers[number];
        let close_sent = peer.close_sent;
        if received != 1006 && !peer.has_raved {
            assert_eq!(
                close_sent,
                Some(received),
                "peer {number} sent another code"
            );
        }
        let is_overload = sent.is_some_and(|code| code == 1013 || code == 4000);
        if is_overload {
            self.cut_short.insert(number); // its code leaves only if the socket takes it
        }
        if let Some(sent) = sent {
            let limits = self.shard.statistics().limits_hit;
            let overloads = ["outbox_bytes_hard", "process_bytes_max"];
            let has_overload = limits.iter().any(|(name, _)| overloads.contains(name));
            let is_violation = matches!(sent, 1002 | 1007 | 1008 | 1009);
            let breaks = matches!(
                peer.habits.vice,
                Vice::Breaks(_) | Vice::Raves | Vice::Floods
            );
            assert!(
                codes.contains(&sent)
                    || received == sent
                    || is_overload && has_overload
                    || is_violation && breaks,
                "peer {number} was closed with {sent} for no reason"
            );
        }
        let is_good = peer.is_good() && !is_aborted && !is_overload;
        assert!(
            !is_good || sent.is_some(),
            "peer {number} was cut off for no reason"
        );
        if is_good && close_sent.is_some() {
            assert_ne!(
                received, 1006,
                "the close frame of peer {number} was not heard"
            );
        }
        // One that only breaks rules, or only ends badly, is not cut off for silence either.
        let is_silent = matches!(peer.habits.vice, Vice::Mute | Vice::Raves | Vice::Pings);
        let may_vanish = peer.has_cut
            || peer.is_excused
            || is_aborted
            || is_silent
            || peer.habits.vice == Vice::Floods
            || peer.habits.reading != Reading::Promptly
            || matches!(peer.habits.ending, Ending::Resets | Ending::ClosesAndResets);
        assert!(
            sent.is_some() || may_vanish,
            "peer {number} vanished without a cause"
        );
    }

    fn http_opened(&mut self, id: ConnId, peer: usize, buffered: &Buffered) {
        self.note("http opened", id.as_u64(), peer as u64);
        let now = self.clock();
        let conn = self
            .conns
            .entry(id)
            .or_insert_with(|| Conn::new(peer, Phase::Http, now));
        assert!(!conn.is_http, "HttpOpened twice");
        conn.is_raw |= conn.phase == Phase::Asked;
        conn.phase = Phase::Http;
        conn.is_http = true;
        conn.buffered = Some(buffered.clone());
    }

    fn http_data(&mut self, id: ConnId, payload: &[u8]) {
        self.note("http data", id.as_u64(), payload.len() as u64);
        let conn = self.conn(id, "HttpData");
        assert!(conn.is_http, "no HTTP any more");
        assert!(!conn.is_held, "data of a paused connection");
        if conn.phase == Phase::Asked || conn.is_raw {
            // It was passed as it is.
            conn.is_raw = true;
            return;
        }
        let from = conn.http_told;
        conn.http_told += payload.len();
        let (told, peer, done) = (conn.http_told, conn.peer, conn.http_done);
        let answered = conn.http_answered;
        let peer = &self.peers[peer];
        assert!(
            peer.requests.get(from..told) == Some(payload),
            "peer {} sent another request than {:?}",
            peer.number,
            String::from_utf8_lossy(payload)
        );
        let bound = peer.request_ends.get(done).or(peer.request_ends.last());
        assert!(
            bound.is_some_and(|&bound| told <= bound),
            "a request of peer {} was passed on before the last was answered",
            peer.number
        );
        let begins = if answered == 0 {
            0
        } else {
            peer.request_ends[answered - 1]
        };
        let is_whole = peer
            .request_ends
            .get(answered)
            .is_some_and(|&end| told >= end);
        if is_whole || told > begins && self.chance.one_in(12) {
            self.decide_answer(id);
        }
    }

    fn decide_answer(&mut self, id: ConnId) {
        self.conn(id, "").http_answered += 1;
        let delay = self.chance.between(1, 2_000);
        match self.chance.below(16) {
            0..=8 => self.answer_http(id),
            9..=12 => self.defer(delay, Deferred::Answer(id)),
            13 => self.defer(delay, Deferred::HttpClose(id)),
            14 => {
                self.answer_http(id);
                self.queue.push_http_close(id);
            }
            _ => {
                self.abort(id);
            }
        }
    }

    pub fn answer_http(&mut self, id: ConnId) {
        let tag = self.draw_tag();
        let size = self.draw_size(100_000);
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.is_http) else {
            return;
        };
        let Some(buffered) = conn.buffered.clone() else {
            return;
        };
        let kind = MessageKind::Binary;
        let mut answer = format!("HTTP/1.1 200 OK\r\nX-Tag: {tag}\r\n\r\n").into_bytes();
        let body = Message { tag, size, kind }.payload();
        answer.extend(body.into_iter().map(|byte| byte & 0x5f));
        answer.push(b'~');
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            let cut = if self.chance.one_in(2) {
                rest.len()
            } else {
                self.chance.size(1, rest.len())
            };
            let (part, after) = rest.split_at(cut);
            let soft = self.config.outbox_bytes_soft;
            let unsent = self.queue.push_http_write(id, &buffered, part, soft);
            self.orders.push(Order::HttpWrite(id, part.to_vec()));
            self.conn(id, "").waits |= unsent >= soft;
            rest = after;
        }
        self.queue.push_http_done(id);
        self.orders.push(Order::HttpDone(id));
    }

    fn http_closed(&mut self, id: ConnId) {
        self.note("http closed", id.as_u64(), 0);
        let conn = self.conn(id, "HttpClosed");
        assert!(conn.is_http, "HttpClosed twice");
        (conn.is_http, conn.waits) = (false, false);
        if conn.phase != Phase::Asked || !conn.is_accepted {
            self.bury(id);
        }
    }
}
