//! Events out: what one turn has to tell, with payloads that lie in the batch's own memory.
//!
//! The shard receives straight into the arena and unmasks in place, so that a message is copied once,
//! into what the caller makes of it. A cursor belongs to the batch: events that were not dispatched
//! because the caller was interrupted are still there in the next turn.

use std::ops::Range;

use crate::event::Event;
use crate::ids::{ConnId, ListenerId};
use crate::memory::Buffered;
use crate::net::PeerAddress;

/// Receive space of one turn: a read of full size after others that gave 192 KiB. Small enough that
/// what was received is still in the processor's cache when it is sent on: echoing 64 KiB messages
/// costs a quarter more with 1 MiB. The pages are the kernel's until bytes arrive in them.
const ARENA_BYTES: usize = 320 * 1024;

/// Bytes in memory of their own with which a turn ends: inflated messages may be a thousand times
/// as large as what was read.
const OWNED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of one read: a frame of 64 KiB with its header, and as much again. A turn ends when less is
/// free.
pub(crate) const RECEIVE_BYTES: usize = 128 * 1024;

/// Where a payload lies.
#[derive(Debug)]
pub(crate) enum Span {
    /// In the arena.
    Arena(Range<usize>),
    /// In a buffer of its own.
    Owned(Vec<u8>),
}

impl Span {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Arena(range) => range.len(),
            Self::Owned(bytes) => bytes.len(),
        }
    }
}

/// What `Opened` and `Requested` carry beside the head.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) listener: ListenerId,
    pub(crate) address: PeerAddress,
    pub(crate) secure: bool,
    pub(crate) upgrade: bool,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) buffered: Option<Buffered>,
    pub(crate) local: Option<PeerAddress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Requested,
    HandshakeLost,
    Opened,
    Text,
    Binary,
    Pong,
    Drained,
    Closing,
    Closed,
    ListenerFailed,
    HttpOpened,
    HttpData,
    HttpEnded,
    HttpDrained,
    HttpClosed,
}

/// One event, 24 bytes. `start` is an offset in the arena, or an index into `owned` where
/// `is_owned`; `extra` an index into `introductions`, or two codes.
#[derive(Clone, Copy, Debug)]
struct Record {
    conn: ConnId,
    start: u32,
    len: u32,
    extra: u32,
    kind: Kind,
    is_owned: bool,
}

const NO_CODE: u16 = 0; // 0 is no close code

fn pack_codes(sent: Option<u16>, received: Option<u16>) -> u32 {
    u32::from(sent.unwrap_or(NO_CODE)) << 16 | u32::from(received.unwrap_or(NO_CODE))
}

fn unpack_code(code: u32) -> Option<u16> {
    // Only 16 bits are left by the mask.
    #[allow(clippy::cast_possible_truncation)]
    let code = (code & 0xffff) as u16;
    (code != NO_CODE).then_some(code)
}

/// Events of one turn, with a cursor and the memory their payloads lie in.
///
/// `Shard::poll` clears it, if all events were dispatched, and fills it; `apply` and `flush` add to
/// it. The caller takes indices from [`EventBatch::advance`] and reads with [`EventBatch::get`].
#[derive(Debug)]
pub struct EventBatch {
    arena: Box<[u8]>,
    used: usize,
    records: Vec<Record>,
    owned: Vec<Vec<u8>>,
    owned_bytes: usize,
    introductions: Vec<Introduction>,
    cursor: usize,
}

impl Default for EventBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl EventBatch {
    /// Makes an empty batch; its arena is reserved, not touched.
    pub fn new() -> Self {
        Self {
            arena: vec![0; ARENA_BYTES].into_boxed_slice(),
            used: 0,
            records: Vec::new(),
            owned: Vec::new(),
            owned_bytes: 0,
            introductions: Vec::new(),
            cursor: 0,
        }
    }

    /// Events in the batch, dispatched ones included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the batch has no event at all.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether every event was taken by `advance`.
    pub fn is_dispatched(&self) -> bool {
        self.cursor == self.records.len()
    }

    /// Takes the next event: its index, `None` when all were dispatched.
    ///
    /// The event counts as dispatched from now on, so that an interrupted caller does not meet it
    /// twice.
    #[inline]
    pub fn advance(&mut self) -> Option<usize> {
        let index = self.cursor;
        if index == self.records.len() {
            return None;
        }
        self.cursor = index + 1;
        Some(index)
    }

    /// The connection of an event, without looking at the rest; `None` for a listener's.
    #[inline]
    pub fn conn_at(&self, index: usize) -> Option<ConnId> {
        let record = self.records.get(index)?;
        (record.kind != Kind::ListenerFailed).then_some(record.conn)
    }

    /// Reads the event at `index`, `None` if there is none.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Event<'_>> {
        let record = self.records.get(index)?;
        let conn = record.conn;
        Some(match record.kind {
            Kind::Text => Event::Text {
                conn,
                payload: self.payload(record),
            },
            Kind::Binary => Event::Binary {
                conn,
                payload: self.payload(record),
            },
            Kind::Pong => Event::Pong {
                conn,
                payload: self.payload(record),
            },
            Kind::Drained => Event::Drained { conn },
            Kind::HandshakeLost => Event::HandshakeLost { conn },
            Kind::Closing => Event::Closing {
                conn,
                sent: unpack_code(record.extra >> 16),
                received: unpack_code(record.extra),
            },
            Kind::Closed => Event::Closed {
                conn,
                sent: unpack_code(record.extra >> 16),
                received: unpack_code(record.extra).unwrap_or(1006),
                reason: std::str::from_utf8(self.payload(record)).unwrap_or(""),
            },
            Kind::ListenerFailed => Event::ListenerFailed {
                listener: ListenerId(record.start),
                errno: i32::try_from(record.extra).unwrap_or(0),
            },
            Kind::HttpData => Event::HttpData {
                conn,
                payload: self.payload(record),
            },
            Kind::HttpEnded => Event::HttpEnded { conn },
            Kind::HttpDrained => Event::HttpDrained { conn },
            Kind::HttpClosed => Event::HttpClosed { conn },
            Kind::Requested | Kind::Opened | Kind::HttpOpened => return self.introduced(record),
        })
    }

    fn introduced(&self, record: &Record) -> Option<Event<'_>> {
        let introduction = self.introductions.get(record.extra as usize)?;
        let (conn, listener) = (record.conn, introduction.listener);
        let (address, secure) = (introduction.address, introduction.secure);
        let head = self.payload(record);
        match &introduction.buffered {
            Some(buffered) if record.kind == Kind::HttpOpened => Some(Event::HttpOpened {
                conn,
                listener,
                address,
                local: introduction.local,
                secure,
                buffered,
            }),
            None => Some(Event::Requested {
                conn,
                listener,
                head,
                address,
                secure,
                upgrade: introduction.upgrade,
            }),
            Some(buffered) => Some(Event::Opened {
                conn,
                listener,
                head,
                address,
                secure,
                subprotocol: introduction.subprotocol.as_deref(),
                buffered,
            }),
        }
    }

    #[inline]
    fn payload(&self, record: &Record) -> &[u8] {
        let (start, len) = (record.start as usize, record.len as usize);
        if record.is_owned {
            self.owned.get(start).map_or(&[], Vec::as_slice)
        } else {
            self.arena.get(start..start + len).unwrap_or(&[])
        }
    }

    /// Forgets all events and payloads, dispatched or not; keeps the memory of an ordinary turn.
    pub fn clear(&mut self) {
        self.used = 0;
        self.cursor = 0;
        self.records.clear();
        self.owned.clear();
        self.owned_bytes = 0;
        self.introductions.clear();
    }
}

/// For the shard: receiving and adding.
impl EventBatch {
    /// Whether another read of ordinary size fits into the arena.
    #[inline]
    pub(crate) fn has_receive_space(&self) -> bool {
        self.arena.len() - self.used >= RECEIVE_BYTES && self.owned_bytes < OWNED_BYTES_MAX
    }

    /// Up to `len` free bytes of the arena, to receive into; they begin at `self.used()`.
    #[inline]
    pub(crate) fn free_mut(&mut self, len: usize) -> &mut [u8] {
        let end = self.arena.len().min(self.used + len);
        self.arena.get_mut(self.used..end).unwrap_or(&mut [])
    }

    /// Bytes of the arena, used or just received.
    #[inline]
    pub(crate) fn slice(&self, range: Range<usize>) -> &[u8] {
        self.arena.get(range).unwrap_or(&[])
    }

    /// The same, to unmask in place.
    #[inline]
    pub(crate) fn slice_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.arena.get_mut(range).unwrap_or(&mut [])
    }

    /// The bytes a span stands for, before it was pushed.
    pub(crate) fn bytes_of<'a>(&'a self, span: &'a Span) -> &'a [u8] {
        match span {
            Span::Arena(range) => self.slice(range.clone()),
            Span::Owned(bytes) => bytes,
        }
    }

    /// Offset of the free part.
    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Keeps the arena's bytes up to `end`; events refer to them.
    #[inline]
    pub(crate) fn keep_until(&mut self, end: usize) {
        debug_assert!(end >= self.used && end <= self.arena.len());
        self.used = end;
    }

    #[inline]
    fn push(&mut self, kind: Kind, conn: ConnId, span: Span, extra: u32) {
        // The arena is far below 4 GiB and a batch never has 2^32 events, so both fit.
        #[allow(clippy::cast_possible_truncation)]
        let (start, len, is_owned) = match span {
            Span::Arena(range) => (range.start as u32, (range.end - range.start) as u32, false),
            Span::Owned(bytes) => {
                self.owned_bytes += bytes.len();
                self.owned.push(bytes);
                ((self.owned.len() - 1) as u32, 0, true)
            }
        };
        self.records.push(Record {
            conn,
            start,
            len,
            extra,
            kind,
            is_owned,
        });
    }

    #[inline]
    pub(crate) fn push_message(&mut self, conn: ConnId, is_text: bool, span: Span) {
        let kind = if is_text { Kind::Text } else { Kind::Binary };
        self.push(kind, conn, span, 0);
    }

    pub(crate) fn push_pong(&mut self, conn: ConnId, span: Span) {
        self.push(Kind::Pong, conn, span, 0);
    }

    pub(crate) fn push_drained(&mut self, conn: ConnId) {
        self.push(Kind::Drained, conn, Span::Arena(0..0), 0);
    }

    pub(crate) fn push_handshake_lost(&mut self, conn: ConnId) {
        self.push(Kind::HandshakeLost, conn, Span::Arena(0..0), 0);
    }

    pub(crate) fn push_closing(&mut self, conn: ConnId, sent: Option<u16>, received: Option<u16>) {
        self.push(
            Kind::Closing,
            conn,
            Span::Arena(0..0),
            pack_codes(sent, received),
        );
    }

    pub(crate) fn push_closed(
        &mut self,
        conn: ConnId,
        sent: Option<u16>,
        received: u16,
        reason: String,
    ) {
        let span = if reason.is_empty() {
            Span::Arena(0..0)
        } else {
            Span::Owned(reason.into_bytes())
        };
        self.push(Kind::Closed, conn, span, pack_codes(sent, Some(received)));
    }

    pub(crate) fn push_introduction(&mut self, conn: ConnId, head: Span, about: Introduction) {
        let kind = if about.buffered.is_some() {
            Kind::Opened
        } else {
            Kind::Requested
        };
        self.introductions.push(about);
        let index = u32::try_from(self.introductions.len() - 1).unwrap_or(u32::MAX);
        self.push(kind, conn, head, index);
    }

    pub(crate) fn push_http_opened(&mut self, conn: ConnId, about: Introduction) {
        self.introductions.push(about);
        let index = u32::try_from(self.introductions.len() - 1).unwrap_or(u32::MAX);
        self.push(Kind::HttpOpened, conn, Span::Arena(0..0), index);
    }

    pub(crate) fn push_http_head(&mut self, conn: ConnId, head: Span) {
        self.push(Kind::HttpData, conn, head, 0);
    }

    pub(crate) fn push_http_owned(&mut self, conn: ConnId, bytes: Vec<u8>) {
        self.push(Kind::HttpData, conn, Span::Owned(bytes), 0);
    }

    /// Adds a range of the arena, to the event before if that ends where it begins.
    pub(crate) fn push_http_data(&mut self, conn: ConnId, range: Range<usize>) {
        self.keep_until(range.end);
        let is_untold = self.cursor < self.records.len();
        if let Some(last) = self.records.last_mut() {
            let end = last.start as usize + last.len as usize;
            if last.kind == Kind::HttpData
                && last.conn == conn
                && !last.is_owned
                && end == range.start
                && is_untold
            {
                // The arena is far below 4 GiB.
                last.len += u32::try_from(range.len()).unwrap_or(0);
                return;
            }
        }
        self.push(Kind::HttpData, conn, Span::Arena(range), 0);
    }

    pub(crate) fn push_http_ended(&mut self, conn: ConnId) {
        self.push(Kind::HttpEnded, conn, Span::Arena(0..0), 0);
    }

    pub(crate) fn push_http_drained(&mut self, conn: ConnId) {
        self.push(Kind::HttpDrained, conn, Span::Arena(0..0), 0);
    }

    pub(crate) fn push_http_closed(&mut self, conn: ConnId) {
        self.push(Kind::HttpClosed, conn, Span::Arena(0..0), 0);
    }

    pub(crate) fn push_listener_failed(&mut self, listener: ListenerId, errno: i32) {
        self.records.push(Record {
            conn: ConnId::from_u64(0),
            start: listener.0,
            len: 0,
            extra: u32::try_from(errno).unwrap_or(0),
            kind: Kind::ListenerFailed,
            is_owned: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(number: u64) -> ConnId {
        ConnId::from_u64(number)
    }

    #[test]
    fn test_events_come_back_as_pushed() {
        let mut batch = EventBatch::new();
        batch.free_mut(6).copy_from_slice("grüß".as_bytes());
        batch.keep_until(6);
        batch.push_message(conn(1), true, Span::Arena(0..6));
        batch.push_message(conn(2), false, Span::Owned(vec![7; 3]));
        batch.push_closing(conn(3), Some(1002), None);
        batch.push_closed(conn(3), None, 1005, "gone".to_owned());
        batch.push_listener_failed(ListenerId(4), 24);
        let Some(Event::Text { payload, .. }) = batch.get(0) else {
            panic!("no text")
        };
        assert_eq!(payload, "grüß".as_bytes());
        let Some(Event::Binary { payload, .. }) = batch.get(1) else {
            panic!("no binary")
        };
        assert_eq!(payload, [7; 3]);
        assert!(matches!(
            batch.get(2),
            Some(Event::Closing {
                sent: Some(1002),
                received: None,
                ..
            })
        ));
        assert!(matches!(
            batch.get(3),
            Some(Event::Closed {
                sent: None,
                received: 1005,
                reason: "gone",
                ..
            })
        ));
        assert!(matches!(
            batch.get(4),
            Some(Event::ListenerFailed {
                listener: ListenerId(4),
                errno: 24
            })
        ));
        assert_eq!(batch.conn_at(4), None);
        assert!(batch.get(5).is_none());
    }

    #[test]
    fn test_batch_survives_being_dispatched_partially() {
        let mut batch = EventBatch::new();
        batch.push_drained(conn(1));
        batch.push_drained(conn(2));
        assert_eq!(batch.advance(), Some(0));
        assert!(!batch.is_dispatched());
        batch.push_drained(conn(3)); // what `flush` adds meanwhile comes after the rest
        assert_eq!(batch.advance(), Some(1));
        assert_eq!(batch.advance(), Some(2));
        assert_eq!(batch.advance(), None);
        assert!(batch.is_dispatched());
    }

    #[test]
    fn test_space_ends_before_the_arena_does() {
        let mut batch = EventBatch::new();
        assert_eq!(batch.free_mut(RECEIVE_BYTES).len(), RECEIVE_BYTES);
        batch.keep_until(ARENA_BYTES - 2);
        assert!(!batch.has_receive_space());
        assert_eq!(batch.free_mut(RECEIVE_BYTES).len(), 2);
    }

    #[test]
    fn test_inflated_messages_end_a_turn_before_they_are_many() {
        let mut batch = EventBatch::new();
        let mut messages = 0;
        while batch.has_receive_space() {
            batch.push_message(conn(1), false, Span::Owned(vec![0; 1 << 20]));
            messages += 1;
        }
        assert_eq!(messages, 8);
        batch.clear();
        assert!(batch.has_receive_space());
    }

    #[test]
    fn test_clear_keeps_nothing_visible() {
        let mut batch = EventBatch::new();
        batch.push_drained(conn(1));
        batch.clear();
        assert!(batch.is_empty() && batch.is_dispatched());
        assert_eq!(batch.used(), 0);
    }
}
