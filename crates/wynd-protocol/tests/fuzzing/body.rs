//! The body of a request, against a plain decoder that sees the whole of it.
//!
//! Layout: a byte for the framing, eight for a length, one for the cuts; then what the peer sends.

use wynd_protocol::body::BodyScanner;
use wynd_protocol::handshake::{Body, Refusal};

use super::{cut, Script};

/// Extensions and trailers of one body at most, as `body` documents it.
const SKIPPED_BYTES_MAX: usize = 16 * 1024;

pub(super) fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let kind = script.byte();
    let length = script
        .take(8)
        .iter()
        .fold(0, |n, byte| n << 8 | u64::from(*byte));
    let cuts = script.byte();
    let bytes = script.rest();
    let body = match kind % 3 {
        0 => Body::Chunked,
        1 => Body::Length(length),
        _ => Body::Length(length % 300),
    };
    let whole = scan(body, std::iter::once(bytes));
    assert_eq!(whole, scan(body, bytes.chunks(1)), "byte by byte");
    assert_eq!(whole, scan(body, cut(bytes, cuts)), "in parts");
    match body {
        Body::Length(length) => {
            let end = usize::try_from(length).map_or(bytes.len(), |n| n.min(bytes.len()));
            assert_eq!(whole.error, None);
            assert_eq!(whole.kept, bytes[..end]);
            assert_eq!(whole.is_done, end as u64 == length);
        }
        _ => judge_chunked(&whole, bytes),
    }
}

/// What a scanner made of a body.
#[derive(Debug, PartialEq, Eq, Default)]
struct Scanned {
    kept: Vec<u8>,
    taken: usize,
    skipped: usize,
    is_done: bool,
    error: Option<Refusal>,
}

fn scan<'a>(body: Body, parts: impl Iterator<Item = &'a [u8]>) -> Scanned {
    let mut scanner = BodyScanner::new(body);
    let mut made = Scanned::default();
    'parts: for mut part in parts {
        loop {
            match scanner.scan(part) {
                Ok(Some(found)) => {
                    assert!((1..=part.len()).contains(&found.len));
                    if found.is_kept {
                        made.kept.extend(&part[..found.len]);
                    } else {
                        made.skipped += found.len;
                    }
                    made.taken += found.len;
                    part = &part[found.len..];
                }
                Ok(None) => {
                    assert!(part.is_empty() || scanner.is_done());
                    break;
                }
                Err(refusal) => {
                    // What came before it in the same part is told, or not; nobody reads it.
                    made = Scanned {
                        error: Some(refusal),
                        ..Scanned::default()
                    };
                    break 'parts;
                }
            }
        }
    }
    made.is_done = made.error.is_none() && scanner.is_done();
    made
}

fn judge_chunked(scanned: &Scanned, bytes: &[u8]) {
    assert!(matches!(scanned.error, None | Some(Refusal::BodyMalformed)));
    assert!(scanned.skipped <= SKIPPED_BYTES_MAX);
    let decoded = decode(bytes);
    if scanned.is_done {
        let (content, end) = decoded.expect("the plain decoder agrees");
        assert_eq!(scanned.taken, end, "it ends at the same byte");
        // What is kept is a body of its own, without anything to skip, and says the same.
        let again = scan(Body::Chunked, std::iter::once(&scanned.kept[..]));
        assert!(again.is_done && again.skipped == 0);
        assert_eq!(again.kept, scanned.kept);
        assert_eq!(decode(&scanned.kept), Some((content, scanned.kept.len())));
    } else if let Some((_, end)) = decoded {
        let head = scan(Body::Chunked, std::iter::once(&bytes[..end]));
        // The plain decoder knows no bounds and no forbidden bytes in what is skipped.
        assert!(head.error.is_some(), "only for what is skipped");
    }
}

/// The plain decoder (RFC 9112 §7.1): the content, and where the body ends; `None` if it does not.
fn decode(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let line = line_at(bytes, at)?;
        at += line.len() + 2;
        let size = line.split(|byte| *byte == b';').next()?;
        let size = std::str::from_utf8(size).ok()?;
        if !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::try_from(u64::from_str_radix(size, 16).ok()?).ok()?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size)?;
        content.extend(bytes.get(at..end)?);
        if bytes.get(end..end + 2)? != b"\r\n" {
            return None;
        }
        at = end + 2;
    }
    loop {
        let line = line_at(bytes, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            return Some((content, at));
        }
        if !line.contains(&b':') {
            return None;
        }
    }
}

fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&rest[..end])
}
