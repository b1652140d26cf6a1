//! Counters of a shard: plain integers it owns, copied out as an immutable snapshot.

/// Counters since the shard started, and gauges of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Gauge: connections whose opening handshake is complete and that are not closed.
    pub connections_open: u64,
    /// Sockets taken from listeners, refused ones included.
    pub connections_accepted: u64,
    /// HTTP status and how often a request was refused with it by the engine.
    pub handshakes_refused: Vec<(u16, u64)>,
    /// Close code the application saw and how often.
    pub closes: Vec<(u16, u64)>,
    /// Whole messages received.
    pub messages_received: u64,
    /// Messages put into outboxes; a broadcast counts once per member.
    pub messages_sent: u64,
    /// How often a message was compressed; a broadcast counts once for all members that share the
    /// compressed form.
    pub messages_deflated: u64,
    /// Bytes read from sockets.
    pub bytes_received: u64,
    /// Bytes written to sockets.
    pub bytes_sent: u64,
    /// Gauge: unsent bytes of all connections, shared frames counted for each.
    pub outbox_bytes: u64,
    /// Gauge: bytes held in outboxes, partial messages and undecoded input; shared frames once.
    pub process_bytes: u64,
    /// Messages dropped by `drop_oldest`.
    pub dropped_oldest: u64,
    /// Messages dropped by `drop_newest`.
    pub dropped_newest: u64,
    /// Messages dropped by `latest`.
    pub dropped_latest: u64,
    /// Field of `Config` and how often its limit was reached.
    pub limits_hit: Vec<(&'static str, u64)>,
    /// Gauge: rooms with a member.
    pub rooms: u64,
    /// How often a listener paused for want of descriptors.
    pub accept_pauses: u64,
    /// Connections that ended because their peer broke TLS, refused our certificate, or spoke none.
    pub tls_failures: u64,
}

/// Adds one to the entry of `key`, creating it.
pub(crate) fn count<K: PartialEq + Copy>(entries: &mut Vec<(K, u64)>, key: K) {
    match entries.iter_mut().find(|entry| entry.0 == key) {
        Some(entry) => entry.1 += 1,
        None => entries.push((key, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_count_creates_and_adds() {
        let mut entries = Vec::new();
        count(&mut entries, 503_u16);
        count(&mut entries, 429);
        count(&mut entries, 503);
        assert_eq!(entries, [(503, 2), (429, 1)]);
    }
}
