//! The reactor of wynd: sockets, connections, outboxes, rooms and timers in shards. No Python.
//!
//! # One turn
//!
//! ```text
//!           ┌────────────────────────── Shard ──────────────────────────┐
//!  sockets ─► poll ─► EventBatch ─► (caller dispatches, fills a CommandQueue)
//!  sockets ◄─ flush ◄─ outboxes ◄─ apply ◄─ CommandQueue ◄──────────────┘
//! ```
//!
//! 1. [`Shard::poll`] when [`Shard::as_raw_fd`] is readable, [`Shard::next_deadline`] is reached,
//!    [`Shard::more`] says so, or a [`Waker`] woke it. It clears the batch and fills it; while
//!    events of the last turn are not dispatched it does nothing.
//! 2. Dispatch: [`EventBatch::advance`] takes the next event's index, [`EventBatch::get`] reads it.
//!    Answers go into a [`CommandQueue`].
//! 3. [`Shard::apply`] carries the queue out, [`Shard::flush`] sends, one call per touched
//!    connection. Both may add events (`Closed`, `Drained`, …): dispatch until
//!    [`EventBatch::is_dispatched`], then the turn is over. Both may be called in the middle of a
//!    dispatch, and outside of a turn with commands that came from elsewhere.
//! 4. Ask [`Shard::more`] and [`Shard::next_deadline`].
//!
//! A thread of its own calls [`Shard::wait`] before `poll`; a loop that watches the descriptor does
//! not.
//!
//! # Rules
//!
//! - `now` is an argument everywhere, one per turn. The crate reads no clock.
//! - A connection has its [`ConnId`] for ever; commands for one that is gone do nothing.
//! - `Opened` is followed by exactly one `Closed`; `Requested` by `Opened`, `HandshakeLost` or an
//!   answer of the caller's own (`push_respond`), after which nothing follows.
//! - A broken frame or a close of the peer is answered only when all events before it were
//!   dispatched and what their handlers sent was applied; with a paused connection, when it is
//!   resumed, or after the close time. So pause a connection while a handler of it is unfinished.
//! - Unsent bytes of a direct send count from `push_send` on. A sum above the hard limit need not
//!   mean the end: apply and flush, then ask [`Buffered::is_closed`].
//! - `HttpOpened` is followed by exactly one `HttpClosed`, before `Opened` if the connection becomes a
//!   WebSocket. See [`ListenerOptions::http_idle`].
//! - Broadcasts (`room` is `None`) reach connections after `push_admit`.
//! - The crate does not log: it counts, see [`Statistics`].

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod addresses;
mod answering;
mod applying;
mod batch;
mod certificates;
mod clock;
mod closing;
mod commands;
mod compressing;
mod connection;
mod deadlines;
mod event;
mod flushing;
mod frame;
mod handshaking;
mod http;
mod ids;
mod lanes;
mod limits;
mod listener;
mod memory;
mod net;
mod net_mio;
mod outbox;
mod proxied;
mod publishing;
mod queue;
mod readiness;
mod receiving;
mod requests;
mod rooms;
mod securing;
mod shard;
mod slots;
mod stats;
mod timers;
mod tls;

pub use crate::batch::EventBatch;
pub use crate::certificates::{CertificateError, Certificates, PemKind};
pub use crate::commands::{CommandQueue, PublishOptions};
pub use crate::compressing::Compression;
pub use crate::event::Event;
pub use crate::frame::SharedFrame;
pub use crate::ids::{ConnId, ListenerId};
pub use crate::limits::Config;
pub use crate::memory::{Buffered, Meter};
pub use crate::net::{Interest, Network, PeerAddress, Readiness, SocketKind, Waker};
pub use crate::net_mio::MioNetwork;
pub use crate::proxied::TrustedProxies;
pub use crate::rooms::RoomPolicy;
pub use crate::shard::{ListenerOptions, Shard};
pub use crate::stats::Statistics;

pub use wynd_protocol::handshake::{OriginRule, Origins};
pub use wynd_protocol::MessageKind;
