//! The same shard over sockets of this machine, to see that the memory network tells the truth.

#![allow(clippy::disallowed_methods)] // real sockets need real time to give up waiting

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use wynd_engine::{
    CommandQueue, Config, Event, EventBatch, ListenerId, ListenerOptions, MessageKind, Meter,
    MioNetwork, Shard, SocketKind,
};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A server that answers every message; time is given.
struct Server {
    shard: Shard,
    now: Instant,
    batch: EventBatch,
    commands: CommandQueue,
    closed: Vec<u16>,
}

impl Server {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        let network = MioNetwork::new().unwrap();
        Self {
            shard: Shard::new(config, network, Meter::default(), 1, now).unwrap(),
            now,
            batch: EventBatch::new(),
            commands: CommandQueue::new(),
            closed: Vec::new(),
        }
    }

    fn listen(&mut self) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let options = ListenerOptions {
            kind: SocketKind::Tcp,
            asks: false,
            http_idle: None,
        };
        self.shard
            .add_listener(ListenerId(0), listener.into(), options)
            .unwrap();
        address
    }

    fn turn(&mut self) {
        self.shard.wait(Some(Duration::from_millis(20))).unwrap();
        self.shard.poll(self.now, &mut self.batch).unwrap();
        let mut buffered = std::collections::HashMap::new();
        loop {
            while let Some(index) = self.batch.advance() {
                match self.batch.get(index).unwrap() {
                    Event::Opened {
                        conn,
                        buffered: counter,
                        ..
                    } => {
                        buffered.insert(conn, counter.clone());
                        self.commands
                            .push_send(conn, counter, MessageKind::Text, b"welcome");
                    }
                    Event::Binary { conn, payload } => {
                        let counter = buffered.entry(conn).or_default();
                        self.commands
                            .push_send(conn, counter, MessageKind::Binary, payload);
                    }
                    Event::Closed { received, .. } => self.closed.push(received),
                    _ => {}
                }
            }
            self.shard
                .apply(self.now, &mut self.commands, &mut self.batch);
            self.shard.flush(self.now, &mut self.batch);
            if self.batch.is_dispatched() {
                return;
            }
        }
    }

    /// Turns until `done`, at most twenty seconds.
    fn turn_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let limit = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(Instant::now() < limit, "waited in vain");
            self.turn();
        }
    }
}

/// Reads what is there into `seen` without waiting.
fn read_some(stream: &mut (impl Read + AsFd), seen: &mut Vec<u8>) -> Option<usize> {
    rustix::io::ioctl_fionbio(&*stream, true).unwrap();
    let mut buffer = vec![0; 65_536];
    match stream.read(&mut buffer) {
        Ok(size) => {
            seen.extend_from_slice(&buffer[..size]);
            Some(size)
        }
        Err(_) => None,
    }
}

/// Opens a WebSocket; returns what came after the head.
fn open(server: &mut Server, stream: &mut (impl Read + Write + AsFd)) {
    stream.write_all(REQUEST.as_bytes()).unwrap();
    let mut seen = Vec::new();
    server.turn_until(|_| {
        read_some(stream, &mut seen);
        seen.ends_with(b"\r\n\r\n\x81\x07welcome")
    });
}

#[test]
fn test_megabytes_are_echoed_over_tcp() {
    let mut server = Server::new(Config::default());
    let mut stream = TcpStream::connect(server.listen()).unwrap();
    open(&mut server, &mut stream);
    let payload: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut frame = vec![0x82, 0xff, 0, 0, 0, 0];
    frame.extend_from_slice(&1_000_000_u32.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&payload);
    let (mut sent, mut seen) = (0, Vec::new());
    server.turn_until(|_| {
        if let Ok(size) = stream.write(&frame[sent..]) {
            sent += size;
        }
        while read_some(&mut stream, &mut seen).is_some() {}
        seen.len() >= payload.len() + 10
    });
    assert!(seen[10..] == payload);
}

#[test]
fn test_unix_sockets_are_adopted_and_close_cleanly() {
    let mut server = Server::new(Config::default());
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let socket = OwnedFd::from(theirs);
    server
        .shard
        .adopt(socket, ListenerId(0), false, server.now)
        .unwrap();
    open(&mut server, &mut ours);
    ours.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])
        .unwrap();
    let mut seen = Vec::new();
    server.turn_until(|_| read_some(&mut ours, &mut seen) == Some(0));
    assert_eq!(seen, [0x88, 0x02, 0x03, 0xe8]);
    assert!(server.closed.is_empty(), "we have not ended our direction");
    ours.shutdown(Shutdown::Both).unwrap();
    server.turn_until(|server| server.closed == [1000]);
    assert_eq!(server.shard.sockets(), 0);
}

#[test]
fn test_the_code_of_a_failure_survives_input_that_is_still_on_its_way() {
    let mut server = Server::new(Config::default());
    let mut stream = TcpStream::connect(server.listen()).unwrap();
    open(&mut server, &mut stream);
    stream.write_all(&vec![0xff; 200_000]).unwrap();
    let mut seen = Vec::new();
    server.turn_until(|_| read_some(&mut stream, &mut seen) == Some(0));
    assert!(seen.starts_with(&[0x88, 17, 0x03, 0xea]), "{seen:?}");
    drop(stream);
    server.turn_until(|server| server.closed == [1006]);
}

#[test]
fn test_the_descriptor_of_the_shard_is_readable_when_a_turn_is_due() {
    let mut server = Server::new(Config::default());
    let address = server.listen();
    let is_readable = |server: &Server| readable(server.shard.as_raw_fd());
    server.turn();
    assert!(!is_readable(&server));
    let stream = TcpStream::connect(address).unwrap();
    server.turn_until(|server| is_readable(server) || server.shard.sockets() == 1);
    server.turn_until(|server| server.shard.sockets() == 1);
    let waker = server.shard.waker();
    std::thread::spawn(move || waker.wake()).join().unwrap();
    assert!(is_readable(&server));
    server.turn();
    assert!(!is_readable(&server), "one wake-up, one turn");
    drop(stream);
}

/// Whether a poller's descriptor is readable, asked from another poller, as asyncio does.
fn readable(descriptor: std::os::fd::RawFd) -> bool {
    let mut outer = mio::Poll::new().unwrap();
    let mut source = mio::unix::SourceFd(&descriptor);
    outer
        .registry()
        .register(&mut source, mio::Token(0), mio::Interest::READABLE)
        .unwrap();
    let mut events = mio::Events::with_capacity(4);
    outer.poll(&mut events, Some(Duration::ZERO)).unwrap();
    !events.is_empty()
}

#[test]
fn test_thousands_of_connections_leave_no_descriptor_behind() {
    let mut server = Server::new(Config::default());
    let address = server.listen();
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let mut opened = 0;
    for round in 0..2_000 {
        let mut stream = TcpStream::connect(address).unwrap();
        if round % 2 == 0 {
            open(&mut server, &mut stream);
            opened += 1;
        }
        drop(stream);
        server.turn_until(|server| server.closed.len() == opened);
    }
    server.turn_until(|server| server.shard.sockets() == 0);
    // Other tests of this process run beside it and hold a few.
    assert!(descriptors() < 60);
}

#[test]
fn test_several_listeners_of_both_kinds_feed_one_shard() {
    let mut server = Server::new(Config::default());
    let address = server.listen();
    let path = std::env::temp_dir().join(format!("wynd-engine-{}.sock", std::process::id()));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let options = ListenerOptions {
        kind: SocketKind::Unix,
        asks: false,
        http_idle: None,
    };
    let socket = OwnedFd::from(listener);
    server
        .shard
        .add_listener(ListenerId(1), socket, options)
        .unwrap();
    let mut over_tcp = TcpStream::connect(address).unwrap();
    let mut over_unix = UnixStream::connect(&path).unwrap();
    open(&mut server, &mut over_tcp);
    open(&mut server, &mut over_unix);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.shard.statistics().connections_open, 2);
    server.shard.remove_listener(ListenerId(0));
    assert!(TcpStream::connect(address).is_err(), "its socket is closed");
}
