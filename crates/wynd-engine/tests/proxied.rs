//! The PROXY protocol's header before everything else: from whom it is required, whose address
//! counts, and what becomes of its absence.

mod support;

use std::time::Duration;

use support::network::Call;
use support::tls::{opened, secure, Pair, TlsPeer};
use support::{quiet, Harness, Told, REQUEST};
use wynd_engine::{Config, ListenerId, TrustedProxies};

const PROXY: &str = "192.0.2.1";
const HEADER: &str = "PROXY TCP4 198.51.100.9 192.0.2.80 4321 80\r\n";

fn proxied(config: Config) -> Harness {
    let mut harness = Harness::opened_shard(config);
    let proxies = TrustedProxies::parse([PROXY]).unwrap();
    assert!(harness.shard.expect_proxies(ListenerId(1), proxies));
    harness
}

fn answer(harness: &Harness, socket: usize) -> String {
    String::from_utf8(harness.network.take_output(socket)).unwrap()
}

fn client_of(harness: &Harness, told: &[Told]) -> String {
    let id = opened(told).expect("not opened");
    harness.clients[&id].clone()
}

#[test]
fn test_the_client_is_the_one_the_proxy_names() {
    let mut harness = proxied(quiet());
    let socket = harness.connect();
    harness.network.write(socket, HEADER.as_bytes());
    harness.network.write(socket, REQUEST.as_bytes());
    let told = harness.settle();
    assert_eq!(client_of(&harness, &told), "198.51.100.9:4321");
    assert!(answer(&harness, socket).starts_with("HTTP/1.1 101 "));
}

#[test]
fn test_the_header_may_come_in_pieces() {
    let mut harness = proxied(quiet());
    let socket = harness.connect();
    assert_eq!(harness.settle(), []);
    for byte in HEADER.bytes() {
        harness.network.write(socket, &[byte]);
        assert_eq!(harness.settle(), []);
    }
    harness.network.write(socket, REQUEST.as_bytes());
    let told = harness.settle();
    assert_eq!(client_of(&harness, &told), "198.51.100.9:4321");
}

#[test]
fn test_a_health_check_is_the_proxys_own() {
    let mut harness = proxied(quiet());
    let socket = harness.connect();
    harness.network.write(socket, b"PROXY UNKNOWN\r\n");
    harness.network.write(socket, REQUEST.as_bytes());
    let told = harness.settle();
    assert_eq!(client_of(&harness, &told), "192.0.2.1:1000");
}

#[test]
fn test_others_are_clients_themselves_and_their_header_is_no_request() {
    let mut harness = proxied(quiet());
    let socket = harness.connect_from("203.0.113.5:7");
    harness.network.write(socket, REQUEST.as_bytes());
    let told = harness.settle();
    assert_eq!(client_of(&harness, &told), "203.0.113.5:7");
    let socket = harness.connect_from("203.0.113.5:8");
    harness.network.write(socket, HEADER.as_bytes());
    harness.network.write(socket, REQUEST.as_bytes());
    assert_eq!(harness.settle(), []);
    assert!(answer(&harness, socket).starts_with("HTTP/1.1 400 "));
}

#[test]
fn test_a_proxy_without_a_header_is_refused() {
    let mut harness = proxied(quiet());
    let socket = harness.connect();
    harness.network.write(socket, REQUEST.as_bytes());
    assert_eq!(harness.settle(), []);
    let answer = answer(&harness, socket);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let sentence = "\r\n\r\nThe PROXY protocol is required of this proxy.\n";
    assert!(answer.ends_with(sentence), "{answer}");
}

#[test]
fn test_half_a_header_ends_with_the_peer_or_at_the_deadline() {
    let mut harness = proxied(quiet());
    let (leaves, stays) = (harness.connect(), harness.connect());
    for socket in [leaves, stays] {
        harness.network.write(socket, b"PROXY TCP4 198");
    }
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.shard.sockets(), 2);
    harness.network.finish(leaves);
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.network.calls(leaves).last(), Some(&Call::Close));
    assert_eq!(harness.shard.sockets(), 1);
    harness.pass(10_000);
    assert_eq!(harness.settle(), []);
    assert_eq!(answer(&harness, stays), ""); // no request was begun that could be answered
    assert_eq!(harness.shard.sockets(), 0);
}

#[test]
fn test_connections_are_counted_by_client_not_by_proxy() {
    let config = Config {
        connections_per_address_max: Some(2),
        ..quiet()
    };
    let mut harness = proxied(config);
    let mut peers = Vec::new();
    for client in [
        "198.51.100.1",
        "198.51.100.2",
        "198.51.100.2",
        "198.51.100.3",
    ] {
        let socket = harness.connect();
        let header = format!("PROXY TCP4 {client} 192.0.2.80 4321 80\r\n");
        harness.network.write(socket, header.as_bytes());
        harness.network.write(socket, REQUEST.as_bytes());
        let told = harness.settle();
        assert_eq!(client_of(&harness, &told), format!("{client}:4321"));
        peers.push(socket);
    }
    let third = "PROXY TCP4 198.51.100.2 192.0.2.80 1 80\r\n";
    let socket = harness.connect();
    harness.network.write(socket, third.as_bytes());
    assert_eq!(harness.settle(), []);
    assert!(answer(&harness, socket).starts_with("HTTP/1.1 429 "));
    harness.network.reset(peers[1]);
    harness.settle();
    let socket = harness.connect();
    harness.network.write(socket, third.as_bytes());
    harness.network.write(socket, REQUEST.as_bytes());
    let told = harness.settle();
    assert_eq!(client_of(&harness, &told), "198.51.100.2:1");
}

#[test]
fn test_the_header_comes_before_tls() {
    let pair = Pair::new();
    let mut harness = proxied(quiet());
    secure(&mut harness, &pair);
    let mut peer = TlsPeer::connect(&mut harness, pair.client(&rustls::version::TLS13));
    harness.network.write(peer.socket, HEADER.as_bytes());
    peer.write(REQUEST.as_bytes());
    let told = peer.settle(&mut harness);
    assert_eq!(client_of(&harness, &told), "198.51.100.9:4321");
    let without = harness.connect();
    harness.network.write(without, b"\x16\x03\x01\x02\x00");
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.network.calls(without).last(), Some(&Call::Close));
    assert_eq!(harness.network.take_output(without), b"");
}

#[test]
fn test_the_header_comes_before_plain_requests_too() {
    let mut harness = Harness::new(quiet());
    harness.listen_http(false, Some(Duration::from_secs(5)));
    let proxies = TrustedProxies::parse(["*"]).unwrap();
    assert!(harness.shard.expect_proxies(ListenerId(1), proxies));
    let socket = harness.connect();
    harness.network.write(socket, HEADER.as_bytes());
    harness
        .network
        .write(socket, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let told = harness.settle();
    let Told::HttpOpened(id) = told[0] else {
        panic!("{told:?}")
    };
    assert_eq!(harness.clients[&id], "198.51.100.9:4321");
}
