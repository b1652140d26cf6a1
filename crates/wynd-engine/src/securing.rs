//! Connections over TLS: their share of receiving, flushing and closing. It lies below everything a
//! connection may be: the rest of the shard sees plaintext come and go. Sessions are `tls`'.
//!
//! 1. A read gives all the plaintext it brought, so none waits in the session: what the turn's
//!    allowance leaves is pending input, as without TLS. A paused connection is not decrypted.
//! 2. `READABLE` stays set while a read may give something the network will not report: more bytes,
//!    the peer's end, or a failure.
//! 3. Plaintext leaves the outbox as it is sealed, and no more is sealed while records of it wait. So
//!    a full socket leaves at most `SEALED_PLAIN_MAX` bytes outside the outbox.
//! 4. Handshakes are dear, so a turn carries only some of them on.
//! 5. The outbox counts as drained when the last record has left.

use std::io::{self, IoSlice};

use crate::batch::{EventBatch, RECEIVE_BYTES};
use crate::certificates::Certificates;
use crate::clock::Tick;
use crate::connection::{Conn, Ending, Flags, Phase};
use crate::flushing::Flushed;
use crate::ids::{ConnId, ListenerId};
use crate::net::Network;
use crate::outbox::{Outbox, PARTS_MAX};
use crate::queue::Pool;
use crate::receiving::{read, Received};
use crate::shard::{index_of, Shard};
use crate::stats::Statistics;
use crate::tls::{Tls, SEALED_BYTES_MAX, SEALED_PLAIN_MAX};

/// TLS handshakes carried on in one turn; those left over have the next one. Each costs 0.4 ms of CPU
/// with a key of ECDSA and 1.3 ms with one of RSA, and others wait for the turn's end.
pub(crate) const TLS_HANDSHAKES_MAX: usize = 8;

/// Memory for sealing, one for all connections of a shard; none until the first of them sends.
#[derive(Debug, Default)]
pub(crate) struct Sealing {
    plain: Vec<u8>,
    records: Vec<u8>,
}

impl Sealing {
    /// Seals the front of an outbox; returns how many bytes of it, and the records.
    fn seal(&mut self, tls: &mut Tls, outbox: &Outbox) -> (usize, &[u8]) {
        self.records.resize(SEALED_BYTES_MAX, 0);
        let plain = match outbox.single() {
            Some(bytes) => bytes,
            None => gather(outbox, &mut self.plain),
        };
        let plain = plain.get(..SEALED_PLAIN_MAX).unwrap_or(plain);
        let size = tls.seal(plain, &mut self.records);
        match self.records.get(..size) {
            Some(records) if size > 0 => (plain.len(), records),
            _ => (0, &[]),
        }
    }
}

/// Puts pieces of an outbox together, so that small frames share a record.
fn gather<'a>(outbox: &Outbox, plain: &'a mut Vec<u8>) -> &'a [u8] {
    let mut parts = [IoSlice::new(&[]); PARTS_MAX];
    let count = outbox.parts(&mut parts);
    plain.clear();
    for part in parts.get(..count).unwrap_or(&[]) {
        let room = SEALED_PLAIN_MAX - plain.len();
        plain.extend_from_slice(part.get(..room).unwrap_or(part));
    }
    plain
}

/// What `receiving::receive` does, for a connection over TLS.
#[cold] // as seen from plain connections, whose path stays as it is
#[inline(never)]
pub(crate) fn receive_sealed<N: Network>(
    network: &mut N,
    conn: &mut Conn<N::Socket>,
    batch: &mut EventBatch,
    now: Tick,
    counts: &mut Statistics,
) -> Received {
    let Some(tls) = conn.tls.as_deref() else {
        return Received::Nothing;
    };
    if tls.is_peer_ended() {
        conn.flags.clear(Flags::READABLE);
        conn.flags.set(Flags::ENDED);
        return Received::End;
    }
    if tls.has_failed() && !conn.flags.has(Flags::DISCARD) {
        return Received::Overhead; // what came before the failure was told
    }
    // A record's plaintext is shorter than the record, so half of the space is enough for each.
    let space = batch.free_mut(RECEIVE_BYTES);
    let (plain, sealed) = space.split_at_mut(space.len() / 2);
    let placed = tls.place_partial(sealed);
    let room = sealed.get_mut(placed..).unwrap_or(&mut []);
    let size = match read(network, conn, room, now, counts) {
        Received::Bytes(size) => size,
        other => return other,
    };
    let Some(tls) = conn.tls.as_deref_mut() else {
        return Received::Nothing;
    };
    if tls.has_failed() {
        return Received::Overhead; // thrown away, until the peer has read why
    }
    let input = sealed.get_mut(..placed + size).unwrap_or(&mut []);
    let opened = tls.open(input, plain);
    if tls.is_peer_ended() || tls.has_failed() {
        conn.flags.set(Flags::READABLE);
    }
    if opened == 0 {
        Received::Overhead
    } else {
        Received::Bytes(opened)
    }
}

/// What `flushing::send_out` does, for a connection over TLS.
#[cold] // as seen from plain connections, whose path stays as it is
#[inline(never)]
pub(crate) fn send_sealed<N: Network>(
    network: &mut N,
    conn: &mut Conn<N::Socket>,
    pool: &mut Pool,
    sealing: &mut Sealing,
) -> (Flushed, usize) {
    let mut total = 0;
    while let Some(tls) = conn.tls.as_deref_mut() {
        if tls.has_output() {
            let Ok(sent) = offer(network, &conn.socket, tls.output()) else {
                return (Flushed::Broken, total);
            };
            tls.note_sent(sent);
            total += sent;
            if tls.has_output() {
                return (Flushed::Blocked, total);
            }
        }
        if conn.outbox.is_empty() {
            break;
        }
        let (taken, records) = sealing.seal(tls, &conn.outbox);
        if taken == 0 {
            if tls.has_output() {
                continue;
            }
            if tls.has_failed() {
                return (Flushed::Broken, total);
            }
            break; // before the handshake is through there is nobody to send to
        }
        conn.outbox.advance(pool, taken);
        let Ok(sent) = offer(network, &conn.socket, records) else {
            return (Flushed::Broken, total);
        };
        total += sent;
        if sent < records.len() {
            tls.keep(records.get(sent..).unwrap_or(&[]));
            return (Flushed::Blocked, total);
        }
    }
    (Flushed::Drained, total)
}

/// Sends once; 0 if the socket takes nothing.
fn offer<N: Network>(network: &mut N, socket: &N::Socket, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match network.send(socket, bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl<N: Network> Shard<N> {
    /// Serves connections that a listener accepts from now on over TLS with these certificates;
    /// those it has already go on as they are.
    ///
    /// Before the first `poll` after [`add_listener`](Self::add_listener) it makes a listener speak
    /// TLS only; later it replaces certificates. Returns false if there is no such listener.
    pub fn use_certificates(&mut self, id: ListenerId, certificates: &Certificates) -> bool {
        let place = index_of(&self.listeners, id).and_then(|index| self.listeners.get_mut(index));
        match place {
            Some(Some(listener)) => {
                listener.certificates = Some(certificates.clone());
                true
            }
            _ => false,
        }
    }

    /// Whether a connection's TLS handshake has to wait for the next turn.
    pub(crate) fn defers_handshake(&self, id: ConnId) -> bool {
        self.tls_handshakes_left == 0
            && self
                .conns
                .get(id)
                .and_then(|conn| conn.tls.as_deref())
                .is_some_and(Tls::is_handshaking)
    }

    /// A read brought bytes of TLS and no data: the handshake goes on, or has failed.
    #[cold]
    pub(crate) fn note_overhead(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Some(tls) = conn.tls.as_deref() else {
            return;
        };
        self.tls_handshakes_left = self.tls_handshakes_left.saturating_sub(1);
        if tls.has_failed() && !conn.flags.has(Flags::DISCARD) {
            self.counts.tls_failures += 1;
            self.end_failed(id, batch);
        } else if tls.has_output() {
            self.touch(id);
        }
        if let Some(conn) = self.conns.get(id) {
            if conn.flags.has(Flags::READABLE) && conn.reads() {
                self.queue_ready(id);
            }
        }
        self.account(id);
    }

    /// TLS was broken by the peer: the alert leaves, then the connection ends.
    fn end_failed(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        match conn.phase {
            Phase::Open if conn.flags.has(Flags::ENDING) => {}
            Phase::Open => self.begin_ending(id, Ending::Lost),
            Phase::Handshaking => self.linger(id, b""),
            Phase::Http => {
                conn.outbox.clear(&mut self.pool);
                self.part_http(id, batch);
                self.linger(id, b"");
            }
            Phase::Asking => {
                batch.push_handshake_lost(id);
                self.linger(id, b"");
            }
            Phase::Closing | Phase::Lingering => {
                conn.outbox.clear(&mut self.pool);
                conn.flags.set(Flags::DISCARD);
                self.touch(id);
            }
        }
    }

    /// Puts `close_notify` (RFC 8446 §6.1) behind everything that was sent; false if there is none to
    /// send, or it is there already.
    #[cold]
    pub(crate) fn end_tls(&mut self, id: ConnId) -> bool {
        let is_begun = self
            .conns
            .get_mut(id)
            .filter(|conn| !conn.flags.has(Flags::WRITE_DEAD))
            .and_then(|conn| conn.tls.as_deref_mut())
            .is_some_and(Tls::end);
        if is_begun {
            self.touch(id);
        }
        is_begun
    }
}
