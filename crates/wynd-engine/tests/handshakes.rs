//! The opening handshake in the shard: cuts, answers, questions to the application, deadlines, early
//! bytes, lingering, and caps on connections.

mod support;

use std::io;
use std::time::Duration;

use support::network::{Call, MemoryNetwork};
use support::{quiet, text, Harness, Told, REQUEST};
use wynd_engine::{Config, ConnId};

fn answer(harness: &Harness, socket: usize) -> String {
    String::from_utf8(harness.network.take_output(socket)).unwrap()
}

fn asking(config: Config) -> Harness {
    let mut harness = Harness::new(config);
    harness.listen(true);
    harness
}

/// Sends a request on a listener that asks; returns socket and id.
fn request(harness: &mut Harness, head: &str) -> (usize, ConnId) {
    let socket = harness.connect();
    harness.network.write(socket, head.as_bytes());
    match harness.settle().as_slice() {
        [Told::Requested(id, _)] => (socket, *id),
        other => panic!("{other:?}"),
    }
}

/// A masked text frame.
fn frame(payload: &str) -> Vec<u8> {
    let mut frame = vec![
        0x81,
        0x80 | u8::try_from(payload.len()).unwrap(),
        0,
        0,
        0,
        0,
    ];
    frame.extend_from_slice(payload.as_bytes());
    frame
}

#[test]
fn test_a_head_in_one_byte_writes_opens() {
    let mut harness = Harness::opened_shard(quiet());
    let socket = harness.connect();
    let mut told = Vec::new();
    for byte in REQUEST.bytes() {
        harness.network.write(socket, &[byte]);
        told.extend(harness.settle());
    }
    assert!(
        matches!(told.as_slice(), [Told::Opened(_, None)]),
        "{told:?}"
    );
    assert!(answer(&harness, socket).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_frames_that_come_with_the_head_are_the_first_messages() {
    let mut harness = Harness::opened_shard(quiet());
    let socket = harness.connect();
    let bytes = [REQUEST.as_bytes(), &frame("early"), &frame("bird")].concat();
    harness.network.write(socket, &bytes);
    let told = harness.settle();
    let Told::Opened(id, _) = told[0] else {
        panic!("{told:?}")
    };
    assert_eq!(told[1..], [text(id, "early"), text(id, "bird")]);
}

#[test]
fn test_a_subprotocol_is_negotiated_or_chosen_by_the_application() {
    let config = Config {
        subprotocols: vec!["chat".to_owned(), "json".to_owned()],
        ..quiet()
    };
    let head = REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: json, chat\r\n\r\n");
    let mut harness = Harness::opened_shard(config.clone());
    let socket = harness.connect();
    harness.network.write(socket, head.as_bytes());
    let told = harness.settle();
    assert!(
        matches!(&told[0], Told::Opened(_, Some(name)) if name == "json"),
        "{told:?}"
    );
    let mut harness = asking(config);
    let (socket, id) = request(&mut harness, &head);
    harness.commands.push_accept(
        id,
        Some("chat".to_owned()),
        vec![("X-A".into(), "b".into())],
    );
    harness.flush();
    assert_eq!(
        harness.settle(),
        [Told::Opened(id, Some("chat".to_owned()))]
    );
    let answer = answer(&harness, socket);
    assert!(
        answer.contains("Sec-WebSocket-Protocol: chat\r\n"),
        "{answer}"
    );
    assert!(answer.contains("X-A: b\r\n"), "{answer}");
}

#[test]
fn test_a_refusal_lingers_until_the_peer_has_read_it_and_parses_nothing_more() {
    let mut harness = Harness::opened_shard(quiet());
    let socket = harness.connect();
    let head = REQUEST.replace("Host: example.org\r\n", "");
    harness.network.write(socket, (head + REQUEST).as_bytes());
    assert_eq!(harness.settle(), []);
    let answer = answer(&harness, socket);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    let calls = harness.network.calls(socket);
    assert_eq!(
        calls[calls.len() - 2..],
        [Call::ShutdownWrite, Call::RecvWouldBlock]
    );
    harness.network.write(socket, REQUEST.as_bytes());
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.shard.sockets(), 1);
    harness.network.finish(socket);
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.shard.sockets(), 0);
    assert_eq!(harness.shard.statistics().handshakes_refused, [(400, 1)]);
}

#[test]
fn test_a_refused_peer_that_stays_is_dropped_after_the_close_time() {
    let mut harness = Harness::opened_shard(quiet());
    let socket = harness.connect();
    harness
        .network
        .write(socket, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    harness.settle();
    assert!(answer(&harness, socket).starts_with("HTTP/1.1 426 "));
    harness.pass(4_999);
    harness.settle();
    assert_eq!(harness.shard.sockets(), 1);
    harness.pass(1);
    harness.settle();
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_the_handshake_deadline_answers_408_503_or_nothing() {
    let mut harness = asking(quiet());
    let silent = harness.connect();
    let partial = harness.connect();
    harness.network.write(partial, b"GET / HTTP/1.1\r\n");
    harness.settle();
    let (asked, id) = request(&mut harness, REQUEST);
    for _ in 0..49 {
        // Arriving bytes do not extend it.
        harness.pass(100);
        harness.network.write(partial, b"x");
        assert_eq!(harness.settle(), []);
    }
    harness.pass(100);
    assert_eq!(harness.settle(), [Told::HandshakeLost(id)]);
    assert_eq!(answer(&harness, silent), "");
    assert!(answer(&harness, partial).starts_with("HTTP/1.1 408 "));
    assert!(answer(&harness, asked).starts_with("HTTP/1.1 503 "));
    assert_eq!(harness.network.calls(silent).last(), Some(&Call::Close));
    harness.commands.push_accept(id, None, Vec::new());
    harness.flush();
    assert_eq!(harness.settle(), [], "too late");
}

#[test]
fn test_five_thousand_silent_peers_delay_nobody() {
    let mut harness = Harness::opened_shard(Config {
        connections_per_address_max: None,
        ..quiet()
    });
    for _ in 0..5_000 {
        harness.connect();
    }
    let mut turns = 0;
    while harness.shard.sockets() < 5_000 {
        harness.turn();
        turns += 1;
    }
    assert!(turns <= 5_000 / 128 + 2, "accepted in bounded turns");
    let good = harness.open();
    assert_eq!(harness.shard.statistics().connections_open, 1);
    harness.pass(5_000);
    harness.settle();
    assert_eq!(
        harness.shard.sockets(),
        1,
        "the silent ones are gone, {:?} is not",
        good.id
    );
}

#[test]
fn test_a_question_that_waits_delays_nobody_and_its_loss_is_told() {
    let mut harness = asking(quiet());
    let (socket, id) = request(&mut harness, REQUEST);
    let (other, other_id) = request(&mut harness, REQUEST);
    harness.commands.push_accept(other_id, None, Vec::new());
    harness.flush();
    assert_eq!(harness.settle(), [Told::Opened(other_id, None)]);
    assert!(answer(&harness, other).starts_with("HTTP/1.1 101 "));
    harness.network.finish(socket);
    assert_eq!(harness.settle(), [Told::HandshakeLost(id)]);
}

#[test]
fn test_early_bytes_wait_for_the_answer_up_to_their_bound() {
    let mut harness = asking(quiet());
    let (socket, id) = request(&mut harness, REQUEST);
    harness.network.write(socket, &frame("early"));
    assert_eq!(harness.settle(), []);
    harness.commands.push_accept(id, None, Vec::new());
    harness.flush();
    assert_eq!(
        harness.settle(),
        [Told::Opened(id, None), text(id, "early")]
    );
    let (socket, id) = request(&mut harness, REQUEST);
    harness.network.write(socket, &vec![0x81; 40_000]);
    assert_eq!(harness.settle(), []);
    harness.network.write(socket, &vec![0x81; 40_000]);
    assert_eq!(harness.settle(), [Told::HandshakeLost(id)]);
    assert!(answer(&harness, socket).starts_with("HTTP/1.1 400 "));
    assert_eq!(
        harness.shard.statistics().limits_hit,
        [("early_bytes_max", 1)]
    );
}

#[test]
fn test_the_application_answers_with_plain_http() {
    let mut harness = asking(quiet());
    let (socket, id) = request(&mut harness, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    harness
        .commands
        .push_respond(id, 200, &[("Content-Type", "text/plain")], b"fine");
    harness.flush();
    assert_eq!(harness.settle(), []);
    let answer = answer(&harness, socket);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nfine"), "{answer}");
    harness.network.finish(socket);
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_accepting_what_asked_for_no_websocket_is_a_426() {
    let mut harness = asking(quiet());
    let (socket, id) = request(&mut harness, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    harness.commands.push_accept(id, None, Vec::new());
    harness.flush();
    assert_eq!(harness.settle(), [Told::HandshakeLost(id)]);
    assert!(answer(&harness, socket).starts_with("HTTP/1.1 426 "));
}

#[test]
fn test_header_bombs_are_431_at_the_bound() {
    let mut harness = Harness::opened_shard(quiet());
    let long = harness.connect();
    let head = "GET / HTTP/1.1\r\nX: ".to_owned() + &"a".repeat(4 << 20);
    harness.network.write(long, head.as_bytes());
    let many = harness.connect();
    let head = "GET / HTTP/1.1\r\n".to_owned() + &"a: b\r\n".repeat(101);
    harness.network.write(many, head.as_bytes());
    harness.settle();
    for socket in [long, many] {
        assert!(answer(&harness, socket).starts_with("HTTP/1.1 431 "));
    }
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_connections_beyond_the_cap_get_503_and_leave_the_others_alone() {
    let mut harness = Harness::opened_shard(Config {
        connections_max: Some(2),
        ..quiet()
    });
    let first = harness.open();
    harness.open();
    let third = harness.connect();
    harness.settle();
    let refusal = answer(&harness, third);
    assert!(refusal.starts_with("HTTP/1.1 503 "), "{refusal}");
    assert!(refusal.contains("Retry-After: "), "{refusal}");
    harness.network.finish(third);
    harness.commands.push_abort(first.id);
    harness.flush();
    harness.settle();
    harness.open();
    assert_eq!(harness.shard.statistics().handshakes_refused, [(503, 1)]);
}

#[test]
fn test_connections_of_one_address_are_bounded_by_429_and_loopback_is_exempt() {
    let mut harness = Harness::opened_shard(Config {
        connections_per_address_max: Some(3),
        ..quiet()
    });
    let sockets: Vec<_> = (0..5)
        .map(|_| harness.connect_from("[2001:db8::7]:1"))
        .collect();
    let neighbour = harness.connect_from("[2001:db8::8]:1");
    let other = harness.connect_from("[2001:db8:0:9::8]:1");
    for _ in 0..10 {
        harness.connect_from("127.0.0.1:5");
    }
    harness.settle();
    let is_refused = |socket: usize| answer(&harness, socket).starts_with("HTTP/1.1 429 ");
    assert_eq!(
        sockets
            .iter()
            .map(|&socket| is_refused(socket))
            .collect::<Vec<_>>(),
        [false, false, false, true, true]
    );
    assert!(is_refused(neighbour) && !is_refused(other));
    harness.network.finish(sockets[0]);
    harness.settle();
    let again = harness.connect_from("[2001:db8::7]:1");
    harness.settle();
    assert_eq!(answer(&harness, again), "");
}

#[test]
fn test_new_connections_per_second_are_bounded_by_503() {
    let mut harness = Harness::opened_shard(Config {
        connections_per_second_max: Some(2.0),
        ..quiet()
    });
    let sockets: Vec<_> = (0..4).map(|_| harness.connect()).collect();
    harness.settle();
    let refused = sockets
        .iter()
        .filter(|&&socket| !answer(&harness, socket).is_empty())
        .count();
    assert_eq!(refused, 2);
    harness.pass(500);
    let later = harness.connect();
    harness.settle();
    assert_eq!(answer(&harness, later), "");
}

#[test]
fn test_the_listener_backs_off_when_descriptors_run_out() {
    let mut harness = Harness::opened_shard(quiet());
    let emfile = || Err(io::Error::from_raw_os_error(24));
    harness.network.0.borrow_mut().arrive(emfile());
    assert_eq!(harness.settle(), [Told::ListenerFailed(24)]);
    let accepts = |harness: &Harness| harness.network.0.borrow().accepts;
    let before = accepts(&harness);
    for _ in 0..100 {
        harness.turn();
    }
    assert_eq!(accepts(&harness), before, "it does not spin");
    assert!(!harness.shard.more());
    assert_eq!(
        harness.shard.next_deadline(),
        Some(harness.now + Duration::from_millis(50))
    );
    // Still none left: the pause doubles, and is not told again.
    harness.network.0.borrow_mut().arrive(emfile());
    harness.pass(50);
    assert_eq!(harness.settle(), []);
    harness.pass(99);
    let good = harness.connect();
    assert_eq!(harness.settle(), []);
    harness.pass(1);
    harness.network.write(good, REQUEST.as_bytes());
    assert!(matches!(harness.settle().as_slice(), [Told::Opened(..)]));
    assert_eq!(harness.shard.statistics().accept_pauses, 2);
}

#[test]
fn test_an_error_of_one_connection_does_not_stop_the_listener() {
    let mut harness = Harness::opened_shard(quiet());
    {
        let mut world = harness.network.0.borrow_mut();
        world.arrive(Err(io::ErrorKind::ConnectionAborted.into()));
    }
    harness.open();
    assert_eq!(harness.shard.statistics().accept_pauses, 0);
}

#[test]
fn test_the_head_room_of_descriptors_is_kept() {
    let network = MemoryNetwork::new();
    {
        let mut world = network.0.borrow_mut();
        world.descriptors_max = Some(1024);
        world.descriptor_base = 895; // the first socket has the number 896 = 1024 - 256 / 2
    }
    let mut harness = Harness::over(quiet(), network);
    harness.listen(false);
    let socket = harness.connect();
    assert_eq!(harness.settle(), [Told::ListenerFailed(0)]);
    assert_eq!(harness.network.calls(socket), [Call::Close]);
    assert_eq!(
        harness.shard.statistics().limits_hit,
        [("descriptors_reserved", 1)]
    );
}

#[test]
fn test_lingering_refusals_are_bounded_too() {
    let mut harness = Harness::opened_shard(Config {
        connections_max: Some(1),
        ..quiet()
    });
    harness.open();
    for _ in 0..100 {
        harness.connect();
    }
    harness.settle();
    assert_eq!(harness.shard.sockets(), 1 + 64);
    assert_eq!(harness.shard.statistics().handshakes_refused, [(503, 100)]);
}

#[test]
fn test_a_removed_listener_leaves_its_connections_alone() {
    let mut harness = Harness::opened_shard(quiet());
    let mut peer = harness.open();
    harness.shard.remove_listener(wynd_engine::ListenerId(1));
    harness.shard.remove_listener(wynd_engine::ListenerId(1));
    harness.connect();
    harness.settle();
    assert_eq!(harness.shard.sockets(), 1);
    peer.write_text(&harness, "still here");
    assert_eq!(harness.settle(), [text(peer.id, "still here")]);
    harness.listen(false);
    assert_eq!(
        harness.network.0.borrow().listener_calls,
        ["register", "deregister", "register"]
    );
}
