//! Builds raw frames and collects what a connection makes of a stream, for all integration tests.
#![allow(dead_code, reason = "each test file uses a part of it")]

use wynd_protocol::frames::{encode_header, Opcode};
use wynd_protocol::mask::mask_plain;
use wynd_protocol::{Connection, Event, Limits, MessageKind, Payload, Role, Violation};

pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const LIMITS: Limits = Limits {
    message_bytes_max: 1024 * 1024,
    message_fragments_max: 16_384,
};

/// An event with its payload copied out, so that streams can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(Violation),
}

pub fn text(payload: &str) -> Seen {
    Seen::Text(payload.as_bytes().to_vec())
}

/// A frame with the given first byte, masked, its length in the shortest form.
pub fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let opcode = Opcode::Binary;
    let mut bytes = encode_header(opcode, payload.len(), true, false, Some(KEY))
        .as_slice()
        .to_vec();
    bytes[0] = first;
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask_plain(KEY, 0, &mut bytes[start..]);
    bytes
}

pub fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    raw(opcode.bits() | if fin { 0x80 } else { 0 }, payload)
}

pub fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(
        Opcode::Close,
        true,
        &[&code.to_be_bytes()[..], reason].concat(),
    )
}

/// Feed one stretch of bytes, as one read from a socket would.
pub fn feed(connection: &mut Connection, limits: &Limits, bytes: &[u8], seen: &mut Vec<Seen>) {
    let mut input = bytes.to_vec();
    let mut position = 0;
    loop {
        let decoded = match connection.decode(limits, &mut input[position..]) {
            Ok(decoded) => decoded,
            Err(violation) => {
                seen.push(Seen::Failed(violation));
                return;
            }
        };
        let Some(event) = decoded.event else {
            assert_eq!(decoded.consumed, input.len() - position, "all is consumed");
            return;
        };
        let copied = |payload| match payload {
            Payload::Input(range) => {
                assert!(range.end <= decoded.consumed);
                input[position..][range].to_vec()
            }
            Payload::Buffered(buffer) => buffer,
        };
        seen.push(match event {
            Event::Message(MessageKind::Text, payload) => Seen::Text(copied(payload)),
            Event::Message(MessageKind::Binary, payload) => Seen::Binary(copied(payload)),
            Event::Ping(payload) => Seen::Ping(copied(payload)),
            Event::Pong(payload) => Seen::Pong(copied(payload)),
            Event::Close { code, reason } => Seen::Close(code, reason),
        });
        position += decoded.consumed;
    }
}

/// What a server makes of a stream that arrives in parts of at most `part` bytes.
pub fn serve_in_parts(limits: &Limits, stream: &[u8], part: usize) -> Vec<Seen> {
    let mut connection = Connection::new(Role::Server);
    let mut seen = Vec::new();
    for bytes in stream.chunks(part.max(1)) {
        feed(&mut connection, limits, bytes, &mut seen);
    }
    seen
}

/// What a server makes of a stream, checked to be the same whole and byte by byte.
pub fn serve_within(limits: &Limits, stream: &[u8]) -> Vec<Seen> {
    let whole = serve_in_parts(limits, stream, stream.len());
    assert_eq!(whole, serve_in_parts(limits, stream, 1), "byte by byte");
    whole
}

pub fn serve(stream: &[u8]) -> Vec<Seen> {
    serve_within(&LIMITS, stream)
}
