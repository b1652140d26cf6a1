//! permessage-deflate through a shard: what is agreed, what is compressed how often, and that
//! outboxes, policies and memory keep their rules.

mod support;

use support::{quiet, seen, text, Harness, Peer, Seen, Told};
use wynd_engine::{Compression, Config, MessageKind, PublishOptions, RoomPolicy, SharedFrame};
use wynd_protocol::frames::{encode_header, Opcode};
use wynd_protocol::{DeflateOffer, DeflateParameters, Deflater};

const ANY: DeflateOffer = DeflateOffer {
    parameters: DeflateParameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    },
    has_client_window: true,
};

const SHARED: Compression = Compression::Shared { level: 6 };

const DEDICATED: Compression = Compression::Dedicated {
    level: 6,
    server_max_window_bits: 12,
    client_max_window_bits: 11,
};

fn config(compression: Compression) -> Config {
    Config {
        compression,
        ..quiet()
    }
}

fn small_window() -> DeflateOffer {
    let mut offer = ANY;
    offer.parameters.server_max_window_bits = 9;
    offer
}

fn words(number: u32) -> String {
    format!("message {number}: ") + &"as all of them say, ".repeat(100)
}

/// Noise: it does not shrink.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(size)
    .collect()
}

fn members(harness: &mut Harness, offers: &[Option<DeflateOffer>]) -> Vec<Peer> {
    let mut members = Vec::new();
    for offer in offers {
        let peer = harness.open_offering(*offer);
        harness.commands.push_join(peer.id, "room");
        members.push(peer);
    }
    harness.flush();
    members
}

#[test]
fn test_offers_are_taken_as_configured() {
    for (compression, expected) in [
        (Compression::Off, None),
        (SHARED, Some(DeflateParameters::SHARED)),
        (
            DEDICATED,
            Some(DeflateParameters {
                server_no_context_takeover: false,
                client_no_context_takeover: false,
                server_max_window_bits: 12,
                client_max_window_bits: 11,
            }),
        ),
    ] {
        let mut harness = Harness::opened_shard(config(compression));
        assert_eq!(harness.open_offering(Some(ANY)).agreed(), expected);
        assert_eq!(harness.open().agreed(), None);
    }
}

#[test]
fn test_a_broadcast_is_compressed_once_for_all_members_with_the_same_parameters() {
    for size in [2_000, 20_000, 200_000] {
        let mut harness = Harness::opened_shard(config(SHARED));
        let offers = [Some(ANY), Some(ANY), None, Some(ANY), Some(small_window())];
        let mut peers = members(&mut harness, &offers);
        let payload = "0123456789".repeat(size / 10);
        harness.publish(Some("room"), &payload);
        harness.publish(None, "short");
        harness.flush();
        // Once for windows of 15 bits, once for the one of 9.
        assert_eq!(harness.statistics().messages_deflated, 2);
        assert_eq!(harness.statistics().messages_sent, 10);
        let sent = harness.statistics().bytes_sent;
        assert!(sent < size as u64 + 10_000, "{sent}");
        for peer in &mut peers {
            assert_eq!(peer.read(&harness), [seen(&payload), seen("short")]);
        }
    }
}

#[test]
fn test_a_prepared_message_is_compressed_once_over_all_its_sends() {
    let mut harness = Harness::opened_shard(config(SHARED));
    let mut peers = members(&mut harness, &[Some(ANY), Some(ANY), None]);
    let frame = SharedFrame::new(MessageKind::Text, words(1).as_bytes());
    for _ in 0..3 {
        let options = PublishOptions::default();
        harness
            .commands
            .push_publish_shared(Some("room"), &frame, options);
        for peer in &peers {
            let buffered = &harness.buffered[&peer.id];
            harness.commands.push_shared(peer.id, buffered, &frame);
        }
        harness.flush();
    }
    assert_eq!(harness.statistics().messages_deflated, 1);
    for peer in &mut peers {
        assert_eq!(peer.read(&harness), vec![seen(&words(1)); 6]);
        assert_eq!(harness.buffered[&peer.id].bytes(), 0);
    }
}

#[test]
fn test_contexts_stay_in_step_whatever_is_sent_between() {
    let mut harness = Harness::opened_shard(config(DEDICATED));
    let mut peers = members(&mut harness, &[Some(ANY), Some(ANY), None]);
    let mut expected = Vec::new();
    for number in 0..20 {
        let payload = words(number);
        harness.publish(Some("room"), &payload);
        harness.publish(Some("room"), "short");
        for peer in &peers {
            harness.send_text(peer.id, &payload);
            harness.commands.push_ping(peer.id, b"?");
        }
        harness.flush();
        for one in [seen(&payload), seen("short"), seen(&payload)] {
            expected.push(one);
        }
        expected.push(Seen::Ping(b"?".to_vec()));
    }
    assert_eq!(harness.statistics().messages_deflated, 20 * 2 * 2);
    for peer in &mut peers {
        assert_eq!(peer.read(&harness), expected);
        assert_eq!(harness.buffered[&peer.id].bytes(), 0);
    }
}

#[test]
fn test_clients_compress_too() {
    for compression in [SHARED, DEDICATED] {
        let mut harness = Harness::opened_shard(config(compression));
        let mut peer = harness.open_offering(Some(ANY));
        for number in 0..5 {
            peer.write_text(&harness, &words(number));
            assert_eq!(harness.settle(), [text(peer.id, &words(number))]);
        }
        let received = harness.statistics().bytes_received;
        assert!(received < 1_500, "{received}");
    }
}

#[test]
fn test_idle_connections_hold_memory_only_for_a_context() {
    for (compression, expected) in [(SHARED, 0), (DEDICATED, 200_000)] {
        let mut harness = Harness::opened_shard(config(compression));
        let mut peer = harness.open_offering(Some(ANY));
        assert_eq!(harness.meter.bytes(), 0, "nothing before the first message");
        harness.send_text(peer.id, &words(1));
        peer.write_text(&harness, &words(2));
        harness.settle();
        assert_eq!(peer.read(&harness), [seen(&words(1))]);
        let held = harness.meter.bytes();
        assert!(held >= expected && held <= 2 * expected, "{held}");
        harness.commands.push_abort(peer.id);
        harness.settle();
        assert_eq!(harness.meter.bytes(), 0);
    }
}

#[test]
fn test_contexts_count_against_the_memory_of_the_process() {
    let mut harness = Harness::opened_shard(Config {
        // Room for three contexts, and nothing left to spare.
        process_bytes_max: 850_000,
        ..config(DEDICATED)
    });
    for _ in 0..3 {
        let peer = harness.open_offering(Some(ANY));
        harness.send_text(peer.id, &words(1));
        harness.settle();
    }
    let socket = harness.connect();
    harness.network.write(socket, support::REQUEST.as_bytes());
    harness.settle();
    assert_eq!(harness.statistics().handshakes_refused, [(503, 1)]);
}

#[test]
fn test_policies_drop_whole_messages_and_contexts_survive_it() {
    for (policy, dropped) in [
        (RoomPolicy::DropOldest, true),
        (RoomPolicy::DropNewest, true),
        (RoomPolicy::Latest, true),
    ] {
        for compression in [SHARED, DEDICATED] {
            let mut harness = Harness::opened_shard(Config {
                outbox_bytes_soft: 4_000,
                outbox_bytes_hard: 8_000,
                ..config(compression)
            });
            harness.shard.set_room_policy("room", policy.clone());
            let mut peers = members(&mut harness, &[Some(ANY)]);
            let peer = &mut peers[0];
            harness.send_text(peer.id, &words(1000));
            harness.flush();
            harness.network.make_room(peer.socket, 0);
            for number in 0..400 {
                harness.publish(Some("room"), &words(number));
                harness.flush();
            }
            let counts = harness.statistics();
            let total = counts.dropped_oldest + counts.dropped_newest + counts.dropped_latest;
            assert_eq!(total > 0, dropped, "{policy:?} {compression:?}");
            harness.network.make_room(peer.socket, 10_000_000);
            harness.settle();
            harness.send_text(peer.id, &words(2000));
            harness.settle();
            let read = peer.read(&harness);
            assert_eq!(read.first(), Some(&seen(&words(1000))));
            assert_eq!(read.last(), Some(&seen(&words(2000))));
            assert_eq!(read.len() as u64, 402 - total);
            assert_eq!(harness.buffered[&peer.id].bytes(), 0);
        }
    }
}

#[test]
fn test_a_member_that_does_not_read_is_closed_and_the_others_go_on() {
    for compression in [SHARED, DEDICATED] {
        let mut harness = Harness::opened_shard(Config {
            outbox_bytes_soft: 500,
            outbox_bytes_hard: 3_000,
            ..config(compression)
        });
        let mut peers = members(&mut harness, &[Some(ANY), Some(ANY)]);
        let stuck = peers.remove(0);
        harness.network.make_room(stuck.socket, 0);
        let mut told = Vec::new();
        for number in 0..200 {
            harness.publish(Some("room"), &words(number));
            harness.flush();
            told.extend(harness.settle());
        }
        let closing = Told::Closing(stuck.id, Some(1013), None);
        assert!(told.contains(&closing), "{compression:?} {told:?}");
        let expected: Vec<Seen> = (0..200).map(|number| seen(&words(number))).collect();
        assert_eq!(peers[0].read(&harness), expected);
    }
}

#[test]
fn test_what_does_not_shrink_is_sent_plain_or_in_context() {
    for compression in [SHARED, DEDICATED] {
        let mut harness = Harness::opened_shard(config(compression));
        let mut peers = members(&mut harness, &[Some(ANY), Some(ANY)]);
        let noise = noise(100_000);
        let options = PublishOptions::default();
        for kind in [MessageKind::Binary; 2] {
            harness
                .commands
                .push_publish(Some("room"), kind, &noise, options);
        }
        harness.send_text(peers[0].id, &words(1));
        harness.flush();
        let expected = [Seen::Binary(noise.clone()), Seen::Binary(noise)];
        assert!(peers[1].read(&harness) == expected);
        assert_eq!(peers[0].read(&harness).last(), Some(&seen(&words(1))));
    }
}

#[test]
fn test_a_bomb_and_garbage_close_their_own_connection_only() {
    let mut bomb = Vec::new();
    assert!(Deflater::new(9, 15).deflate(&vec![0; 8 << 20], &mut bomb));
    for (payload, code) in [(bomb, 1009), (vec![0xff; 4], 1007)] {
        let mut harness = Harness::opened_shard(config(SHARED));
        let mut good = harness.open_offering(Some(ANY));
        let bad = harness.open_offering(Some(ANY));
        // A masking key of zero leaves the payload as it is.
        let header = encode_header(Opcode::Binary, payload.len(), true, true, Some([0; 4]));
        let wire = [header.as_slice(), &payload].concat();
        harness.network.write(bad.socket, &wire);
        let told = harness.settle();
        assert!(told.contains(&Told::Closing(bad.id, None, None)));
        let output = harness.network.take_output(bad.socket);
        assert_eq!(output[2..4], u16::to_be_bytes(code));
        good.write_text(&harness, &words(1));
        assert_eq!(harness.settle(), [text(good.id, &words(1))]);
    }
}
