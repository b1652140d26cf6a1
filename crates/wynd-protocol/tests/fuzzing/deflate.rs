//! The server role with permessage-deflate, with and without context, in all windows.
//!
//! Layout: one byte each for context, windows, message limit, cuts and form. Then the stream: raw,
//! or frames as in `frames`, whose compressed payloads are given; or messages (kind, repeats, cuts)
//! that a client's machine compresses, which must come back.

use wynd_protocol::{
    Connection, DeflateParameters, Inflaters, Limits, MessageKind, Role, Violation,
};

use super::frames::{judge_end, payload};
use super::support::{raw, Seen, KEY};
use super::{cut, feed_parts, judge_seen, Script};

/// What the server may hold beside the message: a step of inflating, the window, the box.
const BESIDE: usize = 1024 * 1024;

struct Settings {
    parameters: DeflateParameters,
    limits: Limits,
    cuts: u8,
}

pub(super) fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let (context, windows) = (script.byte(), script.byte());
    let settings = Settings {
        parameters: DeflateParameters {
            server_no_context_takeover: context & 1 == 0,
            client_no_context_takeover: context & 2 == 0,
            server_max_window_bits: 9 + (windows & 15) % 7,
            client_max_window_bits: 9 + (windows >> 4) % 7,
        },
        limits: Limits {
            message_bytes_max: script.choose(&[16 * 1024, 1000, 0]),
            message_fragments_max: 100,
        },
        cuts: script.byte(),
    };
    match script.byte() % 3 {
        0 => judge_stream(&settings, script.rest()),
        1 => {
            let mut stream = Vec::new();
            while !script.is_empty() {
                let first = script.byte();
                stream.extend(raw(first, payload(&mut script)));
            }
            judge_stream(&settings, &stream);
        }
        _ => judge_round_trip(&settings, &mut script),
    }
}

fn server(settings: &Settings, inflaters: &Inflaters) -> Connection {
    let mut server = Connection::new(Role::Server);
    server.enable_deflate(settings.parameters, 6, inflaters.clone());
    server
}

/// A hostile stream: the same outcome however it is cut, within the limits.
fn judge_stream(settings: &Settings, stream: &[u8]) {
    let limits = &settings.limits;
    // One for all: what one stream leaves in an inflater must not reach the next.
    let inflaters = Inflaters::default();
    let run = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let mut connection = server(settings, &inflaters);
        let most = |_| limits.message_bytes_max + BESIDE;
        let seen = feed_parts(&mut connection, limits, parts, most);
        judge_end(connection, &seen);
        seen
    };
    let whole = run(&mut std::iter::once(stream));
    judge_seen(&whole, limits);
    let wrong = Some(&Seen::Failed(Violation::MaskUnexpected));
    assert!(whole.last() != wrong);
    let in_parts = run(&mut cut(stream, settings.cuts));
    assert_eq!(whole, in_parts, "in parts");
    let in_bytes = run(&mut stream.chunks(1));
    assert_eq!(whole, in_bytes, "byte by byte");
}

/// Messages that a client compresses come back, in order, and those too long end it.
fn judge_round_trip(settings: &Settings, script: &mut Script<'_>) {
    let limits = &settings.limits;
    let inflaters = Inflaters::default();
    let mut client = Connection::new(Role::Client);
    client.enable_deflate(
        settings.parameters,
        1 + script.byte() % 9,
        inflaters.clone(),
    );
    client.set_masking_keys(Box::new(|| KEY));
    let (mut wire, mut sent) = (Vec::new(), Vec::new());
    while !script.is_empty() && sent.len() < 8 {
        let (kind, times) = (script.byte(), usize::from(script.byte()) * 16);
        let word = script.counted();
        let message = word.repeat(times.min(20_000 / word.len().max(1)));
        if kind & 1 == 0 {
            client
                .send_message(MessageKind::Binary, &message, &mut wire)
                .unwrap();
            sent.push(Seen::Binary(message));
        } else {
            let text = String::from_utf8_lossy(&message).into_owned();
            client
                .send_message(MessageKind::Text, text.as_bytes(), &mut wire)
                .unwrap();
            sent.push(Seen::Text(text.into_bytes()));
        }
    }
    let mut server = server(settings, &inflaters);
    let parts = cut(&wire, settings.cuts);
    let most = |_| limits.message_bytes_max + BESIDE;
    let seen = feed_parts(&mut server, limits, parts, most);
    let fits = |message: &&Seen| match message {
        Seen::Text(bytes) | Seen::Binary(bytes) => bytes.len() <= limits.message_bytes_max,
        _ => true,
    };
    let mut expected: Vec<Seen> = sent.iter().take_while(fits).cloned().collect();
    if expected.len() < sent.len() {
        expected.push(Seen::Failed(Violation::MessageTooBig));
    }
    assert_eq!(seen, expected);
}
