//! HTTP responses as bytes: refusals with their fixed texts, and what an application answers.
//! A field can never end its line: control bytes are not written.

use crate::head::{is_token, trim_blanks};

/// Why a request is refused; the peer sees the status and one fixed sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: not HTTP/1, or a line end, field name or field value that RFC 9112 does not allow.
    HeadMalformed,
    /// 400: a proxy that is to send a header of the PROXY protocol sent none.
    ProxyHeaderMissing,
    /// 400: the request target is neither a path nor an absolute URI.
    TargetInvalid,
    /// 400: no `Host`, more than one, or one that is no host.
    HostInvalid,
    /// 400: the length of the body is ambiguous or not a length.
    BodyAmbiguous,
    /// 400: a chunk of the body that is none.
    BodyMalformed,
    /// 400: an upgrade with a body.
    UpgradeWithBody,
    /// 400: not exactly one `Sec-WebSocket-Key` of 16 bytes in canonical base64.
    KeyInvalid,
    /// 400: `Sec-WebSocket-Protocol` is no list of tokens, or repeats one.
    SubprotocolMalformed,
    /// 400: `Sec-WebSocket-Extensions` does not follow its grammar.
    ExtensionsMalformed,
    /// 400: more bytes after the head than are kept while the answer is not decided.
    TooManyEarlyBytes,
    /// 403: the Origin is not allowed.
    OriginForbidden,
    /// 405: an upgrade with another method than GET.
    MethodNotAllowed,
    /// 408: the head was begun and did not arrive in time.
    HeadTimeout,
    /// 426: a plain request where only WebSocket is spoken.
    UpgradeRequired,
    /// 426: not exactly one `Sec-WebSocket-Version: 13`.
    WebSocketVersion,
    /// 429: too many connections of this address.
    TooManyFromAddress,
    /// 431: the head is larger, or has more fields, than allowed.
    HeadTooLarge,
    /// 503: too many connections, or too many new ones in a time.
    TooManyConnections,
    /// 503: the application did not answer in time.
    AnswerTimeout,
    /// 505: a version other than HTTP/1.1, or an upgrade over HTTP/1.0.
    VersionUnsupported,
}

impl Refusal {
    /// Return the status code.
    pub const fn status(&self) -> u16 {
        match self {
            Self::HeadMalformed
            | Self::ProxyHeaderMissing
            | Self::TargetInvalid
            | Self::HostInvalid
            | Self::BodyAmbiguous
            | Self::BodyMalformed
            | Self::UpgradeWithBody
            | Self::KeyInvalid
            | Self::SubprotocolMalformed
            | Self::ExtensionsMalformed
            | Self::TooManyEarlyBytes => 400,
            Self::OriginForbidden => 403,
            Self::MethodNotAllowed => 405,
            Self::HeadTimeout => 408,
            Self::UpgradeRequired | Self::WebSocketVersion => 426,
            Self::TooManyFromAddress => 429,
            Self::HeadTooLarge => 431,
            Self::TooManyConnections | Self::AnswerTimeout => 503,
            Self::VersionUnsupported => 505,
        }
    }

    /// Return the fixed body: one sentence of plain text.
    pub const fn body(&self) -> &'static str {
        match self {
            Self::HeadMalformed => "The request is not well-formed HTTP/1.1.\n",
            Self::ProxyHeaderMissing => "The PROXY protocol is required of this proxy.\n",
            Self::TargetInvalid => "The request target must be a path.\n",
            Self::HostInvalid => "The request needs exactly one valid Host field.\n",
            Self::BodyAmbiguous => "The length of the request body is ambiguous.\n",
            Self::BodyMalformed => "The request body is not well-formed.\n",
            Self::UpgradeWithBody => "A WebSocket upgrade must not have a body.\n",
            Self::KeyInvalid => "Sec-WebSocket-Key must be the base64 form of 16 bytes.\n",
            Self::SubprotocolMalformed => {
                "Sec-WebSocket-Protocol must list tokens without repeats.\n"
            }
            Self::ExtensionsMalformed => "Sec-WebSocket-Extensions is malformed.\n",
            Self::TooManyEarlyBytes => "Too many bytes before the answer.\n",
            Self::OriginForbidden => "This Origin is not allowed.\n",
            Self::MethodNotAllowed => "A WebSocket upgrade must use GET.\n",
            Self::HeadTimeout => "The request did not arrive in time.\n",
            Self::UpgradeRequired => "This address speaks WebSocket only.\n",
            Self::WebSocketVersion => "Only WebSocket version 13 is spoken here.\n",
            Self::TooManyFromAddress => "Too many connections from this address.\n",
            Self::HeadTooLarge => "The request head is too large.\n",
            Self::TooManyConnections => "The server is busy.\n",
            Self::AnswerTimeout => "The server did not answer in time.\n",
            Self::VersionUnsupported => "HTTP/1.1 is required.\n",
        }
    }

    /// Return the fields that this refusal adds to `Content-Type`, `Content-Length` and
    /// `Connection: close`.
    pub const fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            // RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field".
            Self::MethodNotAllowed => &[("Allow", "GET")],
            // RFC 9110 §15.5.22: "The server MUST send an Upgrade header field". RFC 6455 §4.2.2:
            // "an appropriate HTTP error code (such as 426 Upgrade Required) and a
            // |Sec-WebSocket-Version| header field". `Connection: close` comes in the same list.
            Self::UpgradeRequired | Self::WebSocketVersion => &[
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Version", "13"),
            ],
            // Long enough that a refused crowd does not return at once, short enough for people.
            Self::TooManyFromAddress | Self::TooManyConnections | Self::AnswerTimeout => {
                &[("Retry-After", "5")]
            }
            Self::HeadMalformed
            | Self::ProxyHeaderMissing
            | Self::TargetInvalid
            | Self::HostInvalid
            | Self::BodyAmbiguous
            | Self::BodyMalformed
            | Self::UpgradeWithBody
            | Self::KeyInvalid
            | Self::SubprotocolMalformed
            | Self::ExtensionsMalformed
            | Self::TooManyEarlyBytes
            | Self::OriginForbidden
            | Self::HeadTimeout
            | Self::HeadTooLarge
            | Self::VersionUnsupported => &[],
        }
    }

    /// Append the whole response to `out`. The caller then stops reading requests, and closes the
    /// connection once the peer has read the response.
    pub fn write(&self, out: &mut Vec<u8>) {
        begin_response(out, self.status());
        write_field(out, "Content-Type", "text/plain; charset=utf-8");
        for (name, value) in self.headers() {
            write_field(out, name, value);
        }
        end_response(out, self.status(), self.body().as_bytes(), true);
    }
}

/// Append a response with these fields and this body to `out`.
///
/// `Content-Length` is added, and `Connection: close` if `close`. Statuses 1xx, 204 and 304 have no
/// body, whatever is given. Check fields with [`check_field`] where they are set.
pub fn write_response(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    close: bool,
) {
    begin_response(out, status);
    for (name, value) in headers {
        write_field(out, name, value);
    }
    end_response(out, status, body, close);
}

/// Why a field cannot be set by an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldError {
    /// The name is not a token.
    Name,
    /// The value holds CR, LF, NUL or another control byte.
    Value,
    /// The field belongs to the handshake or to the hop; the library sets it.
    Reserved,
}

/// Check a field that an application wants to add to an answer.
///
/// # Errors
///
/// The first rule it breaks; such a field would not, or not as given, be written.
pub fn check_field(name: &str, value: &str) -> Result<(), FieldError> {
    const RESERVED: [&str; 14] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    if !is_token(name.as_bytes()) {
        return Err(FieldError::Name);
    }
    if value
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
    {
        return Err(FieldError::Value);
    }
    if RESERVED
        .iter()
        .any(|reserved| name.eq_ignore_ascii_case(reserved))
    {
        return Err(FieldError::Reserved);
    }
    Ok(())
}

/// Append one field line. A name that is no token is left out; control bytes in the value become
/// spaces, so that no value can begin another line.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    if !is_token(name.as_bytes()) {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(trim_blanks(value.as_bytes()).iter().map(|byte| {
        if byte.is_ascii_control() && *byte != b'\t' {
            b' '
        } else {
            *byte
        }
    }));
    out.extend_from_slice(b"\r\n");
}

fn begin_response(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn end_response(out: &mut Vec<u8>, status: u16, body: &[u8], close: bool) {
    if close {
        write_field(out, "Connection", "close");
    }
    // RFC 9110 §8.6: no Content-Length with 1xx and 204; with 304 it would speak of another answer.
    let has_body = !matches!(status, 100..=199 | 204 | 304);
    if has_body {
        write_field(out, "Content-Length", &body.len().to_string());
    }
    out.extend_from_slice(b"\r\n");
    if has_body {
        out.extend_from_slice(body);
    }
}

/// Return the reason phrase of `status`, "" where none is known; clients ignore it.
const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        418 => "I'm a teapot",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &[u8], close: bool) -> String {
        let mut out = Vec::new();
        write_response(&mut out, status, headers, body, close);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn refusal_has_close_length_and_fixed_body() {
        let mut out = Vec::new();
        Refusal::OriginForbidden.write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Connection: close\r\nContent-Length: 28\r\n\r\nThis Origin is not allowed.\n"
        );
    }

    #[test]
    fn version_refusal_names_the_version() {
        let mut out = Vec::new();
        Refusal::WebSocketVersion.write(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
        assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"));
        assert!(text.contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn response_has_its_length_and_no_body_where_none_may_be() {
        let answer = response(200, &[("X-A", " b ")], b"hi", false);
        assert_eq!(
            answer,
            "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi"
        );
        let empty = response(204, &[], b"hi", true);
        assert_eq!(
            empty,
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            response(299, &[], b"", false),
            "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn no_value_begins_another_line() {
        let answer = response(
            200,
            &[("X-A", "b\r\nSet-Cookie: c\0\x7f"), ("X B", "c")],
            b"",
            false,
        );
        let expected = "HTTP/1.1 200 OK\r\nX-A: b  Set-Cookie: c  \r\nContent-Length: 0\r\n\r\n";
        assert_eq!(answer, expected);
    }

    #[test]
    fn fields_of_applications_are_checked() {
        assert_eq!(check_field("Set-Cookie", "a=b; HttpOnly"), Ok(()));
        assert_eq!(check_field("X-Name", "grüß\tdich"), Ok(()));
        assert_eq!(check_field("", "a"), Err(FieldError::Name));
        assert_eq!(check_field("X A", "a"), Err(FieldError::Name));
        assert_eq!(check_field("X-A:", "a"), Err(FieldError::Name));
        for value in ["a\rb", "a\nb", "a\0b", "\x1b[0m", "\x7f"] {
            assert_eq!(check_field("X-A", value), Err(FieldError::Value));
        }
        for name in [
            "Connection",
            "sec-websocket-accept",
            "UPGRADE",
            "Transfer-Encoding",
        ] {
            assert_eq!(check_field(name, "a"), Err(FieldError::Reserved));
        }
    }
}
