//! The rules of the turn (readiness, outside the turn, bounds, cursor), each with its test.

mod support;

use std::time::Duration;

use support::network::Call;
use support::{quiet, seen, text, Harness, Seen, Told};
use wynd_engine::{Config, ConnId, Interest, MessageKind, Readiness};

#[test]
fn test_a_message_comes_back_in_one_send() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    let buffered = harness.buffered[&peer.id].clone();
    peer.write_text(&harness, "one");
    peer.write_text(&harness, "two");
    let told = harness.turn_with(|event, commands| {
        if let Told::Text(id, message) = event {
            commands.push_send(*id, &buffered, MessageKind::Text, message.as_bytes());
        }
    });
    assert_eq!(told, [text(peer.id, "one"), text(peer.id, "two")]);
    assert_eq!(peer.read(&harness), [seen("one"), seen("two")]);
    // One read and one send: a short read is a drained socket.
    assert_eq!(
        harness.network.calls(peer.socket),
        [Call::Recv(18), Call::Send(10)]
    );
    assert!(!harness.shard.more());
    assert_eq!(buffered.bytes(), 0);
}

#[test]
fn test_a_turn_that_stops_early_asks_for_more() {
    let mut harness = Harness::opened_shard(Config {
        turn_events_max: 4,
        inbound_messages_max: 3,
        ..quiet()
    });
    let mut peers: Vec<_> = (0..3).map(|_| harness.open()).collect();
    for peer in &mut peers {
        for n in 0..5 {
            peer.write_text(&harness, &n.to_string());
        }
    }
    let mut turns = 0;
    let mut told = Vec::new();
    loop {
        let events = harness.turn();
        assert!(events.len() <= 4 + 3, "bounded");
        told.extend(events);
        turns += 1;
        if !harness.shard.more() {
            break;
        }
    }
    assert_eq!(turns, 3);
    for peer in &peers {
        let mine: Vec<_> = told
            .iter()
            .filter(|event| matches!(event, Told::Text(id, _) if *id == peer.id))
            .collect();
        let expected: Vec<_> = (0..5).map(|n| text(peer.id, &n.to_string())).collect();
        assert_eq!(mine, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn test_a_short_read_with_the_read_closed_flag_is_read_on() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    peer.write_text(&harness, "last");
    harness.network.finish(peer.socket);
    let told = harness.turn();
    assert_eq!(told[0], text(peer.id, "last"));
    assert_eq!(told[1], Told::Closed(peer.id, None, 1006, String::new()));
    let calls = harness.network.calls(peer.socket);
    assert_eq!(calls[..2], [Call::Recv(10), Call::Recv(0)]);
}

#[test]
fn test_a_full_read_is_read_on_until_drained() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    peer.write_message(&harness, MessageKind::Binary, &vec![5; 500_000]);
    let told = harness.settle();
    assert_eq!(told, [Told::Binary(peer.id, vec![5; 500_000])]);
    assert!(!harness.shard.more());
}

#[test]
fn test_a_paused_descriptor_is_deregistered_at_the_first_event_and_resumed_whole() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.commands.push_pause(peer.id);
    harness.flush();
    assert_eq!(harness.network.calls(peer.socket), []);
    peer.write_text(&harness, "one");
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.network.calls(peer.socket), [Call::Deregister]);
    peer.write_text(&harness, "two");
    assert_eq!(harness.settle(), []);
    harness.commands.push_resume(peer.id);
    harness.flush();
    assert_eq!(
        harness.settle(),
        [text(peer.id, "one"), text(peer.id, "two")]
    );
    assert!(harness
        .network
        .calls(peer.socket)
        .contains(&Call::Register(Interest::Read)));
}

#[test]
fn test_a_paused_connection_with_a_full_socket_waits_for_room_only() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.commands.push_pause(peer.id);
    harness.network.make_room(peer.socket, 10);
    harness.send_bytes(peer.id, 100);
    harness.flush();
    peer.write_text(&harness, "x");
    harness.settle();
    let interests: Vec<_> = harness
        .network
        .calls(peer.socket)
        .into_iter()
        .filter(|call| {
            matches!(
                call,
                Call::Reregister(_) | Call::Register(_) | Call::Deregister
            )
        })
        .collect();
    assert_eq!(
        interests,
        [
            Call::Reregister(Interest::ReadWrite),
            Call::Reregister(Interest::Write)
        ]
    );
    harness.network.make_room(peer.socket, 1000);
    harness.settle();
    assert_eq!(
        harness.network.calls(peer.socket).last(),
        Some(&Call::Deregister)
    );
    assert_eq!(peer.read(&harness), [Seen::Binary(vec![7; 100])]);
}

#[test]
fn test_undecoded_input_waits_on_the_ready_list_without_the_poller() {
    let mut harness = Harness::opened_shard(Config {
        inbound_messages_max: 2,
        ..quiet()
    });
    let mut peer = harness.open();
    for n in 0..5 {
        peer.write_text(&harness, &n.to_string());
    }
    assert_eq!(harness.turn().len(), 2);
    assert!(harness.shard.more());
    assert_eq!(harness.turn().len(), 2);
    assert_eq!(harness.turn(), [text(peer.id, "4")]);
    assert!(!harness.shard.more());
    let reads = harness.network.calls(peer.socket);
    assert_eq!(reads, [Call::Recv(35)], "read once, decoded in three turns");
}

#[test]
fn test_decoding_stops_at_the_inbound_bound_also_while_paused() {
    let mut harness = Harness::opened_shard(Config {
        inbound_messages_max: 2,
        ..quiet()
    });
    let mut peer = harness.open();
    for n in 0..6 {
        peer.write_text(&harness, &n.to_string());
    }
    let id = peer.id;
    let told = harness.turn_with(|_, commands| commands.push_pause(id));
    assert_eq!(told.len(), 2);
    assert_eq!(harness.settle(), [], "nothing is decoded while paused");
    harness.commands.push_resume(id);
    harness.flush();
    assert_eq!(harness.settle().len(), 4);
}

#[test]
fn test_one_large_message_fills_the_share_of_a_turn() {
    let mut harness = Harness::opened_shard(Config {
        message_bytes_max: 1000,
        ..quiet()
    });
    let mut peer = harness.open();
    for _ in 0..3 {
        peer.write_message(&harness, MessageKind::Binary, &[1; 1000]);
    }
    assert_eq!(harness.turn().len(), 1);
    assert_eq!(harness.turn().len(), 1);
    assert_eq!(harness.turn().len(), 1);
    assert!(!harness.shard.more());
}

#[test]
fn test_a_flood_in_one_read_is_decoded_over_many_turns_in_order() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    for n in 0..5_000 {
        peer.write_text(&harness, &n.to_string());
    }
    let expected: Vec<_> = (0..5_000).map(|n| text(peer.id, &n.to_string())).collect();
    assert!(harness.settle() == expected);
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_deregister_and_shutdown_come_before_close() {
    let mut harness = Harness::opened_shard(quiet());
    let peer = harness.open();
    harness.commands.push_abort(peer.id);
    harness.flush();
    assert_eq!(
        harness.network.calls(peer.socket),
        [Call::Deregister, Call::Shutdown, Call::Close]
    );
    let closed = Told::Closed(peer.id, None, 1006, String::new());
    assert_eq!(
        harness.turn(),
        [closed],
        "told by what `apply` added to the batch"
    );
}

#[test]
fn test_a_late_report_and_a_late_command_for_a_closed_slot_do_nothing() {
    let mut harness = Harness::opened_shard(quiet());
    let old = harness.open();
    harness.commands.push_abort(old.id);
    harness.flush();
    while harness.next().is_some() {}
    let mut new = harness.open();
    let slot = |id: ConnId| id.as_u64() & 0xffff_ffff;
    assert_eq!(slot(new.id), slot(old.id), "the slot is used again");
    harness.commands.push_pause(old.id);
    harness.commands.push_close(old.id, Some(1000), "");
    harness.commands.push_join(old.id, "room");
    harness.commands.push_abort(old.id);
    harness.send_text(old.id, "late");
    harness.flush();
    let late = Readiness {
        token: old.id.as_u64(),
        readable: true,
        writable: true,
        read_closed: true,
        broken: true,
    };
    harness.network.0.borrow_mut().line(new.socket).token = late.token;
    harness.network.finish(new.socket);
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.shard.statistics().rooms, 0);
    assert_eq!(new.read(&harness), []);
    assert_eq!(harness.shard.statistics().connections_open, 1);
}

#[test]
fn test_deadlines_are_judged_only_after_what_has_arrived_was_read() {
    let mut harness = Harness::opened_shard(Config {
        ping_interval: Some(Duration::from_secs(25)),
        ..Config::default()
    });
    let mut peer = harness.open();
    harness.pass(25_000);
    harness.settle();
    assert_eq!(peer.read(&harness), [Seen::Ping(Vec::new())]);
    // The pong arrives, and a handler blocks the loop for a minute.
    peer.write_pong(&harness, b"");
    harness.pass(60_000);
    assert_eq!(harness.settle(), [Told::Pong(peer.id, Vec::new())]);
    assert_eq!(harness.shard.statistics().connections_open, 1);
}

#[test]
fn test_no_deadline_is_judged_while_the_poller_has_more_to_say() {
    let mut harness = Harness::opened_shard(Config {
        ping_interval: Some(Duration::from_secs(25)),
        ..Config::default()
    });
    let mut peers: Vec<_> = (0..3).map(|_| harness.open()).collect();
    harness.pass(25_000);
    harness.settle();
    for peer in &mut peers {
        peer.write_pong(&harness, b"");
    }
    harness.network.0.borrow_mut().wait_max = 1;
    harness.pass(60_000);
    for _ in 0..4 {
        harness.turn();
    }
    assert_eq!(harness.shard.statistics().connections_open, 3);
}

#[test]
fn test_a_poller_that_always_has_more_to_say_holds_no_deadline_back() {
    let mut harness = Harness::opened_shard(quiet());
    let mut busy = harness.open();
    harness.connect(); // says nothing
    harness.settle();
    harness.network.0.borrow_mut().wait_max = 1;
    for _ in 0..7 {
        harness.pass(1_000);
        busy.write_pong(&harness, b"");
        harness.turn();
        assert!(harness.shard.more());
    }
    assert_eq!(harness.shard.sockets(), 1);
}

#[test]
fn test_unread_input_of_a_full_turn_saves_a_connection_from_its_deadline() {
    let mut harness = Harness::opened_shard(Config {
        ping_interval: Some(Duration::from_secs(25)),
        turn_events_max: 1,
        ..Config::default()
    });
    let mut peers: Vec<_> = (0..3).map(|_| harness.open()).collect();
    harness.pass(25_000);
    harness.settle();
    for peer in &mut peers {
        peer.write_pong(&harness, b"");
    }
    harness.pass(60_000);
    harness.settle();
    assert_eq!(harness.shard.statistics().connections_open, 3);
}

#[test]
fn test_the_next_deadline_is_never_late_and_ends_with_the_last_connection() {
    let mut harness = Harness::opened_shard(quiet());
    assert_eq!(harness.shard.next_deadline(), None);
    harness.connect();
    harness.settle();
    let mut looks = 0;
    while let Some(deadline) = harness.shard.next_deadline() {
        assert!(deadline <= harness.now.max(deadline));
        harness.now = deadline;
        harness.settle();
        looks += 1;
        assert!(looks < 10, "few looks until the handshake's deadline");
    }
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_bytes_count_from_the_moment_the_command_is_queued() {
    let mut harness = Harness::opened_shard(quiet());
    let peer = harness.open();
    let first = harness.send_bytes(peer.id, 98);
    assert_eq!(first, 100);
    assert_eq!(harness.send_bytes(peer.id, 98), 200);
    assert_eq!(harness.buffered[&peer.id].bytes(), 200);
    harness.flush();
    assert_eq!(harness.buffered[&peer.id].bytes(), 0);
}

#[test]
fn test_a_batch_survives_being_dispatched_partially() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    peer.write_text(&harness, "one");
    peer.write_text(&harness, "two");
    peer.write_broken(&harness);
    harness.poll();
    assert_eq!(harness.next(), Some(text(peer.id, "one")));
    // The handler of "one" was interrupted: the turn ends here, the rest goes on next turn.
    harness.send_text(peer.id, "reply to one");
    harness.flush();
    assert_eq!(
        peer.read(&harness),
        [seen("reply to one")],
        "no close frame yet"
    );
    peer.write_text(&harness, "ignored");
    harness.poll();
    assert_eq!(harness.next(), Some(text(peer.id, "two")));
    let failure = Told::Closing(peer.id, None, None);
    assert_eq!(harness.next(), Some(failure));
    harness.send_text(peer.id, "reply to two");
    harness.flush();
    let close = Seen::Close(Some(1002), "Protocol error.".to_owned());
    assert_eq!(peer.read(&harness), [seen("reply to two"), close]);
}

#[test]
fn test_commands_outside_a_turn_leave_at_the_next_flush() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.send_text(peer.id, "from a timer");
    harness.flush();
    assert_eq!(peer.read(&harness), [seen("from a timer")]);
    assert!(!harness.shard.more());
}

#[test]
fn test_a_full_socket_is_waited_for_only_when_it_is_found_full() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.network.make_room(peer.socket, 150);
    harness.send_bytes(peer.id, 98);
    harness.flush();
    assert_eq!(harness.network.calls(peer.socket), [Call::Send(100)]);
    harness.send_bytes(peer.id, 98);
    harness.flush();
    harness.send_bytes(peer.id, 98);
    harness.flush();
    assert_eq!(
        harness.network.calls(peer.socket)[1..],
        [Call::Send(50), Call::Reregister(Interest::ReadWrite)]
    );
    harness.network.make_room(peer.socket, 1000);
    harness.settle();
    assert_eq!(
        harness.network.calls(peer.socket)[3..],
        [Call::Send(150), Call::Reregister(Interest::Read)]
    );
    assert_eq!(peer.read(&harness).len(), 3);
}

#[test]
fn test_interrupted_frames_are_pieced_together_however_they_are_cut() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.network.0.borrow_mut().line(peer.socket).recv_max = 1;
    for n in 0..20 {
        peer.write_text(&harness, &format!("message {n}"));
    }
    // Every read is short, so each byte counts as drained; the peer's next byte reports again.
    let mut told = Vec::new();
    for _ in 0..2_000 {
        harness.network.0.borrow_mut().announce(peer.socket);
        told.extend(harness.turn());
    }
    let expected: Vec<_> = (0..20)
        .map(|n| text(peer.id, &format!("message {n}")))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(harness.meter.bytes(), 0);
}
