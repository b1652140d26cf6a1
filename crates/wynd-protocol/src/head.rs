//! The head of an HTTP message: where it ends, its fields, and the lists and lengths in them.
//! Decides what is well-formed HTTP/1; what a request means is decided in `handshake`.

use crate::handshake::{HeadLimits, Refusal};

/// Finds the end of a head in bytes that arrive in parts; each byte is looked at once.
///
/// One scanner serves one head; begin with a new one for the next.
#[derive(Debug, Clone, Default)]
pub struct HeadScanner {
    /// Bytes looked at.
    scanned: usize,
    /// Lines ended, the request line included.
    lines: usize,
}

impl HeadScanner {
    /// Search `buf`, which holds the head from its first byte on, from where the last search
    /// stopped.
    ///
    /// Returns the size of the head, its empty line included; `None` while that has not arrived.
    ///
    /// # Errors
    ///
    /// 431 when the head is larger, or has more lines, than the limits allow, without waiting for
    /// its end; 400 for a line that does not end in CRLF and for bytes that begin no request.
    pub fn find_end(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        if buf.first().is_some_and(|byte| !is_token_byte(*byte)) {
            return Err(Refusal::HeadMalformed);
        }
        let window = buf.get(..limits.bytes_max).unwrap_or(buf);
        let unseen = window.get(self.scanned..).unwrap_or(&[]);
        for (offset, _) in unseen
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
        {
            let end = self.scanned + offset + 1;
            let line = window.get(..end).unwrap_or(&[]);
            if line.ends_with(b"\r\n\r\n") {
                return Ok(Some(end));
            }
            if !line.ends_with(b"\r\n") {
                return Err(Refusal::HeadMalformed);
            }
            self.lines += 1;
            // The request line, and a line per field.
            if self.lines.saturating_sub(1) > limits.fields_max {
                return Err(Refusal::HeadTooLarge);
            }
        }
        self.scanned = window.len();
        if buf.len() >= limits.bytes_max {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(None)
    }
}

/// The fields of a head, in their order.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Vec<httparse::Header<'a>>);

/// A field that may stand once stands more than once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repeated;

impl<'a> Fields<'a> {
    /// Return room for the fields of `head`; a field has at least four bytes, so a large limit
    /// reserves nothing that the peer has not sent.
    pub(crate) fn room(head: &[u8], limits: &HeadLimits) -> Self {
        let most = limits.fields_max.min(head.len() / 4);
        Self(vec![httparse::EMPTY_HEADER; most])
    }

    /// Return the values of all fields of this name, which is given in any case.
    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// Return the value of the only field of this name, `None` without one.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }

    /// Return whether the comma-separated lists of this name hold `token`, in any case.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(list_elements)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// A request head that is well-formed HTTP.
#[derive(Debug)]
pub(crate) struct RequestHead<'a> {
    /// The method, as it stands.
    pub(crate) method: &'a str,
    /// Whether the version is HTTP/1.1; else it is HTTP/1.0.
    pub(crate) is_version_1_1: bool,
    /// The fields.
    pub(crate) fields: Fields<'a>,
}

impl<'a> RequestHead<'a> {
    /// Parse a whole head, up to and including its empty line.
    pub(crate) fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, Refusal> {
        if head.len() > limits.bytes_max {
            return Err(Refusal::HeadTooLarge);
        }
        judge_line_ends(head).map_err(|()| Refusal::HeadMalformed)?;
        let mut fields = Fields::room(head, limits);
        let mut request = httparse::Request::new(&mut fields.0);
        let count = match request.parse(head) {
            Ok(httparse::Status::Complete(size)) if size == head.len() => request.headers.len(),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
            Err(httparse::Error::Version) => return Err(refusal_of_version(head)),
            Ok(_) | Err(_) => return Err(Refusal::HeadMalformed),
        };
        let (Some(method), Some(target), Some(version)) =
            (request.method, request.path, request.version)
        else {
            return Err(Refusal::HeadMalformed);
        };
        fields.0.truncate(count);
        judge_target(method, target)?;
        Ok(Self {
            method,
            is_version_1_1: version == 1,
            fields,
        })
    }
}

/// A response head that is well-formed HTTP, and its status.
pub(crate) fn parse_response<'a>(head: &'a [u8], limits: &HeadLimits) -> Option<(u16, Fields<'a>)> {
    if head.len() > limits.bytes_max {
        return None;
    }
    judge_line_ends(head).ok()?;
    let mut fields = Fields::room(head, limits);
    let mut response = httparse::Response::new(&mut fields.0);
    let parsed = response.parse(head);
    let (version, status, count) = (response.version, response.code, response.headers.len());
    if !matches!(parsed, Ok(httparse::Status::Complete(size)) if size == head.len()) {
        return None;
    }
    fields.0.truncate(count);
    // RFC 6455 §4.1: "the Status-Line […] HTTP/1.1"; 1.0 knows no upgrade.
    (version == Some(1)).then_some((status?, fields))
}

/// Judge that every line ends in CRLF, with no CR or LF elsewhere, and that the head begins with
/// a line: the parser below is lenient in these points (RFC 9112 §2.2 allows it, smuggling uses it).
fn judge_line_ends(head: &[u8]) -> Result<(), ()> {
    let mut previous = b'\n';
    for &byte in head {
        let is_line_end = previous == b'\r' && byte == b'\n';
        if (previous == b'\r' || byte == b'\n') && !is_line_end {
            return Err(());
        }
        previous = byte;
    }
    if head.starts_with(b"\r") || !head.ends_with(b"\r\n\r\n") {
        return Err(());
    }
    Ok(())
}

/// Tell a version that we do not speak from a line that is no request.
fn refusal_of_version(head: &[u8]) -> Refusal {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or(&[]);
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::VersionUnsupported
        }
        _ => Refusal::HeadMalformed,
    }
}

/// Judge the form of the request target (RFC 9112 §3.2): a path, an absolute URI, or `*`. None has a
/// fragment (RFC 6455 §3).
fn judge_target(method: &str, target: &str) -> Result<(), Refusal> {
    let scheme = target.split_once("://").map(|(scheme, _)| scheme);
    let is_absolute = scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    let is_star = target == "*" && method == "OPTIONS";
    let is_printable = target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    // CONNECT asks for a tunnel, to an authority (§3.2.3); some parsers then end at the head.
    let is_tunnel = method == "CONNECT";
    if is_printable && !is_tunnel && (target.starts_with('/') || is_absolute || is_star) {
        Ok(())
    } else {
        Err(Refusal::TargetInvalid)
    }
}

/// Return the elements of a comma-separated list without the blanks around them; empty elements
/// are skipped (RFC 9110 §5.6.1.2).
pub(crate) fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim_blanks)
        .filter(|element| !element.is_empty())
}

/// Return `value` without leading and trailing spaces and tabs.
pub(crate) fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Return whether `byte` may stand in a token (RFC 9110 §5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
        | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// Return whether `bytes` are a token: not empty, token bytes only.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes_max: 200,
        fields_max: 5,
    };
    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn end_is_found_at_every_cut_and_early_bytes_are_left() {
        let stream = [HEAD, b"\x81\x80early\r\n\r\n"].concat();
        for cut in 0..stream.len() {
            let mut scanner = HeadScanner::default();
            let first = scanner.find_end(&stream[..cut], &LIMITS).unwrap();
            assert_eq!(first, (cut >= HEAD.len()).then_some(HEAD.len()));
            if first.is_none() {
                assert_eq!(scanner.find_end(&stream, &LIMITS), Ok(Some(HEAD.len())));
            }
        }
    }

    #[test]
    fn head_at_the_limit_passes_and_one_byte_more_is_431() {
        let fill = |size: usize| {
            let begin = b"GET / HTTP/1.1\r\nHost: ".to_vec();
            let filler = vec![b'a'; size - begin.len() - 4];
            [begin, filler, b"\r\n\r\n".to_vec()].concat()
        };
        let (fits, too_big) = (fill(200), fill(201));
        assert_eq!(
            HeadScanner::default().find_end(&fits, &LIMITS),
            Ok(Some(200))
        );
        assert!(RequestHead::parse(&fits, &LIMITS).is_ok());
        let refused = HeadScanner::default().find_end(&too_big, &LIMITS);
        assert_eq!(refused, Err(Refusal::HeadTooLarge));
        let refused = RequestHead::parse(&too_big, &LIMITS).map(|_| ());
        assert_eq!(refused, Err(Refusal::HeadTooLarge));
        let endless = HeadScanner::default().find_end(&[b'a'; 200], &LIMITS);
        assert_eq!(endless, Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn too_many_fields_are_431_before_the_head_ends() {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.extend_from_slice(&b"a: b\r\n".repeat(5));
        let complete = [&head[..], b"\r\n"].concat();
        assert_eq!(
            HeadScanner::default().find_end(&complete, &LIMITS),
            Ok(Some(complete.len()))
        );
        assert!(RequestHead::parse(&complete, &LIMITS).is_ok());
        head.extend_from_slice(b"a: b\r\n");
        let refused = HeadScanner::default().find_end(&head, &LIMITS);
        assert_eq!(refused, Err(Refusal::HeadTooLarge));
        head.extend_from_slice(b"\r\n");
        let refused = RequestHead::parse(&head, &LIMITS).map(|_| ());
        assert_eq!(refused, Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn other_protocols_are_refused_at_once() {
        for bytes in [
            &b"\x16\x03\x01"[..],
            b"\r\n",
            b" GET",
            b"\0",
            b"GET / HTTP/1.1\n",
        ] {
            let refused = HeadScanner::default().find_end(bytes, &LIMITS);
            assert_eq!(refused, Err(Refusal::HeadMalformed), "{bytes:?}");
        }
    }

    #[test]
    fn lists_are_split_trimmed_and_skip_empty_elements() {
        let elements: Vec<_> = list_elements(b" a ,, \tb\t,c d,").collect();
        assert_eq!(elements, [&b"a"[..], b"b", b"c d"]);
    }
}
