//! The engine without Python, to be measured beside a bare epoll loop: `echo PORT echo|fanout`.
//!
//! `echo` answers every message; `fanout` sends it to everybody else.

#![allow(clippy::disallowed_methods)] // a program reads the clock; the engine does not

use std::error::Error;
use std::net::TcpListener;
use std::time::Instant;

use wynd_engine::{
    Buffered, CommandQueue, Config, ConnId, Event, EventBatch, ListenerId, ListenerOptions,
    MessageKind, Meter, MioNetwork, PublishOptions, Shard, SocketKind,
};

/// The counters of open connections, by slot, as wynd-python keeps them.
#[derive(Default)]
struct Peers(Vec<Option<Buffered>>);

impl Peers {
    fn index(conn: ConnId) -> usize {
        usize::try_from(conn.as_u64() & 0xffff_ffff).unwrap_or(usize::MAX)
    }

    fn put(&mut self, conn: ConnId, buffered: Option<Buffered>) {
        let index = Self::index(conn);
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = buffered;
    }

    fn get(&self, conn: ConnId) -> Option<&Buffered> {
        self.0.get(Self::index(conn))?.as_ref()
    }
}

fn dispatch(
    batch: &mut EventBatch,
    peers: &mut Peers,
    commands: &mut CommandQueue,
    fans_out: bool,
) {
    while let Some(index) = batch.advance() {
        let (conn, kind, payload) = match batch.get(index) {
            Some(Event::Text { conn, payload }) => (conn, MessageKind::Text, payload),
            Some(Event::Binary { conn, payload }) => (conn, MessageKind::Binary, payload),
            Some(Event::Opened { conn, buffered, .. }) => {
                peers.put(conn, Some(buffered.clone()));
                commands.push_admit(conn);
                continue;
            }
            Some(Event::Closed { conn, .. }) => {
                peers.put(conn, None);
                continue;
            }
            _ => continue,
        };
        if fans_out {
            let options = PublishOptions {
                exclude: Some(conn),
                ..PublishOptions::default()
            };
            commands.push_publish(None, kind, payload, options);
        } else if let Some(buffered) = peers.get(conn) {
            commands.push_send(conn, buffered, kind, payload);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().unwrap_or_default().parse()?;
    let fans_out = arguments.next().as_deref() == Some("fanout");
    let socket = TcpListener::bind(("127.0.0.1", port))?;
    let config = Config {
        connections_max: Some(1_000_000),
        descriptors_reserved: 0,
        ..Config::default()
    };
    let network = MioNetwork::new()?;
    let mut shard = Shard::new(config, network, Meter::default(), 1, Instant::now())?;
    let options = ListenerOptions {
        kind: SocketKind::Tcp,
        asks: false,
        http_idle: None,
    };
    shard.add_listener(ListenerId(0), socket.into(), options)?;
    let (mut batch, mut commands) = (EventBatch::new(), CommandQueue::new());
    let mut peers = Peers::default();
    loop {
        let timeout = shard
            .next_deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        shard.wait(timeout)?;
        let now = Instant::now();
        shard.poll(now, &mut batch)?;
        loop {
            dispatch(&mut batch, &mut peers, &mut commands, fans_out);
            shard.apply(now, &mut commands, &mut batch);
            shard.flush(now, &mut batch);
            if batch.is_dispatched() {
                break;
            }
        }
    }
}
