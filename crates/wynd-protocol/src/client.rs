//! The opening handshake of the client (RFC 6455 §4.1): the request, and whether the response makes
//! a connection. For the test kit and for fuzzing; it opens no connection.

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine as _;

use crate::extensions;
use crate::handshake::{accept_key, HeadLimits};
use crate::head::{parse_response, Fields};
use crate::negotiation::{DeflateOffer, DeflateParameters};
use crate::response::write_field;

/// What a server agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The agreed subprotocol, one of those offered.
    pub subprotocol: Option<String>,
    /// The agreed compression; `None` if none was offered, or the server declined.
    pub deflate: Option<DeflateParameters>,
}

/// Why a client must fail the connection (§4.1, "validate the server's response").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseFault {
    /// Not a well-formed HTTP/1.1 response within the limits.
    HeadMalformed,
    /// Another status than 101.
    Status(u16),
    /// No `Upgrade: websocket`.
    UpgradeMissing,
    /// No `Connection: Upgrade`.
    ConnectionMissing,
    /// No `Sec-WebSocket-Accept`, more than one, or not that of our key.
    AcceptInvalid,
    /// A subprotocol that was not offered, or more than one.
    SubprotocolInvalid,
    /// An extension that was not offered, or one with parameters that do not fit the offer.
    ExtensionUnexpected,
}

/// Append the request of a client.
///
/// `key` is a fresh random value; give the same to [`judge_response`]. `headers` come last, as they
/// are; the test kit uses them for `Origin`, `Cookie` and [`DeflateOffer::field`].
pub fn write_client_request(
    out: &mut Vec<u8>,
    target: &str,
    host: &str,
    key: &[u8; 16],
    subprotocols: &[&str],
    headers: &[(&str, &str)],
) {
    out.extend_from_slice(b"GET ");
    out.extend(target.bytes().filter(u8::is_ascii_graphic));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_field(out, "Host", host);
    write_field(out, "Upgrade", "websocket");
    write_field(out, "Connection", "Upgrade");
    write_field(out, "Sec-WebSocket-Key", &BASE64.encode(key));
    write_field(out, "Sec-WebSocket-Version", "13");
    if !subprotocols.is_empty() {
        write_field(out, "Sec-WebSocket-Protocol", &subprotocols.join(", "));
    }
    for (name, value) in headers {
        write_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Judge the head of a response, up to and including its empty line.
///
/// # Errors
///
/// The first rule that the response breaks; the connection must not be used.
pub fn judge_response(
    head: &[u8],
    limits: &HeadLimits,
    key: &[u8; 16],
    subprotocols: &[&str],
    deflate: Option<&DeflateOffer>,
) -> Result<Accepted, ResponseFault> {
    let (status, fields) = parse_response(head, limits).ok_or(ResponseFault::HeadMalformed)?;
    if status != 101 {
        return Err(ResponseFault::Status(status));
    }
    if !fields.has_token("upgrade", "websocket") {
        return Err(ResponseFault::UpgradeMissing);
    }
    if !fields.has_token("connection", "upgrade") {
        return Err(ResponseFault::ConnectionMissing);
    }
    let expected = accept_key(BASE64.encode(key).as_bytes());
    if fields.one("sec-websocket-accept") != Ok(Some(&expected)) {
        return Err(ResponseFault::AcceptInvalid);
    }
    let deflate = judge_extensions(&fields, deflate)?;
    let wrong = ResponseFault::SubprotocolInvalid;
    let subprotocol = fields.one("sec-websocket-protocol").map_err(|_| wrong)?;
    let subprotocol = subprotocol
        .map(|agreed| {
            let mut offered = subprotocols.iter();
            let agreed = offered.find(|offered| offered.as_bytes() == agreed);
            agreed.map(|agreed| (*agreed).to_owned()).ok_or(wrong)
        })
        .transpose()?;
    Ok(Accepted {
        subprotocol,
        deflate,
    })
}

/// Return what the server agreed to, `None` if it declined.
fn judge_extensions(
    fields: &Fields<'_>,
    offered: Option<&DeflateOffer>,
) -> Result<Option<DeflateParameters>, ResponseFault> {
    let wrong = ResponseFault::ExtensionUnexpected;
    let mut answered = Vec::new();
    for value in fields.all("sec-websocket-extensions") {
        answered.extend(extensions::parse(value).map_err(|_| wrong)?);
    }
    if answered.is_empty() {
        return Ok(None);
    }
    let agreed = offered.and_then(|offer| offer.judge(&answered));
    agreed.map(Some).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = *b"the sample nonce";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn judged(head: &str) -> Result<Accepted, ResponseFault> {
        let limits = HeadLimits::default();
        judge_response(head.as_bytes(), &limits, &KEY, &["chat", "superchat"], None)
    }

    #[test]
    fn good_responses_are_accepted() {
        let plain = judged(&format!("{GOOD}\r\n")).unwrap();
        assert_eq!(plain.subprotocol, None);
        let chat = judged(&format!("{GOOD}Sec-WebSocket-Protocol: superchat\r\n\r\n")).unwrap();
        assert_eq!(chat.subprotocol.as_deref(), Some("superchat"));
    }

    #[test]
    fn every_rule_of_the_response_is_judged() {
        let cases = [
            (
                GOOD.replace("101 Switching Protocols", "403 Forbidden"),
                ResponseFault::Status(403),
            ),
            (
                GOOD.replace("HTTP/1.1", "HTTP/1.0"),
                ResponseFault::HeadMalformed,
            ),
            (GOOD.replace("\r\n", "\n"), ResponseFault::HeadMalformed),
            (
                GOOD.replace("websocket", "h2c"),
                ResponseFault::UpgradeMissing,
            ),
            (
                GOOD.replace("n: Upgrade", "n: close"),
                ResponseFault::ConnectionMissing,
            ),
            (GOOD.replace("s3pP", "S3pP"), ResponseFault::AcceptInvalid),
            (
                format!("{GOOD}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
                ResponseFault::AcceptInvalid,
            ),
            (
                format!("{GOOD}Sec-WebSocket-Protocol: other\r\n"),
                ResponseFault::SubprotocolInvalid,
            ),
            (
                format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n"),
                ResponseFault::ExtensionUnexpected,
            ),
        ];
        for (head, fault) in cases {
            assert_eq!(judged(&format!("{head}\r\n")), Err(fault), "{head}");
        }
    }
}
