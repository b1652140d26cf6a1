//! The rows of the opening handshake as raw heads, each with its exact status; also the general
//! HTTP/1.1 rules, and heads at which parsers disagree.

use std::fmt::Write as _;

use wynd_protocol::handshake::{
    judge, Body, HeadLimits, Judged, Origins, PlainRequest, Policy, Refusal, Upgrade,
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A good upgrade, its fields as pairs so that cases can replace, drop and add some.
fn good() -> Vec<(&'static str, String)> {
    [
        ("Host", "example.org"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn head(line: &str, fields: &[(&str, String)]) -> String {
    let mut head = format!("{line}\r\n");
    for (name, value) in fields {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head + "\r\n"
}

fn with(name: &'static str, value: &str) -> String {
    let mut fields = good();
    fields.retain(|(other, _)| *other != name);
    fields.push((name, value.to_owned()));
    head("GET / HTTP/1.1", &fields)
}

fn without(name: &str) -> String {
    let mut fields = good();
    fields.retain(|(other, _)| *other != name);
    head("GET / HTTP/1.1", &fields)
}

fn adding(lines: &str) -> String {
    let good = head("GET / HTTP/1.1", &good());
    format!("{}{lines}\r\n\r\n", &good[..good.len() - 2])
}

fn judged(head: impl AsRef<[u8]>) -> Result<Judged, Refusal> {
    let subprotocols = ["chat".to_owned(), "v1.json".to_owned()];
    let policy = Policy {
        origins: &Origins::SameHost,
        subprotocols: &subprotocols,
        secure: false,
        deflate: None,
    };
    judge(head.as_ref(), &HeadLimits::default(), &policy)
}

#[track_caller]
fn accepted(head: impl AsRef<[u8]>) -> Upgrade {
    match judged(head) {
        Ok(Judged::Upgrade(upgrade)) => upgrade,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn plain(head: impl AsRef<[u8]>) -> PlainRequest {
    match judged(head) {
        Ok(Judged::Plain(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(head: impl AsRef<[u8]>, refusal: Refusal, status: u16) {
    let head = head.as_ref();
    assert_eq!(judged(head), Err(refusal), "{}", head.escape_ascii());
    assert_eq!(refusal.status(), status);
}

#[test]
fn good_upgrades_are_accepted() {
    let upgrade = accepted(head("GET / HTTP/1.1", &good()));
    assert_eq!(&upgrade.accept_key, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(upgrade.subprotocol, None);
    for line in [
        "GET /chat?room=1 HTTP/1.1",
        "GET http://example.org/chat HTTP/1.1",
    ] {
        accepted(head(line, &good()));
    }
}

#[test]
fn method_other_than_get_is_405() {
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "get", "CONNECTX"] {
        let head = head(&format!("{method} / HTTP/1.1"), &good());
        refused(head, Refusal::MethodNotAllowed, 405);
    }
}

#[test]
fn other_versions_are_505() {
    for version in ["1.0", "0.9", "1.2", "2.0", "9.9"] {
        let head = head(&format!("GET / HTTP/{version}"), &good());
        refused(head, Refusal::VersionUnsupported, 505);
    }
    refused("PRI * HTTP/2.0\r\n\r\n", Refusal::VersionUnsupported, 505);
}

#[test]
fn malformed_request_lines_are_400() {
    for line in [
        "GET /",
        "GET / ",
        "GET",
        "",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/11",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET\t/ HTTP/1.1",
        "G@T / HTTP/1.1",
        "Extra lineGET / HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /\0 HTTP/1.1",
    ] {
        refused(head(line, &good()), Refusal::HeadMalformed, 400);
    }
    for line in [
        "GET ^ HTTP/1.1",
        "GET * HTTP/1.1",
        "GET chat HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET /ä HTTP/1.1",
        "GET /#a HTTP/1.1",
    ] {
        refused(head(line, &good()), Refusal::TargetInvalid, 400);
    }
}

#[test]
fn line_ends_are_crlf_only() {
    let good = head("GET / HTTP/1.1", &good());
    refused(good.replace("\r\n", "\n"), Refusal::HeadMalformed, 400);
    refused(good.replacen("\r\n", "\n", 1), Refusal::HeadMalformed, 400);
    refused(good.replace("\r\n", "\r"), Refusal::HeadMalformed, 400);
    refused(
        good.replacen("\r\n\r\n", "\r\n\n", 1),
        Refusal::HeadMalformed,
        400,
    );
    refused(format!("\r\n{good}"), Refusal::HeadMalformed, 400);
    refused(format!("\n{good}"), Refusal::HeadMalformed, 400);
    refused(good.trim_end(), Refusal::HeadMalformed, 400);
    refused(format!("{good}{good}"), Refusal::HeadMalformed, 400);
    refused(adding("\n\rX: y"), Refusal::HeadMalformed, 400);
    refused("", Refusal::HeadMalformed, 400);
}

#[test]
fn malformed_fields_are_400() {
    for line in [
        "X : y",
        "X\t: y",
        " X: y",
        "\tfolded",
        "X-Invalid[]: y",
        "X",
        ": y",
        "X: a\rb",
        "X: a\nb",
        "X: a\0b",
        "X: a\x07b",
        "X: a\x7fb",
        "X: a\x1b[0m",
        "Ä: y",
        "X: a\r\n folded",
        "X Y: z",
        "X\0: y",
    ] {
        refused(adding(line), Refusal::HeadMalformed, 400);
    }
    for line in ["X:", "X: ", "X:y", "X:\ty\t", "X: ä", "x!#$%&'*+-.^_`|~: y"] {
        accepted(adding(line));
    }
    let raw = [adding("X: y").trim_end().as_bytes(), b"\xff\r\n\r\n"].concat();
    accepted(raw);
}

#[test]
fn head_limits_are_431() {
    let fields = |count: usize| adding(&"X: y\r\n".repeat(count)[..count * 6 - 2]);
    accepted(fields(95));
    refused(fields(96), Refusal::HeadTooLarge, 431);
    let sized = |size: usize| {
        let bare = adding("X: ").len();
        adding(&format!("X: {}", "a".repeat(size - bare)))
    };
    accepted(sized(16 * 1024));
    refused(sized(16 * 1024 + 1), Refusal::HeadTooLarge, 431);
}

#[test]
fn host_must_be_exactly_one_and_valid() {
    refused(without("Host"), Refusal::HostInvalid, 400);
    refused(adding("Host: example.org"), Refusal::HostInvalid, 400);
    refused(adding("hOST: other.test"), Refusal::HostInvalid, 400);
    for host in [
        "", "a b", "a,b", "a/b", "user@a", "a:b", "a:99999", "a:80:80", "[::1", "[]", "[zz]",
        "a?b", "ä", "http://a", ":80", "a:-1", "[::1]a", "a#b", "a\\b",
    ] {
        refused(with("Host", host), Refusal::HostInvalid, 400);
    }
    for host in [
        "a",
        "a.example:80",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[::1]",
        "a_b-c.d.",
        "a:",
    ] {
        accepted(with("Host", host));
    }
    refused(
        "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        Refusal::HostInvalid,
        400,
    );
}

#[test]
fn connection_and_upgrade_are_token_lists_in_any_case() {
    for value in [
        "Upgrade",
        "upgrade",
        "keep-alive, Upgrade",
        "UPGRADE,foo",
        " , upgrade ,",
    ] {
        accepted(with("Connection", value));
    }
    for value in [
        "notupgrade",
        "upgrades",
        "keep-alive",
        "close",
        "",
        "up grade",
        "\"upgrade\"",
    ] {
        plain(with("Connection", value));
    }
    for value in ["WebSocket", "h2c, websocket", "foo/1, WEBSOCKET"] {
        accepted(with("Upgrade", value));
    }
    for value in ["websockets", "h2c", "", "websocket/13", "web socket"] {
        plain(with("Upgrade", value));
    }
    plain(without("Connection"));
    plain(without("Upgrade"));
    accepted(with("Connection", "keep-alive\r\nConnection: upgrade"));
    accepted(with("Upgrade", "h2c\r\nUpgrade: websocket"));
}

#[test]
fn version_must_be_exactly_one_13() {
    refused(
        without("Sec-WebSocket-Version"),
        Refusal::WebSocketVersion,
        426,
    );
    for value in [
        "8", "12", "14", "013", "13.0", "13, 8", "8, 13", "", "+13", "thirteen",
    ] {
        refused(
            with("Sec-WebSocket-Version", value),
            Refusal::WebSocketVersion,
            426,
        );
    }
    refused(
        adding("Sec-WebSocket-Version: 13"),
        Refusal::WebSocketVersion,
        426,
    );
    assert!(Refusal::WebSocketVersion
        .headers()
        .contains(&("Sec-WebSocket-Version", "13")));
}

#[test]
fn key_must_be_exactly_one_canonical_base64_of_16_bytes() {
    refused(without("Sec-WebSocket-Key"), Refusal::KeyInvalid, 400);
    refused(
        adding(&format!("Sec-WebSocket-Key: {KEY}")),
        Refusal::KeyInvalid,
        400,
    );
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZQA=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZS-ub25jZQ==",
        "dGhlIHNhbXBsZSBub2 jZQ==",
        "========================",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        refused(with("Sec-WebSocket-Key", key), Refusal::KeyInvalid, 400);
    }
    accepted(with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="));
    accepted(with("Sec-WebSocket-Key", "/////////////////////w=="));
}

#[test]
fn origin_is_judged_before_the_101() {
    accepted(adding("Origin: http://example.org"));
    accepted(adding("Origin: https://example.org"));
    for origin in [
        "null",
        "",
        "http://evil.test",
        "http://example.org.evil.test",
    ] {
        let head = adding(&format!("Origin: {origin}"));
        refused(head, Refusal::OriginForbidden, 403);
    }
    let twice = adding("Origin: http://example.org\r\nOrigin: http://example.org");
    refused(twice, Refusal::OriginForbidden, 403);
}

#[test]
fn upgrade_with_a_body_is_400() {
    accepted(adding("Content-Length: 0"));
    refused(adding("Content-Length: 1"), Refusal::UpgradeWithBody, 400);
    refused(
        adding("Transfer-Encoding: chunked"),
        Refusal::UpgradeWithBody,
        400,
    );
}

#[test]
fn ambiguous_bodies_are_400_also_on_plain_requests() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 0\r\nContent-Length: 0",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: -123456789123456789123456789",
        "Content-Length: 123456789123456789123456789",
        "Content-Length: abc",
        "Content-Length:",
        "Content-Length: 0x5",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "content-LengtH: 5\r\nTransFer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;a=b",
    ] {
        refused(adding(lines), Refusal::BodyAmbiguous, 400);
        let post = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        refused(post, Refusal::BodyAmbiguous, 400);
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(old, Refusal::BodyAmbiguous, 400);
}

#[test]
fn subprotocol_is_the_first_of_the_client_that_we_speak() {
    let chosen = |value: &str| accepted(with("Sec-WebSocket-Protocol", value)).subprotocol;
    assert_eq!(chosen("chat"), Some(0));
    assert_eq!(chosen("v1.json, chat"), Some(1));
    assert_eq!(chosen("unknown,chat,v1.json"), Some(0));
    assert_eq!(chosen("Chat"), None);
    assert_eq!(chosen("unknown"), None);
    assert_eq!(
        chosen("unknown\r\nSec-WebSocket-Protocol: v1.json"),
        Some(1)
    );
    for value in [
        "",
        ",",
        "a b",
        "chat,chat",
        "a,b,a",
        "chat/1",
        "a;b",
        "\"chat\"",
        "ä",
    ] {
        refused(
            with("Sec-WebSocket-Protocol", value),
            Refusal::SubprotocolMalformed,
            400,
        );
    }
    let twice = with(
        "Sec-WebSocket-Protocol",
        "chat\r\nSec-WebSocket-Protocol: chat",
    );
    refused(twice, Refusal::SubprotocolMalformed, 400);
}

#[test]
fn extensions_are_declined_when_well_formed_and_400_else() {
    for value in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "x-unknown; a=\"b\"",
        "permessage-deflate; server_max_window_bits=99, permessage-deflate",
        "a;b;b",
    ] {
        accepted(with("Sec-WebSocket-Extensions", value));
    }
    for value in ["", ";", "a;", "a;=", "a b", "a;b=\"", "a;b=\"c d\""] {
        refused(
            with("Sec-WebSocket-Extensions", value),
            Refusal::ExtensionsMalformed,
            400,
        );
    }
}

#[test]
fn plain_requests_are_described() {
    let get = plain("GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n");
    assert_eq!(
        get,
        PlainRequest {
            body: Body::Empty,
            is_head: false,
            keep_alive: true,
            has_upgrade: false,
        }
    );
    let post =
        plain("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    assert_eq!(
        post,
        PlainRequest {
            body: Body::Length(5),
            is_head: false,
            keep_alive: false,
            has_upgrade: false,
        }
    );
    let chunked = plain("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_eq!(chunked.body, Body::Chunked);
    assert!(plain("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").is_head);
    assert!(!plain("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert!(plain("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    plain("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    plain("GET https://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n");
}

#[test]
fn every_refusal_closes_with_a_length_and_a_fixed_body() {
    for refusal in [
        Refusal::HeadMalformed,
        Refusal::TargetInvalid,
        Refusal::HostInvalid,
        Refusal::BodyAmbiguous,
        Refusal::UpgradeWithBody,
        Refusal::KeyInvalid,
        Refusal::SubprotocolMalformed,
        Refusal::ExtensionsMalformed,
        Refusal::TooManyEarlyBytes,
        Refusal::OriginForbidden,
        Refusal::MethodNotAllowed,
        Refusal::HeadTimeout,
        Refusal::UpgradeRequired,
        Refusal::WebSocketVersion,
        Refusal::TooManyFromAddress,
        Refusal::HeadTooLarge,
        Refusal::TooManyConnections,
        Refusal::AnswerTimeout,
        Refusal::VersionUnsupported,
    ] {
        let mut out = Vec::new();
        refusal.write(&mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", refusal.status())));
        assert!(head.contains("\r\nConnection: close"));
        assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())));
        assert_eq!(body, refusal.body());
        assert!(body.ends_with(".\n"));
        let needs_retry = matches!(refusal.status(), 429 | 503);
        assert_eq!(head.contains("\r\nRetry-After: "), needs_retry);
    }
}
