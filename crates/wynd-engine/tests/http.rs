//! HTTP connections in the shard: one request at a time, framed; later upgrades; refusals; deadlines;
//! how they end.

mod support;

use std::time::Duration;

use support::{quiet, Harness, Told, REQUEST};
use wynd_engine::{CommandQueue, Config, ConnId};

const GET: &str = "GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const IDLE: Duration = Duration::from_secs(5);

fn serving() -> Harness {
    serving_with(quiet())
}

fn serving_with(config: Config) -> Harness {
    let mut harness = Harness::new(config);
    harness.listen_http(false, Some(IDLE));
    harness
}

fn output(harness: &Harness, socket: usize) -> String {
    String::from_utf8(harness.network.take_output(socket)).unwrap()
}

fn answer_with(harness: &mut Harness, id: ConnId, bytes: &str) {
    let buffered = harness.buffered[&id].clone();
    harness
        .commands
        .push_http_write(id, &buffered, bytes.as_bytes(), usize::MAX);
}

/// Answers the present request.
fn answer(harness: &mut Harness, id: ConnId) {
    answer_with(harness, id, OK);
    harness.commands.push_http_done(id);
    harness.flush();
}

fn data(id: ConnId, bytes: &str) -> Told {
    Told::HttpData(id, bytes.to_owned())
}

/// A connection whose first request was told and not yet answered.
fn first(harness: &mut Harness) -> (usize, ConnId) {
    let socket = harness.connect();
    harness.network.write(socket, GET.as_bytes());
    let told = harness.settle();
    let Told::HttpOpened(id) = told[0] else {
        panic!("{told:?}")
    };
    assert_eq!(told[1..], [data(id, GET)]);
    (socket, id)
}

/// A connection with one answered request.
fn idle(harness: &mut Harness) -> (usize, ConnId) {
    let (socket, id) = first(harness);
    answer(harness, id);
    assert_eq!(output(harness, socket), OK);
    (socket, id)
}

/// What is told, with the pieces of each connection's data joined.
fn joined(told: Vec<Told>) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for event in told {
        match (all.last_mut(), event) {
            (Some(Told::HttpData(_, before)), Told::HttpData(_, more)) => before.push_str(&more),
            (_, event) => all.push(event),
        }
    }
    all
}

#[test]
fn test_a_kept_connection_is_told_of_once() {
    let mut harness = serving();
    let (socket, id) = idle(&mut harness);
    for _ in 0..3 {
        harness.network.write(socket, GET.as_bytes());
        assert_eq!(harness.settle(), [data(id, GET)]);
        answer(&mut harness, id);
        assert_eq!(output(&harness, socket), OK);
    }
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_pipelined_requests_come_one_by_one() {
    let mut harness = serving();
    let socket = harness.connect();
    harness.network.write(socket, GET.repeat(3).as_bytes());
    let told = harness.settle();
    let Told::HttpOpened(id) = told[0] else {
        panic!("{told:?}")
    };
    assert_eq!(told[1..], [data(id, GET)]);
    for _ in 0..2 {
        answer(&mut harness, id);
        assert_eq!(harness.settle(), [data(id, GET)]);
    }
    answer(&mut harness, id);
    assert_eq!(harness.settle(), []);
    assert_eq!(output(&harness, socket), OK.repeat(3));
}

#[test]
fn test_pipelined_bytes_are_bounded_and_all_served() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    let count = 6_000;
    harness.network.write(socket, GET.repeat(count).as_bytes());
    assert_eq!(harness.settle(), []);
    let told = serve_all(&mut harness, id);
    assert_eq!(told, count);
}

/// Answers until nothing more is told; returns how many requests came.
fn serve_all(harness: &mut Harness, id: ConnId) -> usize {
    let mut served = 0;
    loop {
        answer(harness, id);
        let told = joined(harness.settle());
        let held = harness.meter.bytes();
        assert!(held <= 280 * 1024, "{held} after {served}");
        if told.is_empty() {
            return served;
        }
        assert_eq!(told, [data(id, GET)]);
        served += 1;
    }
}

#[test]
fn test_bodies_in_any_cut_are_told_whole_without_extensions_and_trailers() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let sent = format!("{head}3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n{GET}");
    let expected = format!("{head}3\r\nabc\r\n0\r\n\r\n");
    for size in 1..sent.len() {
        let mut harness = serving();
        let socket = harness.connect();
        let mut told = Vec::new();
        for piece in sent.as_bytes().chunks(size) {
            harness.network.write(socket, piece);
            told.extend(harness.settle());
        }
        let Told::HttpOpened(id) = told[0] else {
            panic!("{told:?}")
        };
        assert_eq!(joined(told)[1..], [data(id, &expected)], "{size}");
        answer(&mut harness, id);
        assert_eq!(joined(harness.settle()), [data(id, GET)], "{size}");
    }
}

#[test]
fn test_an_answer_before_the_body_ended_does_not_begin_the_next_request() {
    let mut harness = serving();
    let socket = harness.connect();
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n";
    harness.network.write(socket, head.as_bytes());
    let told = harness.settle();
    let Told::HttpOpened(id) = told[0] else {
        panic!("{told:?}")
    };
    answer(&mut harness, id);
    // A request in the body is no request.
    let inner = format!("{GET}{}", "x".repeat(50 - GET.len()));
    harness
        .network
        .write(socket, (inner.clone() + GET).as_bytes());
    assert_eq!(joined(harness.settle()), [data(id, &(inner + GET))]);
}

#[test]
fn test_nothing_is_parsed_after_a_request_that_closes() {
    for closing in [
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
    ] {
        let mut harness = serving();
        let socket = harness.connect();
        harness
            .network
            .write(socket, (closing.to_owned() + GET).as_bytes());
        let told = harness.settle();
        let Told::HttpOpened(id) = told[0] else {
            panic!("{told:?}")
        };
        assert_eq!(told[1..], [data(id, closing)]);
        answer(&mut harness, id);
        assert_eq!(harness.settle(), []);
    }
}

#[test]
fn test_upgrade_fields_of_other_protocols_are_not_passed_on() {
    let mut harness = serving();
    let (socket, id) = idle(&mut harness);
    let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nX: y\r\n\r\n";
    harness.network.write(socket, head.as_bytes());
    let expected = head.replace("Upgrade: h2c\r\n", "");
    assert_eq!(harness.settle(), [data(id, &expected)]);
}

#[test]
fn test_a_later_upgrade_becomes_a_websocket() {
    let mut harness = serving();
    let (socket, id) = idle(&mut harness);
    let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    harness
        .network
        .write(socket, &[REQUEST.as_bytes(), &frame].concat());
    assert_eq!(harness.settle(), [Told::Requested(id, true)]);
    harness.commands.push_accept(id, None, Vec::new());
    harness.flush();
    assert_eq!(
        harness.settle(),
        [
            Told::HttpClosed(id),
            Told::Opened(id, None),
            support::text(id, "hi")
        ]
    );
    assert!(output(&harness, socket).starts_with("HTTP/1.1 101 "));
    assert_eq!(harness.meter.bytes(), 0);
}

#[test]
fn test_an_upgrade_behind_an_unfinished_answer_waits_for_it() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    harness.network.write(socket, REQUEST.as_bytes());
    assert_eq!(harness.settle(), []);
    answer(&mut harness, id);
    assert_eq!(harness.settle(), [Told::Requested(id, true)]);
    harness.commands.push_accept(id, None, Vec::new());
    harness.flush();
    harness.settle();
    let sent = output(&harness, socket);
    assert!(sent.starts_with(&format!("{OK}HTTP/1.1 101 ")), "{sent}");
}

#[test]
fn test_what_waits_behind_an_upgrade_is_its_early_input_and_bounded() {
    for (size, is_kept) in [(60_000, true), (70_000, false)] {
        let mut harness = serving();
        let (socket, id) = first(&mut harness);
        let early = "x".repeat(size);
        harness
            .network
            .write(socket, (REQUEST.to_owned() + &early).as_bytes());
        assert_eq!(harness.settle(), []);
        answer(&mut harness, id);
        let told = harness.settle();
        assert_eq!(told[0], Told::Requested(id, true));
        if is_kept {
            harness.commands.push_http_pass(id);
            harness.flush();
            assert_eq!(joined(harness.settle()), [data(id, &early)]);
        } else {
            assert_eq!(told[1..], [Told::HandshakeLost(id), Told::HttpClosed(id)]);
            assert!(output(&harness, socket).contains("HTTP/1.1 400 "));
        }
    }
}

#[test]
fn test_a_refused_upgrade_ends_the_connection_and_no_second_request_is_seen() {
    for is_first in [true, false] {
        let mut harness = serving();
        let socket = if is_first {
            harness.connect()
        } else {
            idle(&mut harness).0
        };
        harness
            .network
            .write(socket, (REQUEST.to_owned() + GET).as_bytes());
        let told = harness.settle();
        let [Told::Requested(id, true)] = told[..] else {
            panic!("{told:?}")
        };
        harness.commands.push_respond(id, 403, &[], b"no");
        harness.flush();
        harness.network.write(socket, GET.as_bytes());
        let expected: &[Told] = if is_first {
            &[]
        } else {
            &[Told::HttpClosed(id)]
        };
        assert_eq!(harness.settle(), expected);
        assert!(output(&harness, socket).starts_with("HTTP/1.1 403 "));
        harness.network.finish(socket);
        assert_eq!(harness.settle(), []);
        assert_eq!(harness.shard.sockets(), 0);
    }
}

#[test]
fn test_an_upgrade_may_be_taken_as_it_is() {
    for is_first in [true, false] {
        let mut harness = serving();
        let socket = if is_first {
            harness.connect()
        } else {
            idle(&mut harness).0
        };
        harness
            .network
            .write(socket, (REQUEST.to_owned() + "early").as_bytes());
        let told = harness.settle();
        let [Told::Requested(id, true)] = told[..] else {
            panic!("{told:?}")
        };
        harness.commands.push_http_pass(id);
        harness.flush();
        let told = harness.settle();
        let opened: &[Told] = if is_first {
            &[Told::HttpOpened(id)]
        } else {
            &[]
        };
        assert_eq!(told[..opened.len()], *opened);
        assert_eq!(told[opened.len()..], [data(id, "early")]);
        harness.network.write(socket, b"\x00 anything\n\n");
        assert_eq!(harness.settle(), [data(id, "\x00 anything\n\n")]);
    }
}

#[test]
fn test_an_upgrade_whose_answer_is_late_gets_503() {
    let mut harness = serving();
    let (socket, id) = idle(&mut harness);
    harness.network.write(socket, REQUEST.as_bytes());
    assert_eq!(harness.settle(), [Told::Requested(id, true)]);
    harness.pass(5_100);
    assert_eq!(
        harness.settle(),
        [Told::HandshakeLost(id), Told::HttpClosed(id)]
    );
    assert!(output(&harness, socket).starts_with("HTTP/1.1 503 "));
}

#[test]
fn test_every_head_is_judged_and_a_refused_one_is_never_told() {
    let cases = [
        ("GET /a HTTP/1.1\r\n\r\n", 400),
        ("GET /a HTTP/1.1\nHost: a\n\n", 400),
        ("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET /a HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ];
    for (head, status) in cases {
        for is_first in [true, false] {
            let mut harness = serving();
            let (socket, expected) = if is_first {
                (harness.connect(), vec![])
            } else {
                let (socket, id) = idle(&mut harness);
                (socket, vec![Told::HttpClosed(id)])
            };
            harness
                .network
                .write(socket, (head.to_owned() + GET).as_bytes());
            assert_eq!(harness.settle(), expected, "{head:?}");
            let sent = output(&harness, socket);
            assert!(
                sent.starts_with(&format!("HTTP/1.1 {status} ")),
                "{head:?}: {sent}"
            );
        }
    }
}

#[test]
fn test_a_refusal_never_cuts_into_an_answer() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    harness.network.write(socket, b"\x00");
    assert_eq!(harness.settle(), []);
    answer(&mut harness, id);
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    let sent = output(&harness, socket);
    assert!(sent.starts_with(&format!("{OK}HTTP/1.1 400 ")), "{sent}");
}

#[test]
fn test_a_broken_body_gets_400_or_the_end_if_an_answer_has_begun() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for begun in ["", "HTTP/1.1 200 OK\r\n"] {
        let mut harness = serving();
        let socket = harness.connect();
        harness.network.write(socket, head.as_bytes());
        let told = harness.settle();
        let Told::HttpOpened(id) = told[0] else {
            panic!("{told:?}")
        };
        if !begun.is_empty() {
            answer_with(&mut harness, id, begun);
        }
        harness.network.write(socket, b"xyz\r\n");
        assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
        let sent = output(&harness, socket);
        if begun.is_empty() {
            assert!(sent.starts_with("HTTP/1.1 400 "), "{sent}");
        } else {
            // What is written after the end was decided does not leave.
            assert!(sent.is_empty() || sent == begun, "{sent}");
        }
    }
}

#[test]
fn test_deadlines_hold_for_every_request() {
    let mut harness = serving();
    let (socket, id) = idle(&mut harness);
    harness.pass(4_000);
    harness.network.write(socket, b"GET /slow");
    assert_eq!(harness.settle(), []);
    harness.pass(4_900); // beyond the idle time, within that of the head
    assert_eq!(harness.settle(), []);
    harness.pass(200);
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    assert!(output(&harness, socket).starts_with("HTTP/1.1 408 "));
}

#[test]
fn test_an_idle_connection_ends_without_a_word_and_a_busy_one_does_not() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    harness.pass(60_000); // the application takes its time
    assert_eq!(harness.settle(), []);
    answer(&mut harness, id);
    assert_eq!(output(&harness, socket), OK);
    harness.pass(5_100);
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    assert_eq!(output(&harness, socket), "");
    harness.pass(5_100); // the peer never ends it
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_a_slow_body_lives_while_bytes_arrive_and_a_silent_one_gets_408() {
    let mut harness = serving();
    let socket = harness.connect();
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    harness.network.write(socket, head.as_bytes());
    let told = harness.settle();
    let Told::HttpOpened(id) = told[0] else {
        panic!("{told:?}")
    };
    for _ in 0..5 {
        harness.pass(20_000);
        harness.network.write(socket, b"x");
        assert_eq!(harness.settle(), [data(id, "x")]);
    }
    harness.pass(36_000);
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    assert!(output(&harness, socket).starts_with("HTTP/1.1 408 "));
}

#[test]
fn test_a_paused_connection_is_not_read() {
    let mut harness = serving();
    let socket = harness.connect();
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    harness.network.write(socket, head.as_bytes());
    let told = harness.settle();
    let Told::HttpOpened(id) = told[0] else {
        panic!("{told:?}")
    };
    harness.commands.push_pause(id);
    harness.flush();
    harness.network.write(socket, b"123456789");
    assert_eq!(harness.settle(), []);
    harness.pass(120_000); // it is not the peer who is late
    assert_eq!(harness.settle(), []);
    harness.commands.push_resume(id);
    harness.flush();
    assert_eq!(harness.settle(), [data(id, "123456789")]);
}

#[test]
fn test_drained_comes_after_a_full_outbox() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    harness.network.make_room(socket, 1000);
    let buffered = harness.buffered[&id].clone();
    let unsent =
        harness
            .commands
            .push_http_write(id, &buffered, &vec![b'x'; 300 * 1024], 256 * 1024);
    assert_eq!(unsent, 300 * 1024);
    harness.flush();
    assert_eq!(harness.settle(), []);
    harness.network.make_room(socket, 1 << 20);
    assert_eq!(harness.settle(), [Told::HttpDrained(id)]);
    assert_eq!(buffered.bytes(), 0);
}

#[test]
fn test_close_ends_after_what_was_written_however_slowly_that_leaves() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    harness.network.make_room(socket, 100);
    answer_with(&mut harness, id, &"x".repeat(1000));
    harness.commands.push_http_close(id);
    harness.flush();
    for _ in 0..9 {
        harness.pass(10_000);
        assert_eq!(harness.settle(), []);
        harness.network.make_room(socket, 100);
    }
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    assert_eq!(output(&harness, socket).len(), 1000);
    harness.network.finish(socket);
    harness.settle();
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_a_peer_that_reads_nothing_is_given_up() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    harness.network.make_room(socket, 100);
    answer_with(&mut harness, id, &"x".repeat(1000));
    harness.commands.push_http_close(id);
    harness.flush();
    harness.pass(36_000);
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_the_end_of_input_is_told_and_the_close_answers_it() {
    let mut harness = serving();
    let (socket, id) = first(&mut harness);
    harness.network.finish(socket);
    assert_eq!(harness.settle(), [Told::HttpEnded(id)]);
    answer_with(&mut harness, id, OK);
    harness.commands.push_http_close(id);
    harness.flush();
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    assert_eq!(output(&harness, socket), OK);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_an_abort_is_told_once() {
    let mut harness = serving();
    let (_, id) = first(&mut harness);
    harness.commands.push_abort(id);
    harness.commands.push_http_close(id);
    harness.commands.push_http_done(id);
    harness.flush();
    assert_eq!(harness.settle(), [Told::HttpClosed(id)]);
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_commands_for_what_is_no_http_connection_do_nothing() {
    let mut harness = serving();
    let nobody = ConnId::from_u64(77 << 32);
    let push = |commands: &mut CommandQueue| {
        commands.push_http_pass(nobody);
        commands.push_http_done(nobody);
        commands.push_http_close(nobody);
    };
    push(&mut harness.commands);
    harness.flush();
    assert_eq!(harness.settle(), []);
}
