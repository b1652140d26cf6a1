//! `Config`: every number that bounds what a peer can make a shard hold, compute or wait for.
//! Plain values given by the caller; nothing here reads the environment.

use std::time::Duration;

use wynd_protocol::handshake::{HeadLimits, Origins};
use wynd_protocol::Limits as MessageLimits;

use crate::compressing::Compression;

/// Limits and rules of one shard. `Default` has the documented defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// From accept to the written answer; arriving bytes do not extend it.
    pub handshake_timeout: Duration,
    /// Request line and header fields together; more is 431.
    pub head_bytes_max: usize,
    /// Header fields of one request; more is 431.
    pub head_fields_max: usize,
    /// One message, all fragments; more is 1009.
    pub message_bytes_max: usize,
    /// Fragments of one message, empty ones counted; more is 1008.
    pub message_fragments_max: u32,
    /// Inbound messages of one connection per second with a burst of one second; more is 1008.
    pub messages_per_second_max: Option<f64>,
    /// Messages of one connection in one turn; the rest waits undecoded.
    pub inbound_messages_max: usize,
    /// Keepalive ping after this long, the first one after a random part of it.
    pub ping_interval: Option<Duration>,
    /// A peer that sent no byte for this long after a ping is dead.
    pub ping_timeout: Duration,
    /// From our close frame to the peer's FIN; then abort.
    pub close_timeout: Duration,
    /// `Drained` comes when an outbox that reached this falls below half of it.
    pub outbox_bytes_soft: usize,
    /// Unsent bytes of one connection; beyond it the room's policy, or 1013, decides.
    pub outbox_bytes_hard: usize,
    /// An outbox without progress for this long is aborted; also `TCP_USER_TIMEOUT`.
    pub outbox_stall: Duration,
    /// Unsent pongs; beyond it the newest pong replaces the waiting one.
    pub pong_bytes_max: usize,
    /// Outboxes, partial messages and undecoded input of all connections together.
    pub process_bytes_max: usize,
    /// Open connections; `None` is `RLIMIT_NOFILE` less `descriptors_reserved`. More get 503.
    pub connections_max: Option<usize>,
    /// Open connections of one address (IPv6: one /64), loopback exempt. More get 429.
    pub connections_per_address_max: Option<u32>,
    /// New connections per second with a burst of one second. More get 503.
    pub connections_per_second_max: Option<f64>,
    /// Descriptors kept for the rest of the process; without them the listener pauses.
    pub descriptors_reserved: usize,
    /// Rooms one connection may be in; further joins are ignored and counted.
    pub rooms_per_connection_max: usize,
    /// UTF-8 bytes of a room's name; joins of longer ones are ignored and counted.
    pub room_name_bytes_max: usize,
    /// Bytes after the request head and before the answer; more closes the connection.
    pub early_bytes_max: usize,
    /// Events of one turn, roughly; what is over waits on the ready list.
    pub turn_events_max: usize,
    /// Which origins may upgrade.
    pub origins: Origins,
    /// Subprotocols the server supports.
    pub subprotocols: Vec<String>,
    /// Which offers of permessage-deflate are taken.
    pub compression: Compression,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            head_bytes_max: 16 * 1024,
            head_fields_max: 100,
            message_bytes_max: 1024 * 1024,
            message_fragments_max: 16_384,
            messages_per_second_max: None,
            inbound_messages_max: 16,
            ping_interval: Some(Duration::from_secs(25)),
            ping_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            outbox_bytes_soft: 256 * 1024,
            outbox_bytes_hard: 1024 * 1024,
            outbox_stall: Duration::from_secs(35),
            pong_bytes_max: 16 * 1024,
            process_bytes_max: 512 * 1024 * 1024,
            connections_max: None,
            connections_per_address_max: Some(1024),
            connections_per_second_max: None,
            descriptors_reserved: 256,
            rooms_per_connection_max: 200,
            room_name_bytes_max: 255,
            early_bytes_max: 64 * 1024,
            // Some 5 ms of handlers at 5 us each; a turn that long still answers everybody soon.
            turn_events_max: 1024,
            origins: Origins::SameHost,
            subprotocols: Vec::new(),
            compression: Compression::Off,
        }
    }
}

impl Config {
    pub(crate) fn message_limits(&self) -> MessageLimits {
        MessageLimits {
            message_bytes_max: self.message_bytes_max,
            message_fragments_max: self.message_fragments_max,
        }
    }

    pub(crate) fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            bytes_max: self.head_bytes_max,
            fields_max: self.head_fields_max,
        }
    }
}
