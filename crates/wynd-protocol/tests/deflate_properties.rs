//! Properties of permessage-deflate: round trip under all parameters and any cut, and no answer to
//! a random offer that RFC 7692 forbids.

mod support;

use proptest::prelude::*;
use support::{feed, Seen, KEY, LIMITS};
use wynd_protocol::{
    choose, extensions, Connection, DeflateParameters, Inflaters, MessageKind, Role,
};

fn parameters() -> impl Strategy<Value = DeflateParameters> {
    (any::<bool>(), any::<bool>(), 9..=15_u8, 9..=15_u8).prop_map(|(server, client, s, c)| {
        DeflateParameters {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            server_max_window_bits: s,
            client_max_window_bits: c,
        }
    })
}

/// Repeats near and far, noise, nothing, and lengths around that from which messages are compressed.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec(0..4_u8, 1..30);
    prop_oneof![
        (words, 1..3000_usize).prop_map(|(word, times)| word.repeat(times)),
        prop::collection::vec(any::<u8>(), 1000..1100),
        prop::collection::vec(any::<u8>(), 600..40_000).prop_map(|noise| noise.repeat(2)),
        Just(Vec::new()),
    ]
}

fn end(role: Role, parameters: DeflateParameters, level: u8, inflaters: &Inflaters) -> Connection {
    let mut connection = Connection::new(role);
    connection.enable_deflate(parameters, level, inflaters.clone());
    connection.set_masking_keys(Box::new(|| KEY));
    connection
}

/// Few cases under Miri, which takes a second for each; it has no files to keep failures in.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 2 } else { cases },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn messages_come_back_under_all_parameters_and_cuts(
        parameters in parameters(),
        level in 1..=9_u8,
        payloads in prop::collection::vec(payload(), 1..6),
        from_client in any::<bool>(),
        part in prop_oneof![1..50_usize, 50..100_000_usize],
    ) {
        let inflaters = Inflaters::default();
        let (from, to) = if from_client {
            (Role::Client, Role::Server)
        } else {
            (Role::Server, Role::Client)
        };
        let mut sender = end(from, parameters, level, &inflaters);
        let mut receiver = end(to, parameters, level, &inflaters);
        let (mut wire, mut seen) = (Vec::new(), Vec::new());
        for payload in &payloads {
            sender.send_message(MessageKind::Binary, payload, &mut wire).unwrap();
        }
        for bytes in wire.chunks(part) {
            feed(&mut receiver, &LIMITS, bytes, &mut seen);
        }
        let expected: Vec<Seen> = payloads.into_iter().map(Seen::Binary).collect();
        prop_assert!(seen == expected);
    }

    #[test]
    fn no_compressed_bytes_make_a_panic_or_pass_the_limit(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        takeover in any::<bool>(),
        part in 1..500_usize,
    ) {
        let parameters = DeflateParameters {
            client_no_context_takeover: !takeover,
            ..DeflateParameters::SHARED
        };
        let mut connection = end(Role::Server, parameters, 6, &Inflaters::default());
        let mut seen = Vec::new();
        for bytes in support::raw(0xc2, &bytes).chunks(part) {
            feed(&mut connection, &LIMITS, bytes, &mut seen);
            prop_assert!(connection.buffered() <= LIMITS.message_bytes_max + (1 << 20));
        }
    }
}

/// One parameter of an offer: known ones with good, odd and no values, and unknown ones.
fn parameter() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        3 => Just("server_max_window_bits"),
        3 => Just("client_max_window_bits"),
        2 => Just("server_no_context_takeover"),
        2 => Just("client_no_context_takeover"),
        1 => Just("mode"),
    ];
    let value = prop_oneof![
        4 => Just(String::new()),
        4 => (0..20_u8).prop_map(|bits| format!("={bits}")),
        1 => "=\"(8|9|1[0-5])\"",
        1 => "=[0-9a-z+-]{1,24}",
    ];
    (name, value).prop_map(|(name, value)| format!("{name}{value}"))
}

fn offers() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        9 => Just("permessage-deflate"),
        1 => Just("x-webkit-deflate-frame"),
    ];
    let offer = (name, prop::collection::vec(parameter(), 0..5)).prop_map(|(name, parameters)| {
        parameters
            .iter()
            .fold(name.to_owned(), |offer, next| offer + "; " + next)
    });
    prop::collection::vec(offer, 1..4).prop_map(|offers| offers.join(", "))
}

type Pairs = Vec<(String, Option<u8>)>;

/// The parameters of an offer or answer, values read plainly; `None` if §7 has it declined.
fn plain(offer: &str) -> Option<Pairs> {
    let mut parts = offer.split("; ");
    if parts.next() != Some("permessage-deflate") {
        return None;
    }
    let mut pairs = Pairs::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value.trim_matches('"'))),
            None => (part, None),
        };
        let bits = match value {
            None => None,
            Some(value) => Some((8..=15).find(|bits: &u8| bits.to_string() == value)?),
        };
        let may_have = name.ends_with("_max_window_bits");
        let must_have = name == "server_max_window_bits";
        let is_known = may_have || name.ends_with("_no_context_takeover");
        let is_good = is_known && (bits.is_none() || may_have) && (bits.is_some() || !must_have);
        if !is_good || pairs.iter().any(|(before, _)| before == name) {
            return None;
        }
        pairs.push((name.to_owned(), bits));
    }
    Some(pairs)
}

/// Whether §7.1 allows the answer to the offer.
fn is_allowed(offer: &Pairs, answer: &Pairs) -> bool {
    let of = |pairs: &Pairs, name: &str| {
        pairs
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, bits)| *bits)
    };
    let has = |pairs: &Pairs, name: &str| of(pairs, name).is_some();
    let server = match (
        of(offer, "server_max_window_bits"),
        of(answer, "server_max_window_bits"),
    ) {
        (Some(asked), Some(answered)) => answered.is_some() && answered <= asked,
        (Some(_), None) | (None, Some(None)) => false,
        (None, _) => true,
    };
    let client = match (
        of(offer, "client_max_window_bits"),
        of(answer, "client_max_window_bits"),
    ) {
        (Some(asked), Some(answered)) => answered.is_some() && answered <= asked.or(Some(15)),
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let no_context = "server_no_context_takeover";
    server && client && (has(answer, no_context) || !has(offer, no_context))
}

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn no_offer_gets_an_answer_that_the_rfc_forbids(field in offers(), most in parameters()) {
        let parsed = extensions::parse(field.as_bytes()).unwrap();
        let valid: Vec<Pairs> = field.split(", ").filter_map(plain).collect();
        if let Some(agreement) = choose(&parsed, most) {
            let answer = agreement.answer();
            let pairs = plain(&answer).expect("a valid answer");
            prop_assert!(valid.iter().any(|offer| is_allowed(offer, &pairs)), "{}", answer);
            let agreed = agreement.parameters;
            prop_assert!((9..=15).contains(&agreed.server_max_window_bits));
            prop_assert!(agreed.server_max_window_bits <= most.server_max_window_bits);
            // A context that is kept fits into the window that was set for it.
            prop_assert!(agreed.client_no_context_takeover
                || agreed.client_max_window_bits <= most.client_max_window_bits);
        } else {
            let too_small = ("server_max_window_bits".to_owned(), Some(8));
            let are_declined = valid.iter().all(|offer| offer.contains(&too_small));
            prop_assert!(are_declined);
        }
    }
}
