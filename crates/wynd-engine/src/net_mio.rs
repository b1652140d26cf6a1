//! The production network: mio for readiness, rustix for the calls mio leaves open.
//! Knows sockets; decides nothing.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Poll, Token};
use rustix::net::{self, RecvFlags, SendFlags, Shutdown};
use rustix::process::{getrlimit, Resource};

use crate::net::{Interest, Network, PeerAddress, Readiness, SocketKind, Waker};

/// Readiness taken from the kernel at once; what is over comes with the next wait.
const EVENTS_MAX: usize = 1024;

/// The waker's own token; no connection has this slot.
const WAKER: Token = Token(usize::MAX);

#[cfg(target_pointer_width = "32")]
compile_error!("tokens carry slot and generation and need 64 bits");

/// Sockets of this machine behind one nested poller.
#[derive(Debug)]
pub struct MioNetwork {
    poll: Poll,
    events: Events,
    waker: Arc<mio::Waker>,
}

impl MioNetwork {
    /// Opens the poller and the wake descriptor.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            waker,
        })
    }
}

fn mio_interest(interest: Interest) -> mio::Interest {
    match interest {
        Interest::Read => mio::Interest::READABLE,
        Interest::Write => mio::Interest::WRITABLE,
        Interest::ReadWrite => mio::Interest::READABLE | mio::Interest::WRITABLE,
    }
}

fn mio_token(token: u64) -> Token {
    // Pointers have 64 bits here, see the check above.
    #[allow(clippy::cast_possible_truncation)]
    Token(token as usize)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(socket: impl AsFd, timeout: Duration) -> io::Result<()> {
    let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    Ok(net::sockopt::set_tcp_user_timeout(socket, milliseconds)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_socket: impl AsFd, _timeout: Duration) -> io::Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
// Elsewhere SIGPIPE is ignored, as Rust's and Python's start-up do.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SEND_FLAGS: SendFlags = SendFlags::empty();

#[cfg(any(target_os = "linux", target_os = "android"))]
fn accept_nonblocking(listener: &OwnedFd) -> io::Result<(OwnedFd, Option<net::SocketAddrAny>)> {
    let flags = net::SocketFlags::NONBLOCK | net::SocketFlags::CLOEXEC;
    Ok(net::acceptfrom_with(listener, flags)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn accept_nonblocking(listener: &OwnedFd) -> io::Result<(OwnedFd, Option<net::SocketAddrAny>)> {
    let (socket, address) = net::acceptfrom(listener)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok((socket, address))
}

fn peer_address(address: Option<net::SocketAddrAny>) -> PeerAddress {
    match address.map(std::net::SocketAddr::try_from) {
        Some(Ok(address)) => PeerAddress::Inet(address),
        _ => PeerAddress::Unix,
    }
}

impl Network for MioNetwork {
    type Socket = OwnedFd;
    type Listener = OwnedFd;

    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    fn waker(&self) -> Waker {
        let waker = Arc::clone(&self.waker);
        // A full counter means that a wake-up is waiting already.
        Waker::new(move || drop(waker.wake()))
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            other => other?,
        }
        let mut taken = 0;
        for event in &self.events {
            taken += 1;
            if event.token() == WAKER {
                continue;
            }
            ready.push(Readiness {
                token: event.token().0 as u64,
                readable: event.is_readable(),
                writable: event.is_writable(),
                read_closed: event.is_read_closed(),
                broken: event.is_error() || (event.is_read_closed() && event.is_write_closed()),
            });
        }
        Ok(taken == EVENTS_MAX)
    }

    fn add_listener(
        &mut self,
        listener: &OwnedFd,
        kind: SocketKind,
        user_timeout: Duration,
        token: u64,
    ) -> io::Result<()> {
        rustix::io::ioctl_fionbio(listener, true)?;
        if kind == SocketKind::Tcp {
            // Accepted sockets inherit both, which saves two calls a connection.
            net::sockopt::set_tcp_nodelay(listener, true)?;
            set_user_timeout(listener, user_timeout)?;
        }
        self.resume_listener(listener, token)
    }

    fn resume_listener(&mut self, listener: &OwnedFd, token: u64) -> io::Result<()> {
        self.register(listener, token, Interest::Read)
    }

    fn remove_listener(&mut self, listener: &OwnedFd) -> io::Result<()> {
        self.deregister(listener)
    }

    fn accept(&mut self, listener: &OwnedFd) -> io::Result<(OwnedFd, PeerAddress)> {
        let (socket, address) = accept_nonblocking(listener)?;
        Ok((socket, peer_address(address)))
    }

    fn prepare(&mut self, socket: &OwnedFd, user_timeout: Duration) -> io::Result<PeerAddress> {
        rustix::io::ioctl_fionbio(socket, true)?;
        let address = peer_address(net::getpeername(socket)?);
        if matches!(address, PeerAddress::Inet(_)) {
            net::sockopt::set_tcp_nodelay(socket, true)?;
            set_user_timeout(socket, user_timeout)?;
        }
        Ok(address)
    }

    fn local_address(&self, socket: &OwnedFd) -> Option<PeerAddress> {
        let address = net::getsockname(socket).ok()?;
        Some(peer_address(Some(address)))
    }

    fn register(&mut self, socket: &OwnedFd, token: u64, interest: Interest) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&fd), mio_token(token), mio_interest(interest))
    }

    fn reregister(&mut self, socket: &OwnedFd, token: u64, interest: Interest) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        let registry = self.poll.registry();
        registry.reregister(&mut SourceFd(&fd), mio_token(token), mio_interest(interest))
    }

    fn deregister(&mut self, socket: &OwnedFd) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        self.poll.registry().deregister(&mut SourceFd(&fd))
    }

    #[inline]
    fn recv(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        let (received, _) = net::recv(socket, buffer, RecvFlags::empty())?;
        Ok(received)
    }

    fn peek(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        let (received, _) = net::recv(socket, buffer, RecvFlags::PEEK)?;
        Ok(received)
    }

    #[inline]
    fn send(&mut self, socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        Ok(net::send(socket, bytes, SEND_FLAGS)?)
    }

    fn send_vectored(&mut self, socket: &OwnedFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut ancillary = net::SendAncillaryBuffer::default();
        Ok(net::sendmsg(socket, parts, &mut ancillary, SEND_FLAGS)?)
    }

    fn shutdown_write(&mut self, socket: &OwnedFd) -> io::Result<()> {
        Ok(net::shutdown(socket, Shutdown::Write)?)
    }

    fn shutdown(&mut self, socket: &OwnedFd) -> io::Result<()> {
        Ok(net::shutdown(socket, Shutdown::Both)?)
    }

    fn descriptors_max(&self) -> Option<usize> {
        let limit = getrlimit(Resource::Nofile).current?;
        usize::try_from(limit).ok()
    }

    fn descriptor(&self, socket: &OwnedFd) -> usize {
        usize::try_from(socket.as_raw_fd()).unwrap_or(0)
    }
}
