//! A client and a server joined in memory: the opening handshake, messages both ways, and every way
//! to close. Bytes travel in parts of several sizes.

mod support;

use support::{feed, text, Seen, LIMITS};
use wynd_protocol::handshake::{
    judge, judge_response, write_accept, write_client_request, HeadLimits, HeadScanner, Judged,
    Origins, Policy,
};
use wynd_protocol::{Connection, MessageKind, Role, SendError, State, Violation};

/// A client whose masking keys differ from frame to frame.
fn client() -> Connection {
    let mut connection = Connection::new(Role::Client);
    let mut counter = 0_u32;
    connection.set_masking_keys(Box::new(move || {
        counter = counter.wrapping_add(0x9e37_79b9);
        counter.to_be_bytes()
    }));
    connection
}

fn server() -> Connection {
    Connection::new(Role::Server)
}

/// Move what was sent to the other end, and return what it saw.
fn deliver(wire: &mut Vec<u8>, to: &mut Connection, part: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    for bytes in wire.chunks(part) {
        feed(to, &LIMITS, bytes, &mut seen);
    }
    wire.clear();
    seen
}

#[test]
fn handshake_then_messages_both_ways() {
    let key = *b"0123456789abcdef";
    let limits = HeadLimits::default();
    let (offers, spoken) = (["v2.chat", "chat"], ["chat".to_owned()]);
    let mut wire = Vec::new();
    let origin = [("Origin", "http://localhost:8080")];
    write_client_request(&mut wire, "/room", "localhost:8080", &key, &offers, &origin);
    let end = HeadScanner::default().find_end(&wire, &limits).unwrap();
    assert_eq!(end, Some(wire.len()));
    let policy = Policy {
        origins: &Origins::SameHost,
        subprotocols: &spoken,
        secure: false,
        deflate: None,
    };
    let Ok(Judged::Upgrade(upgrade)) = judge(&wire, &limits, &policy) else {
        panic!("refused");
    };
    assert_eq!(upgrade.subprotocol, Some(0));
    let mut answer = Vec::new();
    write_accept(&mut answer, &upgrade, Some("chat"), &[]);
    let accepted = judge_response(&answer, &limits, &key, &offers, None).unwrap();
    assert_eq!(accepted.subprotocol.as_deref(), Some("chat"));

    for part in [1, 2, 3, 7, 64, 1_000_000] {
        let (mut client, mut server, mut wire) = (client(), server(), Vec::new());
        let big = "x€".repeat(20_000);
        client
            .send_message(MessageKind::Text, b"hello", &mut wire)
            .unwrap();
        client
            .send_message(MessageKind::Binary, &[0xff; 300], &mut wire)
            .unwrap();
        client
            .send_message(MessageKind::Text, big.as_bytes(), &mut wire)
            .unwrap();
        client.send_ping(b"?", &mut wire).unwrap();
        let expected = [
            text("hello"),
            Seen::Binary(vec![0xff; 300]),
            text(&big),
            Seen::Ping(b"?".to_vec()),
        ];
        assert_eq!(deliver(&mut wire, &mut server, part), expected);
        server.send_pong(b"?", &mut wire).unwrap();
        server
            .send_message(MessageKind::Text, b"", &mut wire)
            .unwrap();
        let expected = [Seen::Pong(b"?".to_vec()), text("")];
        assert_eq!(deliver(&mut wire, &mut client, part), expected);
    }
}

#[test]
fn masked_bytes_differ_from_the_payload() {
    let (mut client, mut wire) = (client(), Vec::new());
    client
        .send_message(MessageKind::Text, b"secret", &mut wire)
        .unwrap();
    assert!(!wire.windows(6).any(|bytes| bytes == b"secret"));
    let mut again = Vec::new();
    client
        .send_message(MessageKind::Text, b"secret", &mut again)
        .unwrap();
    assert_ne!(wire, again, "each frame has its own key");
}

#[test]
fn client_closes_and_server_answers() {
    let (mut client, mut server, mut wire) = (client(), server(), Vec::new());
    client.send_close(Some(4001), "bye", &mut wire).unwrap();
    assert_eq!(client.state(), State::CloseSent);
    let seen = deliver(&mut wire, &mut server, 3);
    assert_eq!(seen, [Seen::Close(Some(4001), "bye".to_owned())]);
    assert_eq!(server.state(), State::CloseReceived);
    // What was accepted before may still leave.
    server
        .send_message(MessageKind::Text, b"last", &mut wire)
        .unwrap();
    server.send_close(Some(4001), "", &mut wire).unwrap();
    assert_eq!(server.state(), State::Closed);
    let seen = deliver(&mut wire, &mut client, 3);
    assert_eq!(seen, [text("last"), Seen::Close(Some(4001), String::new())]);
    assert_eq!(client.state(), State::Closed);
}

#[test]
fn both_close_at_once() {
    let (mut client, mut server) = (client(), server());
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    client.send_close(None, "", &mut to_server).unwrap();
    server
        .send_close(Some(1001), "Server is stopping.", &mut to_client)
        .unwrap();
    assert_eq!(
        deliver(&mut to_server, &mut server, 1),
        [Seen::Close(None, String::new())]
    );
    let stopping = Seen::Close(Some(1001), "Server is stopping.".to_owned());
    assert_eq!(deliver(&mut to_client, &mut client, 1), [stopping]);
    assert_eq!(
        (client.state(), server.state()),
        (State::Closed, State::Closed)
    );
}

#[test]
fn good_first_then_fail() {
    let (mut server, mut wire) = (server(), Vec::new());
    let mut seen = Vec::new();
    let stream = [
        support::frame(wynd_protocol::frames::Opcode::Text, true, b"good"),
        vec![0xff],
    ];
    feed(&mut server, &LIMITS, &stream.concat(), &mut seen);
    assert_eq!(seen, [text("good"), Seen::Failed(Violation::ReservedBits)]);
    assert_eq!(server.state(), State::Failing);
    // The reply of the good message's handler leaves before the close frame.
    server
        .send_message(MessageKind::Text, b"reply", &mut wire)
        .unwrap();
    server.fail(&Violation::ReservedBits, &mut wire);
    server.fail(&Violation::ReservedBits, &mut wire);
    assert_eq!(server.state(), State::Failed);
    let closed = Seen::Close(Some(1002), "Protocol error.".to_owned());
    assert_eq!(
        deliver(&mut wire, &mut client(), 100),
        [text("reply"), closed]
    );
}

#[test]
fn every_violation_leaves_with_its_code_and_sentence() {
    let cases = [
        (Violation::MaskMissing, 1002, "Protocol error."),
        (Violation::TextInvalid, 1007, "Invalid data."),
        (Violation::TooManyFragments, 1008, "Limit exceeded."),
        (Violation::TooManyMessages, 1008, "Limit exceeded."),
        (Violation::MessageTooBig, 1009, "Message too big."),
    ];
    for (violation, code, sentence) in cases {
        let (mut server, mut wire) = (server(), Vec::new());
        server.fail(&violation, &mut wire);
        let closed = Seen::Close(Some(code), sentence.to_owned());
        assert_eq!(deliver(&mut wire, &mut client(), 100), [closed]);
    }
}

#[test]
fn failing_after_our_close_frame_sends_no_second_one() {
    let (mut server, mut wire) = (server(), Vec::new());
    server.send_close(Some(1000), "", &mut wire).unwrap();
    wire.clear();
    let mut seen = Vec::new();
    feed(&mut server, &LIMITS, b"\xff", &mut seen);
    assert_eq!(seen, [Seen::Failed(Violation::ReservedBits)]);
    server.fail(&Violation::ReservedBits, &mut wire);
    assert!(wire.is_empty());
    assert_eq!(server.state(), State::Failed);
}

#[test]
fn nothing_can_be_sent_after_our_close_frame() {
    let (mut server, mut wire) = (server(), Vec::new());
    server.send_close(None, "", &mut wire).unwrap();
    let before = wire.clone();
    let refused = Err(SendError::CloseSent);
    assert_eq!(
        server.send_message(MessageKind::Text, b"", &mut wire),
        refused
    );
    assert_eq!(server.send_ping(b"", &mut wire), refused);
    assert_eq!(server.send_pong(b"", &mut wire), refused);
    assert_eq!(server.send_close(Some(1000), "", &mut wire), refused);
    assert_eq!(wire, before);
}

#[test]
fn wrong_sends_append_nothing() {
    let (mut server, mut wire) = (server(), Vec::new());
    let out = &mut wire;
    let long = [0; 126];
    assert_eq!(
        server.send_ping(&long, out),
        Err(SendError::ControlTooLong(126))
    );
    assert_eq!(
        server.send_pong(&long, out),
        Err(SendError::ControlTooLong(126))
    );
    let text = server.send_message(MessageKind::Text, b"\xff", out);
    assert_eq!(text, Err(SendError::TextInvalid));
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        let refused = Err(SendError::CloseCodeInvalid(code));
        assert_eq!(server.send_close(Some(code), "", out), refused);
    }
    let reason = "a".repeat(124);
    let too_long = Err(SendError::CloseReasonTooLong(124));
    assert_eq!(server.send_close(Some(1000), &reason, out), too_long);
    assert_eq!(
        server.send_close(None, "why", out),
        Err(SendError::CloseCodeMissing)
    );
    assert_eq!(
        server.send_close(Some(1000), &reason[..123], &mut Vec::new()),
        Ok(())
    );
    let mut keyless = Connection::new(Role::Client);
    let refused = Err(SendError::MaskingKeysMissing);
    assert_eq!(keyless.send_message(MessageKind::Binary, b"", out), refused);
    keyless.fail(&Violation::MaskUnexpected, out);
    assert!(wire.is_empty());
}
