//! permessage-deflate (RFC 7692): what is inflated, what is refused with which code, and what is
//! compressed. Every stream is also fed byte by byte.

mod support;

use support::{feed, frame, raw, text, Seen, KEY, LIMITS};
use wynd_protocol::frames::{encode_header, Opcode};
use wynd_protocol::mask::mask_plain;
use wynd_protocol::{
    Connection, DeflateParameters, Deflater, Inflaters, Limits, MessageKind, Role, SendError,
    Violation,
};

const DEDICATED: DeflateParameters = DeflateParameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

const FIN_RSV1: u8 = 0xc0;

fn server(parameters: DeflateParameters) -> Connection {
    let mut connection = Connection::new(Role::Server);
    connection.enable_deflate(parameters, 6, Inflaters::default());
    connection
}

fn client(parameters: DeflateParameters) -> Connection {
    let mut connection = Connection::new(Role::Client);
    connection.enable_deflate(parameters, 6, Inflaters::default());
    connection.set_masking_keys(Box::new(|| KEY));
    connection
}

/// What a server makes of a stream, whole and byte by byte.
#[track_caller]
fn serve_within(limits: &Limits, parameters: DeflateParameters, stream: &[u8]) -> Vec<Seen> {
    let [whole, bytewise] = [stream.len().max(1), 1].map(|part| {
        let (mut connection, mut seen) = (server(parameters), Vec::new());
        for bytes in stream.chunks(part) {
            feed(&mut connection, limits, bytes, &mut seen);
        }
        if parameters == DeflateParameters::SHARED && !matches!(seen.last(), Some(Seen::Failed(_)))
        {
            assert_eq!(connection.buffered(), 0, "nothing is held between messages");
        }
        seen
    });
    assert_eq!(whole, bytewise, "byte by byte");
    whole
}

#[track_caller]
fn serve(stream: &[u8]) -> Vec<Seen> {
    let shared = serve_within(&LIMITS, DeflateParameters::SHARED, stream);
    let dedicated = serve_within(&LIMITS, DEDICATED, stream);
    assert_eq!(shared, dedicated);
    shared
}

fn deflated(kind: Opcode, payload: &[u8]) -> Vec<u8> {
    raw(FIN_RSV1 | kind.bits(), payload)
}

fn compress(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(Deflater::new(9, 15).deflate(payload, &mut out));
    out
}

#[test]
fn examples_of_rfc_7692_7_2_3_are_inflated() {
    let one = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    assert_eq!(serve(&deflated(Opcode::Text, one)), [text("Hello")]);
    let fragments = [
        raw(0x41, &one[..3]),
        frame(Opcode::Ping, true, b"between"),
        raw(0x80, &one[3..]),
    ];
    let between = Seen::Ping(b"between".to_vec());
    assert_eq!(serve(&fragments.concat()), [between, text("Hello")]);
    let not_compressed = b"\x00\x05\x00\xfa\xffHello\x00";
    assert_eq!(
        serve(&deflated(Opcode::Text, not_compressed)),
        [text("Hello")]
    );
    let final_block = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    let twice = deflated(Opcode::Text, final_block).repeat(2);
    assert_eq!(serve(&twice), [text("Hello"), text("Hello")]);
    let two_blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    assert_eq!(serve(&deflated(Opcode::Text, two_blocks)), [text("Hello")]);
}

#[test]
fn context_is_taken_over_only_where_that_was_agreed() {
    let first = deflated(Opcode::Text, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let second = deflated(Opcode::Text, b"\xf2\x00\x11\x00\x00");
    let plain = frame(Opcode::Text, true, b"plain between");
    let stream = [first, plain, second].concat();
    let seen = serve_within(&LIMITS, DEDICATED, &stream);
    assert_eq!(seen, [text("Hello"), text("plain between"), text("Hello")]);
    let seen = serve_within(&LIMITS, DeflateParameters::SHARED, &stream);
    assert_eq!(seen[2], Seen::Failed(Violation::DeflateInvalid));
}

#[test]
fn empty_messages_and_fragments_work() {
    let nothing = [
        deflated(Opcode::Text, b"\x00"),
        deflated(Opcode::Binary, b""),
        [raw(0x42, b""), raw(0x00, b""), raw(0x80, b"\x00")].concat(),
        deflated(Opcode::Text, b"\x00\x00\x00\xff\xff\x00"),
    ];
    let empty = Seen::Binary(Vec::new());
    let expected = [text(""), empty.clone(), empty, text("")];
    assert_eq!(serve(&nothing.concat()), expected);
    let hello = compress(b"Hello");
    let dripped = [
        vec![raw(0x41, b"")],
        hello.iter().map(|byte| raw(0x00, &[*byte])).collect(),
        vec![raw(0x80, b"")],
    ];
    assert_eq!(serve(&dripped.concat().concat()), [text("Hello")]);
}

#[test]
fn rsv1_has_its_place() {
    let refused = [Seen::Failed(Violation::ReservedBits)];
    for opcode in [
        Opcode::Ping,
        Opcode::Pong,
        Opcode::Close,
        Opcode::Continuation,
    ] {
        assert_eq!(serve(&deflated(opcode, b"")), refused, "{opcode:?}");
    }
    let continued = [raw(0x42, b"\x00"), raw(FIN_RSV1, b"")].concat();
    assert_eq!(serve(&continued), refused);
    for other in [0xa2, 0x92, 0xe2, 0xd2] {
        assert_eq!(serve(&raw(other, b"")), refused, "{other:#x}");
    }
    // Not agreed: on no frame.
    let plain = support::serve(&deflated(Opcode::Text, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
    assert_eq!(plain, refused);
}

#[test]
fn what_does_not_inflate_is_1007() {
    assert_eq!(Violation::DeflateInvalid.close_code(), 1007);
    let broken = [Seen::Failed(Violation::DeflateInvalid)];
    for garbage in [
        &b"\xff\xff\xff\xff"[..],         // block type 3
        b"\x00\x05\x00\x00\x00Hello\x00", // length and its complement differ
        b"\x00\x09\x00\xf6\xffHello",     // stops inside a stored block
        b"\x02\x00\x11\x00\x00",          // reaches back before the beginning
        b"Hello, this is no deflate at all",
    ] {
        assert_eq!(
            serve(&deflated(Opcode::Binary, garbage)),
            broken,
            "{garbage:?}"
        );
    }
    // Cut off: in the middle of its data, and in a header that the tail does not end.
    let whole = compress(&b"0123456789abcdef".repeat(200));
    for cut in [&whole[..whole.len() / 2], b"\x04\xe0\x01"] {
        let wire = deflated(Opcode::Binary, cut);
        let seen = serve_within(&LIMITS, DeflateParameters::SHARED, &wire);
        assert_eq!(seen, broken);
    }
}

#[test]
fn text_is_judged_as_it_is_inflated() {
    let bad = [b"good so far".repeat(500), vec![0xc0], b"x".repeat(5000)].concat();
    let wire = compress(&bad);
    let seen = serve(&deflated(Opcode::Text, &wire));
    assert_eq!(seen, [Seen::Failed(Violation::TextInvalid)]);
    // Before the message is complete.
    let seen = serve(&raw(0x41, &wire));
    assert_eq!(seen, [Seen::Failed(Violation::TextInvalid)]);
    let cut_off = compress("€".as_bytes().split_last().unwrap().1);
    let seen = serve(&deflated(Opcode::Text, &cut_off));
    assert_eq!(seen, [Seen::Failed(Violation::TextInvalid)]);
}

#[test]
fn a_bomb_is_1009_and_holds_at_most_the_limit_and_a_mebibyte() {
    let bomb = deflated(Opcode::Binary, &compress(&vec![0; 16 << 20]));
    assert!(bomb.len() < 20 * 1024);
    for (parameters, part) in [
        (DeflateParameters::SHARED, bomb.len()),
        (DeflateParameters::SHARED, 7),
        (DEDICATED, 100),
    ] {
        let (mut connection, mut seen) = (server(parameters), Vec::new());
        for bytes in bomb.chunks(part) {
            feed(&mut connection, &LIMITS, bytes, &mut seen);
            // The inflater and one byte; well within the mebibyte that may come on top.
            assert!(connection.buffered() <= LIMITS.message_bytes_max + 64 * 1024);
        }
        assert_eq!(seen, [Seen::Failed(Violation::MessageTooBig)]);
        assert_eq!(connection.buffered(), 0);
    }
}

#[test]
fn the_limit_counts_inflated_bytes_to_the_byte() {
    let limits = Limits {
        message_bytes_max: 100_000,
        ..LIMITS
    };
    // Noise becomes stored blocks: the frame is longer than the message.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(limits.message_bytes_max + 1)
    .collect();
    for payload in [noise, vec![7; limits.message_bytes_max + 1]] {
        let fits = &payload[..limits.message_bytes_max];
        let seen = serve_within(
            &limits,
            DEDICATED,
            &deflated(Opcode::Binary, &compress(fits)),
        );
        assert!(seen == [Seen::Binary(fits.to_vec())]);
        let wire = deflated(Opcode::Binary, &compress(&payload));
        let seen = serve_within(&limits, DEDICATED, &wire);
        assert_eq!(seen, [Seen::Failed(Violation::MessageTooBig)]);
    }
}

#[test]
fn no_length_of_a_compressed_frame_is_beyond_judgement() {
    let too_big = [Seen::Failed(Violation::MessageTooBig)];
    let mut header = encode_header(Opcode::Binary, 1 << 40, true, true, Some(KEY))
        .as_slice()
        .to_vec();
    assert_eq!(serve(&header), too_big);
    // Empty blocks inflate to nothing; what is read of them is bounded all the same.
    let limits = Limits {
        message_bytes_max: 1000,
        ..LIMITS
    };
    header = raw(0x42, b"");
    let block = raw(0x00, &b"\x00\x00\x00\xff\xff".repeat(20));
    let seen = serve_within(&limits, DEDICATED, &[header, block.repeat(20)].concat());
    assert_eq!(seen, too_big);
    let limits = Limits {
        message_fragments_max: 3,
        ..LIMITS
    };
    let many = [raw(0x42, b""), raw(0x00, b"").repeat(3)].concat();
    let seen = serve_within(&limits, DEDICATED, &many);
    assert_eq!(seen, [Seen::Failed(Violation::TooManyFragments)]);
}

#[test]
fn a_close_inside_a_compressed_message_frees_it() {
    let (mut connection, mut seen) = (server(DEDICATED), Vec::new());
    feed(
        &mut connection,
        &LIMITS,
        &raw(0x42, &compress(&vec![1; 90_000])),
        &mut seen,
    );
    assert!(connection.buffered() > 90_000);
    feed(
        &mut connection,
        &LIMITS,
        &support::close(1000, b""),
        &mut seen,
    );
    assert_eq!(seen, [Seen::Close(Some(1000), String::new())]);
    assert_eq!(connection.buffered(), 0);
}

#[test]
fn short_messages_go_plain_and_long_ones_compressed() {
    let mut out = Vec::new();
    let mut connection = server(DEDICATED);
    for (payload, first) in [(vec![b'a'; 1023], 0x82), (vec![b'a'; 1024], 0xc2)] {
        out.clear();
        connection
            .send_message(MessageKind::Binary, &payload, &mut out)
            .unwrap();
        assert_eq!(out[0], first);
    }
    assert!(out.len() < 100);
    out.clear();
    connection.send_ping(&[b'a'; 125], &mut out).unwrap();
    assert_eq!(out[0], 0x89);
}

#[test]
fn what_does_not_shrink_goes_plain_only_without_a_context() {
    let mut state = 7_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(4096)
    .collect();
    for (parameters, first) in [(DeflateParameters::SHARED, 0x82), (DEDICATED, 0xc2)] {
        let mut out = Vec::new();
        server(parameters)
            .send_message(MessageKind::Binary, &noise, &mut out)
            .unwrap();
        assert_eq!(out[0], first);
    }
}

#[test]
fn a_refused_send_leaves_the_context_untouched() {
    let words = "the same words in each message ".repeat(50);
    let (mut sender, mut receiver) = (client(DEDICATED), server(DEDICATED));
    let (mut wire, mut seen) = (Vec::new(), Vec::new());
    for kind in [MessageKind::Text, MessageKind::Binary] {
        sender
            .send_message(kind, words.as_bytes(), &mut wire)
            .unwrap();
        let refused = sender.send_message(MessageKind::Text, &[0xff; 2000], &mut wire);
        assert_eq!(refused, Err(SendError::TextInvalid));
    }
    feed(&mut receiver, &LIMITS, &wire, &mut seen);
    assert_eq!(seen, [text(&words), Seen::Binary(words.into_bytes())]);
}

#[test]
fn masked_frames_of_a_client_are_inflated_by_the_server() {
    let words = "größer – ".repeat(5000);
    let (mut sender, mut receiver) = (client(DEDICATED), server(DEDICATED));
    let (mut wire, mut seen) = (Vec::new(), Vec::new());
    sender
        .send_message(MessageKind::Text, words.as_bytes(), &mut wire)
        .unwrap();
    assert!(wire.len() < 1000);
    mask_plain([0; 4], 0, &mut wire);
    feed(&mut receiver, &LIMITS, &wire, &mut seen);
    assert_eq!(seen, [text(&words)]);
}

/// Letters that compress badly, so that few bytes of input become many in one step.
fn letters(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'!' + u8::try_from(state >> 24).unwrap() % 90
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}

#[test]
fn of_two_faults_the_first_in_the_inflated_bytes_counts_however_the_stream_is_cut() {
    let limits = Limits {
        message_bytes_max: 1000,
        ..LIMITS
    };
    let mut payload = letters(1200);
    payload[500] = 0xff;
    let invalid_first = deflated(Opcode::Text, &compress(&payload));
    payload.swap(500, 1100);
    let too_big_first = deflated(Opcode::Text, &compress(&payload));
    for parameters in [DeflateParameters::SHARED, DEDICATED] {
        let seen = serve_within(&limits, parameters, &invalid_first);
        assert_eq!(seen, [Seen::Failed(Violation::TextInvalid)]);
        let seen = serve_within(&limits, parameters, &too_big_first);
        assert_eq!(seen, [Seen::Failed(Violation::MessageTooBig)]);
    }
}
