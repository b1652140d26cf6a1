//! A peer: the client's end of one connection, what it is like, and what it has to see.
//! When it acts, and how its bytes travel, is decided in `network`.

use std::collections::VecDeque;

use wynd_protocol::frames::{encode_header, Opcode};
use wynd_protocol::handshake::{judge_response, write_client_request, HeadLimits};
use wynd_protocol::{
    Connection, DeflateOffer, DeflateParameters, Event, Inflaters, Limits, MessageKind, Payload,
    Role,
};

use super::chance::Chance;
use super::message::{tag_of, Expected, Message};

/// What a peer says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    Upgrade,
    /// Plain requests, where the listener takes them.
    Http,
    /// Plain requests, then an upgrade on the same connection.
    HttpThenUpgrade,
    Silent,
    /// A head that never ends, a byte at times.
    Dribble,
    Garbage,
    /// Something that has to be refused.
    Refusable,
}

/// How it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Promptly,
    /// In small pieces, with pauses.
    Stalls,
    Never,
}

/// How it ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Stays,
    Closes,
    /// A close frame, and the end of its direction right behind it.
    ClosesAndFinishes,
    ClosesAndResets,
    Finishes,
    Resets,
}

/// What it does that a good client does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vice {
    None,
    /// Breaks a rule, this one of the list.
    Breaks(usize),
    /// Pings without end.
    Pings,
    /// Sends without end, whatever it hears.
    Floods,
    /// Random bytes.
    Raves,
    /// Says nothing once it is open, and answers nothing.
    Mute,
}

#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub opening: Opening,
    pub reading: Reading,
    pub ending: Ending,
    pub vice: Vice,
    pub offers_deflate: bool,
    /// Acts before it ends.
    pub acts: u64,
}

impl Habits {
    /// A client that keeps all rules, and reads: nothing may be lost to it.
    pub fn is_good(&self) -> bool {
        let opens = matches!(self.opening, Opening::Upgrade | Opening::HttpThenUpgrade);
        let ends = matches!(self.ending, Ending::Stays | Ending::Closes);
        opens && ends && self.reading == Reading::Promptly && self.vice == Vice::None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Connected or about to be; the answer to its head is awaited.
    Greeting,
    Http,
    Open,
    /// Nothing it hears matters any more.
    Deaf,
}

/// What travels from a peer to the server.
#[derive(Debug)]
pub enum Parcel {
    Bytes(Vec<u8>),
    Fin,
    Rst,
}

/// Broken frames, and the code that answers each.
const BREAKS: [(&[u8], u16); 9] = [
    (&[0x83, 0x80, 0, 0, 0, 0], 1002),       // a reserved opcode
    (&[0x81, 0x01, b'x'], 1002),             // no mask
    (&[0xc1, 0x80, 0, 0, 0, 0], 1002),       // RSV1 where nothing is open to inflate
    (&[0x80, 0x80, 0, 0, 0, 0], 1002),       // a continuation of nothing
    (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007), // no UTF-8
    (&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009), // 1 TiB
    (&[0x88, 0x81, 0, 0, 0, 0, 3], 1002),    // a close payload of one byte
    (&[0x88, 0x82, 0, 0, 0, 0, 3, 0xed], 1002), // code 1005 on the wire
    (&[0x89, 0xfe, 0, 126, 0, 0, 0, 0], 1002), // a ping of 126 bytes
];

/// Stands for an empty close frame (RFC 6455 §7.1.5).
const NO_STATUS: u16 = 1005;

const STATUS_LINE: &[u8] = b"HTTP/1.1 ";

const KEEPS_CONTEXT: DeflateParameters = DeflateParameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    ..DeflateParameters::SHARED
};

const KEY: [u8; 16] = *b"the sample nonce";

#[allow(clippy::struct_excessive_bools)] // what is known of a peer is a set of facts
pub struct Peer {
    pub number: usize,
    pub socket: usize,
    pub habits: Habits,
    pub stage: Stage,
    /// `None` until it connects.
    pub listener: Option<usize>,
    protocol: Connection,
    inbox: Vec<u8>,
    /// What it wrote and is not on its way yet.
    pub written: Vec<u8>,
    pub wire: VecDeque<Parcel>,
    /// When the last of `wire` arrives.
    pub wire_at: u64,
    pub is_carrying: bool,
    /// It reads nothing before.
    pub reads_from: u64,
    pub acts_left: u64,
    /// Messages it sent, and how many of them the application has got.
    pub sent: Vec<Message>,
    pub told: usize,
    /// Messages it may get, in order, and how many of them are behind it.
    pub expected: Vec<Expected>,
    pub seen: usize,
    pub messages_seen: u64,
    /// Messages that were dropped before one it got.
    pub holes: u64,
    /// So many of `expected` have to be there before our close frame.
    pub required: Option<usize>,
    pings: VecDeque<Vec<u8>>,
    /// Pings that a later pong answered.
    pub pongs_merged: u64,
    /// Codes of the close frames, 1005 for an empty one.
    pub close_sent: Option<u16>,
    pub close_seen: Option<u16>,
    /// It ended its direction, or reset.
    pub has_cut: bool,
    pub has_raved: bool,
    pub has_broken: bool,
    /// The clock jumped, or the network lost what was on its way: only order counts.
    pub is_excused: bool,
    pub status: Option<u16>,
    /// Requests as bytes, and where each ends.
    pub requests: Vec<u8>,
    pub request_ends: Vec<usize>,
    /// Answers as the application wrote them, and where each write ends.
    pub answers: Vec<u8>,
    pub answer_ends: Vec<usize>,
    pub answers_seen: usize,
    pub is_last_request: bool,
    is_http_refused: bool,
    /// When bytes of it last arrived, on the shard's clock.
    pub heard_at: u64,
    /// When the server took it.
    pub taken_at: Option<u64>,
}

impl Peer {
    pub fn new(number: usize, habits: Habits) -> Self {
        let mut protocol = Connection::new(Role::Client);
        let mut key = u32::try_from(number).unwrap();
        protocol.set_masking_keys(Box::new(move || {
            key = key.wrapping_mul(0x9e37_79b1).wrapping_add(1);
            key.to_be_bytes()
        }));
        Self {
            number,
            socket: 0,
            habits,
            stage: Stage::Greeting,
            listener: None,
            protocol,
            inbox: Vec::new(),
            written: Vec::new(),
            wire: VecDeque::new(),
            wire_at: 0,
            is_carrying: false,
            reads_from: 0,
            acts_left: habits.acts,
            sent: Vec::new(),
            told: 0,
            expected: Vec::new(),
            seen: 0,
            messages_seen: 0,
            holes: 0,
            required: None,
            pings: VecDeque::new(),
            pongs_merged: 0,
            close_sent: None,
            close_seen: None,
            has_cut: false,
            has_raved: false,
            has_broken: false,
            is_excused: false,
            status: None,
            requests: Vec::new(),
            request_ends: Vec::new(),
            answers: Vec::new(),
            answer_ends: Vec::new(),
            answers_seen: 0,
            is_last_request: false,
            is_http_refused: false,
            heard_at: 0,
            taken_at: None,
        }
    }

    /// Whether every rule of delivery holds for it.
    pub fn is_good(&self) -> bool {
        self.habits.is_good() && !self.is_excused
    }

    fn offer(&self) -> Option<DeflateOffer> {
        let parameters = match self.number % 3 {
            0 => DeflateParameters::SHARED,
            1 => KEEPS_CONTEXT,
            _ => DeflateParameters {
                server_max_window_bits: 10,
                ..KEEPS_CONTEXT
            },
        };
        self.habits.offers_deflate.then_some(DeflateOffer {
            parameters,
            has_client_window: self.number % 2 == 0,
        })
    }

    /// Writes the request that asks for a WebSocket.
    pub fn write_upgrade(&mut self) {
        let field = self.offer().map(|offer| offer.field());
        let headers: Vec<_> = field
            .iter()
            .map(|field| ("Sec-WebSocket-Extensions", field.as_str()))
            .collect();
        write_client_request(&mut self.written, "/", "example.org", &KEY, &[], &headers);
    }

    pub fn write_refusable(&mut self, chance: &mut Chance) {
        let start = self.written.len();
        self.write_upgrade();
        let request = String::from_utf8(self.written.split_off(start)).unwrap();
        let broken = match chance.below(5) {
            0 => request.replace("Version: 13", "Version: 8"),
            1 => request.replace("Host: example.org", "Origin: http://elsewhere.example"),
            2 => request.replace("\r\n", "\n"),
            3 => format!("POST / HTTP/1.1\r\nFill: {}", "x".repeat(20_000)),
            _ => "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_owned(),
        };
        self.written.extend(broken.into_bytes());
    }

    /// Writes a plain request; its bytes are passed on as they are.
    pub fn write_request(&mut self, chance: &mut Chance) {
        let number = self.request_ends.len();
        let last = if self.habits.opening == Opening::Http && chance.one_in(6) {
            self.is_last_request = true;
            "Connection: close\r\n"
        } else {
            ""
        };
        let head = format!("/{number} HTTP/1.1\r\nHost: example.org\r\n{last}");
        let size = chance.size(1, 3_000);
        let request = match chance.below(3) {
            0 => format!("GET {head}\r\n"),
            1 => format!(
                "POST {head}Content-Length: {size}\r\n\r\n{}",
                "b".repeat(size)
            ),
            _ => format!(
                "POST {head}Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n",
                "c".repeat(size)
            ),
        };
        self.written.extend(request.as_bytes());
        self.requests.extend(request.as_bytes());
        self.request_ends.push(self.requests.len());
    }

    /// Writes a message, in one frame or several with pings between them.
    pub fn write_message(&mut self, message: Message, chance: &mut Chance) {
        let payload = message.payload();
        self.sent.push(message);
        if !chance.one_in(4) {
            let kind = message.kind;
            self.protocol
                .send_message(kind, &payload, &mut self.written)
                .unwrap();
            return;
        }
        let mut opcode = match message.kind {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        };
        let mut rest = payload.as_slice();
        loop {
            let size = chance.index(rest.len() + 1);
            let (part, after) = rest.split_at(size);
            let fin = after.is_empty();
            let key = [1, 2, 3, u8::try_from(size % 256).unwrap()];
            let header = encode_header(opcode, part.len(), fin, false, Some(key));
            self.written.extend_from_slice(header.as_slice());
            let masked = part.iter().zip(key.iter().cycle());
            self.written.extend(masked.map(|(byte, key)| byte ^ key));
            if fin {
                return;
            }
            (opcode, rest) = (Opcode::Continuation, after);
            if chance.one_in(3) {
                self.write_ping(chance);
            }
        }
    }

    pub fn write_ping(&mut self, chance: &mut Chance) {
        let size = chance.size(0, 125);
        let payload: Vec<u8> = (0..size).map(|_| chance.next().to_be_bytes()[0]).collect();
        if self.protocol.send_ping(&payload, &mut self.written).is_ok() {
            self.pings.push_back(payload);
        }
    }

    pub fn write_close(&mut self, code: Option<u16>) {
        let sent = self.protocol.send_close(code, "", &mut self.written);
        if sent.is_ok() {
            self.close_sent = Some(code.unwrap_or(NO_STATUS));
        }
    }

    pub fn write_broken(&mut self, which: usize) {
        self.has_broken = true;
        self.written
            .extend_from_slice(BREAKS[which % BREAKS.len()].0);
    }

    pub fn may_write(&self) -> bool {
        !self.has_cut && self.close_sent.is_none() && self.protocol.state().may_send()
    }

    /// Takes bytes from the server; what it answers is in `written`.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.stage == Stage::Deaf {
            return;
        }
        self.inbox.extend_from_slice(bytes);
        if self.stage == Stage::Http {
            self.read_answers();
        }
        if self.stage == Stage::Greeting {
            self.read_head();
        }
        if self.stage == Stage::Open {
            self.read_frames();
        }
    }

    fn read_head(&mut self) {
        let end = self.inbox.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end.map(|at| at + 4) else {
            return;
        };
        let head: Vec<u8> = self.inbox.drain(..end).collect();
        let status = std::str::from_utf8(&head[9..12]).ok();
        self.status = status.and_then(|status| status.parse().ok());
        if self.status != Some(101) {
            self.stage = Stage::Deaf;
            return;
        }
        let opens = matches!(
            self.habits.opening,
            Opening::Upgrade | Opening::HttpThenUpgrade
        );
        assert!(opens, "peer {} asked for no WebSocket", self.number);
        let offer = self.offer();
        let limits = HeadLimits::default();
        let accepted = judge_response(&head, &limits, &KEY, &[], offer.as_ref())
            .unwrap_or_else(|fault| panic!("a bad 101 for peer {}: {fault:?}", self.number));
        if let Some(agreed) = accepted.deflate {
            self.protocol
                .enable_deflate(agreed, 1, Inflaters::default());
        }
        self.stage = Stage::Open;
    }

    fn read_frames(&mut self) {
        let limits = Limits {
            message_bytes_max: 1 << 24,
            message_fragments_max: 1,
        };
        let mut bytes = std::mem::take(&mut self.inbox);
        let mut at = 0;
        while at < bytes.len() {
            assert!(
                self.close_seen.is_none(),
                "peer {} got bytes after a close frame",
                self.number
            );
            let decoded = self
                .protocol
                .decode(&limits, &mut bytes[at..])
                .unwrap_or_else(|fault| panic!("the server broke a rule: {fault:?}"));
            if let Some(event) = decoded.event {
                let input = &bytes[at..at + decoded.consumed];
                let take = |payload: Payload| match payload {
                    Payload::Input(range) => input[range].to_vec(),
                    Payload::Buffered(bytes) => bytes,
                };
                match event {
                    Event::Message(kind, payload) => self.see(kind, &take(payload)),
                    Event::Ping(payload) => self.answer(&take(payload)),
                    Event::Pong(payload) => self.see_pong(&take(payload)),
                    Event::Close { code, .. } => self.see_close(code),
                }
            }
            at += decoded.consumed;
        }
    }

    /// Finds a message among the expected: in order, and nothing skipped but what may be dropped.
    fn see(&mut self, kind: MessageKind, payload: &[u8]) {
        let tag = tag_of(payload).expect("a message without a tag");
        let number = self.number;
        self.messages_seen += 1;
        while let Some(expected) = self.expected.get(self.seen) {
            self.seen += 1;
            if expected.message.tag == tag {
                assert_eq!(
                    expected.message.kind, kind,
                    "message {tag} changed its kind"
                );
                assert!(
                    expected.message.payload() == payload,
                    "message {tag} changed on its way to peer {number}"
                );
                return;
            }
            assert!(
                expected.is_optional,
                "peer {number} got message {tag}, but {} is due",
                expected.message.tag
            );
            self.holes += 1;
        }
        panic!("peer {number} got message {tag}: twice, too late, or never sent to it");
    }

    fn see_pong(&mut self, payload: &[u8]) {
        // Under pressure the newest pong stands for those before it.
        while let Some(ping) = self.pings.pop_front() {
            if ping == payload {
                return;
            }
            self.pongs_merged += 1;
        }
        assert!(self.has_raved, "peer {} got a pong to no ping", self.number);
    }

    fn answer(&mut self, payload: &[u8]) {
        if !self.has_cut && !matches!(self.habits.vice, Vice::Mute | Vice::Raves) {
            // Not after our close frame.
            let _ = self.protocol.send_pong(payload, &mut self.written);
        }
    }

    fn see_close(&mut self, code: Option<u16>) {
        self.close_seen = Some(code.unwrap_or(NO_STATUS));
        let is_slow = matches!(code, Some(1013 | 4000));
        assert!(
            !self.is_good() || is_slow || self.has_required(),
            "peer {} misses a message that was sent before the close frame",
            self.number
        );
        let answers = !self.has_cut && !matches!(self.habits.vice, Vice::Mute | Vice::Floods);
        if answers && self.close_sent.is_none() {
            self.write_close(code);
        }
        if let Vice::Breaks(which) = self.habits.vice {
            let due = BREAKS[which % BREAKS.len()].1;
            let broken = [1002, 1007, 1009];
            assert!(
                code.is_none_or(|code| code == due || !broken.contains(&code)),
                "peer {} broke rule {which} and got {code:?}",
                self.number
            );
        }
    }

    pub fn has_all_pongs(&self) -> bool {
        self.pings.is_empty()
    }

    /// Whether all that has to reach it before a close frame has.
    pub fn has_required(&self) -> bool {
        let required = self.required.unwrap_or(0);
        let missing = self.expected.iter().take(required).skip(self.seen);
        missing.clone().all(|expected| expected.is_optional)
    }

    /// Compares answers with what the application wrote; a refusal may follow a whole write.
    fn read_answers(&mut self) {
        if self.is_http_refused {
            self.inbox.clear();
            return;
        }
        let due = &self.answers[self.answers_seen..];
        let same = due.iter().zip(&self.inbox).take_while(|(a, b)| a == b);
        let same = same.count();
        let is_all_due = same == due.len();
        if same == self.inbox.len() || is_all_due && self.has_sent_upgrade() {
            self.answers_seen += same;
            self.inbox.drain(..same);
            if self.has_sent_upgrade() && !self.inbox.is_empty() {
                self.stage = Stage::Greeting;
            }
            return;
        }
        if is_all_due && STATUS_LINE.starts_with(&self.inbox[same..]) {
            self.answers_seen += same;
            self.inbox.drain(..same);
            return; // too little to say what it is
        }
        // Both begin alike, so the place where they part lies before what is the same.
        let is_boundary = |at: usize| at == 0 || self.answer_ends.contains(&at);
        let starts = (self.answers_seen.saturating_sub(16)..=self.answers_seen + same).rev();
        let is_refused = starts.into_iter().any(is_boundary);
        assert!(is_refused, "the answer to peer {} is broken", self.number);
        let kept = String::from_utf8_lossy(&self.inbox[same..]).into_owned();
        assert!(
            kept.starts_with(['4', '5']) || kept.starts_with("HTTP/1.1 "),
            "peer {} got {kept:?}",
            self.number
        );
        self.is_http_refused = true;
        self.inbox.clear();
    }

    /// Whether the upgrade of an HTTP connection is on its way.
    pub fn has_sent_upgrade(&self) -> bool {
        self.habits.opening == Opening::HttpThenUpgrade && self.is_last_request
    }

    pub fn has_all_answers(&self) -> bool {
        let seen = &self.answers[..self.answers_seen];
        let ends = seen.split(|&byte| byte == b'~').count() - 1;
        ends == self.request_ends.len()
    }
}
