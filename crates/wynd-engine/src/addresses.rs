//! How many connections an address has, and how fast new ones may come.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::clock::Tick;
use crate::net::PeerAddress;

/// An address as connections are counted: IPv4 whole, of IPv6 the /64 that one user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct AddressKey(u64);

impl AddressKey {
    /// Loopback and Unix sockets: all local users share them, so they are not counted.
    pub(crate) const EXEMPT: Self = Self(0);

    pub(crate) fn of(address: PeerAddress) -> Self {
        let PeerAddress::Inet(address) = address else {
            return Self::EXEMPT;
        };
        let ip = address.ip().to_canonical();
        if ip.is_loopback() {
            return Self::EXEMPT;
        }
        match ip {
            // The upper half is that of a multicast prefix, which no peer has.
            IpAddr::V4(ip) => Self(0xffff_ffff << 32 | u64::from(u32::from(ip))),
            IpAddr::V6(ip) => Self(u64::try_from(u128::from(ip) >> 64).unwrap_or(0)),
        }
    }
}

/// Connections by address.
#[derive(Debug, Default)]
pub(crate) struct Addresses(HashMap<AddressKey, u32>);

impl Addresses {
    /// Counts a connection, unless the address has `bound` already.
    pub(crate) fn admit(&mut self, key: AddressKey, bound: Option<u32>) -> bool {
        let Some(bound) = bound else { return true };
        if key == AddressKey::EXEMPT {
            return true;
        }
        let count = self.0.entry(key).or_insert(0);
        if *count >= bound {
            return false;
        }
        *count += 1;
        true
    }

    /// Takes a counted connection off.
    pub(crate) fn release(&mut self, key: AddressKey) {
        if let Some(count) = self.0.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&key);
            }
        }
    }
}

/// A token bucket that holds one second's worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    refilled_at: Tick,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_second: f64, now: Tick) -> Self {
        Self {
            tokens: per_second.max(1.0),
            refilled_at: now,
        }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, per_second: f64, now: Tick) -> bool {
        // Milliseconds of a few seconds are exact in a float.
        #[allow(clippy::cast_precision_loss)]
        let seconds = now.saturating_sub(self.refilled_at) as f64 / 1000.0;
        self.refilled_at = now;
        self.tokens = (self.tokens + seconds * per_second).min(per_second.max(1.0));
        let is_given = self.tokens >= 1.0;
        if is_given {
            self.tokens -= 1.0;
        }
        is_given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> AddressKey {
        AddressKey::of(PeerAddress::Inet(address.parse().unwrap()))
    }

    #[test]
    fn test_loopback_and_unix_are_exempt() {
        for address in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(key(address), AddressKey::EXEMPT);
        }
        assert_eq!(AddressKey::of(PeerAddress::Unix), AddressKey::EXEMPT);
    }

    #[test]
    fn test_ipv6_counts_by_its_first_64_bits_and_mapped_ipv4_as_ipv4() {
        assert_eq!(key("[2001:db8::1]:1"), key("[2001:db8::2]:9"));
        assert_ne!(key("[2001:db8::1]:1"), key("[2001:db8:0:1::1]:1"));
        assert_eq!(key("[::ffff:192.0.2.1]:1"), key("192.0.2.1:2"));
        assert_ne!(key("192.0.2.1:1"), key("192.0.2.2:1"));
    }

    #[test]
    fn test_an_address_is_admitted_up_to_its_bound_and_again_after_a_release() {
        let mut addresses = Addresses::default();
        let one = key("192.0.2.1:1");
        assert!(addresses.admit(one, Some(2)) && addresses.admit(one, Some(2)));
        assert!(!addresses.admit(one, Some(2)));
        assert!(addresses.admit(key("192.0.2.2:1"), Some(2)));
        addresses.release(one);
        assert!(addresses.admit(one, Some(2)));
        assert!((0..100).all(|_| addresses.admit(AddressKey::EXEMPT, Some(2))));
    }

    #[test]
    fn test_a_bucket_gives_its_rate_with_a_burst_of_one_second() {
        let mut bucket = Bucket::new(10.0, 0);
        assert_eq!((0..20).filter(|_| bucket.take(10.0, 0)).count(), 10);
        assert_eq!((0..20).filter(|_| bucket.take(10.0, 500)).count(), 5);
        assert_eq!((0..20).filter(|_| bucket.take(10.0, 60_000)).count(), 10);
        let mut slow = Bucket::new(0.5, 0);
        assert!(slow.take(0.5, 0) && !slow.take(0.5, 1_000) && slow.take(0.5, 2_000));
    }
}
