"""Heads of plain requests: those that are not complete, those that are right, those that are wrong.

The behaviours of h1spec, the HTTP/1.1 suite that other servers are compared with, one case each:
33. A server must wait for the rest of an incomplete head, serve what is right, and refuse what is
wrong before anything behind it is read as a request.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEAD_CASES", "HeadCase"]


@dataclass(frozen=True, slots=True)
class HeadCase:
    """What is sent, and the status of the answer.

    With `rest`, `sends` must get no answer and no end, and both together the status.
    """

    name: str
    rule: str
    sends: bytes
    status: int
    rest: bytes = b""


GOOD = b"GET /hello HTTP/1.1\r\nHost: conformance.test\r\n\r\n"
HOST = b"Host: conformance.test\r\n"


def _get(fields: bytes) -> bytes:
    return b"GET /hello HTTP/1.1\r\n" + HOST + fields + b"\r\n"


def _cut(name: str, rule: str, end: bytes) -> HeadCase:
    """Return a case whose first part ends with the first `end` in a good request."""
    at = GOOD.index(end) + len(end)
    return HeadCase(name, rule, GOOD[:at], 200, GOOD[at:])


LINE, FIELD, MESSAGE = "RFC 9112 §3", "RFC 9112 §5", "RFC 9112 §2.1"

HEAD_CASES: tuple[HeadCase, ...] = (
    _cut("cut in the method", LINE, b"G"),
    _cut("cut before the target", LINE, b"GET "),
    _cut("cut in the target", LINE, b"GET /hello"),
    _cut("cut behind the target", LINE, b"/hello "),
    _cut("cut in the version", LINE, b"HTTP"),
    _cut("cut behind the version", LINE, b"HTTP/1.1"),
    _cut("cut in the end of the first line", LINE, b"HTTP/1.1\r"),
    _cut("cut behind the first line", LINE, b"HTTP/1.1\r\n"),
    _cut("cut in a name", FIELD, b"Hos"),
    _cut("cut behind a colon", FIELD, b"Host:"),
    _cut("cut before a value", FIELD, b"Host: "),
    _cut("cut behind a value", FIELD, b"conformance.test"),
    _cut("cut in the end of a field", FIELD, b"conformance.test\r"),
    _cut("cut behind a field", MESSAGE, b"conformance.test\r\n"),
    _cut("cut in the last line end", MESSAGE, b"conformance.test\r\n\r"),
    HeadCase("no version", LINE, b"GET / \r\n\r\n", 400),
    HeadCase("Expect: 100-continue", "RFC 9110 §10.1.1", _get(b"Expect: 100-continue\r\n"), 200),
    HeadCase("a request", MESSAGE, GOOD, 200),
    HeadCase(
        *("odd names, a tab, an empty field", FIELD),
        b"GET /hello HTTP/1.1\r\nhoSt:\tconformance.test\r\nempty:\r\n\r\n",
        200,
    ),
    HeadCase("brackets in a name", "RFC 9110 §5.1", _get(b"X-Wrong[]: a\r\n"), 400),
    HeadCase(
        *("no Host", "RFC 9112 §3.2"), b"GET /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400
    ),
    HeadCase("two Hosts", "RFC 9112 §3.2", _get(b"Host: other.test\r\n"), 400),
    HeadCase(
        *("a huge negative length", "RFC 9112 §6.3"),
        _get(b"Content-Length: -123456789012345678901234567890\r\n"),
        400,
    ),
    HeadCase("a negative length", "RFC 9112 §6.3", _get(b"Content-Length: -1234\r\n"), 400),
    HeadCase("a length in letters", "RFC 9112 §6.3", _get(b"Content-Length: abc\r\n"), 400),
    HeadCase("an empty value", FIELD, _get(b"X-Empty: \r\n"), 200),
    HeadCase("a bell in a value", "RFC 9110 §5.5", _get(b"X-Wrong: a\x07\r\n"), 400),
    HeadCase("HTTP/9.9", "RFC 9110 §15.6.6", b"GET /hello HTTP/9.9\r\n" + HOST + b"\r\n", 505),
    HeadCase("words before the request", LINE, b"Some words" + GOOD, 400),
    HeadCase("CR before a name", "RFC 9112 §2.2", _get(b"\rX: a\r\n"), 400),
    HeadCase(
        *("a POST with a body", "RFC 9112 §6.2"),
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
        200,
    ),
    HeadCase(
        *("a POST without its body's end", "RFC 9112 §8"),
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhel",
        200,
        b"lo",
    ),
    HeadCase(
        *("coding and length", "RFC 9112 §6.3"),
        _get(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + b"0\r\n\r\n",
        400,
    ),
)
