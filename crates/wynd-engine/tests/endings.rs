//! How connections end: closing handshake, violations, lost transports, keepalive, deadlines.

mod support;

use std::time::Duration;

use support::network::Call;
use support::{quiet, seen, text, Harness, Seen, Told};
use wynd_engine::{Config, MessageKind};

fn close(code: u16, reason: &str) -> Seen {
    Seen::Close(Some(code), reason.to_owned())
}

fn alive() -> Config {
    Config::default()
}

#[test]
fn test_a_close_of_the_peer_is_answered_after_the_replies_and_ends_cleanly() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    let buffered = harness.buffered[&peer.id].clone();
    harness.commands.push_join(peer.id, "room");
    peer.write_text(&harness, "last");
    peer.write_close(&harness, Some(1000), "bye");
    let told = harness.turn_with(|event, commands| {
        if let Told::Text(id, message) = event {
            commands.push_send(*id, &buffered, MessageKind::Text, message.as_bytes());
        }
    });
    assert_eq!(
        told,
        [
            text(peer.id, "last"),
            Told::Closing(peer.id, None, Some(1000))
        ]
    );
    assert_eq!(peer.read(&harness), [seen("last"), close(1000, "")]);
    assert_eq!(harness.shard.statistics().rooms, 0);
    // The close frame leaves before our end, and our end before the peer's.
    let calls = harness.network.calls(peer.socket);
    assert_eq!(calls.last(), Some(&Call::ShutdownWrite));
    harness.network.finish(peer.socket);
    let closed = Told::Closed(peer.id, Some(1000), 1000, "bye".to_owned());
    assert_eq!(harness.settle(), [closed]);
    assert_eq!(harness.shard.statistics().closes, [(1000, 1)]);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_an_empty_close_is_answered_empty_and_seen_as_1005() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    peer.write_close(&harness, None, "");
    harness.network.finish(peer.socket);
    let told = harness.settle();
    assert_eq!(
        told,
        [
            Told::Closing(peer.id, None, Some(1005)),
            Told::Closed(peer.id, Some(1005), 1005, String::new())
        ]
    );
    assert_eq!(peer.read(&harness), [Seen::Close(None, String::new())]);
}

#[test]
fn test_a_close_of_ours_waits_for_the_peers_and_then_for_its_end() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.send_text(peer.id, "before");
    harness.commands.push_close(peer.id, Some(4001), "enough");
    harness
        .commands
        .push_close(peer.id, Some(4002), "twice is once");
    harness.send_text(peer.id, "after");
    harness.flush();
    assert_eq!(harness.turn(), [Told::Closing(peer.id, Some(4001), None)]);
    assert_eq!(peer.read(&harness), [seen("before"), close(4001, "enough")]);
    assert!(!harness
        .network
        .calls(peer.socket)
        .contains(&Call::ShutdownWrite));
    // Messages that were on their way are dropped; the peer's close frame is looked for.
    harness
        .network
        .write(peer.socket, &[0x81, 0x80, 0, 0, 0, 0]);
    harness
        .network
        .write(peer.socket, &[0x88, 0x82, 0, 0, 0, 0, 0x0f, 0xa1]);
    assert_eq!(harness.settle(), []);
    assert_eq!(
        harness.network.calls(peer.socket).last(),
        Some(&Call::ShutdownWrite)
    );
    harness.network.finish(peer.socket);
    let closed = Told::Closed(peer.id, Some(4001), 4001, String::new());
    assert_eq!(harness.settle(), [closed]);
}

#[test]
fn test_a_peer_that_never_answers_our_close_is_aborted() {
    let mut harness = Harness::opened_shard(quiet());
    let peer = harness.open();
    harness
        .commands
        .push_close(peer.id, Some(1001), "Server is stopping.");
    harness.flush();
    harness.settle();
    harness.pass(4_999);
    assert_eq!(harness.settle(), []);
    harness.pass(1);
    let closed = Told::Closed(peer.id, Some(1001), 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
}

#[test]
fn test_a_paused_connection_still_closes() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.commands.push_pause(peer.id);
    harness.flush();
    peer.write_text(&harness, "unread");
    harness.settle();
    harness.commands.push_close(peer.id, Some(1000), "");
    harness.flush();
    harness
        .network
        .write(peer.socket, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    harness.network.finish(peer.socket);
    assert_eq!(
        harness.settle(),
        [
            Told::Closing(peer.id, Some(1000), None),
            Told::Closed(peer.id, Some(1000), 1000, String::new())
        ]
    );
}

#[test]
fn test_good_messages_are_delivered_and_answered_before_the_failure() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    let buffered = harness.buffered[&peer.id].clone();
    peer.write_text(&harness, "good");
    peer.write_broken(&harness);
    peer.write_text(&harness, "never parsed");
    let told = harness.turn_with(|event, commands| {
        if let Told::Text(id, message) = event {
            commands.push_send(*id, &buffered, MessageKind::Text, message.as_bytes());
        }
    });
    assert_eq!(
        told,
        [
            text(peer.id, "good"),
            Told::Closing(peer.id, None, None),
            Told::Closing(peer.id, Some(1002), None)
        ]
    );
    assert_eq!(
        peer.read(&harness),
        [seen("good"), close(1002, "Protocol error.")]
    );
    // Input is discarded until the peer ends it, so that no reset destroys the code.
    assert_eq!(
        harness.network.calls(peer.socket).last(),
        Some(&Call::ShutdownWrite)
    );
    harness.network.write(peer.socket, &[0xff; 10_000]);
    assert_eq!(harness.settle(), []);
    harness.network.finish(peer.socket);
    let closed = Told::Closed(peer.id, Some(1002), 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
}

#[test]
fn test_the_failure_of_a_paused_connection_waits_for_its_handler() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    peer.write_text(&harness, "slow");
    peer.write_broken(&harness);
    let id = peer.id;
    let told = harness.turn_with(|event, commands| {
        if *event == Told::Closing(id, None, None) {
            commands.push_pause(id);
        }
    });
    assert_eq!(told, [text(id, "slow"), Told::Closing(id, None, None)]);
    harness.pass(1_000);
    assert_eq!(harness.settle(), []);
    assert!(!harness.shard.more(), "waiting costs no turns");
    harness.send_text(id, "reply");
    harness.commands.push_resume(id);
    harness.flush();
    harness.settle();
    assert_eq!(
        peer.read(&harness),
        [seen("reply"), close(1002, "Protocol error.")]
    );
}

#[test]
fn test_the_failure_of_a_connection_that_stays_paused_comes_at_the_close_time() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    peer.write_text(&harness, "endless");
    peer.write_broken(&harness);
    let id = peer.id;
    harness.turn_with(|_, commands| commands.push_pause(id));
    harness.pass(4_999);
    assert_eq!(harness.settle(), []);
    harness.pass(1);
    assert_eq!(harness.settle(), [Told::Closing(id, Some(1002), None)]);
    assert_eq!(peer.read(&harness), [close(1002, "Protocol error.")]);
    harness.pass(5_000);
    assert_eq!(
        harness.settle(),
        [Told::Closed(id, Some(1002), 1006, String::new())]
    );
}

#[test]
fn test_every_violation_has_its_code() {
    let too_big = [0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (bytes, code, reason) in [
        (&[0x81, 0x01, b'x'][..], 1002, "Protocol error."),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff][..], 1007, "Invalid data."),
        (&too_big[..], 1009, "Message too big."),
    ] {
        let mut harness = Harness::opened_shard(quiet());
        let mut peer = harness.open();
        harness.network.write(peer.socket, bytes);
        harness.settle();
        assert_eq!(peer.read(&harness), [close(code, reason)]);
    }
}

#[test]
fn test_too_many_messages_a_second_are_1008() {
    let mut harness = Harness::opened_shard(Config {
        messages_per_second_max: Some(5.0),
        ..quiet()
    });
    let mut peer = harness.open();
    for _ in 0..2 {
        for n in 0..5 {
            peer.write_text(&harness, &n.to_string());
        }
        assert_eq!(harness.settle().len(), 5);
        harness.pass(1_000);
    }
    for n in 0..6 {
        peer.write_text(&harness, &n.to_string());
    }
    let told = harness.settle();
    assert_eq!(told.len(), 7);
    assert_eq!(told[5], Told::Closing(peer.id, None, None));
    assert_eq!(told.last(), Some(&Told::Closing(peer.id, Some(1008), None)));
    assert_eq!(peer.read(&harness), [close(1008, "Limit exceeded.")]);
}

#[test]
fn test_a_lost_transport_is_1006_once_and_out_of_all_rooms() {
    let mut harness = Harness::opened_shard(quiet());
    for by_reset in [false, true] {
        let mut peer = harness.open();
        harness.commands.push_join(peer.id, "room");
        harness.flush();
        peer.write_text(&harness, "last");
        if by_reset {
            harness.network.reset(peer.socket);
        } else {
            harness.network.finish(peer.socket);
        }
        let closed = Told::Closed(peer.id, None, 1006, String::new());
        assert_eq!(harness.settle(), [text(peer.id, "last"), closed]);
        assert_eq!(harness.shard.statistics().rooms, 0);
        assert!(harness.buffered[&peer.id].is_closed());
    }
    assert_eq!(harness.shard.statistics().closes, [(1006, 2)]);
    assert_eq!(harness.settle(), []);
}

#[test]
fn test_replies_to_a_peer_that_ended_its_direction_leave_before_it_is_given_up() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    let buffered = harness.buffered[&peer.id].clone();
    peer.write_text(&harness, "question");
    harness.network.finish(peer.socket);
    harness.turn_with(|event, commands| {
        if let Told::Text(id, _) = event {
            commands.push_send(*id, &buffered, MessageKind::Text, b"answer");
        }
    });
    assert_eq!(peer.read(&harness), [seen("answer")]);
}

#[test]
fn test_a_failed_send_does_not_hide_the_close_frame_that_waits_to_be_read() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.turn();
    // Close frame and reset arrive after this turn's reads, before its flush.
    harness.poll();
    peer.write_close(&harness, Some(1001), "");
    harness.network.reset(peer.socket);
    harness.send_text(peer.id, "into the void");
    harness.flush();
    let told = harness.settle();
    assert_eq!(told[0], Told::Closing(peer.id, None, Some(1001)));
    assert!(matches!(&told[1], Told::Closed(_, _, 1001, _)), "{told:?}");
}

#[test]
fn test_a_lost_peer_is_noticed_while_it_is_paused() {
    let mut harness = Harness::opened_shard(quiet());
    let peer = harness.open();
    harness.commands.push_pause(peer.id);
    harness.flush();
    harness.network.reset(peer.socket);
    let closed = Told::Closed(peer.id, None, 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
    let peer = harness.open();
    harness.commands.push_pause(peer.id);
    harness.flush();
    harness.network.0.borrow_mut().line(peer.socket).is_reset = true; // no report at all
    harness.send_text(peer.id, "hello");
    harness.flush();
    let closed = Told::Closed(peer.id, None, 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
}

#[test]
fn test_closed_comes_exactly_once_per_opened_connection() {
    let mut harness = Harness::opened_shard(quiet());
    let mut told = Vec::new();
    for n in 0..200 {
        let mut peer = harness.open();
        harness.commands.push_join(peer.id, "room");
        match n % 5 {
            0 => peer.write_close(&harness, Some(1000), ""),
            1 => harness.network.finish(peer.socket),
            2 => harness.network.reset(peer.socket),
            3 => harness.commands.push_abort(peer.id),
            _ => {
                harness.commands.push_close(peer.id, Some(1000), "");
                harness.commands.push_abort(peer.id);
            }
        }
        harness.flush();
        told.extend(harness.settle());
        harness.network.finish(peer.socket);
        told.extend(harness.settle());
    }
    let closed = told
        .iter()
        .filter(|event| matches!(event, Told::Closed(..)))
        .count();
    assert_eq!(closed, 200);
    assert_eq!(
        (harness.shard.sockets(), harness.shard.statistics().rooms),
        (0, 0)
    );
    assert_eq!(harness.shard.next_deadline(), None);
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_abort_all_tells_of_every_open_connection() {
    let mut harness = Harness::opened_shard(quiet());
    let peers: Vec<_> = (0..5).map(|_| harness.open()).collect();
    harness.connect();
    harness.settle();
    harness.shard.abort_all(harness.now, &mut harness.batch);
    let told = harness.settle();
    assert_eq!(told.len(), peers.len());
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_a_silent_peer_is_pinged_and_found_dead() {
    let mut harness = Harness::opened_shard(alive());
    let mut peer = harness.open();
    harness.pass(25_000);
    harness.settle();
    assert_eq!(peer.read(&harness), [Seen::Ping(Vec::new())]);
    harness.pass(9_999);
    assert_eq!(harness.settle(), []);
    harness.pass(25_000);
    let closed = Told::Closed(peer.id, None, 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
    assert_eq!(harness.shard.statistics().limits_hit, [("ping_timeout", 1)]);
}

#[test]
fn test_any_byte_is_life_also_of_a_slow_large_frame() {
    let mut harness = Harness::opened_shard(alive());
    let mut peer = harness.open();
    // A frame of 1000 bytes, one every five seconds.
    harness
        .network
        .write(peer.socket, &[0x82, 0xfe, 0x03, 0xe8, 0, 0, 0, 0]);
    for _ in 0..100 {
        harness.network.write(peer.socket, &[1]);
        harness.pass(5_000);
        assert_eq!(harness.settle(), []);
    }
    let pings = peer.read(&harness).len();
    assert!((19..=21).contains(&pings), "one ping every 25 s: {pings}");
}

#[test]
fn test_first_pings_are_spread_over_the_interval() {
    let mut harness = Harness::opened_shard(alive());
    let mut peers: Vec<_> = (0..100).map(|_| harness.open()).collect();
    let mut busiest = 0;
    for _ in 0..25 {
        harness.pass(1_000);
        harness.settle();
        let pinged = peers.iter_mut().map(|peer| {
            let pings = peer.read(&harness).len();
            for _ in 0..pings {
                peer.write_pong(&harness, b"");
            }
            pings
        });
        busiest = busiest.max(pinged.sum());
    }
    assert!(busiest < 20, "{busiest}");
}

#[test]
fn test_the_keepalive_stands_still_while_reading_is_paused() {
    let mut harness = Harness::opened_shard(alive());
    let mut peer = harness.open();
    harness.commands.push_pause(peer.id);
    harness.flush();
    for _ in 0..20 {
        harness.pass(10_000);
        peer.write_pong(&harness, b"unread");
        assert_eq!(harness.settle(), []);
    }
    harness.commands.push_resume(peer.id);
    harness.flush();
    assert_eq!(harness.settle().len(), 16 + 4);
    harness.pass(9_000);
    assert_eq!(harness.settle(), []);
}

#[test]
fn test_an_answered_ping_stays_answered_however_full_the_outbox_is_at_its_deadline() {
    let mut harness = Harness::opened_shard(alive());
    let mut peer = harness.open();
    harness.pass(25_000);
    harness.settle();
    assert_eq!(peer.read(&harness), [Seen::Ping(Vec::new())]);
    peer.write_pong(&harness, b"");
    harness.settle();
    harness.network.make_room(peer.socket, 0);
    harness.send_bytes(peer.id, 1_000);
    harness.flush();
    harness.pass(10_000);
    harness.settle();
    harness.network.make_room(peer.socket, 1 << 20);
    harness.pass(10_000);
    assert!(
        !harness.settle().iter().any(is_closed),
        "cut off after its pong"
    );
}

#[test]
fn test_a_ping_counts_from_when_it_left() {
    let config = Config {
        ping_interval: Some(Duration::from_millis(1)),
        ..Config::default()
    };
    let mut harness = Harness::opened_shard(config);
    let mut peer = harness.open();
    harness.network.make_room(peer.socket, 0);
    harness.send_bytes(peer.id, 1_000);
    harness.flush();
    harness.pass(1);
    harness.settle();
    // The first judgement finds the ping waiting; it leaves a moment before the second.
    harness.pass(10_000);
    harness.settle();
    harness.pass(9_990);
    harness.network.make_room(peer.socket, 1 << 20);
    harness.settle();
    assert_eq!(peer.read(&harness).len(), 2);
    harness.pass(20);
    assert_eq!(harness.settle(), [], "the answer is on its way");
    harness.pass(10_000);
    assert!(harness.settle().iter().any(is_closed));
}

fn is_closed(told: &Told) -> bool {
    matches!(told, Told::Closed(..))
}

/// Turns, each after a second; the peer's bytes never run dry.
fn pass_flooded(harness: &mut Harness, socket: usize, seconds: u32) -> Vec<Told> {
    harness.network.flood(socket, true);
    let turns = (0..seconds).flat_map(|_| {
        harness.pass(1_000);
        harness.turn()
    });
    turns.collect()
}

#[test]
fn test_a_refused_peer_that_sends_without_end_does_not_outlive_the_close_time() {
    let mut harness = Harness::opened_shard(quiet());
    let socket = harness.connect();
    harness.network.write(socket, b"GET / HTTP/1.0\r\n\r\n");
    harness.settle();
    assert_eq!(pass_flooded(&mut harness, socket, 4), []);
    assert_eq!(harness.shard.sockets(), 1);
    pass_flooded(&mut harness, socket, 3);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_a_closed_peer_that_sends_without_end_does_not_outlive_the_close_time() {
    let mut harness = Harness::opened_shard(quiet());
    let peer = harness.open();
    harness.commands.push_close(peer.id, Some(1001), "");
    harness.flush();
    harness.settle();
    let told = pass_flooded(&mut harness, peer.socket, 7);
    let closed = Told::Closed(peer.id, Some(1001), 1006, String::new());
    assert_eq!(told, [closed]);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_pings_of_the_application_are_answered_to_it() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.commands.push_ping(peer.id, b"stamp");
    harness.commands.push_ping(peer.id, &[0; 126]);
    harness.flush();
    assert_eq!(peer.read(&harness), [Seen::Ping(b"stamp".to_vec())]);
    peer.write_pong(&harness, b"stamp");
    assert_eq!(harness.settle(), [Told::Pong(peer.id, b"stamp".to_vec())]);
}

#[test]
fn test_hostile_bytes_never_panic() {
    let mut state = 5_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695);
        (state >> 33).to_le_bytes()[0]
    };
    for round in 0..300 {
        let mut harness = Harness::opened_shard(quiet());
        let socket = if round % 2 == 0 {
            harness.connect()
        } else {
            harness.open().socket
        };
        for _ in 0..20 {
            let bytes: Vec<u8> = (0..draw()).map(|_| draw()).collect();
            harness.network.write(socket, &bytes);
            harness.settle();
        }
        harness.network.finish(socket);
        harness.settle();
        harness.pass(20_000);
        harness.settle();
        assert_eq!(harness.shard.sockets(), 0);
        assert_eq!(harness.meter.bytes(), 0);
    }
}

#[test]
fn test_an_ending_that_waits_for_the_dispatch_is_more_to_do() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    peer.write_close(&harness, Some(1000), "bye");
    harness.poll();
    harness.flush(); // amid the dispatch: replies to what came before may still follow
    assert!(harness.shard.more());
    while harness.next().is_some() {}
    harness.flush();
    assert_eq!(peer.read(&harness), [close(1000, "")]);
    assert!(!harness.shard.more());
}
