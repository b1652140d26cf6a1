//! What goes into and comes out of a connection, as plain values.

use std::ops::Range;

use crate::messages::MessageKind;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives masked frames and sends unmasked ones.
    Server,
    /// Receives unmasked frames and sends masked ones.
    Client,
}

/// Where the payload of an event lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// In the input given to `decode`, unmasked; the range counts from the start of that input.
    Input(Range<usize>),
    /// In a buffer of its own, because it arrived in parts or between the fragments of a message.
    Buffered(Vec<u8>),
}

/// Something the peer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole message; text is valid UTF-8.
    Message(MessageKind, Payload),
    /// A ping, to be answered with a pong of the same payload (§5.5.2).
    Ping(Payload),
    /// A pong, asked for or not.
    Pong(Payload),
    /// The peer's close frame, to be answered with `send_close` unless ours was sent before.
    Close {
        /// The code, one that may be sent; `None` for an empty close frame, which applications see
        /// as 1005.
        code: Option<u16>,
        /// The reason, often empty.
        reason: String,
    },
}

/// What one call of `decode` did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decoded {
    /// Bytes taken from the front of the input.
    pub consumed: usize,
    /// The first event; `None` means that all input was consumed without one.
    pub event: Option<Event>,
}

/// Where a client takes its masking keys from; any `FnMut() -> [u8; 4]` will do.
pub trait MaskingKeys: Send {
    /// Return a key that scripts cannot predict (§10.3): a fresh draw of a strong generator.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4] + Send> MaskingKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}
