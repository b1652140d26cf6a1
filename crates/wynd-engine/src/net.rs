//! The seam to the network: what a shard asks of it, and nothing else.
//! [`crate::MioNetwork`] answers in production; a simulation answers in tests.
//!
//! Readiness is edge-triggered: the network says once that a socket became readable, and not again
//! until a call on it reported [`io::ErrorKind::WouldBlock`] or less than was asked for.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

/// What a socket's registration waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Input, or the end of it.
    Read,
    /// Room for output.
    Write,
    /// Both.
    ReadWrite,
}

impl Interest {
    /// Returns the interest in what is asked for, `None` if that is nothing: such a descriptor is
    /// deregistered, not left with an empty interest.
    pub fn of(read: bool, write: bool) -> Option<Self> {
        match (read, write) {
            (true, true) => Some(Self::ReadWrite),
            (true, false) => Some(Self::Read),
            (false, true) => Some(Self::Write),
            (false, false) => None,
        }
    }
}

/// What the network said about one registered socket or listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // what a poller says is a set of independent facts
pub struct Readiness {
    /// The token given at registration.
    pub token: u64,
    /// Input may be read.
    pub readable: bool,
    /// Output may be written.
    pub writable: bool,
    /// The peer ended its direction; a short read does not count as drained.
    pub read_closed: bool,
    /// Both directions are gone or the socket has an error. A hint.
    pub broken: bool,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// TCP.
    Inet(SocketAddr),
    /// A Unix socket; its path is the listener's.
    Unix,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Kinds of sockets, as far as their options differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A Unix stream socket.
    Unix,
}

/// Makes a shard's `wait` return, and its descriptor readable, from any thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// Makes a waker of a function; a network's business.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Wakes the shard. Waking twice before it turns is waking once.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// Sockets and their readiness. All calls return at once, `wait` apart.
pub trait Network {
    /// A connected stream; dropping it closes it.
    type Socket;
    /// A listening socket; dropping it closes it.
    type Listener;

    /// The descriptor to watch from another loop.
    fn as_raw_fd(&self) -> RawFd;

    /// A waker for this network's `wait`.
    fn waker(&self) -> Waker;

    /// Waits for readiness and puts it into `ready`, which is empty.
    ///
    /// Returns whether there may be more than was put: then deadlines are not judged yet.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<bool>;

    /// Sets the options that accepted sockets inherit, and starts reporting `token`.
    fn add_listener(
        &mut self,
        listener: &Self::Listener,
        kind: SocketKind,
        user_timeout: Duration,
        token: u64,
    ) -> io::Result<()>;

    /// Starts reporting a listener again after [`Network::remove_listener`].
    fn resume_listener(&mut self, listener: &Self::Listener, token: u64) -> io::Result<()>;

    /// Stops reporting a listener.
    fn remove_listener(&mut self, listener: &Self::Listener) -> io::Result<()>;

    /// Takes one connection from a listener.
    fn accept(&mut self, listener: &Self::Listener) -> io::Result<(Self::Socket, PeerAddress)>;

    /// Sets the options of a socket that came from elsewhere: non-blocking, no delay.
    fn prepare(&mut self, socket: &Self::Socket, user_timeout: Duration)
        -> io::Result<PeerAddress>;

    /// Our end of a connection; `None` where it is not known.
    fn local_address(&self, _socket: &Self::Socket) -> Option<PeerAddress> {
        None
    }

    /// Starts reporting a socket.
    fn register(&mut self, socket: &Self::Socket, token: u64, interest: Interest)
        -> io::Result<()>;

    /// Changes what is reported; readiness that holds already is reported again.
    fn reregister(
        &mut self,
        socket: &Self::Socket,
        token: u64,
        interest: Interest,
    ) -> io::Result<()>;

    /// Stops reporting a socket.
    fn deregister(&mut self, socket: &Self::Socket) -> io::Result<()>;

    /// Receives into `buffer`; 0 is the end of input.
    fn recv(&mut self, socket: &Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Copies into `buffer` what `recv` would give, and leaves it there.
    fn peek(&mut self, socket: &Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends from one buffer.
    fn send(&mut self, socket: &Self::Socket, bytes: &[u8]) -> io::Result<usize>;

    /// Sends from several buffers.
    fn send_vectored(&mut self, socket: &Self::Socket, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends our direction: the peer reads what was sent, then the end.
    fn shutdown_write(&mut self, socket: &Self::Socket) -> io::Result<()>;

    /// Ends both directions; the socket is dropped next.
    fn shutdown(&mut self, socket: &Self::Socket) -> io::Result<()>;

    /// How many descriptors the process may have, if there is a bound.
    fn descriptors_max(&self) -> Option<usize>;

    /// The number of a socket's descriptor, a measure of how many are in use.
    fn descriptor(&self, socket: &Self::Socket) -> usize;
}
