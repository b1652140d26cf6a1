//! What a shard tells: the events of a batch, as the caller reads them.

use crate::ids::{ConnId, ListenerId};
use crate::memory::Buffered;
use crate::net::PeerAddress;

/// One thing that happened. Borrowed from the batch.
#[derive(Debug)]
pub enum Event<'a> {
    /// A valid request head arrived on a listener that asks; answer with `push_accept` or
    /// `push_respond`.
    Requested {
        /// The connection, not open yet.
        conn: ConnId,
        /// Where it was accepted.
        listener: ListenerId,
        /// The head, empty line included.
        head: &'a [u8],
        /// The peer.
        address: PeerAddress,
        /// Whether it came over TLS.
        secure: bool,
        /// Whether it asks for a WebSocket; else only `push_respond` can answer it well.
        upgrade: bool,
    },
    /// A connection told of by `Requested` ended before it was accepted. Last event of it.
    HandshakeLost {
        /// The connection.
        conn: ConnId,
    },
    /// The opening handshake is complete.
    Opened {
        /// The connection.
        conn: ConnId,
        /// Where it was accepted.
        listener: ListenerId,
        /// The head, empty line included; empty if `Requested` had it.
        head: &'a [u8],
        /// The peer.
        address: PeerAddress,
        /// Whether it came over TLS.
        secure: bool,
        /// The agreed subprotocol.
        subprotocol: Option<&'a str>,
        /// The connection's unsent bytes, to be kept and charged by `CommandQueue::push_send`.
        buffered: &'a Buffered,
    },
    /// A text message; valid UTF-8.
    Text {
        /// The connection.
        conn: ConnId,
        /// The text as UTF-8.
        payload: &'a [u8],
    },
    /// A binary message.
    Binary {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        payload: &'a [u8],
    },
    /// A pong, solicited or not.
    Pong {
        /// The connection.
        conn: ConnId,
        /// What the pong carried.
        payload: &'a [u8],
    },
    /// The outbox fell below half its soft limit after having reached it.
    Drained {
        /// The connection.
        conn: ConnId,
    },
    /// The closing handshake began; no message follows.
    Closing {
        /// The connection.
        conn: ConnId,
        /// Our code, if we began.
        sent: Option<u16>,
        /// The peer's code, 1005 for none, if it began.
        received: Option<u16>,
    },
    /// The connection is gone and has left all rooms. Last event of it, exactly once.
    Closed {
        /// The connection.
        conn: ConnId,
        /// Code of our close frame, if one was sent.
        sent: Option<u16>,
        /// What the peer sent: 1005 for an empty close frame, 1006 for none at all.
        received: u16,
        /// The peer's reason, else "".
        reason: &'a str,
    },
    /// An HTTP connection has its first request; `HttpData` follows.
    HttpOpened {
        /// The connection.
        conn: ConnId,
        /// Where it was accepted.
        listener: ListenerId,
        /// The peer.
        address: PeerAddress,
        /// Our end, where the network knows it.
        local: Option<PeerAddress>,
        /// Whether it came over TLS.
        secure: bool,
        /// Unsent bytes, to be kept and charged by `CommandQueue::push_http_write`.
        buffered: &'a Buffered,
    },
    /// Bytes of the present request, framed; or, after `push_http_pass`, bytes as they came.
    HttpData {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        payload: &'a [u8],
    },
    /// The peer ended its direction; end the connection with `push_http_close`.
    HttpEnded {
        /// The connection.
        conn: ConnId,
    },
    /// As `Drained`, of a connection told of by `HttpOpened`.
    HttpDrained {
        /// The connection.
        conn: ConnId,
    },
    /// An HTTP connection ended, or becomes a WebSocket and `Opened` follows. Exactly once.
    HttpClosed {
        /// The connection.
        conn: ConnId,
    },
    /// A listener met an error and pauses; it resumes by itself.
    ListenerFailed {
        /// The listener.
        listener: ListenerId,
        /// The system's error number, 0 if none.
        errno: i32,
    },
}
