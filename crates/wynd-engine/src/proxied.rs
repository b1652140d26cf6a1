//! Listeners behind a proxy that speaks the PROXY protocol: which peers must send its header, and
//! taking it from the socket before TLS and the request.
//!
//! The header is looked at in the kernel's buffer and received alone, so that what follows it comes
//! as from any other client.

use std::io;
use std::net::IpAddr;

use wynd_protocol::handshake::Refusal;
use wynd_protocol::proxy::{self, HEADER_BYTES_MAX};

use crate::addresses::AddressKey;
use crate::batch::EventBatch;
use crate::connection::Flags;
use crate::ids::{ConnId, ListenerId};
use crate::net::{Network, PeerAddress};
use crate::shard::{index_of, Shard};
use crate::stats::count;

/// Peers whose PROXY header is required and believed; everybody else's is none.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<(IpAddr, u8)>,
    everybody: bool,
}

impl TrustedProxies {
    /// Parses addresses and networks such as `10.0.0.0/8`; `*` is every peer, one at a Unix socket
    /// too. The error is the entry that is none of these.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut parsed = Self::default();
        for entry in entries {
            if entry == "*" {
                parsed.everybody = true;
                continue;
            }
            let (ip, bits) = entry
                .split_once('/')
                .map_or((entry, None), |(ip, bits)| (ip, Some(bits)));
            let ip: IpAddr = ip.parse().map_err(|_| entry)?;
            let bits_max = if ip.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Ok(bits_max), str::parse).map_err(|_| entry)?;
            if bits > bits_max {
                return Err(entry);
            }
            parsed.networks.push((ip, bits));
        }
        Ok(parsed)
    }

    /// Whether a peer is one of them.
    pub(crate) fn trusts(&self, peer: PeerAddress) -> bool {
        let PeerAddress::Inet(address) = peer else {
            return self.everybody;
        };
        let ip = address.ip().to_canonical();
        self.everybody
            || self
                .networks
                .iter()
                .any(|&(network, bits)| is_within(ip, network, bits))
    }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differing = u32::from(ip) ^ u32::from(network);
            differing.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differing = u128::from(ip) ^ u128::from(network);
            differing.leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

impl<N: Network> Shard<N> {
    /// Requires the PROXY protocol's header of these peers, on connections that a listener accepts
    /// from now on, and takes the client's address from it. Returns false if there is no such
    /// listener.
    pub fn expect_proxies(&mut self, id: ListenerId, proxies: TrustedProxies) -> bool {
        let place = index_of(&self.listeners, id).and_then(|index| self.listeners.get_mut(index));
        match place {
            Some(Some(listener)) => {
                listener.proxies = Some(proxies);
                true
            }
            _ => false,
        }
    }

    /// Takes the header; false if the connection ended, or has to wait for the rest of it.
    #[cold]
    pub(crate) fn take_proxy_header(&mut self, id: ConnId, batch: &mut EventBatch) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        if !conn.flags.has(Flags::READABLE) {
            return false;
        }
        let buffer = batch.free_mut(HEADER_BYTES_MAX);
        let size = match self.network.peek(&conn.socket, buffer) {
            Ok(size) if size > 0 => size,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.flags.clear(Flags::READABLE);
                return false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.queue_ready(id);
                return false;
            }
            _ => {
                self.remove(id, batch);
                return false;
            }
        };
        match proxy::parse(buffer.get(..size).unwrap_or(&[])) {
            Err(proxy::NoProxyHeader) => {
                self.refuse_proxied(id, Refusal::ProxyHeaderMissing, batch);
                false
            }
            Ok(None) if conn.flags.has(Flags::READ_CLOSED) => {
                self.remove(id, batch); // the rest will not come
                false
            }
            Ok(None) => {
                conn.flags.clear(Flags::READABLE); // until the network reports more
                false
            }
            Ok(Some(header)) => {
                let taken = buffer.get_mut(..header.len).unwrap_or(&mut []);
                let size = self.network.recv(&conn.socket, taken);
                if !matches!(size, Ok(size) if size == header.len) {
                    self.remove(id, batch); // the kernel gives what it showed, unless the peer reset
                    return false;
                }
                conn.flags.clear(Flags::PROXIED);
                conn.last_seen = self.now;
                self.counts.bytes_received += header.len as u64;
                let client = header.client.map(PeerAddress::Inet);
                client.is_none_or(|client| self.name_client(id, client, batch))
            }
        }
    }

    /// From now on the connection is one of the client's; false if it has too many.
    fn name_client(&mut self, id: ConnId, client: PeerAddress, batch: &mut EventBatch) -> bool {
        let key = AddressKey::of(client);
        let bound = self.config.connections_per_address_max;
        if !self.addresses.admit(key, bound) {
            count(&mut self.counts.limits_hit, "connections_per_address_max");
            self.refuse_proxied(id, Refusal::TooManyFromAddress, batch);
            return false;
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        conn.address = key;
        if let Some(greeting) = conn.greeting.as_deref_mut() {
            greeting.address = client;
        }
        true
    }

    /// Answers in plain HTTP; over TLS there is no session yet that could carry an answer.
    fn refuse_proxied(&mut self, id: ConnId, refusal: Refusal, batch: &mut EventBatch) {
        let is_secure = self.conns.get(id).is_some_and(|conn| conn.tls.is_some());
        if is_secure {
            count(&mut self.counts.handshakes_refused, refusal.status());
            self.remove(id, batch);
        } else {
            self.refuse(id, refusal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(entries: &[&str], peer: &str) -> bool {
        let proxies = TrustedProxies::parse(entries.iter().copied()).unwrap();
        proxies.trusts(PeerAddress::Inet(peer.parse().unwrap()))
    }

    #[test]
    fn test_addresses_and_networks_are_trusted() {
        assert!(trusts(&["192.0.2.1"], "192.0.2.1:1"));
        assert!(!trusts(&["192.0.2.1"], "192.0.2.2:1"));
        assert!(trusts(&["10.0.0.0/8", "::1"], "10.255.0.1:1"));
        assert!(!trusts(&["10.0.0.0/8"], "11.0.0.1:1"));
        assert!(trusts(&["2001:db8::/32"], "[2001:db8:1::1]:1"));
        assert!(!trusts(&["2001:db8::/32"], "[2001:db9::1]:1"));
        assert!(
            trusts(&["192.0.2.0/24"], "[::ffff:192.0.2.9]:1"),
            "as a dual-stack socket tells it"
        );
        assert!(trusts(&["0.0.0.0/0"], "198.51.100.1:1"));
        assert!(!trusts(&["0.0.0.0/0"], "[2001:db8::1]:1"));
        assert!(trusts(&["*"], "[2001:db8::1]:1"));
        assert!(!trusts(&[], "127.0.0.1:1"));
    }

    #[test]
    fn test_everybody_includes_unix_sockets() {
        let everybody = TrustedProxies::parse(["*"]).unwrap();
        assert!(everybody.trusts(PeerAddress::Unix));
        let some = TrustedProxies::parse(["0.0.0.0/0", "::/0"]).unwrap();
        assert!(!some.trusts(PeerAddress::Unix));
    }

    #[test]
    fn test_what_is_no_network_is_told() {
        for wrong in [
            "proxy.example",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/x",
            "10.0.0.0/",
            "",
        ] {
            assert_eq!(TrustedProxies::parse([wrong]).unwrap_err(), wrong);
        }
    }
}
