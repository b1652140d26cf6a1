//! The server role without compression, against a plain decoder that sees the whole stream.
//!
//! Layout: one byte each for the message limit, the fragment limit, the cuts and the form; then the
//! stream, raw, or as a script of frames: first byte, length (255: two more bytes), payload.

use wynd_protocol::frames::{encode_header, Opcode};
use wynd_protocol::{Connection, Limits, Role, State, Violation};

use super::support::{raw, Seen};
use super::{cut, feed_parts, judge_seen, Script};

pub(super) fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let limits = limits(&mut script);
    let cuts = script.byte();
    let stream = match script.byte() & 1 {
        0 => script.rest().to_vec(),
        _ => stream(&mut script),
    };
    let seen = serve(&limits, &stream, cuts);
    judge_seen(&seen, &limits);
    compare(&seen, &expected(&stream, &limits, true));
    let told: usize = seen.iter().map(size).sum();
    assert!(told <= stream.len(), "nothing is made up");
    for event in &seen {
        if let Seen::Failed(violation) = event {
            let is_possible = !matches!(
                violation,
                Violation::MaskUnexpected | Violation::DeflateInvalid | Violation::TooManyMessages
            );
            assert!(is_possible, "{violation:?} of a server without compression");
        }
    }
}

pub(super) fn limits(script: &mut Script<'_>) -> Limits {
    Limits {
        message_bytes_max: script.choose(&[1024 * 1024, 1000, 125, 1, 0]),
        message_fragments_max: script.choose(&[16_384, 3, 1, 0]),
    }
}

/// Masked frames that a script describes: any first byte, the length always right.
fn stream(script: &mut Script<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    while !script.is_empty() {
        let first = script.byte();
        let payload = payload(script);
        stream.extend(raw(first, payload));
    }
    stream
}

pub(super) fn payload<'a>(script: &mut Script<'a>) -> &'a [u8] {
    let len = match script.byte() {
        255 => usize::from(u16::from_be_bytes([script.byte(), script.byte()])),
        short => usize::from(short),
    };
    script.take(len)
}

/// What a server makes of a stream: the same however it is cut, in memory that follows the wire.
fn serve(limits: &Limits, stream: &[u8], cuts: u8) -> Vec<Seen> {
    let most = |received: usize| received.min(limits.message_bytes_max) / 2 * 3 + 1024;
    let run = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let mut connection = Connection::new(Role::Server);
        let seen = feed_parts(&mut connection, limits, parts, most);
        judge_end(connection, &seen);
        seen
    };
    let whole = run(&mut std::iter::once(stream));
    let in_bytes = run(&mut stream.chunks(1));
    assert_eq!(whole, in_bytes, "byte by byte");
    let in_parts = run(&mut cut(stream, cuts));
    assert_eq!(whole, in_parts, "in parts");
    whole
}

/// Checks the state after a stream, and that its end is answered once.
pub(super) fn judge_end(mut connection: Connection, seen: &[Seen]) {
    let mut out = Vec::new();
    match seen.last() {
        Some(Seen::Failed(violation)) => {
            assert_eq!(connection.state(), State::Failing);
            connection.fail(violation, &mut out);
            assert_eq!(connection.state(), State::Failed);
            let sentence = violation.sentence().as_bytes();
            let body = [&violation.close_code().to_be_bytes()[..], sentence].concat();
            if connection.role() == Role::Server {
                let header = encode_header(Opcode::Close, body.len(), true, false, None);
                assert_eq!(out, [header.as_slice(), &body].concat());
            }
        }
        Some(Seen::Close(code, _)) => {
            assert_eq!(connection.state(), State::CloseReceived);
            connection.send_close(*code, "", &mut out).unwrap();
            assert_eq!(connection.state(), State::Closed);
        }
        _ => {
            assert_eq!(connection.state(), State::Open);
            return;
        }
    }
    assert_eq!(
        connection.buffered(),
        0,
        "nothing is held for what cannot come"
    );
    let answer = out.len();
    connection.fail(&Violation::TooManyMessages, &mut out);
    assert!(connection.send_ping(b"", &mut out).is_err());
    assert!(connection.send_close(None, "", &mut out).is_err());
    assert_eq!(out.len(), answer, "nothing follows our close frame");
}

fn size(event: &Seen) -> usize {
    match event {
        Seen::Text(bytes) | Seen::Binary(bytes) | Seen::Ping(bytes) | Seen::Pong(bytes) => {
            bytes.len()
        }
        Seen::Close(_, reason) => reason.len(),
        Seen::Failed(_) => 0,
    }
}

/// Compares with the plain decoder, which judges whole frames only: a rule may be found broken in a
/// frame that has not arrived in full, but none may be missed.
pub(super) fn compare(seen: &[Seen], expected: &[Expected]) {
    for (index, event) in expected.iter().enumerate() {
        match (event, seen.get(index)) {
            (Expected::Told(event), Some(seen)) => assert_eq!(seen, event),
            (Expected::Broken(code), Some(Seen::Failed(violation))) => {
                assert_eq!(violation.close_code(), *code);
            }
            (event, seen) => panic!("{event:?} became {seen:?}"),
        }
    }
    let unexpected = seen.get(expected.len());
    let is_early = matches!(unexpected, None | Some(Seen::Failed(_)));
    assert!(is_early, "{unexpected:?} came from nowhere");
}

/// What the plain decoder finds.
#[derive(Debug)]
pub(super) enum Expected {
    Told(Seen),
    Broken(u16),
}

/// The plain decoder: RFC 6455 §5 over a whole stream, frame by frame.
pub(super) fn expected(stream: &[u8], limits: &Limits, is_masked: bool) -> Vec<Expected> {
    let mut found = Vec::new();
    let mut open = None;
    let mut rest = stream;
    while let Some((frame, after)) = next_frame(rest, is_masked, &open, limits) {
        rest = after;
        let event = match frame {
            Err(code) => Some(Expected::Broken(code)),
            Ok(frame) => judge_frame(frame, &mut open, limits),
        };
        let is_end = matches!(
            event,
            Some(Expected::Broken(_) | Expected::Told(Seen::Close(..)))
        );
        found.extend(event);
        if is_end {
            break;
        }
    }
    found
}

/// Opcode, bytes and fragments of a message that has begun.
type Open = Option<(u8, Vec<u8>, u32)>;

struct Frame {
    fin: bool,
    opcode: u8,
    payload: Vec<u8>,
}

/// Takes the next whole frame; `None` if there is none.
fn next_frame<'a>(
    bytes: &'a [u8],
    is_masked: bool,
    open: &Open,
    limits: &Limits,
) -> Option<(Result<Frame, u16>, &'a [u8])> {
    let (&first, after) = bytes.split_first()?;
    let (&second, mut after) = after.split_first()?;
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let opcode = first & 0x0f;
    if let Some(code) = judge_first(first, open, limits) {
        return Some((Err(code), after));
    }
    let is_wrong = (second & 0x80 != 0) != is_masked
        || (opcode >= 8 && extended > 0)
        || (opcode == 8 && second & 0x7f == 1);
    if is_wrong {
        return Some((Err(1002), after));
    }
    let mut length = u64::from(second & 0x7f);
    if extended > 0 {
        let field = after.get(..extended)?;
        after = &after[extended..];
        length = field.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let least = if extended == 2 { 126 } else { 65_536 };
        if length < least || length >> 63 != 0 {
            return Some((Err(1002), after));
        }
    }
    let key = if is_masked {
        let key = after.first_chunk::<4>()?;
        after = &after[4..];
        *key
    } else {
        [0; 4]
    };
    let length = usize::try_from(length).ok()?;
    let payload = after.get(..length)?.iter().enumerate();
    let frame = Frame {
        fin: first & 0x80 != 0,
        opcode,
        payload: payload.map(|(at, byte)| byte ^ key[at % 4]).collect(),
    };
    Some((Ok(frame), &after[length..]))
}

/// Judges the first byte of a frame, by itself and at its place.
fn judge_first(first: u8, open: &Open, limits: &Limits) -> Option<u16> {
    let opcode = first & 0x0f;
    let is_wrong = first & 0x70 != 0
        || !matches!(opcode, 0..=2 | 8..=10)
        || (opcode >= 8 && first & 0x80 == 0);
    let fragments = match (opcode, open) {
        _ if is_wrong => return Some(1002),
        (8.., _) => return None,
        (0, None) | (1.., Some(_)) => return Some(1002),
        (0, Some((_, _, fragments))) => *fragments,
        (1.., None) => 0,
    };
    (fragments >= limits.message_fragments_max).then_some(1008)
}

fn judge_frame(frame: Frame, open: &mut Open, limits: &Limits) -> Option<Expected> {
    let Frame {
        fin,
        opcode,
        payload,
    } = frame;
    match opcode {
        8 => return Some(judge_close(&payload)),
        9 => return Some(Expected::Told(Seen::Ping(payload))),
        10 => return Some(Expected::Told(Seen::Pong(payload))),
        _ => {}
    }
    let (kind, mut message, fragments) = open.take().unwrap_or((opcode, Vec::new(), 0));
    if message.len() + payload.len() > limits.message_bytes_max {
        return Some(Expected::Broken(1009));
    }
    message.extend(payload);
    let is_text = kind == 1;
    if is_text {
        // A message that goes on may stop inside a character.
        let valid = std::str::from_utf8(&message).map_err(|error| error.error_len().is_some());
        if valid.is_err_and(|is_impossible| fin || is_impossible) {
            return Some(Expected::Broken(1007));
        }
    }
    if !fin {
        *open = Some((kind, message, fragments + 1));
        return None;
    }
    Some(Expected::Told(if is_text {
        Seen::Text(message)
    } else {
        Seen::Binary(message)
    }))
}

fn judge_close(payload: &[u8]) -> Expected {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return Expected::Told(Seen::Close(None, String::new()));
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Expected::Broken(1002);
    }
    match String::from_utf8(reason.to_vec()) {
        Ok(reason) => Expected::Told(Seen::Close(Some(code), reason)),
        Err(_) => Expected::Broken(1007),
    }
}
