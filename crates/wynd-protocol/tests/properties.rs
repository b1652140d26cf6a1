//! Properties of the codec over generated streams: round trip, invariance under any cut, no event
//! from a frame that breaks a rule, and no panic or hang on arbitrary bytes.

mod support;

use proptest::prelude::*;
use support::{feed, frame, serve, serve_in_parts, Seen, LIMITS};
use wynd_protocol::frames::Opcode;
use wynd_protocol::mask::{mask, mask_plain};
use wynd_protocol::{Connection, Limits, MessageKind, Role};

/// Payloads around the boundaries of the length forms, mostly short.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (120_usize..130).prop_flat_map(|n| prop::collection::vec(any::<u8>(), n)),
        1 => (65_530_usize..65_540).prop_map(|n| vec![0x5a; n]),
    ]
}

fn control_payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=125)
}

#[derive(Debug, Clone)]
enum Sent {
    /// A message in fragments cut at these places, with a ping before each further fragment if so.
    Message(MessageKind, Vec<u8>, Vec<prop::sample::Index>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let words = prop_oneof![
        4 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => Just("größer – 𝄞 ".repeat(40).into_bytes()),
    ];
    prop_oneof![
        3 => (words, cuts.clone(), any::<bool>())
            .prop_map(|(text, cuts, pings)| Sent::Message(MessageKind::Text, text, cuts, pings)),
        2 => (payload(), cuts, any::<bool>())
            .prop_map(|(data, cuts, pings)| Sent::Message(MessageKind::Binary, data, cuts, pings)),
        1 => control_payload().prop_map(Sent::Ping),
        1 => control_payload().prop_map(Sent::Pong),
    ]
}

/// Append the frames of `sent` to `stream`, and what a server must make of them to `expected`.
fn encode(sent: &Sent, stream: &mut Vec<u8>, expected: &mut Vec<Seen>) {
    match sent {
        Sent::Ping(payload) => {
            stream.extend(frame(Opcode::Ping, true, payload));
            expected.push(Seen::Ping(payload.clone()));
        }
        Sent::Pong(payload) => {
            stream.extend(frame(Opcode::Pong, true, payload));
            expected.push(Seen::Pong(payload.clone()));
        }
        Sent::Message(kind, payload, cuts, pings) => {
            let mut places: Vec<_> = cuts
                .iter()
                .map(|cut| cut.index(payload.len() + 1))
                .collect();
            places.sort_unstable();
            places.push(payload.len());
            let mut begin = 0;
            for (number, place) in places.iter().enumerate() {
                let opcode = match (number, kind) {
                    (0, MessageKind::Text) => Opcode::Text,
                    (0, MessageKind::Binary) => Opcode::Binary,
                    _ => Opcode::Continuation,
                };
                if number > 0 && *pings {
                    stream.extend(frame(Opcode::Ping, true, b"between"));
                    expected.push(Seen::Ping(b"between".to_vec()));
                }
                let is_last = number + 1 == places.len();
                stream.extend(frame(opcode, is_last, &payload[begin..*place]));
                begin = *place;
            }
            expected.push(match kind {
                MessageKind::Text => Seen::Text(payload.clone()),
                MessageKind::Binary => Seen::Binary(payload.clone()),
            });
        }
    }
}

/// Frames that are random in every header field, so that most streams break a rule somewhere.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let header = (any::<u8>(), any::<u8>(), any::<[u8; 8]>(), any::<[u8; 4]>());
    let random = (header, payload()).prop_map(|((first, second, length, key), payload)| {
        let mut bytes = vec![first, second];
        match second & 0x7f {
            126 => bytes.extend_from_slice(&length[..2]),
            127 => bytes.extend_from_slice(&length),
            _ => {}
        }
        bytes.extend_from_slice(&key);
        bytes.extend_from_slice(&payload);
        bytes
    });
    let nearly_right = (any::<u8>(), payload()).prop_map(|(first, p)| support::raw(first, &p));
    let right = sent().prop_map(|sent| {
        let mut bytes = Vec::new();
        encode(&sent, &mut bytes, &mut Vec::new());
        bytes
    });
    prop_oneof![1 => random, 2 => nearly_right, 4 => right]
}

fn serve_cut_at(limits: &Limits, stream: &[u8], cuts: &[prop::sample::Index]) -> Vec<Seen> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.sort_unstable();
    places.push(stream.len());
    let mut connection = Connection::new(Role::Server);
    let mut seen = Vec::new();
    let mut begin = 0;
    for place in places {
        feed(&mut connection, limits, &stream[begin..place], &mut seen);
        begin = place;
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_seen(all in prop::collection::vec(sent(), 0..8)) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for sent in &all {
            encode(sent, &mut stream, &mut expected);
        }
        prop_assert_eq!(serve(&stream), expected);
    }

    #[test]
    fn any_cut_of_any_stream_gives_the_same_events(
        frames in prop::collection::vec(any_frame(), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = frames.concat();
        let limits = Limits { message_bytes_max: 70_000, message_fragments_max: 6 };
        let whole = serve_in_parts(&limits, &stream, stream.len());
        prop_assert_eq!(&whole, &serve_cut_at(&limits, &stream, &cuts));
        prop_assert_eq!(&whole, &serve_in_parts(&limits, &stream, 1));
    }

    #[test]
    fn arbitrary_bytes_end_in_events_or_one_violation(
        stream in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let seen = serve(&stream);
        let failures = seen.iter().filter(|seen| matches!(seen, Seen::Failed(_))).count();
        prop_assert!(failures <= 1);
        if failures == 1 {
            prop_assert!(matches!(seen.last(), Some(Seen::Failed(_))), "nothing after it");
        }
    }

    #[test]
    fn one_broken_bit_in_the_header_never_yields_the_event(
        payload in payload(), opcode in prop_oneof![Just(0x1_u8), Just(0x2), Just(0x9), Just(0xa)],
        breaking in prop_oneof![Just(0x40_u8), Just(0x20), Just(0x10), Just(0x04)],
    ) {
        // Reserved bits, or an opcode moved into a reserved range (1→5, 2→6, 9→13, 10→14).
        let stream = support::raw(0x80 | opcode | breaking, &payload);
        prop_assert!(matches!(serve(&stream)[..], [Seen::Failed(_)]));
        // The mask bit off.
        let mut unmasked = support::raw(0x80 | opcode, &payload);
        unmasked[1] &= 0x7f;
        prop_assert!(matches!(serve(&unmasked)[..], [Seen::Failed(_)]));
    }

    #[test]
    fn fast_mask_equals_plain_mask(
        key in any::<[u8; 4]>(), offset in any::<usize>(), data in payload(), skip in 0_usize..9,
    ) {
        let skip = skip.min(data.len());
        let (mut fast, mut plain) = (data.clone(), data.clone());
        mask(key, offset, &mut fast[skip..]);
        mask_plain(key, offset, &mut plain[skip..]);
        prop_assert_eq!(&fast, &plain);
        mask(key, offset, &mut fast[skip..]);
        prop_assert_eq!(&fast, &data);
    }

    #[test]
    fn text_is_judged_like_the_standard_library(data in prop::collection::vec(any::<u8>(), 0..12)) {
        let seen = serve(&frame(Opcode::Text, true, &data));
        let is_valid = std::str::from_utf8(&data).is_ok();
        prop_assert_eq!(matches!(seen[..], [Seen::Text(_)]), is_valid);
    }

    #[test]
    fn held_memory_follows_the_wire(
        frames in prop::collection::vec(any_frame(), 1..8), part in 1_usize..5000,
    ) {
        let mut server = Connection::new(Role::Server);
        let stream = frames.concat();
        let mut received = 0;
        for bytes in stream.chunks(part) {
            received += bytes.len();
            feed(&mut server, &LIMITS, bytes, &mut Vec::new());
            prop_assert!(server.buffered() <= 512 + received * 3 / 2);
        }
    }
}
