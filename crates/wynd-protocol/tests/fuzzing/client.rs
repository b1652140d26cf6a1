//! The client role: what it makes of a response, of a server's frames, and of its own request.
//!
//! Layout: a byte for the part. Of a response: a byte for what was offered, then the head, in whose
//! text `KEY` stands for the right answer to our key. Of frames: limits, cuts, compression, then the
//! stream. Of a request: target, host, subprotocols and a field, each with its length before it.

use wynd_protocol::handshake::{
    judge, judge_response, write_accept, write_client_request, HeadLimits, Judged, Origins, Policy,
};
use wynd_protocol::{Connection, DeflateOffer, DeflateParameters, Inflaters, Role, Violation};

use super::frames::{compare, expected, judge_end, limits};
use super::support::{Seen, KEY};
use super::{cut, feed_parts, judge_seen, Script};

const NONCE: [u8; 16] = *b"the sample nonce";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const OFFER: DeflateOffer = DeflateOffer {
    parameters: DeflateParameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    },
    has_client_window: true,
};

pub(super) fn check(input: &[u8]) {
    let mut script = Script::new(input);
    match script.byte() % 3 {
        0 => judge_head(&mut script),
        1 => judge_frames(&mut script),
        _ => judge_request(&mut script),
    }
}

fn judge_head(script: &mut Script<'_>) {
    let offers = script.byte();
    let subprotocols: &[&str] = if offers & 1 == 0 { &[] } else { &["chat", "a"] };
    let deflate = (offers & 2 != 0).then_some(&OFFER);
    let head = with_accept(script.rest());
    let limits = HeadLimits::default();
    let Ok(accepted) = judge_response(&head, &limits, &NONCE, subprotocols, deflate) else {
        return;
    };
    assert!(head.starts_with(b"HTTP/1.1 101") && head.ends_with(b"\r\n\r\n"));
    assert!(head.windows(ACCEPT.len()).any(|part| part == ACCEPT));
    assert!(head.len() <= limits.bytes_max);
    let agreed = accepted.subprotocol.as_deref();
    assert!(agreed.is_none_or(|agreed| subprotocols.contains(&agreed)));
    assert!(accepted.deflate.is_none() || deflate.is_some());
}

/// Replaces `KEY`, which a mutator can write, by what it cannot guess.
fn with_accept(text: &[u8]) -> Vec<u8> {
    match text.windows(3).position(|part| part == b"KEY") {
        None => text.to_vec(),
        Some(at) => [&text[..at], ACCEPT, &text[at + 3..]].concat(),
    }
}

fn judge_frames(script: &mut Script<'_>) {
    let limits = limits(script);
    let (cuts, deflates) = (script.byte(), script.byte() & 1 == 1);
    let stream = script.rest();
    let inflaters = Inflaters::default();
    let run = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let mut connection = Connection::new(Role::Client);
        connection.set_masking_keys(Box::new(|| KEY));
        if deflates {
            connection.enable_deflate(OFFER.parameters, 6, inflaters.clone());
        }
        let most = |received: usize| {
            let plain = received.min(limits.message_bytes_max) / 2 * 3 + 1024;
            let inflated = limits.message_bytes_max + 1024 * 1024;
            if deflates {
                inflated
            } else {
                plain
            }
        };
        let seen = feed_parts(&mut connection, &limits, parts, most);
        judge_end(connection, &seen);
        seen
    };
    let whole = run(&mut std::iter::once(stream));
    judge_seen(&whole, &limits);
    assert!(whole.last() != Some(&Seen::Failed(Violation::MaskMissing)));
    if !deflates {
        compare(&whole, &expected(stream, &limits, false));
    }
    let in_parts = run(&mut cut(stream, cuts));
    assert_eq!(whole, in_parts, "in parts");
    let in_bytes = run(&mut stream.chunks(1));
    assert_eq!(whole, in_bytes, "byte by byte");
}

/// Whatever a caller writes into a request, it is one request; if our server accepts it, our client
/// takes the answer.
fn judge_request(script: &mut Script<'_>) {
    let (target, host) = (script.text(), script.text());
    let subprotocols = [script.text(), script.text()];
    let (name, value) = (script.text(), script.text());
    let listed: Vec<&str> = subprotocols.iter().map(String::as_str).collect();
    let mut request = Vec::new();
    let fields = [(name.as_str(), value.as_str())];
    write_client_request(&mut request, &target, &host, &NONCE, &listed, &fields);
    let ends = request.windows(2).filter(|pair| pair == b"\r\n").count();
    assert!(ends <= 9, "no value begins a line");
    assert_eq!(ends + 1, request.split(|byte| *byte == b'\n').count());
    assert_eq!(ends + 1, request.split(|byte| *byte == b'\r').count());
    let policy = Policy {
        origins: &Origins::Any,
        subprotocols: &subprotocols,
        secure: false,
        deflate: Some(DeflateParameters::SHARED),
    };
    let limits = HeadLimits::default();
    let Ok(Judged::Upgrade(upgrade)) = judge(&request, &limits, &policy) else {
        return;
    };
    let mut answer = Vec::new();
    let agreed = upgrade.subprotocol.map(|index| listed[index]);
    write_accept(&mut answer, &upgrade, agreed, &[]);
    // Whoever writes an offer into the fields must keep it; zlib keeps no window of 256 bytes.
    if upgrade
        .deflate
        .is_some_and(|agreed| agreed.parameters.client_max_window_bits < 9)
    {
        return;
    }
    let offer = upgrade.deflate.map(|_| OFFER);
    let accepted = judge_response(&answer, &limits, &NONCE, &listed, offer.as_ref());
    let accepted = accepted.expect("our own answer is taken");
    assert_eq!(accepted.subprotocol.as_deref(), agreed);
}
