//! What a shard keeps for one connection. Small while it is idle: what few connections need, and
//! only for a while, lies in the boxes `greeting` and `rare`.
//!
//! ```text
//!   accept ──► Handshaking ──► Asking ──► Open ──► Closing ──► (gone: Closed)
//!                 │    └──────────────────▲ │
//!                 │ refused    │ responded  └─► (lost: Closed)
//!                 └────────────┴─► Lingering ──► (gone)
//! ```
//!
//! Where the listener serves HTTP too:
//!
//! ```text
//!   Handshaking ──► Http ◄──► Asking ──► Open
//!                    └─► Lingering ──► (gone: HttpClosed came before)
//! ```

use wynd_protocol::handshake::{HeadScanner, Upgrade};
use wynd_protocol::{Connection as Protocol, Role, Violation};

use crate::addresses::{AddressKey, Bucket};
use crate::clock::Tick;
use crate::http::Http;
use crate::ids::ListenerId;
use crate::memory::Buffered;
use crate::net::{Interest, PeerAddress};
use crate::outbox::Outbox;
use crate::rooms::Membership;
use crate::tls::Tls;

/// How far a connection is; see the picture above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The request head is awaited.
    Handshaking,
    /// The application was asked about the request.
    Asking,
    /// Messages flow.
    Open,
    /// Our close frame is queued or sent.
    Closing,
    /// Requests are passed on; see `http`.
    Http,
    /// An HTTP answer leaves; input is discarded until the peer ends it.
    Lingering,
}

/// Facts about a connection that are true or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags(u32);

impl Flags {
    /// The network said that there is input, and no read has drained it since.
    pub(crate) const READABLE: u32 = 1;
    /// The network said that the peer ended its direction; read until the end.
    pub(crate) const READ_CLOSED: u32 = 1 << 1;
    /// The end of input was read.
    pub(crate) const ENDED: u32 = 1 << 2;
    /// The application asked not to read.
    pub(crate) const PAUSED: u32 = 1 << 3;
    /// Pongs do not leave, so nothing more is read.
    pub(crate) const STARVED: u32 = 1 << 4;
    /// On the ready list.
    pub(crate) const QUEUED: u32 = 1 << 5;
    /// On the list of outboxes to flush.
    pub(crate) const TOUCHED: u32 = 1 << 6;
    /// The socket takes no more until the network says so.
    pub(crate) const BLOCKED: u32 = 1 << 7;
    /// Sending failed; only what was received before is still read.
    pub(crate) const WRITE_DEAD: u32 = 1 << 8;
    /// Our direction was shut down.
    pub(crate) const WRITE_SHUT: u32 = 1 << 9;
    /// Input is received and thrown away.
    pub(crate) const DISCARD: u32 = 1 << 10;
    /// `rare.ending` waits for the batch to be dispatched.
    pub(crate) const ENDING: u32 = 1 << 11;
    /// The keepalive ping is out and `keepalive_at` is its deadline.
    pub(crate) const PINGED: u32 = 1 << 12;
    /// The outbox reached its soft limit; `Drained` is owed.
    pub(crate) const SOFT: u32 = 1 << 13;
    /// `Opened` was told, `Closed` is owed.
    pub(crate) const OPENED: u32 = 1 << 14;
    /// `Requested` was told and not answered; `HandshakeLost` is owed.
    pub(crate) const ASKED: u32 = 1 << 15;
    /// Refused when it was accepted; no cap counts it.
    pub(crate) const UNCOUNTED: u32 = 1 << 16;
    /// In the lobby: broadcasts reach it.
    pub(crate) const ADMITTED: u32 = 1 << 17;
    /// `HttpOpened` was told, `HttpClosed` is owed.
    pub(crate) const HTTP: u32 = 1 << 18;
    /// The proxy's header is awaited, before anything else.
    pub(crate) const PROXIED: u32 = 1 << 19;
    /// A deadline passed while input was left; it is judged after a while of reading.
    pub(crate) const LATE: u32 = 1 << 20;
    /// Some was read since.
    pub(crate) const SERVED: u32 = 1 << 21;

    #[inline]
    pub(crate) fn has(self, flags: u32) -> bool {
        self.0 & flags != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, flags: u32) {
        self.0 |= flags;
    }

    #[inline]
    pub(crate) fn clear(&mut self, flags: u32) {
        self.0 &= !flags;
    }
}

/// Until the handshake is answered; on an HTTP connection, until it upgrades or ends.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) address: PeerAddress,
    pub(crate) asks: bool,
    pub(crate) scanner: HeadScanner,
    /// The head so far, if it came in parts.
    pub(crate) head: Vec<u8>,
    /// Set once the head was judged, unless it is a plain request.
    pub(crate) upgrade: Option<Upgrade>,
    /// Bytes after the head.
    pub(crate) early: Vec<u8>,
    /// Where the listener serves HTTP too; the greeting then lasts until the upgrade.
    pub(crate) http: Option<Box<Http>>,
}

/// Why a connection ends once all events before are dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The peer broke a rule; our close frame says which.
    Violation(Violation),
    /// The peer sent a close frame; ours answers it. An empty one is `None`.
    PeerClosed(Option<u16>),
    /// Input ended without a close frame.
    Lost,
}

/// What few connections need.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// Input that was received and not decoded, from `pending_at` on.
    pub(crate) pending: Vec<u8>,
    pub(crate) pending_at: usize,
    pub(crate) ending: Option<Ending>,
    /// When an ending or a closing handshake has to be through.
    pub(crate) deadline: Tick,
    /// Code of our close frame; 1005 for an empty one.
    pub(crate) sent: Option<u16>,
    /// What the peer's close frame said.
    pub(crate) received: Option<(u16, String)>,
    /// The newest ping that could not be answered yet.
    pub(crate) pong: Option<Vec<u8>>,
    /// Bytes of pongs that were merged since the last one left.
    pub(crate) pongs_merged: usize,
    /// Messages that may still be received, where their rate is limited.
    pub(crate) bucket: Option<Bucket>,
}

impl Rare {
    /// Notes that so many bytes of `pending` were decoded.
    pub(crate) fn note_decoded(&mut self, consumed: usize) {
        self.pending_at += consumed;
        if self.pending_at >= self.pending.len() {
            self.pending = Vec::new();
            self.pending_at = 0;
        }
    }

    fn is_needed(&self) -> bool {
        self.bucket.is_some()
            || self.pending_at < self.pending.len()
            || self.ending.is_some()
            || self.deadline != 0
            || self.sent.is_some()
            || self.received.is_some()
            || self.pong.is_some()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn<S> {
    pub(crate) flags: Flags,
    pub(crate) phase: Phase,
    /// What the network reports at present.
    pub(crate) interest: Option<Interest>,
    pub(crate) socket: S,
    pub(crate) listener: ListenerId,
    /// Where the list of open connections has it.
    pub(crate) lobby: u32,
    /// Bytes of the messages of its latest batch: what waits for a handler while it is paused.
    told: u32,
    pub(crate) protocol: Protocol,
    pub(crate) outbox: Outbox,
    /// Bytes of the outbox that `buffered` counts.
    pub(crate) reflected: usize,
    /// Bytes that the shard's sum counts for it.
    pub(crate) held: usize,
    pub(crate) buffered: Buffered,
    pub(crate) memberships: Vec<Membership>,
    /// When input last arrived.
    pub(crate) last_seen: Tick,
    /// When the keepalive looks next.
    pub(crate) keepalive_at: Tick,
    pub(crate) address: AddressKey,
    pub(crate) greeting: Option<Box<Greeting>>,
    pub(crate) rare: Option<Box<Rare>>,
    /// Set where it runs over TLS.
    pub(crate) tls: Option<Box<Tls>>,
}

impl<S> Conn<S> {
    pub(crate) fn new(socket: S, listener: ListenerId, phase: Phase, address: AddressKey) -> Self {
        Self {
            flags: Flags::default(),
            phase,
            interest: None,
            socket,
            listener,
            lobby: 0,
            told: 0,
            protocol: Protocol::new(Role::Server),
            outbox: Outbox::default(),
            reflected: 0,
            held: 0,
            buffered: Buffered::default(),
            memberships: Vec::new(),
            last_seen: 0,
            keepalive_at: Tick::MAX,
            address,
            greeting: None,
            rare: None,
            tls: None,
        }
    }

    /// Whether input is wanted at present.
    #[inline]
    pub(crate) fn reads(&self) -> bool {
        !self
            .flags
            .has(Flags::PAUSED | Flags::STARVED | Flags::ENDING | Flags::ENDED)
    }

    /// Whether messages may be sent.
    #[inline]
    pub(crate) fn takes_messages(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether plain requests are passed on.
    pub(crate) fn serves_http(&self) -> bool {
        self.greeting
            .as_ref()
            .is_some_and(|greeting| greeting.http.is_some())
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Gives the box back if nothing in it matters any more.
    pub(crate) fn tidy_rare(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| !rare.is_needed()) {
            self.rare = None;
        }
    }

    /// Whether something is still to leave.
    pub(crate) fn has_output(&self) -> bool {
        !self.outbox.is_empty() || self.tls.as_deref().is_some_and(Tls::has_output)
    }

    /// When bytes last left, or what waits was last found to be stuck; `None` if nothing can wait.
    pub(crate) fn progress_at(&mut self) -> Option<&mut Tick> {
        match self.tls.as_deref_mut() {
            Some(tls) => Some(&mut tls.progress_at),
            None => self.outbox.queue_mut().map(|queue| &mut queue.progress_at),
        }
    }

    #[inline]
    pub(crate) fn has_pending(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.pending_at < rare.pending.len())
    }

    /// Notes the size of a message that was put into the batch.
    #[inline]
    pub(crate) fn note_told(&mut self, bytes: usize, is_first_of_batch: bool) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let before = if is_first_of_batch { 0 } else { self.told };
        self.told = before.saturating_add(bytes);
    }

    /// Bytes of the process's memory that this connection holds, shared frames aside.
    ///
    /// Whoever takes the messages of a batch pauses the connection with the first that has to wait,
    /// and resumes it when none does; in between no other is told. So the batch bounds what waits.
    #[inline]
    pub(crate) fn holds(&self) -> usize {
        let mut bytes = self.protocol.buffered();
        if self.flags.has(Flags::PAUSED) {
            bytes += usize::try_from(self.told).unwrap_or(usize::MAX);
        }
        if !self.outbox.is_empty() {
            bytes += self.outbox.own_bytes();
        }
        if let Some(rare) = &self.rare {
            bytes += rare.pending.len();
        }
        if let Some(greeting) = &self.greeting {
            bytes += greeting.head.len() + greeting.early.len();
        }
        if let Some(tls) = &self.tls {
            bytes += tls.holds();
        }
        bytes
    }
}
