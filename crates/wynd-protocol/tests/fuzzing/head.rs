//! The request head: where it ends, what it means, how it is answered.
//!
//! Layout: a byte for the policy, one for the limits, one for the cuts; then what the peer sends.

use wynd_protocol::body::BodyScanner;
use wynd_protocol::handshake::{
    judge, without_upgrade, write_accept, Body, HeadLimits, HeadScanner, Judged, OriginRule,
    Origins, PlainRequest, Policy, Refusal, Upgrade,
};
use wynd_protocol::DeflateParameters;

use super::{cut, Script};

pub(super) fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let settings = script.byte();
    let limits = script.choose(&[
        HeadLimits::default(),
        HeadLimits {
            bytes_max: 300,
            fields_max: 8,
        },
        HeadLimits {
            bytes_max: 0,
            fields_max: 0,
        },
    ]);
    let cuts = script.byte();
    let bytes = script.rest();
    let origins = match settings & 3 {
        0 => Origins::SameHost,
        1 => Origins::Any,
        _ => Origins::List(vec![
            OriginRule::parse("https://*.example.com").unwrap(),
            OriginRule::parse("http://[::1]:8080").unwrap(),
        ]),
    };
    let policy = Policy {
        origins: &origins,
        subprotocols: &["chat".to_owned(), "a".to_owned()],
        secure: settings & 4 != 0,
        deflate: (settings & 8 != 0).then_some(DeflateParameters::SHARED),
    };
    let found = find_end(bytes, &limits, cuts);
    // A head that was not found to end is judged too: callers may hand in anything.
    let head = found.ok().flatten().map_or(bytes, |end| &bytes[..end]);
    let judged = judge(head, &limits, &policy);
    match &judged {
        Err(refusal) => judge_refusal(*refusal),
        Ok(judged) => {
            assert_eq!(found, Ok(Some(head.len())), "what is judged was found");
            judge_lines(head, &limits);
            match judged {
                Judged::Upgrade(upgrade) => judge_upgrade(head, upgrade, &policy),
                Judged::Plain(request) => judge_plain(head, request, &limits, &policy),
            }
        }
    }
    judge_rule(bytes);
}

/// Finds the end of the head: the same in any parts, and never before its bytes.
fn find_end(bytes: &[u8], limits: &HeadLimits, cuts: u8) -> Result<Option<usize>, Refusal> {
    let whole = HeadScanner::default().find_end(bytes, limits);
    let in_parts = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let (mut scanner, mut len) = (HeadScanner::default(), 0);
        for part in parts {
            len += part.len();
            match scanner.find_end(&bytes[..len], limits) {
                Ok(None) => {}
                found => return found,
            }
        }
        Ok(None)
    };
    if bytes.is_empty() {
        return whole;
    }
    assert_eq!(whole, in_parts(&mut bytes.chunks(1)), "byte by byte");
    assert_eq!(whole, in_parts(&mut cut(bytes, cuts)), "in parts");
    if let Ok(Some(end)) = whole {
        assert!(end <= limits.bytes_max && bytes[..end].ends_with(b"\r\n\r\n"));
        let first = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        assert_eq!(first, Some(end - 4), "it is the first");
    }
    whole
}

/// Checks a head that was accepted, with no parser but its lines.
fn judge_lines(head: &[u8], limits: &HeadLimits) {
    let text = head.strip_suffix(b"\r\n\r\n").expect("its empty line");
    assert!(!text.contains(&0));
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let (first, fields) = lines.split_first().expect("a request line");
    assert!(fields.len() <= limits.fields_max);
    for line in &lines[..lines.len() - 1] {
        assert!(line.ends_with(b"\r"));
    }
    let version = first.strip_suffix(b"\r").unwrap_or(first);
    assert!(version.ends_with(b" HTTP/1.1") || version.ends_with(b" HTTP/1.0"));
    let hosts = values(head, "host").len();
    assert!(hosts == 1 || (hosts == 0 && version.ends_with(b"1.0")));
    let (lengths, codings) = (
        values(head, "content-length").len(),
        values(head, "transfer-encoding").len(),
    );
    assert!(
        lengths + codings <= 1,
        "two parsers cannot frame it differently"
    );
    for line in fields {
        let name = line.split(|byte| *byte == b':').next().unwrap_or(&[]);
        assert!(!name.is_empty() && name.len() < line.len());
        assert!(name.iter().all(u8::is_ascii_graphic), "a token");
    }
}

/// The values of a field, blanks around them left out.
fn values<'a>(head: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let fields = lines.filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':')?;
        let is_it = line[..at].eq_ignore_ascii_case(name.as_bytes());
        is_it.then(|| line[at + 1..].trim_ascii())
    });
    fields.collect()
}

fn judge_refusal(refusal: Refusal) {
    let status = refusal.status();
    assert!(
        matches!(status, 400 | 403 | 405 | 426 | 431 | 505),
        "{status}"
    );
    let mut out = Vec::new();
    refusal.write(&mut out);
    let text = String::from_utf8(out).expect("ASCII");
    let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")));
    assert!(head.contains("\r\nConnection: close"));
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())));
    assert_eq!(body, refusal.body());
}

fn judge_upgrade(head: &[u8], upgrade: &Upgrade, policy: &Policy<'_>) {
    assert!(head.starts_with(b"GET "));
    assert_eq!(values(head, "sec-websocket-version"), [b"13"]);
    assert_eq!(values(head, "sec-websocket-key").len(), 1);
    assert!(values(head, "origin").len() <= 1);
    let offered = values(head, "sec-websocket-protocol").join(&b","[..]);
    let agreed = upgrade.subprotocol.map(|index| &policy.subprotocols[index]);
    if let Some(agreed) = agreed {
        let mut names = offered.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        assert!(
            names.any(|name| name == agreed.as_bytes()),
            "never one not offered"
        );
    }
    assert!(upgrade.deflate.is_none() || policy.deflate.is_some());
    let mut answer = Vec::new();
    let hostile = [("X-A".to_owned(), "b\r\nX-B: c".to_owned())];
    write_accept(&mut answer, upgrade, agreed.map(String::as_str), &hostile);
    let answer = String::from_utf8(answer).expect("ASCII");
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"));
    assert_eq!(answer.matches("\r\n\r\n").count(), 1);
    assert!(!answer.contains("\r\nX-B"), "no value begins a line");
}

fn judge_plain(head: &[u8], request: &PlainRequest, limits: &HeadLimits, policy: &Policy<'_>) {
    assert_eq!(request.is_head, head.starts_with(b"HEAD "));
    match request.body {
        Body::Chunked => {
            assert!(values(head, "transfer-encoding")[0].eq_ignore_ascii_case(b"chunked"));
        }
        Body::Length(length) => {
            let text = String::from_utf8_lossy(values(head, "content-length")[0]).into_owned();
            assert_eq!(text.trim_start_matches('0'), length.to_string());
        }
        Body::Empty => assert!(BodyScanner::new(request.body).is_done()),
    }
    let stripped = without_upgrade(head);
    assert!(values(&stripped, "upgrade").is_empty());
    let again = judge(&stripped, limits, policy);
    let expected = PlainRequest {
        has_upgrade: false,
        ..*request
    };
    assert_eq!(again, Ok(Judged::Plain(expected)));
}

/// A rule of Origins that is parsed allows the Origin it names, and nothing with a letter more.
fn judge_rule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(rule) = OriginRule::parse(text) else {
        return;
    };
    let origins = Origins::List(vec![rule]);
    if !text.contains("://*.") {
        assert!(origins.allows(Some(bytes), "", true));
    }
    let longer = text.replacen("://", "://x", 1);
    assert!(!origins.allows(Some(longer.as_bytes()), "", true));
    assert!(!origins.allows(Some(b"null"), "", true));
}
