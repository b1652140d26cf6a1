//! Rows of the conformance tables as raw frames: what breaks a rule and with which close code, what
//! is legal and delivered. Every stream is served whole and byte by byte.

mod support;

use support::{close, frame, raw, serve, serve_within, text, Seen, KEY, LIMITS};
use wynd_protocol::frames::Opcode;
use wynd_protocol::{Connection, Limits, Role, State, Violation};

/// The only outcome of `stream` is `violation`, and a good message before it is still delivered.
fn assert_fails(stream: &[u8], violation: Violation, code: u16) {
    assert_eq!(violation.close_code(), code);
    assert_eq!(serve(stream), [Seen::Failed(violation)], "{stream:x?}");
    let good_first = [&frame(Opcode::Text, true, b"good"), stream, b"junk"].concat();
    let expected = [text("good"), Seen::Failed(violation)];
    assert_eq!(serve(&good_first), expected, "{stream:x?}");
}

#[test]
fn unmasked_client_frame_is_1002() {
    for stream in [
        &[0x81, 0x05][..],
        &[0x81, 0x00],
        &[0x88, 0x00],
        &[0x89, 0x00],
    ] {
        assert_fails(stream, Violation::MaskMissing, 1002);
    }
}

#[test]
fn masked_server_frame_is_1002() {
    let mut client = Connection::new(Role::Client);
    let failed = client.decode(&LIMITS, &mut frame(Opcode::Text, true, b"a"));
    assert_eq!(failed, Err(Violation::MaskUnexpected));
}

#[test]
fn reserved_bits_are_1002_on_every_frame() {
    for bit in [0x40, 0x20, 0x10, 0x70] {
        for opcode in [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Close] {
            let stream = raw(0x80 | bit | opcode.bits(), b"");
            assert_fails(&stream, Violation::ReservedBits, 1002);
        }
        let continued = [frame(Opcode::Text, false, b"a"), raw(0x80 | bit, b"b")].concat();
        assert_fails(&continued, Violation::ReservedBits, 1002);
    }
}

#[test]
fn reserved_opcodes_are_1002() {
    for opcode in (3..=7).chain(11..=15) {
        assert_fails(&raw(0x80 | opcode, b""), Violation::ReservedOpcode, 1002);
    }
}

#[test]
fn control_frames_over_125_bytes_or_without_fin_are_1002() {
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        let long = frame(opcode, true, &[b'a'; 126]);
        assert_fails(&long, Violation::ControlTooLong, 1002);
        assert_fails(&long[..2], Violation::ControlTooLong, 1002);
        let unfinished = frame(opcode, false, b"");
        assert_fails(&unfinished, Violation::ControlFragmented, 1002);
    }
}

#[test]
fn fragments_out_of_order_are_1002() {
    for fin in [true, false] {
        let orphan = frame(Opcode::Continuation, fin, b"a");
        assert_fails(&orphan, Violation::ContinuationUnexpected, 1002);
        for opcode in [Opcode::Text, Opcode::Binary] {
            let inside = [frame(Opcode::Text, false, b"a"), frame(opcode, fin, b"b")].concat();
            assert_fails(&inside, Violation::ContinuationMissing, 1002);
        }
    }
    let after_end = [
        frame(Opcode::Text, false, b"a"),
        frame(Opcode::Continuation, true, b"b"),
        frame(Opcode::Continuation, true, b"c"),
    ]
    .concat();
    let expected = [text("ab"), Seen::Failed(Violation::ContinuationUnexpected)];
    assert_eq!(serve(&after_end), expected);
}

#[test]
fn lengths_not_minimal_or_beyond_63_bits_are_1002() {
    for length in [0_u16, 1, 125] {
        let stream = [&[0x82, 0xfe][..], &length.to_be_bytes()].concat();
        assert_fails(&stream, Violation::LengthNotMinimal, 1002);
    }
    for length in [0_u64, 125, 126, 65_535] {
        let stream = [&[0x82, 0xff][..], &length.to_be_bytes()].concat();
        assert_fails(&stream, Violation::LengthNotMinimal, 1002);
    }
    for length in [1_u64 << 63, u64::MAX] {
        let stream = [&[0x82, 0xff][..], &length.to_be_bytes()].concat();
        assert_fails(&stream, Violation::LengthOverflow, 1002);
    }
}

#[test]
fn huge_lengths_are_1009_by_their_header_alone() {
    for length in [1024 * 1024 + 1, 1 << 40, (1 << 63) - 1] {
        let header = [&[0x82, 0xff][..], &u64::to_be_bytes(length), &KEY].concat();
        assert_fails(&header, Violation::MessageTooBig, 1009);
        let continued = [
            frame(Opcode::Binary, false, b"a"),
            [&[0x80, 0xff][..], &u64::to_be_bytes(length), &KEY].concat(),
        ]
        .concat();
        assert_fails(&continued, Violation::MessageTooBig, 1009);
    }
}

#[test]
fn message_of_the_limit_passes_and_one_byte_more_is_1009() {
    let limits = Limits {
        message_bytes_max: 100,
        ..LIMITS
    };
    let fits = frame(Opcode::Binary, true, &[7; 100]);
    assert_eq!(serve_within(&limits, &fits), [Seen::Binary(vec![7; 100])]);
    let too_big = frame(Opcode::Binary, true, &[7; 101]);
    let failed = [Seen::Failed(Violation::MessageTooBig)];
    assert_eq!(serve_within(&limits, &too_big), failed);
    let sum = [
        frame(Opcode::Binary, false, &[7; 60]),
        frame(Opcode::Continuation, true, &[7; 41]),
    ];
    assert_eq!(serve_within(&limits, &sum.concat()), failed);
    let sum = [
        frame(Opcode::Binary, false, &[7; 60]),
        frame(Opcode::Continuation, true, &[7; 40]),
    ];
    assert_eq!(
        serve_within(&limits, &sum.concat()),
        [Seen::Binary(vec![7; 100])]
    );
    // Control frames are no part of a message.
    let ping = [
        frame(Opcode::Binary, false, &[7; 60]),
        frame(Opcode::Ping, true, &[1; 125]),
    ];
    assert_eq!(
        serve_within(&limits, &ping.concat()),
        [Seen::Ping(vec![1; 125])]
    );
}

#[test]
fn fragments_over_the_limit_are_1008_also_when_empty() {
    let limits = Limits {
        message_fragments_max: 5,
        ..LIMITS
    };
    for payload in [&b""[..], b"a"] {
        let begin = frame(Opcode::Text, false, payload);
        let more = frame(Opcode::Continuation, false, payload);
        let last = frame(Opcode::Continuation, true, payload);
        let five = [begin.clone(), more.repeat(3), last.clone()].concat();
        let message = Seen::Text(payload.repeat(5));
        assert_eq!(
            serve_within(&limits, &five.repeat(2)),
            [message.clone(), message]
        );
        let six = [begin, more.repeat(4), last].concat();
        assert_eq!(
            serve_within(&limits, &six),
            [Seen::Failed(Violation::TooManyFragments)]
        );
    }
}

#[test]
fn control_frames_between_fragments_are_handled_at_once() {
    let stream = [
        frame(Opcode::Text, false, b"a"),
        frame(Opcode::Ping, true, b"1"),
        frame(Opcode::Continuation, false, b""),
        frame(Opcode::Pong, true, b""),
        frame(Opcode::Ping, true, &[9; 125]),
        frame(Opcode::Continuation, true, b"b"),
    ]
    .concat();
    let expected = [
        Seen::Ping(b"1".to_vec()),
        Seen::Pong(vec![]),
        Seen::Ping(vec![9; 125]),
        text("ab"),
    ];
    assert_eq!(serve(&stream), expected);
}

#[test]
fn empty_messages_are_messages() {
    let stream = [
        frame(Opcode::Text, true, b""),
        frame(Opcode::Binary, true, b""),
        frame(Opcode::Text, false, b""),
        frame(Opcode::Continuation, true, b""),
    ]
    .concat();
    assert_eq!(serve(&stream), [text(""), Seen::Binary(vec![]), text("")]);
}

#[test]
fn close_payloads_are_judged() {
    assert_fails(
        &frame(Opcode::Close, true, b"a"),
        Violation::ClosePayloadTooShort,
        1002,
    );
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2999, 5000, 65_535,
    ] {
        assert_fails(&close(code, b""), Violation::CloseCodeInvalid(code), 1002);
    }
    for reason in [&b"\xff"[..], b"\xe2\x82", b"\xed\xa0\x80"] {
        assert_fails(&close(1000, reason), Violation::CloseReasonInvalid, 1007);
    }
    assert_eq!(
        serve(&frame(Opcode::Close, true, b"")),
        [Seen::Close(None, String::new())]
    );
    for code in [
        1000, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
    ] {
        assert_eq!(
            serve(&close(code, b"")),
            [Seen::Close(Some(code), String::new())]
        );
    }
    let longest = "€".repeat(41);
    assert_eq!(
        serve(&close(1000, longest.as_bytes())),
        [Seen::Close(Some(1000), longest)]
    );
}

#[test]
fn bytes_after_a_close_are_discarded_unparsed() {
    let stream = [close(1000, b"bye"), b"\xff\xff\xff junk".to_vec()].concat();
    assert_eq!(serve(&stream), [Seen::Close(Some(1000), "bye".to_owned())]);
}

#[test]
fn close_inside_a_fragmented_message_discards_the_message() {
    let stream = [
        frame(Opcode::Text, false, b"partial"),
        close(4000, b""),
        frame(Opcode::Continuation, true, b"end"),
    ]
    .concat();
    assert_eq!(serve(&stream), [Seen::Close(Some(4000), String::new())]);
    let mut server = Connection::new(Role::Server);
    let mut seen = Vec::new();
    support::feed(&mut server, &LIMITS, &stream, &mut seen);
    assert_eq!(server.buffered(), 0);
    assert_eq!(server.state(), State::CloseReceived);
}

#[test]
fn impossible_utf8_is_1007_in_any_framing() {
    let cases: [&[u8]; 7] = [
        b"\xff",
        b"a\x80",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ];
    for payload in cases {
        assert_fails(
            &frame(Opcode::Text, true, payload),
            Violation::TextInvalid,
            1007,
        );
        for cut in 0..=payload.len() {
            let stream = [
                frame(Opcode::Text, false, &payload[..cut]),
                frame(Opcode::Continuation, true, &payload[cut..]),
            ]
            .concat();
            assert_fails(&stream, Violation::TextInvalid, 1007);
        }
        let binary = frame(Opcode::Binary, true, payload);
        assert_eq!(serve(&binary), [Seen::Binary(payload.to_vec())]);
    }
}

#[test]
fn utf8_fails_at_the_first_impossible_byte_of_an_unfinished_frame() {
    let stream = frame(
        Opcode::Text,
        true,
        b"caf\xe9 and a thousand bytes that never come",
    );
    let impossible_at = 6 + 4; // header and key; `e9` needs a continuation byte, ` ` is none
    let mut server = Connection::new(Role::Server);
    for (at, byte) in stream.iter().enumerate() {
        let decoded = server.decode(&LIMITS, &mut [*byte]);
        if at == impossible_at {
            assert_eq!(decoded, Err(Violation::TextInvalid));
            return;
        }
        assert!(decoded.unwrap().event.is_none());
    }
    panic!("the stream was accepted");
}

#[test]
fn characters_may_be_cut_by_fragments() {
    let word = "κόσμε 𝄞";
    for cut in 0..=word.len() {
        let stream = [
            frame(Opcode::Text, false, &word.as_bytes()[..cut]),
            frame(Opcode::Ping, true, b"\xff"),
            frame(Opcode::Continuation, true, &word.as_bytes()[cut..]),
        ]
        .concat();
        assert_eq!(serve(&stream), [Seen::Ping(vec![0xff]), text(word)]);
    }
}

#[test]
fn memory_grows_with_the_wire_and_never_by_a_declaration() {
    // A frame that declares 1 MiB and dribbles: what is held stays within 1.5 times what came.
    let stream = frame(Opcode::Binary, true, &vec![7; 1024 * 1024]);
    let fixed = 512; // the box of unfinished state
    let mut server = Connection::new(Role::Server);
    let mut received = 0;
    for part in stream[..stream.len() - 1].chunks(1000) {
        let _ = server.decode(&LIMITS, &mut part.to_vec()).unwrap();
        received += part.len();
        assert!(server.buffered() <= fixed + received * 3 / 2, "{received}");
    }
    assert!(
        server.buffered() <= fixed + 1024 * 1024,
        "the last growth stops at the size"
    );
    let last = stream.len() - 1;
    let decoded = server
        .decode(&LIMITS, &mut stream[last..].to_vec())
        .unwrap();
    assert!(decoded.event.is_some());
    assert_eq!(server.buffered(), 0, "an idle connection holds nothing");
}

#[test]
fn fragment_flood_of_empty_frames_holds_nothing_but_its_count() {
    let mut server = Connection::new(Role::Server);
    let flood = [
        frame(Opcode::Text, false, b""),
        frame(Opcode::Continuation, false, b"").repeat(16_383),
    ]
    .concat();
    let _ = server.decode(&LIMITS, &mut flood.clone()).unwrap();
    assert!(server.buffered() <= 512);
    let one_more = server.decode(&LIMITS, &mut frame(Opcode::Continuation, true, b""));
    assert_eq!(one_more, Err(Violation::TooManyFragments));
    assert_eq!(server.buffered(), 0);
}

#[test]
fn connection_is_small() {
    // State, role and four boxes, empty while nothing is unfinished and no extension agreed.
    assert!(size_of::<Connection>() <= 40, "{}", size_of::<Connection>());
}

#[test]
fn dribbled_control_frame_leaves_nothing_held() {
    let stream = [
        frame(Opcode::Ping, true, b"are you there?"),
        frame(Opcode::Pong, true, b"yes"),
    ];
    let mut server = Connection::new(Role::Server);
    let mut seen = Vec::new();
    for byte in stream.concat() {
        support::feed(&mut server, &LIMITS, &[byte], &mut seen);
        let is_between_frames = server.buffered() == 0;
        assert!(!is_between_frames || !seen.is_empty());
    }
    assert_eq!(seen.len(), 2);
    assert_eq!(server.buffered(), 0);
}
