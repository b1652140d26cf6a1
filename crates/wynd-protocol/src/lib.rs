//! The WebSocket protocol (RFC 6455, RFC 7692) as a value: bytes go in, events come out.
//!
//! ```text
//!  bytes received ──► handshake::HeadScanner ──► handshake::judge ──► 101 or a refusal
//!  bytes received ──► Connection::decode ──► Event (messages, pings, pongs, close) or Violation
//!  bytes to send  ◄── Connection::send_message, send_ping, send_pong, send_close, fail
//! ```
//!
//! The crate owns no socket, reads no clock, draws no random number and starts no thread: the same
//! bytes give the same events, however they are cut. The caller moves bytes, keeps deadlines and
//! hands in limits and masking keys.
//!
//! Nothing here panics on hostile input, and no header makes it reserve memory: what is held for an
//! unfinished message grows with the bytes received, by at most one and a half times; of a compressed
//! one, up to the message limit.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod body;
mod client;
mod closing;
mod compression;
mod connection;
mod deflating;
mod error;
mod events;
pub mod extensions;
pub mod frames;
pub mod handshake;
mod head;
mod inflating;
mod limits;
pub mod mask;
mod messages;
mod negotiation;
mod origin;
mod progress;
pub mod proxy;
mod response;
mod sending;
mod utf8;

pub use crate::closing::{is_sendable_close_code, State};
pub use crate::connection::Connection;
pub use crate::deflating::{deflate_overhead_max, Deflater, Deflaters, DEFLATE_BYTES_MIN};
pub use crate::error::{SendError, Violation};
pub use crate::events::{Decoded, Event, MaskingKeys, Payload, Role};
pub use crate::inflating::Inflaters;
pub use crate::limits::Limits;
pub use crate::messages::MessageKind;
pub use crate::negotiation::{
    choose, Agreement, DeflateOffer, DeflateParameters, WINDOW_BITS_MAX, WINDOW_BITS_MIN,
};
