//! Receiving: bytes from sockets into the batch's arena, and from there into events.
//! Decides how much of one connection a turn takes; what frames mean is the protocol's.
//!
//! 1. A read lands behind what the batch has used. What events refer to is kept, the rest is
//!    overwritten by the next read.
//! 2. One connection gives at most `inbound_messages_max` messages and about `message_bytes_max`
//!    bytes a turn. Input beyond is kept undecoded and the connection put on the ready list.
//! 3. A short read counts as drained, unless the network said that the peer ended its direction.

use std::io;

use wynd_protocol::{Event, MessageKind, Payload, Violation};

use crate::addresses::Bucket;
use crate::batch::{EventBatch, Span, RECEIVE_BYTES};
use crate::clock::Tick;
use crate::connection::{Conn, Ending, Flags, Phase, Rare};
use crate::ids::ConnId;
use crate::net::Network;
use crate::securing::receive_sealed;
use crate::shard::Shard;
use crate::stats::{count, Statistics};

/// Undecoded input that is taken up at once; grows while all of it is wanted.
const PENDING_CHUNK: usize = 4 * 1024;

/// What a read gave.
pub(crate) enum Received {
    /// So many bytes, behind what the batch has used.
    Bytes(usize),
    Nothing,
    /// Bytes of TLS without any data: call `note_overhead`.
    Overhead,
    End,
    Broken,
}

/// Reads once; what it gives is plaintext, whatever the connection runs over.
#[inline]
pub(crate) fn receive<N: Network>(
    network: &mut N,
    conn: &mut Conn<N::Socket>,
    batch: &mut EventBatch,
    now: Tick,
    counts: &mut Statistics,
) -> Received {
    if conn.tls.is_some() {
        return receive_sealed(network, conn, batch, now, counts);
    }
    read(network, conn, batch.free_mut(RECEIVE_BYTES), now, counts)
}

/// Reads once from the socket into `buffer`.
#[inline]
pub(crate) fn read<N: Network>(
    network: &mut N,
    conn: &mut Conn<N::Socket>,
    buffer: &mut [u8],
    now: Tick,
    counts: &mut Statistics,
) -> Received {
    loop {
        match network.recv(&conn.socket, buffer) {
            Ok(0) => {
                conn.flags.clear(Flags::READABLE);
                conn.flags.set(Flags::ENDED);
                return Received::End;
            }
            Ok(size) => {
                if size < buffer.len() && !conn.flags.has(Flags::READ_CLOSED) {
                    conn.flags.clear(Flags::READABLE);
                }
                conn.last_seen = now;
                counts.bytes_received += size as u64;
                return Received::Bytes(size);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.flags.clear(Flags::READABLE);
                return Received::Nothing;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Received::Broken,
        }
    }
}

/// What one connection may still give in this turn.
struct Allowance {
    messages: usize,
    bytes: usize,
}

impl Allowance {
    fn is_spent(&self) -> bool {
        self.messages == 0 || self.bytes == 0
    }
}

/// Why decoding stopped.
enum Halt {
    /// All input was consumed.
    Drained,
    /// The allowance is spent.
    Spent,
    /// A control frame; its payload's range counts from `base`.
    Control {
        event: Event,
        base: usize,
    },
    Broken(Violation),
}

impl<N: Network> Shard<N> {
    /// Receives and decodes one connection's share of the turn.
    pub(crate) fn receive_messages(&mut self, id: ConnId, batch: &mut EventBatch) {
        let mut allowance = Allowance {
            messages: self.config.inbound_messages_max,
            bytes: self.config.message_bytes_max,
        };
        self.decode_pending(id, batch, &mut allowance);
        while let Some(conn) = self.conns.get_mut(id) {
            let is_wanted = conn.flags.has(Flags::READABLE) && conn.reads() && !conn.has_pending();
            if !is_wanted || allowance.is_spent() || !batch.has_receive_space() {
                break;
            }
            match receive(&mut self.network, conn, batch, self.now, &mut self.counts) {
                Received::Bytes(size) => {
                    let discards = conn.flags.has(Flags::DISCARD);
                    let base = batch.used();
                    // Bytes without a message count too, so that no peer keeps the turn to itself.
                    let before = allowance.bytes;
                    if !discards {
                        self.decode_received(id, batch, base..base + size, &mut allowance);
                    }
                    allowance.bytes = allowance.bytes.min(before.saturating_sub(size));
                }
                Received::Nothing => break,
                Received::Overhead => {
                    self.note_overhead(id, batch);
                    break;
                }
                Received::End => {
                    self.end_input(id, batch);
                    return;
                }
                Received::Broken => {
                    self.remove(id, batch);
                    return;
                }
            }
        }
        self.settle_input(id);
    }

    /// Asks for another turn if input is left, and notes what the connection holds.
    fn settle_input(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.tidy_rare();
        if conn.reads() && (conn.flags.has(Flags::READABLE) || conn.has_pending()) {
            self.queue_ready(id);
        }
        self.account(id);
    }

    /// Throws input away until the peer ends it.
    pub(crate) fn discard_input(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.flags.has(Flags::READABLE) || !conn.reads() {
            return;
        }
        match receive(&mut self.network, conn, batch, self.now, &mut self.counts) {
            Received::Bytes(_) => self.settle_input(id),
            Received::Nothing => {}
            Received::Overhead => self.note_overhead(id, batch),
            Received::End => self.end_input(id, batch),
            Received::Broken => self.remove(id, batch),
        }
    }

    /// The peer ended its direction.
    fn end_input(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        match conn.phase {
            // What was sent before may still be answered; then the connection is lost.
            Phase::Open if !conn.flags.has(Flags::ENDING) => self.begin_ending(id, Ending::Lost),
            Phase::Open => {}
            // With an outbox left, flushing it ends the connection.
            _ if conn.has_output() => {}
            _ => self.after_last_byte(id, batch),
        }
    }

    /// Takes up input that an earlier turn left undecoded.
    fn decode_pending(&mut self, id: ConnId, batch: &mut EventBatch, allowance: &mut Allowance) {
        let mut chunk = PENDING_CHUNK;
        while let Some(conn) = self.conns.get_mut(id) {
            if !conn.reads() || !conn.has_pending() || allowance.is_spent() {
                return;
            }
            let Some(rare) = conn.rare.as_deref_mut() else {
                return;
            };
            let waiting = rare.pending.get(rare.pending_at..).unwrap_or(&[]);
            let base = batch.used();
            let space = batch.free_mut(chunk.min(waiting.len()));
            let size = space.len();
            if size == 0 {
                return;
            }
            space.copy_from_slice(&waiting[..size]);
            let consumed = self.decode(id, batch, base..base + size, allowance);
            if let Some(rare) = self
                .conns
                .get_mut(id)
                .and_then(|conn| conn.rare.as_deref_mut())
            {
                rare.note_decoded(consumed);
            }
            chunk *= 2;
        }
    }

    /// Decodes what was just received; keeps what the allowance leaves.
    fn decode_received(
        &mut self,
        id: ConnId,
        batch: &mut EventBatch,
        range: std::ops::Range<usize>,
        allowance: &mut Allowance,
    ) {
        let end = range.end;
        let left = range.start + self.decode(id, batch, range, allowance);
        if left < end {
            if let Some(conn) = self.conns.get_mut(id) {
                let rare = conn.rare_mut();
                rare.pending.clear();
                rare.pending.extend_from_slice(batch.slice(left..end));
                rare.pending_at = 0;
            }
        }
    }

    /// Decodes a range of the arena; returns how many bytes of it were consumed.
    fn decode(
        &mut self,
        id: ConnId,
        batch: &mut EventBatch,
        range: std::ops::Range<usize>,
        allowance: &mut Allowance,
    ) -> usize {
        let mut at = range.start;
        loop {
            let (next, halt) = self.decode_messages(id, batch, at..range.end, allowance);
            at = next;
            match halt {
                Halt::Drained | Halt::Spent => return at - range.start,
                Halt::Control { event, base } => self.take_control(id, batch, event, base),
                Halt::Broken(violation) => {
                    self.break_off(id, violation, batch);
                    return range.len();
                }
            }
        }
    }

    /// Decodes messages into events until something else comes, the hot loop of receiving.
    fn decode_messages(
        &mut self,
        id: ConnId,
        batch: &mut EventBatch,
        range: std::ops::Range<usize>,
        allowance: &mut Allowance,
    ) -> (usize, Halt) {
        let Some(conn) = self.conns.get_mut(id) else {
            return (range.end, Halt::Drained);
        };
        let (mut at, end) = (range.start, range.end);
        while at < end {
            if allowance.is_spent() {
                return (at, Halt::Spent);
            }
            let decoded = conn
                .protocol
                .decode(&self.message_limits, batch.slice_mut(at..end));
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(violation) => return (end, Halt::Broken(violation)),
            };
            let base = at;
            at += decoded.consumed;
            match decoded.event {
                None => {}
                Some(Event::Message(kind, payload)) => {
                    let is_first = allowance.messages == self.config.inbound_messages_max;
                    allowance.messages -= 1;
                    if conn.phase != Phase::Open {
                        continue; // no message follows our close frame
                    }
                    if let Some(rate) = self.config.messages_per_second_max {
                        if !take_token(conn.rare_mut(), rate, self.now) {
                            return (end, Halt::Broken(Violation::TooManyMessages));
                        }
                    }
                    let span = keep_payload(batch, payload, base);
                    allowance.bytes = allowance.bytes.saturating_sub(span.len());
                    conn.note_told(span.len(), is_first);
                    self.counts.messages_received += 1;
                    batch.push_message(id, kind == MessageKind::Text, span);
                }
                Some(event) => return (at, Halt::Control { event, base }),
            }
        }
        (at, Halt::Drained)
    }

    fn take_control(&mut self, id: ConnId, batch: &mut EventBatch, event: Event, base: usize) {
        match event {
            Event::Ping(Payload::Input(range)) => {
                // Copied, since the outbox needs it framed; at most 125 bytes.
                let payload = batch.slice(base + range.start..base + range.end).to_vec();
                self.answer_ping(id, &payload, batch);
            }
            Event::Ping(Payload::Buffered(payload)) => self.answer_ping(id, &payload, batch),
            Event::Pong(payload) => {
                let is_open = self
                    .conns
                    .get(id)
                    .is_some_and(|conn| conn.phase == Phase::Open);
                if is_open {
                    let span = keep_payload(batch, payload, base);
                    batch.push_pong(id, span);
                }
            }
            Event::Close { code, reason } => self.receive_close(id, batch, code, reason),
            Event::Message(..) => {} // the loop above takes them
        }
    }

    /// A rule was broken; our close frame leaves after what came before was dispatched.
    fn break_off(&mut self, id: ConnId, violation: Violation, batch: &mut EventBatch) {
        let limit = match violation {
            Violation::MessageTooBig => Some("message_bytes_max"),
            Violation::TooManyFragments => Some("message_fragments_max"),
            Violation::TooManyMessages => Some("messages_per_second_max"),
            _ => None,
        };
        if let Some(limit) = limit {
            count(&mut self.counts.limits_hit, limit);
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase == Phase::Open {
            // Tells the caller in time to hold the close frame back with a pause.
            batch.push_closing(id, None, None);
            self.begin_ending(id, Ending::Violation(violation));
        } else {
            conn.flags.set(Flags::DISCARD);
            self.touch(id);
        }
    }
}

/// Takes a token of the connection's message rate.
fn take_token(rare: &mut Rare, per_second: f64, now: Tick) -> bool {
    let bucket = rare
        .bucket
        .get_or_insert_with(|| Bucket::new(per_second, now));
    bucket.take(per_second, now)
}

/// Makes the span of a payload; `base` is where the decoded input begins.
#[inline]
fn keep_payload(batch: &mut EventBatch, payload: Payload, base: usize) -> Span {
    match payload {
        Payload::Input(range) => {
            let end = base + range.end;
            batch.keep_until(end);
            Span::Arena(base + range.start..end)
        }
        Payload::Buffered(bytes) => Span::Owned(bytes),
    }
}
