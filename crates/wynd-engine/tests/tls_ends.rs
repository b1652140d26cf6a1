//! How connections over TLS end: in order, cut off, by a broken rule, too slowly, with a full socket.

mod support;

use support::network::Call;
use support::tls::{secured, Pair, TlsPeer, VERSIONS};
use support::{quiet, seen, text, Harness, Seen, Told};
use wynd_engine::{Config, MessageKind};

/// A record of an alert, unencrypted: content type 21 (RFC 8446 §5.1).
fn is_alert(records: &[u8]) -> bool {
    records.first() == Some(&21) && records.len() == 7
}

fn finish(harness: &mut Harness, socket: usize) -> Vec<Told> {
    harness.network.finish(socket);
    harness.settle()
}

#[test]
fn test_our_close_frame_is_followed_by_close_notify_and_then_the_end() {
    let pair = Pair::new();
    for version in VERSIONS {
        let mut harness = secured(quiet(), &pair);
        let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(version));
        harness.commands.push_close(id, Some(1000), "done");
        harness.flush();
        peer.settle(&mut harness);
        assert_eq!(peer.read(), [Seen::Close(Some(1000), "done".to_owned())]);
        assert!(!peer.has_ended, "the peer's close frame is awaited");
        let mut frame = Vec::new();
        peer.protocol
            .send_close(Some(1000), "", &mut frame)
            .unwrap();
        peer.write(&frame);
        peer.settle(&mut harness);
        assert!(peer.has_ended);
        let calls = harness.network.calls(peer.socket);
        assert_eq!(calls.last(), Some(&Call::ShutdownWrite), "{calls:?}");
        peer.session.send_close_notify();
        let told = peer.settle(&mut harness);
        let closed = Told::Closed(id, Some(1000), 1000, String::new());
        assert_eq!(told, [closed]);
        assert_eq!(harness.shard.sockets(), 0);
    }
}

#[test]
fn test_a_close_frame_and_close_notify_in_one_read_are_both_answered() {
    let pair = Pair::new();
    for version in VERSIONS {
        let mut harness = secured(quiet(), &pair);
        let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(version));
        peer.write_text("last words");
        let mut frame = Vec::new();
        peer.protocol
            .send_close(Some(1001), "bye", &mut frame)
            .unwrap();
        peer.write(&frame);
        peer.session.send_close_notify();
        let told = peer.settle(&mut harness);
        let closed = Told::Closed(id, Some(1001), 1001, "bye".to_owned());
        assert_eq!(told.first(), Some(&text(id, "last words")));
        assert_eq!(told.last(), Some(&closed));
        assert_eq!(peer.read(), [Seen::Close(Some(1001), String::new())]);
        assert!(peer.has_ended);
        assert_eq!(harness.shard.sockets(), 0);
    }
}

#[test]
fn test_close_notify_alone_is_an_abnormal_end_and_answered() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    peer.write_text("before");
    peer.session.send_close_notify();
    let told = peer.settle(&mut harness);
    let closed = Told::Closed(id, None, 1006, String::new());
    assert_eq!(told, [text(id, "before"), closed]);
    assert!(peer.has_ended);
}

#[test]
fn test_input_that_is_cut_off_is_an_abnormal_end() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    peer.write_text("whole");
    peer.write_text("cut");
    let records = peer.records();
    harness
        .network
        .write(peer.socket, &records[..records.len() - 1]);
    assert_eq!(harness.settle(), [text(id, "whole")]);
    assert!(harness.meter.bytes() > 0, "the beginning of a record waits");
    let told = finish(&mut harness, peer.socket);
    assert_eq!(told, [Told::Closed(id, None, 1006, String::new())]);
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_a_forged_record_ends_the_connection_with_an_alert() {
    let pair = Pair::new();
    for version in VERSIONS {
        let mut harness = secured(quiet(), &pair);
        let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(version));
        peer.write_text("good");
        let good = peer.records();
        peer.write_text("evil");
        let mut forged = peer.records();
        *forged.last_mut().unwrap() ^= 1;
        harness.network.write(peer.socket, &[good, forged].concat());
        let told = harness.settle();
        let closed = Told::Closed(id, None, 1006, String::new());
        assert_eq!(told, [text(id, "good"), closed]);
        let answer = harness.network.take_output(peer.socket);
        peer.session.read_tls(&mut answer.as_slice()).unwrap();
        let error = peer.session.process_new_packets().unwrap_err();
        let bad_mac = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
        assert_eq!(error, bad_mac);
        assert_eq!(harness.shard.sockets(), 0);
    }
}

#[test]
fn test_plain_text_on_a_tls_port_gets_an_alert_and_the_end() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let mut failures = 0;
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec(),
        vec![0; 100_000],
        vec![0xff; 6],
    ] {
        let socket = harness.connect();
        harness.network.write(socket, &garbage);
        assert_eq!(harness.settle(), []);
        assert!(is_alert(&harness.network.take_output(socket)));
        failures += 1;
        assert_eq!(harness.shard.statistics().tls_failures, failures);
        let calls = harness.network.calls(socket);
        assert!(calls.contains(&Call::ShutdownWrite), "{calls:?}");
        harness.network.write(socket, &garbage);
        harness.settle();
        assert_eq!(harness.shard.sockets(), 1, "it may still read the alert");
        assert_eq!(finish(&mut harness, socket), []);
        assert_eq!(harness.shard.sockets(), 0);
        assert_eq!(harness.meter.bytes(), 0);
    }
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    peer.write_text("all is well");
    assert_eq!(peer.settle(&mut harness), [text(id, "all is well")]);
}

#[test]
fn test_a_tls_client_on_a_plain_port_gets_400() {
    let pair = Pair::new();
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = TlsPeer::connect(&mut harness, pair.client(VERSIONS[0]));
    let hello = peer.records();
    harness.network.write(peer.socket, &hello);
    assert_eq!(harness.settle(), []);
    let answer = harness.network.take_output(peer.socket);
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn test_a_first_message_without_end_is_bounded() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let socket = harness.connect();
    // Records of a ClientHello that claims 65,000 bytes, each with 16 KiB of it.
    let mut record = vec![22, 3, 1, 0x40, 0];
    record.extend_from_slice(&[0; 0x4000]);
    let mut first = record.clone();
    first[5..9].copy_from_slice(&[1, 0, 0xfd, 0xe8]);
    harness.network.write(socket, &first);
    harness.settle();
    for _ in 0..2 {
        assert!(harness.meter.bytes() > 16 * 1024);
        harness.network.write(socket, &record);
        harness.settle();
    }
    let calls = harness.network.calls(socket);
    assert!(calls.contains(&Call::ShutdownWrite), "{calls:?}");
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_a_slow_tls_handshake_meets_the_handshake_deadline() {
    let pair = Pair::new();
    let config = quiet();
    let timeout = u64::try_from(config.handshake_timeout.as_millis()).unwrap();
    let mut harness = secured(config, &pair);
    let mut peer = TlsPeer::connect(&mut harness, pair.client(VERSIONS[0]));
    let hello = peer.records();
    for byte in &hello[..100] {
        harness.network.write(peer.socket, &[*byte]);
        harness.pass(timeout / 101);
        harness.settle();
        assert_eq!(harness.shard.sockets(), 1);
    }
    harness.pass(timeout);
    harness.settle();
    assert_eq!(harness.shard.sockets(), 0);
    let limits_hit = harness.shard.statistics().limits_hit;
    assert_eq!(limits_hit, [("handshake_timeout", 1)]);

    // A TLS handshake alone is not enough: the request has the same deadline.
    let mut peer = TlsPeer::connect(&mut harness, pair.client(VERSIONS[0]));
    peer.settle(&mut harness);
    assert!(!peer.session.is_handshaking());
    harness.pass(timeout + 1);
    harness.settle();
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_a_full_socket_leaves_the_rest_in_the_outbox() {
    let pair = Pair::new();
    for version in VERSIONS {
        let mut harness = secured(quiet(), &pair);
        let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(version));
        harness.network.make_room(peer.socket, 10_000);
        for _ in 0..20 {
            harness.send_bytes(id, 50_000);
        }
        harness.flush();
        let waiting = harness.buffered[&id].bytes();
        assert!(waiting >= 20 * 50_000 - 128 * 1024, "{waiting}");
        assert!(harness.meter.bytes() >= waiting);
        while harness.buffered[&id].bytes() > 0 || harness.meter.bytes() > 0 {
            harness.network.make_room(peer.socket, 30_000);
            harness.settle();
            peer.receive(&harness);
        }
        let messages = peer.read();
        assert!(messages == vec![Seen::Binary(vec![7; 50_000]); 20]);
        harness.network.make_room(peer.socket, 1 << 20);
        harness.send_text(id, "after");
        harness.flush();
        peer.settle(&mut harness);
        assert_eq!(peer.read(), [seen("after")]);
    }
}

#[test]
fn test_records_that_never_leave_are_a_stalled_outbox() {
    let pair = Pair::new();
    let config = quiet();
    let stall = u64::try_from(config.outbox_stall.as_millis()).unwrap();
    let mut harness = secured(config, &pair);
    let (peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    harness.network.make_room(peer.socket, 10);
    harness.send_text(id, "does not fit as a whole");
    harness.flush();
    harness.pass(stall - 1);
    assert_eq!(harness.settle(), []);
    harness.pass(2);
    let told = harness.settle();
    assert_eq!(told, [Told::Closed(id, None, 1006, String::new())]);
}

#[test]
fn test_a_send_behind_records_that_wait_begins_no_deadline_of_its_own() {
    let pair = Pair::new();
    let config = quiet();
    let stall = u64::try_from(config.outbox_stall.as_millis()).unwrap();
    let mut harness = secured(config, &pair);
    let (peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    harness.pass(stall * 2); // an idle connection has no such deadline
    harness.network.make_room(peer.socket, 10);
    harness.send_text(id, "does not fit as a whole");
    harness.flush();
    assert_eq!(harness.buffered[&id].bytes(), 0, "all of it is sealed");
    harness.pass(stall / 2);
    assert_eq!(harness.settle(), []);
    harness.send_text(id, "more");
    harness.flush();
    harness.pass(stall / 4);
    assert_eq!(harness.settle(), [], "what waited before counts on");
    harness.pass(stall);
    let told = harness.settle();
    assert_eq!(told, [Told::Closed(id, None, 1006, String::new())]);
}

#[test]
fn test_a_peer_that_ends_its_direction_still_gets_what_waits_as_records() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    harness.network.make_room(peer.socket, 10);
    harness.commands.push_close(id, Some(1000), "");
    harness.flush();
    assert_eq!(harness.settle(), [Told::Closing(id, Some(1000), None)]);
    let mut frame = Vec::new();
    peer.protocol
        .send_close(Some(1000), "", &mut frame)
        .unwrap();
    peer.write(&frame);
    peer.session.send_close_notify();
    let records = peer.records();
    harness.network.write(peer.socket, &records);
    assert_eq!(harness.settle(), [], "our records are not out yet");
    harness.network.make_room(peer.socket, 1 << 20);
    let told = harness.settle();
    assert_eq!(told, [Told::Closed(id, Some(1000), 1000, String::new())]);
    peer.receive(&harness);
    assert_eq!(peer.read(), [Seen::Close(Some(1000), String::new())]);
    assert!(peer.has_ended);
}

#[test]
fn test_our_close_notify_is_waited_for_when_the_peer_has_ended() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    let mut frame = Vec::new();
    peer.protocol
        .send_close(Some(1000), "", &mut frame)
        .unwrap();
    peer.write(&frame);
    let records = peer.records();
    harness.network.write(peer.socket, &records);
    // Room for the record of our close frame alone.
    harness.network.make_room(peer.socket, 5 + 4 + 1 + 16);
    assert_eq!(
        harness.settle(),
        [Told::Closing(id, None, Some(1000))],
        "the peer has not ended"
    );
    assert_eq!(finish(&mut harness, peer.socket), []);
    harness.network.make_room(peer.socket, 1000);
    let told = harness.settle();
    assert_eq!(told, [Told::Closed(id, Some(1000), 1000, String::new())]);
    peer.receive(&harness);
    assert!(peer.has_ended);
}

#[test]
fn test_a_peer_that_is_gone_takes_no_records() {
    let pair = Pair::new();
    for reads_the_reset in [true, false] {
        let mut harness = secured(quiet(), &pair);
        let (peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
        harness.network.make_room(peer.socket, 10);
        harness.commands.push_close(id, Some(1000), "");
        harness.flush();
        assert_eq!(harness.settle(), [Told::Closing(id, Some(1000), None)]);
        harness.network.make_room(peer.socket, 1000);
        harness.network.0.borrow_mut().line(peer.socket).is_reset = true;
        assert_eq!(harness.turn(), [], "sending fails");
        // Sending may report the reset, and reading then only the end.
        let mut world = harness.network.0.borrow_mut();
        let line = world.line(peer.socket);
        (line.is_reset, line.is_finished) = (reads_the_reset, true);
        drop(world);
        let told = harness.settle();
        assert_eq!(told, [Told::Closed(id, Some(1000), 1006, String::new())]);
        assert_eq!(harness.meter.bytes(), 0);
    }
}

#[test]
fn test_connections_beyond_a_cap_cost_no_tls_handshake() {
    let pair = Pair::new();
    let config = Config {
        connections_max: Some(1),
        ..quiet()
    };
    let mut harness = secured(config, &pair);
    let (mut peer, id) = TlsPeer::open(&mut harness, pair.client(VERSIONS[0]));
    let refused = harness.connect();
    harness.settle();
    let calls = harness.network.calls(refused);
    assert_eq!(calls, [Call::Shutdown, Call::Close]);
    assert_eq!(
        harness.shard.statistics().limits_hit,
        [("connections_max", 1)]
    );
    peer.write_message(MessageKind::Text, b"still served");
    assert_eq!(peer.settle(&mut harness), [text(id, "still served")]);
}
