//! The opening handshake of the server (RFC 6455 §4.2): which request becomes a connection, and
//! with which status any other is refused. The client's side is in `client`.
//!
//! 1. A head is parsed once, when its end has arrived ([`HeadScanner`]).
//! 2. What is wrong for any request (line ends, fields, `Host`, body) is judged first, then what is
//!    wrong for an upgrade, and the Origin last: a refusal names the first rule that was broken.
//! 3. Nothing is decided by a field that stands twice where it may stand once.
//!
//! ```text
//!  head ──► well-formed? ──► upgrade asked for? ──yes──► judge_upgrade ──► Judged::Upgrade
//!              │ no                  │ no                     │ rule broken
//!              ▼                     ▼                        ▼
//!         400 431 505          Judged::Plain        400 403 405 426 505
//! ```

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine as _;
use sha1::{Digest as _, Sha1};

use crate::extensions;
use crate::head::{is_token, list_elements, Fields, Repeated, RequestHead};
use crate::negotiation::{choose, Agreement, DeflateParameters};
use crate::origin::split_authority;
use crate::response::write_field;

pub use crate::client::{judge_response, write_client_request, Accepted, ResponseFault};
pub use crate::head::HeadScanner;
pub use crate::origin::{OriginRule, OriginRuleError, Origins};
pub use crate::response::{check_field, write_response, FieldError, Refusal};

/// What §1.3 has both sides append to the key.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 digits of a key of 16 bytes, padding included.
const KEY_DIGITS: usize = 24;

/// Bounds of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of first line and fields, up to and including the empty line.
    pub bytes_max: usize,
    /// Fields.
    pub fields_max: usize,
}

impl Default for HeadLimits {
    /// 16 KiB and 100 fields: browsers stay below 8 KiB, cookies included.
    fn default() -> Self {
        Self {
            bytes_max: 16 * 1024,
            fields_max: 100,
        }
    }
}

/// What the server allows on the listener that got the request.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Who may connect from a browser.
    pub origins: &'a Origins,
    /// Subprotocols that the server speaks.
    pub subprotocols: &'a [String],
    /// Whether the request came over TLS (ours or a trusted proxy's).
    pub secure: bool,
    /// The most that is granted of permessage-deflate; `None` declines every offer.
    pub deflate: Option<DeflateParameters>,
}

/// A valid head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// A WebSocket upgrade that may be accepted.
    Upgrade(Upgrade),
    /// Any other HTTP request.
    Plain(PlainRequest),
}

/// A WebSocket upgrade that broke no rule; answer it with [`write_accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept_key: [u8; 28],
    /// The first of the **client's** subprotocols that the policy has, as index into its list.
    pub subprotocol: Option<usize>,
    /// The offer of permessage-deflate that is taken.
    pub deflate: Option<Agreement>,
}

/// A valid HTTP request that asks for no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainRequest {
    /// How the body is framed.
    pub body: Body,
    /// Whether the method is HEAD: an answer must not have a body.
    pub is_head: bool,
    /// Whether the client will reuse the connection.
    pub keep_alive: bool,
    /// Whether it asks to change to a protocol that we do not speak, such as h2c.
    pub has_upgrade: bool,
}

/// How a request's body is framed (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// No body.
    Empty,
    /// This many bytes, at least one.
    Length(u64),
    /// The chunked coding.
    Chunked,
}

/// Judge a whole request head, up to and including its empty line.
///
/// # Errors
///
/// The first rule that the request breaks; write it and close the connection, bytes after the head
/// unread.
pub fn judge(head: &[u8], limits: &HeadLimits, policy: &Policy<'_>) -> Result<Judged, Refusal> {
    let head = RequestHead::parse(head, limits)?;
    let host = judge_host(&head)?;
    let body = judge_body(&head)?;
    let fields = &head.fields;
    // §4.2.1: "An |Upgrade| header field containing the value 'websocket'" and "a |Connection|
    // header field that includes the token 'Upgrade', treated as an ASCII case-insensitive value".
    if fields.has_token("connection", "upgrade") && fields.has_token("upgrade", "websocket") {
        return judge_upgrade(&head, host, body, policy).map(Judged::Upgrade);
    }
    let closes = fields.has_token("connection", "close");
    let keeps = head.is_version_1_1 || fields.has_token("connection", "keep-alive");
    let has_upgrade = fields.one("upgrade") != Ok(None);
    Ok(Judged::Plain(PlainRequest {
        body,
        is_head: head.method == "HEAD",
        keep_alive: keeps && !closes,
        has_upgrade,
    }))
}

/// Return a valid head without its `Upgrade` fields: a server may ignore them (RFC 9110 §7.8), and
/// a parser that does not would take what follows for another protocol.
pub fn without_upgrade(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or(&[]);
        if !name.eq_ignore_ascii_case(b"upgrade") {
            out.extend_from_slice(line);
        }
    }
    out
}

/// Append the 101 that accepts `upgrade`, with the agreed subprotocol and the application's fields.
///
/// A subprotocol must be one that the client offered. Check fields with [`check_field`] where they
/// are set; what it refuses is left out or written harmlessly here.
pub fn write_accept(
    out: &mut Vec<u8>,
    upgrade: &Upgrade,
    subprotocol: Option<&str>,
    headers: &[(String, String)],
) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    );
    out.extend_from_slice(b"Sec-WebSocket-Accept: ");
    out.extend_from_slice(&upgrade.accept_key);
    out.extend_from_slice(b"\r\n");
    if let Some(subprotocol) = subprotocol {
        write_field(out, "Sec-WebSocket-Protocol", subprotocol);
    }
    if let Some(agreement) = &upgrade.deflate {
        write_field(out, "Sec-WebSocket-Extensions", &agreement.answer());
    }
    for (name, value) in headers {
        if check_field(name, value) != Err(FieldError::Reserved) {
            write_field(out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Return the `Sec-WebSocket-Accept` of a key as it stands in the request (§4.2.2, step 5.4).
pub(crate) fn accept_key(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(ACCEPT_GUID)
        .finalize();
    let mut accept = [0; 28];
    // The digest's 20 bytes are 28 digits, so the only error, a full buffer, cannot occur.
    let _ = BASE64.encode_slice(digest, &mut accept);
    accept
}

/// RFC 9112 §3.2: 400 "to any HTTP/1.1 request message that lacks a Host header field and to any
/// request message that contains more than one Host header field line or a Host header field with
/// an invalid field value".
fn judge_host<'a>(head: &RequestHead<'a>) -> Result<&'a str, Refusal> {
    let wrong = Refusal::HostInvalid;
    match head.fields.one("host") {
        Ok(Some(value)) => {
            let host = std::str::from_utf8(value).map_err(|_| wrong)?;
            split_authority(host).map(|_| host).ok_or(wrong)
        }
        Ok(None) if !head.is_version_1_1 => Ok(""),
        Ok(None) | Err(Repeated) => Err(wrong),
    }
}

/// Find the body's framing, and refuse every request that two parsers could frame differently
/// (RFC 9112 §6.1, §6.3): that is how requests are smuggled.
fn judge_body(head: &RequestHead<'_>) -> Result<Body, Refusal> {
    let ambiguous = Refusal::BodyAmbiguous;
    let fields = &head.fields;
    let length = fields.one("content-length").map_err(|_| ambiguous)?;
    let coding = fields.one("transfer-encoding").map_err(|_| ambiguous)?;
    match (length, coding) {
        (None, None) => Ok(Body::Empty),
        (Some(length), None) => match parse_length(length).ok_or(ambiguous)? {
            0 => Ok(Body::Empty),
            length => Ok(Body::Length(length)),
        },
        (None, Some(coding)) => {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && head.is_version_1_1;
            is_chunked.then_some(Body::Chunked).ok_or(ambiguous)
        }
        (Some(_), Some(_)) => Err(ambiguous),
    }
}

/// Parse `1*DIGIT`; no sign, no list, no overflow.
fn parse_length(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn judge_upgrade(
    head: &RequestHead<'_>,
    host: &str,
    body: Body,
    policy: &Policy<'_>,
) -> Result<Upgrade, Refusal> {
    let fields = &head.fields;
    if !head.is_version_1_1 {
        return Err(Refusal::VersionUnsupported);
    }
    if head.method != "GET" {
        return Err(Refusal::MethodNotAllowed);
    }
    // §4.2.1: "A |Sec-WebSocket-Version| header field, with a value of 13." §4.4 has the server
    // answer any other with the versions it speaks.
    if fields.one("sec-websocket-version") != Ok(Some(b"13")) {
        return Err(Refusal::WebSocketVersion);
    }
    let key = judge_key(fields)?;
    if body != Body::Empty {
        return Err(Refusal::UpgradeWithBody);
    }
    let subprotocol = choose_subprotocol(fields, policy.subprotocols)?;
    let mut deflate = None;
    for value in fields.all("sec-websocket-extensions") {
        let offers = extensions::parse(value).map_err(|_| Refusal::ExtensionsMalformed)?;
        if let (None, Some(most)) = (deflate, policy.deflate) {
            deflate = choose(&offers, most);
        }
    }
    let origin = fields.one("origin").map_err(|_| Refusal::OriginForbidden)?;
    if !policy.origins.allows(origin, host, policy.secure) {
        return Err(Refusal::OriginForbidden);
    }
    Ok(Upgrade {
        accept_key: accept_key(key),
        subprotocol,
        deflate,
    })
}

/// §4.2.1: "A |Sec-WebSocket-Key| header field with a base64-encoded value that, when decoded, is
/// 16 bytes in length." Canonical: full padding, no stray bits, nothing else.
fn judge_key<'a>(fields: &Fields<'a>) -> Result<&'a [u8], Refusal> {
    let wrong = Refusal::KeyInvalid;
    let key = fields.one("sec-websocket-key").map_err(|_| wrong)?;
    let key = key.filter(|key| key.len() == KEY_DIGITS).ok_or(wrong)?;
    let mut decoded = [0; 18];
    match BASE64.decode_slice(key, &mut decoded) {
        Ok(16) => Ok(key),
        Ok(_) | Err(_) => Err(wrong),
    }
}

/// Return the index of the first of the client's subprotocols that we speak; tokens without
/// repeats, over all fields (§4.1, item 10).
fn choose_subprotocol(fields: &Fields<'_>, spoken: &[String]) -> Result<Option<usize>, Refusal> {
    let malformed = Refusal::SubprotocolMalformed;
    let mut offered = Vec::new();
    for value in fields.all("sec-websocket-protocol") {
        let before = offered.len();
        offered.extend(list_elements(value));
        if offered.len() == before {
            return Err(malformed);
        }
    }
    if !offered.iter().all(|name| is_token(name)) {
        return Err(malformed);
    }
    let chosen = offered
        .iter()
        .find_map(|name| spoken.iter().position(|spoken| spoken.as_bytes() == *name));
    // Sorted, so that a head full of names costs no more than its length times a logarithm.
    offered.sort_unstable();
    if offered.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(malformed);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_key_of_rfc_1_3_is_computed() {
        let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn accept_has_its_fields_in_order_and_no_reserved_ones_of_the_application() {
        let upgrade = Upgrade {
            accept_key: accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            subprotocol: Some(0),
            deflate: None,
        };
        let headers = [
            ("Set-Cookie".to_owned(), "a=b".to_owned()),
            ("Connection".to_owned(), "close".to_owned()),
        ];
        let mut out = Vec::new();
        write_accept(&mut out, &upgrade, Some("chat"), &headers);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: chat\r\nSet-Cookie: a=b\r\n\r\n"
        );
    }

    #[test]
    fn lengths_are_digits_only() {
        assert_eq!(parse_length(b"0"), Some(0));
        assert_eq!(parse_length(b"0005"), Some(5));
        for wrong in [
            &b""[..],
            b"-1",
            b"+5",
            b"5, 5",
            b"0x5",
            b"5 5",
            b"99999999999999999999",
        ] {
            assert_eq!(parse_length(wrong), None, "{wrong:?}");
        }
    }
}
