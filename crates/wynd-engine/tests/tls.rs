//! TLS in the shard: handshakes, messages, pauses and reloads, with rustls' own client as the peer.
//! How connections over TLS end is in `tls_ends`.

mod support;

use support::tls::{opened, secure, secured, Pair, TlsPeer, VERSIONS};
use support::{quiet, seen, text, Harness, Seen, Told, REQUEST};
use wynd_engine::{Config, ListenerId, MessageKind};

/// An application that answers every text.
fn echo(harness: &mut Harness) -> Vec<Told> {
    let told = harness.turn();
    for event in &told {
        if let Told::Text(id, text) = event {
            harness.send_text(*id, text);
        }
    }
    harness.flush();
    told
}

#[test]
fn test_a_handshake_in_dribbled_bytes_opens() {
    let pair = Pair::new();
    for version in VERSIONS {
        let mut harness = secured(quiet(), &pair);
        let mut peer = TlsPeer::connect(&mut harness, pair.client(version));
        peer.write(REQUEST.as_bytes());
        let mut told = Vec::new();
        while opened(&told).is_none() {
            let records = peer.records();
            assert!(!records.is_empty(), "{version:?} is stuck");
            for byte in records {
                harness.network.write(peer.socket, &[byte]);
                told.extend(harness.settle());
            }
            peer.receive(&harness);
        }
        assert!(matches!(told.as_slice(), [Told::Opened(_, None)]));
        peer.receive(&harness);
        assert!(peer.take_plain().starts_with(b"HTTP/1.1 101 "));
        assert_eq!(harness.meter.bytes(), 0, "an idle connection holds nothing");
    }
}

#[test]
fn test_http_1_1_is_agreed_on_and_nothing_else() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let mut config = pair.client(VERSIONS[0]);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (peer, _) = TlsPeer::open(&mut harness, config);
    assert_eq!(peer.session.alpn_protocol(), Some(b"http/1.1".as_slice()));

    let mut config = pair.client(VERSIONS[0]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut peer = TlsPeer::connect(&mut harness, config);
    let hello = peer.records();
    harness.network.write(peer.socket, &hello);
    harness.settle();
    let answer = harness.network.take_output(peer.socket);
    peer.session.read_tls(&mut answer.as_slice()).unwrap();
    // RFC 7301 §3.2
    let refused = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
    assert_eq!(peer.session.process_new_packets().unwrap_err(), refused);
}

#[test]
fn test_a_request_over_tls_is_secure() {
    let pair = Pair::new();
    let mut harness = Harness::new(quiet());
    harness.listen(true);
    secure(&mut harness, &pair);
    let mut peer = TlsPeer::connect(&mut harness, pair.client(VERSIONS[0]));
    // An origin of this very host: http is another origin than the https this listener speaks.
    let with_origin = |origin: &str| REQUEST.replace("\r\n\r\n", &format!("\r\n{origin}\r\n\r\n"));
    peer.write(with_origin("Origin: http://example.org").as_bytes());
    assert_eq!(peer.settle(&mut harness), []);
    assert!(peer.take_plain().starts_with(b"HTTP/1.1 403 "));

    let mut peer = TlsPeer::connect(&mut harness, pair.client(VERSIONS[0]));
    peer.write(with_origin("Origin: https://example.org").as_bytes());
    let records = peer.records();
    harness.network.write(peer.socket, &records);
    harness.settle();
    peer.receive(&harness);
    let records = peer.records();
    harness.network.write(peer.socket, &records);
    harness.poll();
    let mut is_secure = None;
    while let Some(index) = harness.batch.advance() {
        if let Some(wynd_engine::Event::Requested { secure, .. }) = harness.batch.get(index) {
            is_secure = Some(secure);
        }
    }
    assert_eq!(is_secure, Some(true));
}

#[test]
fn test_many_records_in_one_read_are_as_many_messages() {
    let pair = Pair::new();
    for version in VERSIONS {
        let mut harness = secured(quiet(), &pair);
        let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(version));
        let mut records = Vec::new();
        for number in 0..100 {
            peer.write_text(&number.to_string());
            records.extend(peer.records());
        }
        harness.network.write(peer.socket, &records);
        let mut told = Vec::new();
        while harness.shard.more() || harness.network.0.borrow().has_edges() {
            told.extend(echo(&mut harness));
        }
        let texts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(
            told,
            texts.iter().map(|one| text(id, one)).collect::<Vec<_>>()
        );
        peer.receive(&harness);
        let expected: Vec<Seen> = texts.iter().map(|text| seen(text)).collect();
        assert_eq!(peer.read(), expected);
    }
}

#[test]
fn test_messages_of_any_size_pass_both_ways_however_they_are_cut() {
    let pair = Pair::new();
    for version in VERSIONS {
        for cut in [7, 1000, 16_406, 65_536, usize::MAX] {
            let config = Config {
                message_bytes_max: 1 << 20,
                ..quiet()
            };
            let mut harness = secured(config, &pair);
            let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(version));
            for size in [0, 1, 125, 126, 16_384, 65_536, 300_000_usize] {
                if cut < 100 && size > 20_000 {
                    continue;
                }
                let payload: Vec<u8> = (0..=250).cycle().take(size).collect();
                peer.write_message(MessageKind::Binary, &payload);
                let mut told = Vec::new();
                for part in peer.records().chunks(cut) {
                    harness.network.write(peer.socket, part);
                    told.extend(harness.settle());
                }
                assert_eq!(told.len(), 1, "{size} bytes, {cut} at once");
                assert!(told[0] == Told::Binary(id, payload.clone()));
                let buffered = &harness.buffered[&id];
                harness
                    .commands
                    .push_send(id, buffered, MessageKind::Binary, &payload);
                harness.flush();
                peer.settle(&mut harness);
                assert!(peer.read() == [Seen::Binary(payload)]);
            }
            assert_eq!(harness.meter.bytes(), 0);
        }
    }
}

#[test]
fn test_a_paused_connection_is_not_decrypted_and_goes_on_where_it_was() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    let mut records = Vec::new();
    for number in 0..300 {
        peer.write_text(&number.to_string());
        records.extend(peer.records());
    }
    // The last record comes in two parts, and the first part with all the others.
    let cut = records.len() - 5;
    harness.network.write(peer.socket, &records[..cut]);
    let first = harness.turn_with(|_, commands| commands.push_pause(id));
    assert!(!first.is_empty() && first.len() < 299);
    harness.network.write(peer.socket, &records[cut..]);
    assert_eq!(harness.settle(), []);
    assert!(!harness
        .network
        .0
        .borrow_mut()
        .line(peer.socket)
        .incoming
        .is_empty());

    harness.commands.push_resume(id);
    harness.flush();
    let rest = harness.settle();
    let all: Vec<Told> = first.into_iter().chain(rest).collect();
    let expected: Vec<Told> = (0..300)
        .map(|number| text(id, &number.to_string()))
        .collect();
    assert_eq!(all, expected);
}

#[test]
fn test_a_broadcast_reaches_plain_and_secured_members_alike() {
    let pair = Pair::new();
    let mut harness = Harness::opened_shard(quiet());
    let mut plain = harness.open();
    secure(&mut harness, &pair);
    let (mut first, _) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    let (mut second, _) = TlsPeer::open(&mut harness, pair.client(VERSIONS[1]));
    let large = "x".repeat(100_000);
    harness.publish(None, "small");
    harness.publish(None, &large);
    harness.flush();
    let expected = [seen("small"), seen(&large)];
    assert_eq!(plain.read(&harness), expected);
    for peer in [&mut first, &mut second] {
        peer.receive(&harness);
        assert_eq!(peer.read(), expected);
    }
}

#[test]
fn test_replaced_certificates_count_for_new_connections_only() {
    let (old, new) = (Pair::new(), Pair::new());
    let mut harness = secured(quiet(), &old);
    let (mut before, id) = TlsPeer::open(&mut harness, old.client(VERSIONS[0]));
    secure(&mut harness, &new);
    let (after, _) = TlsPeer::open(&mut harness, new.client(VERSIONS[0]));
    assert_eq!(
        after.session.peer_certificates(),
        Some([new.der.clone()].as_slice())
    );
    before.write_text("still here");
    assert_eq!(before.settle(&mut harness), [text(id, "still here")]);
    assert!(!harness.shard.use_certificates(ListenerId(9), &new.load()));
}

#[test]
fn test_sessions_resume_until_the_certificates_are_replaced() {
    use rustls::HandshakeKind::{Full, Resumed};
    let pair = Pair::new();
    for version in VERSIONS {
        let mut harness = secured(quiet(), &pair);
        let config = pair.client(version);
        let kinds: Vec<_> = (0..3)
            .map(|round| {
                if round == 2 {
                    secure(&mut harness, &pair);
                }
                let (mut peer, _) = TlsPeer::open(&mut harness, config.clone());
                peer.settle(&mut harness);
                peer.session.handshake_kind().unwrap()
            })
            .collect();
        assert_eq!(kinds, [Full, Resumed, Full], "{version:?}");
    }
}

#[test]
fn test_new_keys_in_the_middle_of_a_connection_change_nothing() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    for size in [1, 81_910, 81_920, 200_000] {
        peer.session.refresh_traffic_keys().unwrap();
        peer.write_text("question");
        let told = peer.settle(&mut harness);
        assert_eq!(told, [text(id, "question")]);
        harness.send_bytes(id, size);
        harness.flush();
        peer.settle(&mut harness);
        assert!(peer.read() == [Seen::Binary(vec![7; size])]);
    }
}

#[test]
fn test_a_storm_of_handshakes_leaves_others_their_turn() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let mut storm: Vec<TlsPeer> = (0..100)
        .map(|_| TlsPeer::connect(&mut harness, pair.client(VERSIONS[0])))
        .collect();
    harness.settle(); // accepted before the one who speaks next
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    for one in &mut storm {
        let hello = one.records();
        harness.network.write(one.socket, &hello);
    }
    peer.write_text("am I served?");
    let records = peer.records();
    harness.network.write(peer.socket, &records);
    assert_eq!(harness.turn(), [text(id, "am I served?")]);
    let answered = |harness: &Harness| {
        let mut world = harness.network.0.borrow_mut();
        let mut is_answered = |one: &TlsPeer| !world.line(one.socket).outgoing.is_empty();
        storm.iter().filter(|one| is_answered(one)).count()
    };
    assert_eq!(answered(&harness), 8);
    harness.turn();
    assert_eq!(answered(&harness), 16);
    harness.settle();
    assert_eq!(answered(&harness), 100);
}
