//! A shard over the network in memory, with a given clock, and peers that speak WebSocket.

#![allow(dead_code)] // each test file uses its own part

pub mod network;
pub mod tls;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wynd_engine::{
    Buffered, CommandQueue, Config, ConnId, Event, EventBatch, ListenerId, ListenerOptions,
    MessageKind, Meter, PeerAddress, PublishOptions, Shard, SocketKind, Statistics,
};
use wynd_protocol::{
    extensions, Connection, DeflateOffer, DeflateParameters, Event as FrameEvent, Inflaters,
    Limits, Payload, Role,
};

use network::MemoryNetwork;

pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// An event, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Requested(ConnId, bool),
    HandshakeLost(ConnId),
    Opened(ConnId, Option<String>),
    Text(ConnId, String),
    Binary(ConnId, Vec<u8>),
    Pong(ConnId, Vec<u8>),
    Drained(ConnId),
    Closing(ConnId, Option<u16>, Option<u16>),
    Closed(ConnId, Option<u16>, u16, String),
    ListenerFailed(i32),
    HttpOpened(ConnId),
    HttpData(ConnId, String),
    HttpEnded(ConnId),
    HttpDrained(ConnId),
    HttpClosed(ConnId),
}

/// What a peer received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

pub struct Harness {
    pub network: MemoryNetwork,
    pub shard: Shard<MemoryNetwork>,
    pub meter: Meter,
    pub now: Instant,
    pub batch: EventBatch,
    pub commands: CommandQueue,
    pub buffered: HashMap<ConnId, Buffered>,
    /// Clients of the connections that were told of as open.
    pub clients: HashMap<ConnId, String>,
}

/// A client's end of a connection.
pub struct Peer {
    pub socket: usize,
    pub id: ConnId,
    protocol: Connection,
    unread: Vec<u8>,
}

impl Harness {
    pub fn new(config: Config) -> Self {
        Self::over(config, MemoryNetwork::new())
    }

    pub fn over(config: Config, network: MemoryNetwork) -> Self {
        #[allow(clippy::disallowed_methods)] // some origin; time passes only by `pass`
        let now = Instant::now();
        let meter = Meter::default();
        let shard = Shard::new(config, network.clone(), meter.clone(), 7, now).unwrap();
        Self {
            network,
            shard,
            meter,
            now,
            batch: EventBatch::new(),
            commands: CommandQueue::new(),
            buffered: HashMap::new(),
            clients: HashMap::new(),
        }
    }

    pub fn listen(&mut self, asks: bool) {
        self.listen_http(asks, None);
    }

    pub fn listen_http(&mut self, asks: bool, http_idle: Option<Duration>) {
        let options = ListenerOptions {
            kind: SocketKind::Tcp,
            asks,
            http_idle,
        };
        self.shard.add_listener(ListenerId(1), 0, options).unwrap();
    }

    pub fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    pub fn poll(&mut self) {
        self.shard.poll(self.now, &mut self.batch).unwrap();
    }

    /// Takes the next event.
    pub fn next(&mut self) -> Option<Told> {
        let index = self.batch.advance()?;
        let event = self.batch.get(index).unwrap();
        if let Event::Opened { conn, buffered, .. } | Event::HttpOpened { conn, buffered, .. } =
            &event
        {
            self.buffered.insert(*conn, (*buffered).clone());
        }
        if let Event::Opened { conn, address, .. } | Event::HttpOpened { conn, address, .. } =
            &event
        {
            self.clients.insert(*conn, address.to_string());
        }
        Some(own(&event))
    }

    pub fn flush(&mut self) {
        self.shard
            .apply(self.now, &mut self.commands, &mut self.batch);
        self.shard.flush(self.now, &mut self.batch);
    }

    /// One turn; `handle` is the application.
    pub fn turn_with(&mut self, mut handle: impl FnMut(&Told, &mut CommandQueue)) -> Vec<Told> {
        let mut told = Vec::new();
        self.poll();
        loop {
            while let Some(event) = self.next() {
                handle(&event, &mut self.commands);
                told.push(event);
            }
            self.flush();
            if self.batch.is_dispatched() {
                return told;
            }
        }
    }

    pub fn turn(&mut self) -> Vec<Told> {
        self.turn_with(|_, _| {})
    }

    /// Turns until nothing more is to be done.
    pub fn settle(&mut self) -> Vec<Told> {
        let mut told = self.turn();
        for _ in 0..10_000 {
            if !self.shard.more() && !self.network.0.borrow().has_edges() {
                return told;
            }
            told.extend(self.turn());
        }
        panic!("the shard never rests");
    }

    /// A connection that has said nothing yet; it came through the listener.
    pub fn connect_from(&mut self, address: &str) -> usize {
        let address = PeerAddress::Inet(address.parse().unwrap());
        let mut world = self.network.0.borrow_mut();
        let socket = world.new_line(address);
        world.arrive(Ok(socket));
        socket
    }

    pub fn connect(&mut self) -> usize {
        self.connect_from("192.0.2.1:1000")
    }

    /// An open connection.
    pub fn open(&mut self) -> Peer {
        self.open_offering(None)
    }

    /// An open connection that uses the compression it offered, as far as the server takes it.
    pub fn open_offering(&mut self, offer: Option<DeflateOffer>) -> Peer {
        let socket = self.connect();
        let mut request = REQUEST.to_owned();
        if let Some(offer) = &offer {
            let field = format!("\r\nSec-WebSocket-Extensions: {}\r\n\r\n", offer.field());
            request.truncate(request.len() - 4);
            request += &field;
        }
        self.network.write(socket, request.as_bytes());
        let told = self.settle();
        let id = told
            .iter()
            .find_map(|event| match event {
                Told::Opened(id, _) => Some(*id),
                _ => None,
            })
            .expect("not opened");
        let answer = String::from_utf8(self.network.take_output(socket)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        self.commands.push_admit(id);
        self.settle();
        self.commands.push_admit(id);
        self.flush();
        self.network.forget_calls(socket);
        let mut protocol = Connection::new(Role::Client);
        protocol.set_masking_keys(Box::new(|| [1, 2, 3, 4]));
        let answered = answer
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        if let Some(answered) = answered {
            let answered = extensions::parse(answered.as_bytes()).unwrap();
            let agreed = offer.unwrap().judge(&answered).unwrap();
            protocol.enable_deflate(agreed, 6, Inflaters::default());
        }
        Peer {
            socket,
            id,
            protocol,
            unread: Vec::new(),
        }
    }

    pub fn opened_shard(config: Config) -> Self {
        let mut harness = Self::new(config);
        harness.listen(false);
        harness
    }

    pub fn send_text(&mut self, id: ConnId, text: &str) -> usize {
        let buffered = &self.buffered[&id];
        self.commands
            .push_send(id, buffered, MessageKind::Text, text.as_bytes())
    }

    pub fn send_bytes(&mut self, id: ConnId, size: usize) -> usize {
        let buffered = &self.buffered[&id];
        self.commands
            .push_send(id, buffered, MessageKind::Binary, &vec![7; size])
    }

    pub fn publish(&mut self, room: Option<&str>, text: &str) {
        let options = PublishOptions::default();
        self.commands
            .push_publish(room, MessageKind::Text, text.as_bytes(), options);
    }

    pub fn statistics(&self) -> Statistics {
        self.shard.statistics()
    }

    pub fn publish_bytes(&mut self, room: Option<&str>, fill: u8, size: usize) {
        let options = PublishOptions::default();
        self.commands
            .push_publish(room, MessageKind::Binary, &vec![fill; size], options);
    }
}

impl Peer {
    pub fn write_text(&mut self, harness: &Harness, text: &str) {
        self.write_message(harness, MessageKind::Text, text.as_bytes());
    }

    pub fn write_message(&mut self, harness: &Harness, kind: MessageKind, payload: &[u8]) {
        let mut frame = Vec::new();
        self.protocol
            .send_message(kind, payload, &mut frame)
            .unwrap();
        harness.network.write(self.socket, &frame);
    }

    pub fn write_ping(&mut self, harness: &Harness, payload: &[u8]) {
        let mut frame = Vec::new();
        self.protocol.send_ping(payload, &mut frame).unwrap();
        harness.network.write(self.socket, &frame);
    }

    pub fn write_pong(&mut self, harness: &Harness, payload: &[u8]) {
        let mut frame = Vec::new();
        self.protocol.send_pong(payload, &mut frame).unwrap();
        harness.network.write(self.socket, &frame);
    }

    pub fn write_close(&mut self, harness: &Harness, code: Option<u16>, reason: &str) {
        let mut frame = Vec::new();
        self.protocol.send_close(code, reason, &mut frame).unwrap();
        harness.network.write(self.socket, &frame);
    }

    /// What the peer agreed to.
    pub fn agreed(&self) -> Option<DeflateParameters> {
        self.protocol.deflate_parameters().copied()
    }

    /// A frame that breaks a rule: a reserved opcode.
    pub fn write_broken(&self, harness: &Harness) {
        harness
            .network
            .write(self.socket, &[0x83, 0x80, 0, 0, 0, 0]);
    }

    /// What arrived since the last look; the rest of a cut frame is kept.
    pub fn read(&mut self, harness: &Harness) -> Vec<Seen> {
        self.unread.extend(harness.network.take_output(self.socket));
        decode_all(&mut self.protocol, std::mem::take(&mut self.unread))
    }
}

/// Decodes frames; the protocol keeps the rest of a cut one.
pub fn decode_all(protocol: &mut Connection, mut bytes: Vec<u8>) -> Vec<Seen> {
    let limits = Limits {
        message_bytes_max: 1 << 24,
        message_fragments_max: 1,
    };
    let mut seen = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let decoded = protocol.decode(&limits, &mut bytes[at..]).unwrap();
        let input = &bytes[at..];
        let take = |payload: Payload| match payload {
            Payload::Input(range) => input[range].to_vec(),
            Payload::Buffered(bytes) => bytes,
        };
        seen.extend(decoded.event.map(|event| match event {
            FrameEvent::Message(MessageKind::Text, payload) => {
                Seen::Text(String::from_utf8(take(payload)).unwrap())
            }
            FrameEvent::Message(MessageKind::Binary, payload) => Seen::Binary(take(payload)),
            FrameEvent::Ping(payload) => Seen::Ping(take(payload)),
            FrameEvent::Pong(payload) => Seen::Pong(take(payload)),
            FrameEvent::Close { code, reason } => Seen::Close(code, reason),
        }));
        at += decoded.consumed;
    }
    seen
}

fn own(event: &Event<'_>) -> Told {
    match *event {
        Event::Requested { conn, upgrade, .. } => Told::Requested(conn, upgrade),
        Event::HandshakeLost { conn } => Told::HandshakeLost(conn),
        Event::Opened {
            conn, subprotocol, ..
        } => Told::Opened(conn, subprotocol.map(str::to_owned)),
        Event::Text { conn, payload } => {
            Told::Text(conn, String::from_utf8(payload.to_vec()).unwrap())
        }
        Event::Binary { conn, payload } => Told::Binary(conn, payload.to_vec()),
        Event::Pong { conn, payload } => Told::Pong(conn, payload.to_vec()),
        Event::Drained { conn } => Told::Drained(conn),
        Event::Closing {
            conn,
            sent,
            received,
        } => Told::Closing(conn, sent, received),
        Event::Closed {
            conn,
            sent,
            received,
            reason,
        } => Told::Closed(conn, sent, received, reason.to_owned()),
        Event::ListenerFailed { errno, .. } => Told::ListenerFailed(errno),
        Event::HttpOpened { conn, .. } => Told::HttpOpened(conn),
        Event::HttpData { conn, payload } => {
            Told::HttpData(conn, String::from_utf8_lossy(payload).into_owned())
        }
        Event::HttpEnded { conn } => Told::HttpEnded(conn),
        Event::HttpDrained { conn } => Told::HttpDrained(conn),
        Event::HttpClosed { conn } => Told::HttpClosed(conn),
    }
}

/// A configuration in which nothing happens by itself.
pub fn quiet() -> Config {
    Config {
        ping_interval: None,
        ..Config::default()
    }
}

pub fn text(id: ConnId, text: &str) -> Told {
    Told::Text(id, text.to_owned())
}

pub fn seen(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}
