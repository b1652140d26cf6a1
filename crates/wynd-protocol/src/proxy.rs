//! The PROXY protocol, versions 1 and 2: what a proxy says of the connection it passes on, before
//! anything else (`HAProxy`, doc/proxy-protocol.txt).
//!
//! A receiver must not guess: where the header is expected, its absence is an error.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header that is read, its additional fields (TLVs) included.
pub const HEADER_BYTES_MAX: usize = 4096;

const V1_START: &[u8] = b"PROXY ";
/// §2.1: "the maximum line lengths the receiver must support including the CRLF".
const V1_BYTES_MAX: usize = 107;
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;

const V2_LOCAL: u8 = 0x20;
const V2_PROXY: u8 = 0x21;
const V2_TCP4: u8 = 0x11;
const V2_TCP6: u8 = 0x21;

/// A header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Bytes it takes; the connection's own begin behind it.
    pub len: usize,
    /// The client, where the proxy names one. `None` for its own connections (health checks) and
    /// for those of unknown or other kinds.
    pub client: Option<SocketAddr>,
}

/// What came is no header of the PROXY protocol, or one beyond [`HEADER_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProxyHeader;

/// Parses the header at the front of `bytes`; `None` as long as it is incomplete.
pub fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    if starts_alike(bytes, V2_START) {
        parse_v2(bytes)
    } else if starts_alike(bytes, V1_START) {
        parse_v1(bytes)
    } else {
        Err(NoProxyHeader)
    }
}

/// Whether one of them is the beginning of the other.
fn starts_alike(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    let line = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        let may_follow = line.len() < V1_BYTES_MAX;
        return if may_follow {
            Ok(None)
        } else {
            Err(NoProxyHeader)
        };
    };
    let line = line.get(V1_START.len()..end).ok_or(NoProxyHeader)?;
    let line = std::str::from_utf8(line).map_err(|_| NoProxyHeader)?;
    let fields: Vec<&str> = line.split(' ').collect();
    let client = match fields.as_slice() {
        ["UNKNOWN", ..] => None,
        ["TCP4", client, server, client_port, server_port] => {
            server.parse::<Ipv4Addr>().map_err(|_| NoProxyHeader)?;
            port(server_port)?;
            let ip: Ipv4Addr = client.parse().map_err(|_| NoProxyHeader)?;
            Some(SocketAddr::new(IpAddr::V4(ip), port(client_port)?))
        }
        ["TCP6", client, server, client_port, server_port] => {
            server.parse::<Ipv6Addr>().map_err(|_| NoProxyHeader)?;
            port(server_port)?;
            let ip: Ipv6Addr = client.parse().map_err(|_| NoProxyHeader)?;
            Some(SocketAddr::new(IpAddr::V6(ip), port(client_port)?))
        }
        _ => return Err(NoProxyHeader),
    };
    Ok(Some(ProxyHeader {
        len: end + 2,
        client,
    }))
}

/// §2.1: "represented as a decimal integer in the range [0..65535] inclusive. Heading zeroes are not
/// permitted".
fn port(text: &str) -> Result<u16, NoProxyHeader> {
    let is_canonical = text == "0" || !text.starts_with(['0', '+']);
    if is_canonical {
        text.parse().map_err(|_| NoProxyHeader)
    } else {
        Err(NoProxyHeader)
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    let &[.., command, kind, high, low] = bytes.get(..V2_FIXED_BYTES).unwrap_or(&[]) else {
        return Ok(None);
    };
    if !matches!(command, V2_LOCAL | V2_PROXY) {
        return Err(NoProxyHeader);
    }
    let len = V2_FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if len > HEADER_BYTES_MAX {
        return Err(NoProxyHeader);
    }
    let Some(addresses) = bytes.get(V2_FIXED_BYTES..len) else {
        return Ok(None);
    };
    // "Other values": of a kind that is none of ours nothing is known, as of UNSPEC.
    let client = match (command, kind) {
        (V2_PROXY, V2_TCP4) => {
            let &[a, b, c, d, _, _, _, _, high, low, _, _, ..] = addresses else {
                return Err(NoProxyHeader);
            };
            let port = u16::from_be_bytes([high, low]);
            Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port))
        }
        (V2_PROXY, V2_TCP6) => {
            let (Some(ip), Some(&[high, low, _, _])) = (addresses.get(..16), addresses.get(32..36))
            else {
                return Err(NoProxyHeader);
            };
            let ip = <[u8; 16]>::try_from(ip).map_err(|_| NoProxyHeader)?;
            let port = u16::from_be_bytes([high, low]);
            Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port))
        }
        _ => None,
    };
    Ok(Some(ProxyHeader { len, client }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
        let mut header = V2_START.to_vec();
        let len = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        header.extend([command, kind, len[0], len[1]]);
        header.extend(addresses);
        header
    }

    fn client_of(bytes: &[u8]) -> Option<String> {
        let mut input = bytes.to_vec();
        input.extend(b"GET / ");
        let header = parse(&input).unwrap().unwrap();
        assert_eq!(header.len, bytes.len());
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes");
        }
        header.client.map(|client| client.to_string())
    }

    #[test]
    fn test_version_1_names_the_client() {
        for (line, client) in [
            (
                "TCP4 192.0.2.1 198.51.100.2 56324 443",
                Some("192.0.2.1:56324"),
            ),
            (
                "TCP6 2001:db8::1 2001:db8::2 0 65535",
                Some("[2001:db8::1]:0"),
            ),
            ("UNKNOWN", None),
            ("UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535", None),
        ] {
            let header = format!("PROXY {line}\r\n");
            assert_eq!(client_of(header.as_bytes()).as_deref(), client, "{line}");
        }
    }

    #[test]
    fn test_version_2_names_the_client() {
        let tcp4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 187];
        assert_eq!(
            client_of(&v2(0x21, 0x11, &tcp4)).as_deref(),
            Some("192.0.2.1:56324")
        );
        let with_fields = [&tcp4[..], &[0x03, 0, 4, 1, 2, 3, 4]].concat();
        assert_eq!(
            client_of(&v2(0x21, 0x11, &with_fields)).as_deref(),
            Some("192.0.2.1:56324")
        );
        let mut tcp6 = [0; 36];
        tcp6[15] = 1;
        tcp6[33] = 80;
        assert_eq!(
            client_of(&v2(0x21, 0x21, &tcp6)).as_deref(),
            Some("[::1]:80")
        );
        assert_eq!(client_of(&v2(0x20, 0x00, &[])), None); // a health check
        assert_eq!(client_of(&v2(0x20, 0x11, &tcp4)), None); // its addresses do not count
        assert_eq!(client_of(&v2(0x21, 0x31, &[0; 216])), None); // a Unix socket
    }

    #[test]
    fn test_what_is_no_header_is_refused_at_once() {
        let long = format!("PROXY UNKNOWN {}", "x".repeat(100));
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXx",
            b"proxy TCP4",
            b"\x16\x03\x01",
            b"\r\n\r\n\0\r\nQUIT\r",
            b"PROXY \r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
            b"PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
            b"PROXY TCP4 ::1 192.0.2.1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
            b"PROXY TCP4 \xff 192.0.2.2 1 2\r\n",
            long.as_bytes(),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x11, &[0; HEADER_BYTES_MAX])[..V2_FIXED_BYTES],
        ] {
            assert_eq!(parse(wrong), Err(NoProxyHeader), "{}", wrong.escape_ascii());
        }
    }
}
