//! Slow readers, limits of the outbox, policies of rooms, and what publishing must not do.

mod support;

use support::network::Call;
use support::{quiet, seen, text, Harness, Peer, Seen, Told};
use wynd_engine::{Config, MessageKind, PublishOptions, RoomPolicy, SharedFrame};

/// Soft 500, hard 1000; frames of `publish_bytes(…, 98)` are 100 bytes.
fn small() -> Config {
    Config {
        outbox_bytes_soft: 500,
        outbox_bytes_hard: 1000,
        ..quiet()
    }
}

/// An open member of `room` whose socket takes nothing.
fn open_stuck(harness: &mut Harness, room: &str) -> Peer {
    let peer = harness.open();
    harness.commands.push_join(peer.id, room);
    harness.network.make_room(peer.socket, 0);
    harness.flush();
    peer
}

fn fills(peer: &mut Peer, harness: &Harness) -> Vec<u8> {
    peer.read(harness)
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Binary(bytes) => Some(bytes[0]),
            _ => None,
        })
        .collect()
}

#[test]
fn test_drained_comes_once_below_half_of_the_soft_limit() {
    let mut harness = Harness::opened_shard(small());
    let mut peer = harness.open();
    harness.network.make_room(peer.socket, 0);
    for _ in 0..5 {
        harness.send_bytes(peer.id, 98);
    }
    harness.flush();
    assert_eq!(harness.buffered[&peer.id].bytes(), 500);
    harness.network.make_room(peer.socket, 240);
    assert_eq!(harness.settle(), []);
    harness.network.make_room(peer.socket, 11);
    assert_eq!(harness.settle(), [Told::Drained(peer.id)]);
    harness.network.make_room(peer.socket, 1000);
    assert_eq!(harness.settle(), []);
    assert_eq!(peer.read(&harness).len(), 5);
    assert_eq!(harness.buffered[&peer.id].bytes(), 0);
}

#[test]
fn test_whoever_saw_the_soft_limit_is_told_even_if_all_leaves_at_once() {
    let mut harness = Harness::opened_shard(small());
    let peer = harness.open();
    assert!(harness.send_bytes(peer.id, 600) >= 500);
    harness.flush();
    assert_eq!(harness.turn(), [Told::Drained(peer.id)]);
}

#[test]
fn test_whoever_saw_the_soft_limit_is_told_even_if_what_was_there_leaves_before_the_rest_is_applied(
) {
    let mut harness = Harness::opened_shard(Config {
        pong_bytes_max: 100,
        ..small()
    });
    let mut peer = harness.open();
    harness.network.make_room(peer.socket, 0);
    harness.send_bytes(peer.id, 400);
    harness.flush();
    assert!(harness.send_bytes(peer.id, 200) >= 500);
    harness.network.make_room(peer.socket, 10_000);
    for _ in 0..3 {
        peer.write_ping(&harness, &[0; 60]); // the second pong has no room until something is sent
    }
    harness.poll();
    assert!(
        harness.buffered[&peer.id].bytes() < 500,
        "sent before the rest was applied"
    );
    assert_eq!(harness.settle(), [Told::Drained(peer.id)]);
}

#[test]
fn test_a_reader_that_keeps_up_is_never_too_slow_however_much_one_turn_sends() {
    let mut harness = Harness::opened_shard(small());
    let mut peer = harness.open();
    for _ in 0..50 {
        harness.send_bytes(peer.id, 98);
    }
    harness.flush();
    assert_eq!(peer.read(&harness).len(), 50);
    harness.settle();
    assert_eq!(harness.shard.statistics().connections_open, 1);
}

#[test]
fn test_direct_sends_above_the_hard_limit_close_with_1013() {
    let mut harness = Harness::opened_shard(small());
    let mut peer = open_stuck(&mut harness, "room");
    harness.network.make_room(peer.socket, 150);
    for _ in 0..12 {
        harness.send_bytes(peer.id, 98);
    }
    harness.flush();
    assert!(harness.buffered[&peer.id].is_closed());
    assert_eq!(harness.turn(), [Told::Closing(peer.id, Some(1013), None)]);
    harness.network.make_room(peer.socket, 1000);
    harness.settle();
    let close = Seen::Close(Some(1013), "Too slow.".to_owned());
    // The frame that had begun to leave is whole, the rest of the queue was freed.
    assert_eq!(
        peer.read(&harness),
        [Seen::Binary(vec![7; 98]), Seen::Binary(vec![7; 98]), close]
    );
    assert_eq!(
        harness.network.calls(peer.socket).last(),
        Some(&Call::ShutdownWrite)
    );
    harness.network.finish(peer.socket);
    let closed = Told::Closed(peer.id, Some(1013), 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
    assert_eq!(
        harness.shard.statistics().limits_hit,
        [("outbox_bytes_hard", 1)]
    );
}

#[test]
fn test_the_hard_limit_itself_is_no_excess() {
    let mut harness = Harness::opened_shard(small());
    let peer = open_stuck(&mut harness, "room");
    for _ in 0..10 {
        harness.send_bytes(peer.id, 98);
    }
    harness.flush();
    assert_eq!(harness.buffered[&peer.id].bytes(), 1000);
    assert_eq!(harness.settle(), [], "nothing has drained");
    harness.send_bytes(peer.id, 0); // an empty message: two bytes of header
    harness.flush();
    let closing = Told::Closing(peer.id, Some(1013), None);
    assert_eq!(harness.settle().first(), Some(&closing));
}

#[test]
fn test_a_message_above_the_hard_limit_is_taken_only_into_an_empty_outbox() {
    let mut harness = Harness::opened_shard(small());
    let mut peer = harness.open();
    harness.network.make_room(peer.socket, 10);
    harness.send_bytes(peer.id, 5_000);
    harness.flush();
    assert!(!harness.buffered[&peer.id].is_closed());
    harness.network.make_room(peer.socket, 10_000);
    assert_eq!(harness.settle(), [Told::Drained(peer.id)]);
    assert_eq!(peer.read(&harness), [Seen::Binary(vec![7; 5_000])]);
    harness.network.make_room(peer.socket, 0);
    harness.send_bytes(peer.id, 98);
    harness.send_bytes(peer.id, 5_000);
    harness.flush();
    assert!(harness.buffered[&peer.id].is_closed());
}

#[test]
fn test_a_slow_member_leaves_all_rooms_at_once_and_delays_nobody() {
    let mut harness = Harness::opened_shard(small());
    let stuck = open_stuck(&mut harness, "busy");
    let mut good = harness.open();
    for id in [stuck.id, good.id] {
        harness.commands.push_join(id, "busy");
        harness.commands.push_join(id, "other");
    }
    harness.flush();
    let mut told = Vec::new();
    for n in 0..100 {
        harness.publish_bytes(Some("busy"), n, 98);
        harness.flush();
        told.extend(harness.turn());
        assert_eq!(fills(&mut good, &harness), [n], "at once");
    }
    assert_eq!(told, [Told::Closing(stuck.id, Some(1013), None)]);
    assert!(harness.meter.bytes() < 100, "its queue was freed");
    // The socket never takes the code: aborted after the close time.
    harness.pass(5_001);
    let closed = Told::Closed(stuck.id, Some(1013), 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
    harness.publish(Some("other"), "still here");
    harness.flush();
    assert_eq!(good.read(&harness), [seen("still here")]);
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_the_close_policy_of_a_room_has_its_own_code() {
    let mut harness = Harness::opened_shard(small());
    let policy = RoomPolicy::Close {
        code: 4000,
        reason: "Catch up.".to_owned(),
    };
    harness.shard.set_room_policy("news*", policy);
    let mut stuck = open_stuck(&mut harness, "news.sport");
    for n in 0..11 {
        harness.publish_bytes(Some("news.sport"), n, 98);
    }
    harness.flush();
    harness.network.make_room(stuck.socket, 1000);
    harness.settle();
    let close = Seen::Close(Some(4000), "Catch up.".to_owned());
    assert_eq!(stuck.read(&harness), [close]);
}

#[test]
fn test_drop_oldest_keeps_the_newest_whole_messages_and_counts_the_rest() {
    let mut harness = Harness::opened_shard(small());
    harness.shard.set_room_policy("*", RoomPolicy::DropOldest);
    let mut stuck = open_stuck(&mut harness, "room");
    harness.network.make_room(stuck.socket, 50);
    for n in 0..15 {
        harness.publish_bytes(Some("room"), n, 98);
        harness.flush();
    }
    harness.network.make_room(stuck.socket, 10_000);
    harness.settle();
    let fills = fills(&mut stuck, &harness);
    assert_eq!(
        fills,
        [0, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        "the first had begun to leave"
    );
    let counts = harness.shard.statistics();
    assert_eq!((counts.dropped_oldest, counts.messages_sent), (5, 10));
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_drop_newest_keeps_what_waits() {
    let mut harness = Harness::opened_shard(small());
    harness.shard.set_room_policy("*", RoomPolicy::DropNewest);
    let mut stuck = open_stuck(&mut harness, "room");
    for n in 0..15 {
        harness.publish_bytes(Some("room"), n, 98);
    }
    harness.flush();
    harness.network.make_room(stuck.socket, 10_000);
    harness.settle();
    assert_eq!(fills(&mut stuck, &harness), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(harness.shard.statistics().dropped_newest, 5);
}

#[test]
fn test_latest_keeps_the_newest_of_each_key() {
    let mut harness = Harness::opened_shard(small());
    harness.shard.set_room_policy("ticker", RoomPolicy::Latest);
    let mut stuck = open_stuck(&mut harness, "ticker");
    for n in 0..40_u8 {
        let key = ["eur", "usd", "chf"][usize::from(n) % 3];
        let options = PublishOptions {
            key: Some(key),
            ..PublishOptions::default()
        };
        harness
            .commands
            .push_publish(Some("ticker"), MessageKind::Binary, &[n; 98], options);
        harness.flush();
    }
    harness.network.make_room(stuck.socket, 10_000);
    harness.settle();
    let fills = fills(&mut stuck, &harness);
    assert!(fills.ends_with(&[37, 38, 39]), "{fills:?}");
    assert!(fills.len() <= 10);
    let counts = harness.shard.statistics();
    assert_eq!(counts.dropped_latest + fills.len() as u64, 40);
}

#[test]
fn test_droppable_messages_go_first() {
    let mut harness = Harness::opened_shard(small());
    harness.shard.set_room_policy("*", RoomPolicy::DropOldest);
    let mut stuck = open_stuck(&mut harness, "room");
    for n in 0..12 {
        let options = PublishOptions {
            droppable: n == 4 || n == 7,
            ..PublishOptions::default()
        };
        harness
            .commands
            .push_publish(Some("room"), MessageKind::Binary, &[n; 98], options);
    }
    harness.flush();
    harness.network.make_room(stuck.socket, 10_000);
    harness.settle();
    assert_eq!(
        fills(&mut stuck, &harness),
        [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    );
}

#[test]
fn test_policies_never_drop_control_frames_or_direct_messages() {
    let mut harness = Harness::opened_shard(small());
    harness.shard.set_room_policy("*", RoomPolicy::DropOldest);
    let mut stuck = open_stuck(&mut harness, "room");
    harness.send_text(stuck.id, "direct");
    harness.commands.push_ping(stuck.id, b"are you there");
    for n in 0..30 {
        harness.publish_bytes(Some("room"), n, 98);
    }
    harness.flush();
    harness.network.make_room(stuck.socket, 10_000);
    harness.settle();
    let seen_by_it = stuck.read(&harness);
    assert_eq!(
        seen_by_it[..2],
        [seen("direct"), Seen::Ping(b"are you there".to_vec())]
    );
    assert_eq!(seen_by_it.len(), 2 + 9);
}

#[test]
fn test_publishing_to_an_unknown_room_or_by_a_non_member_breaks_nothing() {
    let mut harness = Harness::opened_shard(quiet());
    let mut member = harness.open();
    let stranger = harness.open();
    harness.commands.push_join(member.id, "good");
    for _ in 0..1000 {
        harness.publish(Some("unknown"), "into the void");
        let options = PublishOptions {
            exclude: Some(stranger.id),
            ..PublishOptions::default()
        };
        harness
            .commands
            .push_publish(Some("nowhere"), MessageKind::Text, b"x", options);
        harness.commands.push_leave(stranger.id, "good");
    }
    for _ in 0..1000 {
        harness.publish(Some("good"), "arrives");
    }
    harness.flush();
    assert_eq!(member.read(&harness), vec![seen("arrives"); 1000]);
    assert_eq!(harness.shard.statistics().rooms, 1);
}

#[test]
fn test_members_join_twice_leave_twice_and_are_excluded() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peers: Vec<_> = (0..4).map(|_| harness.open()).collect();
    for peer in &peers {
        harness.commands.push_join(peer.id, "room");
        harness.commands.push_join(peer.id, "room");
    }
    harness.commands.push_leave(peers[1].id, "room");
    harness.commands.push_leave(peers[1].id, "room");
    let options = PublishOptions {
        exclude: Some(peers[2].id),
        ..PublishOptions::default()
    };
    harness
        .commands
        .push_publish(Some("room"), MessageKind::Text, b"hello", options);
    harness.publish(None, "all");
    harness.commands.push_abort(peers[0].id);
    harness.publish(Some("room"), "rest");
    harness.flush();
    let all: Vec<_> = peers.iter_mut().map(|peer| peer.read(&harness)).collect();
    assert_eq!(all[0], [], "aborted in the same turn, before the flush");
    assert_eq!(all[1], [seen("all")]);
    assert_eq!(all[2], [seen("all"), seen("rest")]);
    assert_eq!(all[3], [seen("hello"), seen("all"), seen("rest")]);
}

#[test]
fn test_random_joins_leaves_and_closes_agree_with_a_model() {
    use std::collections::{HashMap, HashSet};
    let mut harness = Harness::opened_shard(quiet());
    let mut peers: Vec<_> = (0..12).map(|_| Some(harness.open())).collect();
    let mut model: HashMap<usize, HashSet<usize>> = HashMap::new();
    let mut state = 99_u64;
    let mut draw = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 40).unwrap() % bound
    };
    for _ in 0..3_000 {
        let (who, room) = (draw(12), draw(5));
        let name = format!("room {room}");
        let members = model.entry(room).or_default();
        match draw(10) {
            0 => {
                let id = peers[who].take().unwrap().id;
                harness.commands.push_abort(id);
                harness.flush();
                harness.settle();
                for members in model.values_mut() {
                    members.remove(&who);
                }
                peers[who] = Some(harness.open());
            }
            1..=4 => {
                harness
                    .commands
                    .push_join(peers[who].as_ref().unwrap().id, &name);
                members.insert(who);
            }
            5..=7 => {
                harness
                    .commands
                    .push_leave(peers[who].as_ref().unwrap().id, &name);
                members.remove(&who);
            }
            _ => {
                harness.publish(Some(&name), "who is here");
                harness.flush();
                for (index, peer) in peers.iter_mut().enumerate() {
                    let got = peer.as_mut().unwrap().read(&harness).len();
                    assert_eq!(got, usize::from(members.contains(&index)));
                }
            }
        }
    }
    harness.flush();
    let rooms = model.values().filter(|members| !members.is_empty()).count();
    assert_eq!(harness.shard.statistics().rooms, rooms as u64);
}

#[test]
fn test_rooms_per_connection_and_their_names_are_bounded() {
    let mut harness = Harness::opened_shard(quiet());
    let peer = harness.open();
    for n in 0..250 {
        harness.commands.push_join(peer.id, &format!("room {n}"));
    }
    harness.commands.push_join(peer.id, &"x".repeat(256));
    harness.flush();
    let counts = harness.shard.statistics();
    assert_eq!(counts.rooms, 200);
    let hit = [("rooms_per_connection_max", 50), ("room_name_bytes_max", 1)];
    assert_eq!(counts.limits_hit, hit);
    harness.commands.push_abort(peer.id);
    harness.flush();
    assert_eq!(harness.shard.statistics().rooms, 0);
}

#[test]
fn test_large_frames_are_shared_and_count_once_for_the_process() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peers: Vec<_> = (0..10).map(|_| harness.open()).collect();
    for peer in &peers {
        harness.network.make_room(peer.socket, 0);
    }
    harness.publish_bytes(None, 3, 50_000);
    harness.flush();
    assert_eq!(harness.meter.bytes(), 50_004);
    assert_eq!(harness.shard.statistics().outbox_bytes, 500_040);
    for peer in &mut peers {
        harness.network.make_room(peer.socket, 100_000);
    }
    harness.settle();
    for peer in &mut peers {
        assert_eq!(peer.read(&harness), [Seen::Binary(vec![3; 50_000])]);
    }
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_a_prepared_frame_goes_to_one_and_to_many() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    let buffered = harness.buffered[&peer.id].clone();
    for size in [3, 10_000] {
        let frame = SharedFrame::new(MessageKind::Binary, &vec![1; size]);
        let total = harness.commands.push_shared(peer.id, &buffered, &frame);
        assert_eq!(total, frame.bytes().len());
        let options = PublishOptions::default();
        harness.commands.push_publish_shared(None, &frame, options);
        harness.flush();
        assert_eq!(peer.read(&harness), vec![Seen::Binary(vec![1; size]); 2]);
        assert_eq!(buffered.bytes(), 0);
    }
}

#[test]
fn test_sends_and_publishes_leave_in_call_order() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.send_text(peer.id, "1");
    harness.publish(None, "2");
    harness.publish(None, "3");
    harness.send_text(peer.id, "4");
    harness.send_text(peer.id, "5");
    harness.publish_bytes(None, 6, 100_000);
    harness.send_text(peer.id, "7");
    harness.flush();
    let seen_by_it = peer.read(&harness);
    assert_eq!(seen_by_it[..5], ["1", "2", "3", "4", "5"].map(seen));
    assert_eq!(seen_by_it[5..], [Seen::Binary(vec![6; 100_000]), seen("7")]);
}

#[test]
fn test_the_process_bound_closes_the_largest_holders_and_refuses_upgrades() {
    let mut harness = Harness::opened_shard(Config {
        process_bytes_max: 250_000,
        outbox_bytes_soft: 1 << 20,
        outbox_bytes_hard: 1 << 20,
        ..quiet()
    });
    let peers: Vec<_> = (0..4).map(|_| harness.open()).collect();
    for (n, peer) in peers.iter().enumerate() {
        harness.network.make_room(peer.socket, 0);
        for _ in 0..=n {
            harness.send_bytes(peer.id, 29_996);
        }
    }
    harness.flush();
    let told = harness.settle();
    assert_eq!(told, [Told::Closing(peers[3].id, Some(1013), None)]);
    assert!(harness.meter.bytes() <= 250_000);
    for _ in 0..2 {
        harness.send_bytes(peers[0].id, 29_996);
    }
    // 240,000 bytes wait, which leaves less than a sixteenth.
    harness.flush();
    let newcomer = harness.connect();
    harness.network.write(newcomer, support::REQUEST.as_bytes());
    harness.settle();
    assert!(harness
        .network
        .take_output(newcomer)
        .starts_with(b"HTTP/1.1 503"));
}

#[test]
fn test_messages_that_wait_for_handlers_count_for_the_process() {
    let mut harness = Harness::opened_shard(Config {
        process_bytes_max: 250_000,
        ..quiet()
    });
    let mut peers: Vec<_> = (0..3).map(|_| harness.open()).collect();
    let mut told = Vec::new();
    for (peer, size) in peers.iter_mut().zip([90_000, 110_000, 60_000]) {
        let id = peer.id;
        assert!(harness.meter.bytes() <= 200_000);
        peer.write_message(&harness, MessageKind::Binary, &vec![0; size / 2]);
        peer.write_message(&harness, MessageKind::Binary, &vec![0; size / 2]);
        told.extend(harness.turn_with(|_, commands| commands.push_pause(id)));
    }
    told.extend(harness.settle());
    let closing = Told::Closing(peers[1].id, Some(1013), None);
    assert_eq!(told.get(6..), Some(&[closing][..]), "the largest holder");
    assert_eq!(harness.meter.bytes(), 150_000);
    for peer in &peers {
        harness.commands.push_resume(peer.id);
    }
    harness.flush();
    assert_eq!(harness.meter.bytes(), 0, "handled, and held no more");
    assert_eq!(
        harness.shard.statistics().limits_hit,
        [("process_bytes_max", 1)]
    );
}

#[test]
fn test_a_pinging_peer_that_never_reads_costs_little_and_is_then_not_read() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.network.make_room(peer.socket, 0);
    for _ in 0..10_000 {
        peer.write_ping(&harness, &[9; 125]);
        harness.turn();
        assert!(harness.meter.bytes() <= 17 * 1024);
    }
    let unread = harness
        .network
        .0
        .borrow_mut()
        .line(peer.socket)
        .incoming
        .len();
    assert!(unread > 1_000_000, "it is no longer read: {unread}");
    // It reads again: what waited is answered with the newest, and it is read again.
    harness.network.make_room(peer.socket, 1 << 22);
    harness.settle();
    peer.write_text(&harness, "back");
    assert_eq!(harness.settle().last(), Some(&text(peer.id, "back")));
}

#[test]
fn test_ten_pings_at_once_get_ten_pongs_and_a_burst_gets_all() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    for n in 0..10 {
        peer.write_ping(&harness, &[n]);
    }
    harness.turn();
    let pongs: Vec<_> = (0..10).map(|n| Seen::Pong(vec![n])).collect();
    assert_eq!(peer.read(&harness), pongs);
    for n in 0..1000_u32 {
        peer.write_ping(&harness, &[n.to_be_bytes().as_slice(), &[0; 100]].concat());
    }
    harness.settle();
    let pongs = peer.read(&harness);
    assert_eq!(pongs.len(), 1000, "no merging while the socket takes them");
}

#[test]
fn test_an_outbox_without_progress_is_aborted() {
    let mut harness = Harness::opened_shard(quiet());
    let peer = open_stuck(&mut harness, "room");
    harness.send_bytes(peer.id, 98);
    harness.flush();
    harness.pass(34_999);
    assert_eq!(harness.settle(), []);
    harness.network.make_room(peer.socket, 1);
    harness.settle();
    harness.pass(34_999);
    assert_eq!(harness.settle(), [], "progress, however little");
    harness.pass(2);
    let closed = Told::Closed(peer.id, None, 1006, String::new());
    assert_eq!(harness.settle(), [closed]);
}

#[test]
fn test_random_sends_over_sockets_of_random_size_arrive_whole_and_in_order() {
    for seed in 1..40_u64 {
        let mut state = seed;
        let mut draw = |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % bound
        };
        let mut harness = Harness::opened_shard(quiet());
        harness
            .shard
            .set_room_policy("lossless*", RoomPolicy::DropOldest);
        let mut peers: Vec<_> = (0..3).map(|_| harness.open()).collect();
        for peer in &peers {
            harness.commands.push_join(peer.id, "room");
            harness.commands.push_join(peer.id, "lossless");
        }
        let mut expected = vec![Vec::new(); 3];
        let mut seen_by = vec![Vec::new(); 3];
        for n in 0..150 {
            let who = draw(3);
            let payload = vec![u8::try_from(n).unwrap(); 1 << draw(13)];
            let room = [None, Some("room"), Some("lossless"), Some("me")][draw(4)];
            if room == Some("me") {
                let (id, kind) = (peers[who].id, MessageKind::Binary);
                harness
                    .commands
                    .push_send(id, &harness.buffered[&id], kind, &payload);
                expected[who].push(Seen::Binary(payload));
            } else {
                harness.publish_bytes(room, payload[0], payload.len());
                for list in &mut expected {
                    list.push(Seen::Binary(payload.clone()));
                }
            }
            if draw(3) == 0 {
                harness.flush();
            }
            harness.network.make_room(peers[who].socket, draw(9_000));
            if draw(2) == 0 {
                harness.settle();
            }
            seen_by[who].extend(peers[who].read(&harness));
        }
        harness.flush();
        for (who, peer) in peers.iter_mut().enumerate() {
            harness.network.make_room(peer.socket, 1 << 24);
            harness.settle();
            seen_by[who].extend(peer.read(&harness));
            assert!(seen_by[who] == expected[who], "seed {seed}, peer {who}");
            assert_eq!(harness.buffered[&peer.id].bytes(), 0);
        }
        assert_eq!(harness.meter.bytes(), 0);
    }
}
