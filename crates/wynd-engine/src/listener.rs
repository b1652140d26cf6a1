//! Listeners: accepting, caps on connections, and backing off when descriptors run out.

use std::io;
use std::time::Duration;

use wynd_protocol::handshake::Refusal;

use crate::addresses::AddressKey;
use crate::batch::EventBatch;
use crate::certificates::Certificates;
use crate::clock::{ticks, Tick};
use crate::connection::{Conn, Flags, Greeting, Phase};
use crate::http::Http;
use crate::ids::{ConnId, ListenerId};
use crate::net::{Network, PeerAddress};
use crate::proxied::TrustedProxies;
use crate::shard::{index_of, listener_token, ListenerOptions, Shard};
use crate::stats::count;
use crate::tls::Tls;

/// Connections taken from one listener in one turn; the rest waits in the kernel for the next.
const ACCEPTS_MAX: usize = 128;

/// First pause of a listener that met an error; doubles up to a second while errors go on.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Listener<L> {
    pub(crate) id: ListenerId,
    socket: L,
    options: ListenerOptions,
    /// What new connections are served with, where they come over TLS.
    pub(crate) certificates: Option<Certificates>,
    /// Peers that speak the PROXY protocol.
    pub(crate) proxies: Option<TrustedProxies>,
    /// Connections may wait.
    pub(crate) is_ready: bool,
    /// Deregistered until then.
    pub(crate) paused_until: Option<Tick>,
    backoff: Duration,
}

/// What is known of a connection when it was accepted.
struct Arrival {
    address: PeerAddress,
    listener: ListenerId,
    options: ListenerOptions,
    certificates: Option<Certificates>,
    is_proxied: bool,
}

impl<N: Network> Shard<N> {
    /// Starts accepting. The socket listens already.
    pub fn add_listener(
        &mut self,
        id: ListenerId,
        socket: N::Listener,
        options: ListenerOptions,
    ) -> io::Result<()> {
        if index_of(&self.listeners, id).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let free = self.listeners.iter().position(Option::is_none);
        let index = free.unwrap_or(self.listeners.len());
        let stall = self.config.outbox_stall;
        let token = listener_token(index);
        self.network
            .add_listener(&socket, options.kind, stall, token)?;
        let listener = Some(Listener {
            id,
            socket,
            options,
            certificates: None,
            proxies: None,
            is_ready: false,
            paused_until: None,
            backoff: BACKOFF_MIN,
        });
        match self.listeners.get_mut(index) {
            Some(place) => *place = listener,
            None => self.listeners.push(listener),
        }
        Ok(())
    }

    /// Stops accepting and closes the listening socket; its connections go on.
    pub fn remove_listener(&mut self, id: ListenerId) {
        let Some(index) = index_of(&self.listeners, id) else {
            return;
        };
        if let Some(listener) = self.listeners[index].take() {
            if listener.paused_until.is_none() {
                // Closing it next deregisters it in any case.
                let _ = self.network.remove_listener(&listener.socket);
            }
        }
    }

    /// Takes over a connected socket before its handshake; caps do not apply to it.
    pub fn adopt(
        &mut self,
        socket: N::Socket,
        listener: ListenerId,
        asks: bool,
        now: std::time::Instant,
    ) -> io::Result<ConnId> {
        self.now = self.now.max(self.clock.tick(now));
        let address = self.network.prepare(&socket, self.config.outbox_stall)?;
        let conn = Conn::new(socket, listener, Phase::Handshaking, AddressKey::EXEMPT);
        let id = self.greet(conn, address, asks, None);
        id.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    pub(crate) fn note_listener_ready(&mut self, index: u32) {
        if let Some(Some(listener)) = self.listeners.get_mut(index as usize) {
            listener.is_ready = listener.paused_until.is_none();
        }
    }

    /// Accepts from every listener that has connections waiting, and resumes paused ones in time.
    pub(crate) fn accept_ready(&mut self, batch: &mut EventBatch) {
        for index in 0..self.listeners.len() {
            self.resume_listener(index);
            for _ in 0..ACCEPTS_MAX {
                if !self.accept_one(index, batch) {
                    break;
                }
            }
        }
    }

    fn resume_listener(&mut self, index: usize) {
        let Some(Some(listener)) = self.listeners.get_mut(index) else {
            return;
        };
        if listener.paused_until.is_none_or(|until| until > self.now) {
            return;
        }
        let token = listener_token(index);
        if self
            .network
            .resume_listener(&listener.socket, token)
            .is_ok()
        {
            listener.paused_until = None;
            listener.is_ready = true;
        } else {
            listener.paused_until = Some(self.now + ticks(BACKOFF_MAX));
        }
    }

    /// Accepts one connection; false when there is no reason to try again in this turn.
    fn accept_one(&mut self, index: usize, batch: &mut EventBatch) -> bool {
        let Some(Some(listener)) = self.listeners.get_mut(index) else {
            return false;
        };
        if !listener.is_ready {
            return false;
        }
        match self.network.accept(&listener.socket) {
            Ok((socket, address)) => {
                self.counts.connections_accepted += 1;
                let proxies = listener.proxies.as_ref();
                let arrival = Arrival {
                    address,
                    listener: listener.id,
                    options: listener.options,
                    certificates: listener.certificates.clone(),
                    is_proxied: proxies.is_some_and(|proxies| proxies.trusts(address)),
                };
                if self.is_head_room_used(&socket) {
                    drop(socket);
                    self.pause_listener(index, 0, batch);
                    return false;
                }
                if let Some(Some(listener)) = self.listeners.get_mut(index) {
                    listener.backoff = BACKOFF_MIN;
                }
                self.admit(socket, &arrival);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                listener.is_ready = false;
                false
            }
            Err(error) if is_of_the_connection(&error) => true,
            Err(error) => {
                self.pause_listener(index, error.raw_os_error().unwrap_or(0), batch);
                false
            }
        }
    }

    /// Whether a socket lies in the half of the head-room that refusals may not use either.
    ///
    /// The process's limit is asked for again only where the one known so far would say yes.
    fn is_head_room_used(&mut self, socket: &N::Socket) -> bool {
        let kept = self.config.descriptors_reserved / 2;
        let number = self.network.descriptor(socket);
        let is_used = |max: usize| number >= max.saturating_sub(kept).max(1);
        if is_used(self.descriptors_max) {
            self.descriptors_max = self.network.descriptors_max().unwrap_or(usize::MAX);
        }
        is_used(self.descriptors_max)
    }

    /// Stops listening for a while: no descriptors are left, and trying again at once would spin.
    fn pause_listener(&mut self, index: usize, errno: i32, batch: &mut EventBatch) {
        let Some(Some(listener)) = self.listeners.get_mut(index) else {
            return;
        };
        // If it stays registered it only reports once more.
        let _ = self.network.remove_listener(&listener.socket);
        listener.is_ready = false;
        listener.paused_until = Some(self.now + ticks(listener.backoff));
        if listener.backoff == BACKOFF_MIN {
            batch.push_listener_failed(listener.id, errno);
        }
        listener.backoff = (listener.backoff * 2).min(BACKOFF_MAX);
        self.counts.accept_pauses += 1;
        count(&mut self.counts.limits_hit, "descriptors_reserved");
    }

    /// Lets an accepted connection begin its handshake, or refuses it.
    fn admit(&mut self, socket: N::Socket, arrival: &Arrival) {
        let (address, listener) = (arrival.address, arrival.listener);
        let certificates = arrival.certificates.as_ref();
        let key = if arrival.is_proxied {
            AddressKey::EXEMPT // the client is counted once the proxy has named it
        } else {
            AddressKey::of(address)
        };
        let refusal = if self.conns.len() - self.lingering >= self.connections_max {
            Some((Refusal::TooManyConnections, "connections_max"))
        } else if !self.has_arrival_token() {
            Some((Refusal::TooManyConnections, "connections_per_second_max"))
        } else if !self
            .addresses
            .admit(key, self.config.connections_per_address_max)
        {
            Some((Refusal::TooManyFromAddress, "connections_per_address_max"))
        } else {
            None
        };
        if let Some((refusal, limit)) = refusal {
            count(&mut self.counts.limits_hit, limit);
            if certificates.is_some() {
                // An answer would cost a TLS handshake, which is what the caps are to save.
                count(&mut self.counts.handshakes_refused, refusal.status());
                let _ = self.network.shutdown(&socket);
                return;
            }
            self.refuse_accepted(socket, listener, refusal);
            return;
        }
        let mut conn = Conn::new(socket, listener, Phase::Handshaking, key);
        if arrival.is_proxied {
            conn.flags.set(Flags::PROXIED);
        }
        if let Some(certificates) = certificates {
            let Some(tls) = Tls::new(certificates) else {
                self.addresses.release(key);
                return; // no randomness: the peer sees the connection closed
            };
            conn.tls = Some(Box::new(tls));
        }
        let Some(id) = self.greet(
            conn,
            address,
            arrival.options.asks,
            arrival.options.http_idle,
        ) else {
            self.addresses.release(key);
            return;
        };
        // The request is often there by now: try before the poller says so, and save a turn.
        if let Some(conn) = self.conns.get_mut(id) {
            conn.flags.set(Flags::READABLE);
        }
        self.queue_ready(id);
    }

    fn has_arrival_token(&mut self) -> bool {
        match (&mut self.arrivals, self.config.connections_per_second_max) {
            (Some(bucket), Some(rate)) => bucket.take(rate, self.now),
            _ => true,
        }
    }

    /// Answers a connection that may not begin, as long as descriptors allow to wait until the peer
    /// has read it.
    fn refuse_accepted(&mut self, socket: N::Socket, listener: ListenerId, refusal: Refusal) {
        let lingering_max = (self.config.descriptors_reserved / 4).max(16);
        if self.lingering >= lingering_max {
            count(&mut self.counts.handshakes_refused, refusal.status());
            let mut response = Vec::new();
            refusal.write(&mut response);
            // Best effort: the peer may see a reset instead.
            let _ = self.network.send(&socket, &response);
            let _ = self.network.shutdown(&socket);
            return;
        }
        let mut conn = Conn::new(socket, listener, Phase::Lingering, AddressKey::EXEMPT);
        conn.flags.set(Flags::UNCOUNTED);
        if let Some(id) = self.conns.insert(conn) {
            self.lingering += 1;
            self.watch(id, true);
            self.refuse(id, refusal);
        }
    }

    /// Starts the handshake of a connection.
    fn greet(
        &mut self,
        mut conn: Conn<N::Socket>,
        address: PeerAddress,
        asks: bool,
        http_idle: Option<Duration>,
    ) -> Option<ConnId> {
        let deadline = self.after(self.config.handshake_timeout);
        conn.last_seen = self.now;
        conn.greeting = Some(Box::new(Greeting {
            address,
            asks,
            scanner: wynd_protocol::handshake::HeadScanner::default(),
            head: Vec::new(),
            upgrade: None,
            early: Vec::new(),
            http: http_idle.map(|idle| Box::new(Http::new(idle))),
        }));
        let id = self.conns.insert(conn)?;
        self.timers.set(id.slot(), deadline);
        self.watch(id, true);
        Some(id)
    }
}

/// Whether an error of accept concerns one connection that went away, not the listener
/// (accept(2) lists them).
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable,
    };
    const EPERM: i32 = 1; // a firewall rule forbade it
    const EPROTO: i32 = 71;
    let kinds = [
        ConnectionAborted,
        ConnectionReset,
        HostUnreachable,
        Interrupted,
        NetworkDown,
        NetworkUnreachable,
    ];
    kinds.contains(&error.kind()) || matches!(error.raw_os_error(), Some(EPERM | EPROTO))
}
