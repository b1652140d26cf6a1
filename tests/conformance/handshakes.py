"""Opening handshakes and request heads: what is sent, and the status that answers it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.wire import head

__all__ = ["BEHIND", "HANDSHAKE_CASES", "HandshakeCase"]


@dataclass(frozen=True, slots=True)
class HandshakeCase:
    """A request, and its answer; a refusal must end the connection and let nothing behind it in."""

    group: str
    name: str
    rule: str
    sends: bytes
    status: int
    fields: tuple[tuple[bytes, bytes | None], ...] = ()
    """Fields of the answer and their values; None: the field is not there."""
    is_ours: bool = False
    """Whether the outcome is this project's choice, not the RFC's."""
    over_tls: int | None = None
    """The status over TLS, where it is another."""


def _case(
    group: str, name: str, rule: str, status: int, sends: bytes, **more: object
) -> HandshakeCase:
    return HandshakeCase(group, name, rule, sends, status, **more)  # type: ignore[arg-type]


GOOD = head()
BEHIND = b"GET /behind HTTP/1.1\r\nHost: conformance.test\r\n\r\n"
CHAT = b"Sec-WebSocket-Protocol: "
EXTENSIONS = b"Sec-WebSocket-Extensions: "

HANDSHAKE_CASES: tuple[HandshakeCase, ...] = (
    # what must be accepted
    *(
        _case("accepted", name, rule, 101, sends)
        for name, rule, sends in (
            ("as in the RFC", "RFC 6455 §4.1", GOOD),
            ("names in capitals", "RFC 9110 §5.1", GOOD.replace(b"Upgrade:", b"UPGRADE:")),
            ("values in capitals", "RFC 6455 §4.2.1", GOOD.replace(b"websocket", b"WebSocket")),
            (
                *("keep-alive, Upgrade", "RFC 6455 §4.2.1"),
                GOOD.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"),
            ),
            (
                *("upgrade in a second Connection field", "RFC 9110 §5.3"),
                head(b"Connection: upgrade", drop=b"connection").replace(
                    b"Connection: upgrade", b"Connection: keep-alive\r\nConnection: upgrade"
                ),
            ),
            (
                *("several protocols in Upgrade", "RFC 9110 §7.8"),
                GOOD.replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket"),
            ),
            ("no spaces around values", "RFC 9110 §5.5", GOOD.replace(b": ", b":")),
            ("a query", "RFC 6455 §3", GOOD.replace(b"GET / ", b"GET /?a=b ")),
            ("Content-Length: 0", "reliability 3.3", head(b"Content-Length: 0")),
            ("an unknown extension", "RFC 6455 §9.1", head(EXTENSIONS + b"x-unknown; a=1")),
            (
                *("an extension that is a quoted value", "RFC 6455 §9.1"),
                head(EXTENSIONS + b'x-unknown; a="b"'),
            ),
        )
    ),
    _case(
        *("accepted", "the accept key of the RFC", "RFC 6455 §1.3", 101, GOOD),
        fields=((b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),),
    ),
    _case(
        *("accepted", "no subprotocol that was not agreed on", "RFC 6455 §4.2.2", 101),
        head(CHAT + b"nobody-speaks-this"),
        fields=((b"sec-websocket-protocol", None),),
    ),
    _case(
        *("accepted", "no extension that was not offered", "RFC 6455 §9.1", 101, GOOD),
        fields=((b"sec-websocket-extensions", None),),
    ),
    # upgrades that are none
    _case("refused", "POST", "RFC 6455 §4.1", 405, GOOD.replace(b"GET", b"POST")),
    _case("refused", "HTTP/1.0", "RFC 6455 §4.1", 505, GOOD.replace(b"HTTP/1.1", b"HTTP/1.0")),
    _case("refused", "HTTP/2.0", "RFC 9110 §15.6.6", 505, GOOD.replace(b"HTTP/1.1", b"HTTP/2.0")),
    *(
        _case("refused", name, "RFC 6455 §4.2.1", 426, sends)
        for name, sends in (
            ("no Upgrade", head(drop=b"upgrade")),
            ("no Connection", head(drop=b"connection")),
            ("notupgrade", GOOD.replace(b"Connection: Upgrade", b"Connection: notupgrade")),
            ("websockets", GOOD.replace(b"websocket\r", b"websockets\r")),
        )
    ),
    *(
        _case(
            *("refused", name, "RFC 6455 §4.4", 426, sends),
            fields=((b"sec-websocket-version", b"13"),),
        )
        for name, sends in (
            ("version 8", head(b"Sec-WebSocket-Version: 8", drop=b"sec-websocket-version")),
            ("version 13, 8", head(b"Sec-WebSocket-Version: 13, 8", drop=b"sec-websocket-version")),
            ("version 13 twice", head(b"Sec-WebSocket-Version: 13")),
            ("no version", head(drop=b"sec-websocket-version")),
        )
    ),
    *(
        _case("refused", name, "RFC 6455 §4.2.1", 400, sends)
        for name, sends in (
            ("no key", head(drop=b"sec-websocket-key")),
            ("two keys", head(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")),
            *(
                (f"a key {what}", head(b"Sec-WebSocket-Key: " + key, drop=b"sec-websocket-key"))
                for what, key in (
                    ("of 15 bytes", b"dGhlIHNhbXBsZSBub25j"),
                    ("of 17 bytes", b"dGhlIHNhbXBsZSBub25jZSE="),
                    ("without padding", b"dGhlIHNhbXBsZSBub25jZQ"),
                    ("that is no base64", b"dGhlIHNhbXBsZSBub25j!Q=="),
                    ("with spare bits", b"dGhlIHNhbXBsZSBub25jZR=="),
                )
            ),
            ("no Host", head(drop=b"host")),
            ("two Hosts", head(b"Host: other.test")),
            ("an empty Host", head(b"Host:", drop=b"host")),
            ("a Host with a space", head(b"Host: a b", drop=b"host")),
        )
    ),
    *(
        _case("refused", name, "RFC 6455 §11.3", 400, sends)
        for name, sends in (
            ("a subprotocol that is no token", head(CHAT + b"a b")),
            ("a subprotocol twice", head(CHAT + b"chat, chat")),
            ("extensions that end in a semicolon", head(EXTENSIONS + b"permessage-deflate;")),
            ("an extension's value without end", head(EXTENSIONS + b'x; a="b')),
        )
    ),
    *(
        _case("body", name, "RFC 9112 §6.3", 400, sends)
        for name, sends in (
            ("an upgrade with a body", head(b"Content-Length: 5") + b"hello"),
            ("a chunked upgrade", head(b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
            ("two lengths", head(b"Content-Length: 0", b"Content-Length: 1")),
            ("length and coding", head(b"Content-Length: 0", b"Transfer-Encoding: chunked")),
            ("a negative length", head(b"Content-Length: -1")),
            ("a length with a sign", head(b"Content-Length: +0")),
        )
    ),
    *(
        _case("head", name, rule, 400, sends)
        for name, rule, sends in (
            ("bare LF", "RFC 9112 §2.2", GOOD.replace(b"\r\n", b"\n")),
            ("one bare LF", "RFC 9112 §2.2", GOOD.replace(b"\r\nUpgrade", b"\nUpgrade")),
            ("bare CR", "RFC 9112 §2.2", head(b"X: a\rb")),
            ("a folded field", "RFC 9112 §5.2", head(b"X: a\r\n b")),
            ("NUL in a field", "RFC 9110 §5.5", head(b"X: a\0b")),
            ("a control byte in a field", "RFC 9110 §5.5", head(b"X: a\x1bb")),
            ("a space before the colon", "RFC 9112 §5.1", head(b"X : a")),
            ("a field without a colon", "RFC 9112 §5", head(b"X a")),
            ("a field without a name", "RFC 9112 §5", head(b": a")),
            ("two spaces in the first line", "RFC 9112 §3", GOOD.replace(b"GET /", b"GET  /")),
            ("a target that is no path", "RFC 9112 §3.2", GOOD.replace(b"GET / ", b"GET x ")),
            ("a fragment in the target", "RFC 6455 §3", GOOD.replace(b"GET / ", b"GET /#a ")),
        )
    ),
    _case(
        *("behind", "a request behind a refusal, at once", "reliability 3.3", 400),
        head(drop=b"sec-websocket-key") + BEHIND,
        is_ours=True,
    ),
    *(
        _case("head", name, "reliability 2", 431, sends, is_ours=True)
        for name, sends in (
            ("a field of 17 KiB", head(b"X: " + b"a" * 17 * 1024)),
            ("101 fields", head(*(b"X-%d: a" % n for n in range(96)))),
            ("a first line of 17 KiB", GOOD.replace(b"GET /", b"GET /" + b"a" * 17 * 1024)),
        )
    ),
    _case(
        *("origin", "the same host", "RFC 6455 §10.2", 101),
        head(b"Origin: http://conformance.test"),
        is_ours=True,
        over_tls=403,
    ),
    *(
        _case("origin", name, "RFC 6455 §10.2", status, head(b"Origin: " + origin), is_ours=True)
        for name, origin, status in (
            ("the same host over https", b"https://conformance.test", 101),
            ("another host", b"http://other.test", 403),
            ("the host as a prefix", b"http://conformance.test.evil.test", 403),
            ("the host as a suffix", b"http://evil-conformance.test", 403),
            ("another port", b"http://conformance.test:81", 403),
            ("null", b"null", 403),
        )
    ),
)
