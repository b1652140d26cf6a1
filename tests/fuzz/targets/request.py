"""Requests in Python: heads, scopes, origins, proxies, and fields of answers.

The input: a byte of flags, then between line feeds of 0xFF a target, header fields, an origin, a
host and a rule for origins. The native judge is the other opinion where it is built: what it takes,
every reader reads alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conftest import NATIVE_IS_BUILT
from tests.fuzz.attempts import attempt
from tests.fuzz.drawing import Draw
from wynd import Accept, Request, Response
from wynd.http.opening import accepting, denying, head_of, offered_in, scope_of
from wynd.http.proxies import TrustedProxies
from wynd.request import Origins

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from wynd._engine import ServerSession, is_origin_allowed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check"]

BETWEEN = b"\n\xff\n"
PEER = ("203.0.113.9", 4711)
PROXIES = TrustedProxies(["203.0.113.0/24", "10.0.0.0/8"])
STRANGER = TrustedProxies(["198.51.100.1"])
_UPGRADE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_KEY = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def check(data: bytes) -> None:
    """Fail where a reader raises, readers differ, or an answer could be split."""
    draw = Draw(data)
    flags = draw.number(255)
    parts = (*draw.rest().split(BETWEEN, 4), b"", b"", b"", b"", b"")[:5]
    target, fields, origin, host, rule = parts
    head = b"GET /%b HTTP/1.1\r\n%b%b\r\n\r\n" % (target, _UPGRADE, fields.strip(b"\r\n"))
    head = head if flags & 1 else target + b"\r\n" + fields + b"\r\n\r\n"
    is_secure = bool(flags & 2)
    request = Request.from_head(head, PEER, is_secure)
    _check_read(request)
    _check_client(request)
    if NATIVE_IS_BUILT and ServerSession(message_bytes_max=1).judge(head)[0] is not None:
        _check_upgrade(head, request, is_secure)
    _check_origins(origin, host, [rule.decode("latin-1")], is_secure)
    _check_answers(fields, target, flags)


def _readings(request: Request) -> dict[str, Any]:
    names = ("target", "path", "query", "query_params", "host", "origin", "cookies")
    readings = {name: getattr(request, name) for name in (*names, "subprotocols", "is_upgrade")}
    return readings | {"headers": request.headers.pairs(), "method": request.method}


def _check_read(request: Request) -> None:
    """Every reading of any head works."""
    readings = _readings(request)
    readings["path"].encode()
    for name, value in readings["headers"]:
        assert request.headers.getlist(name)
        assert value == value.strip(" \t")


def _check_client(request: Request) -> None:
    assert STRANGER.client_of(request) == (PEER, request.secure)
    client, _ = PROXIES.client_of(request)
    host = client[0]
    assert host == PEER[0] or host in ",".join(request.headers.getlist("x-forwarded-for"))


def _check_upgrade(head: bytes, request: Request, is_secure: bool) -> None:
    """The native judge takes it: Python's readers agree on what it says."""
    assert (request.method, request.http_version, request.is_upgrade) == ("GET", "1.1", True)
    shown = repr(request)  # gets into logs
    assert shown.isascii()
    assert shown.isprintable()
    target, headers = head_of(head)
    assert target.decode("latin-1") == request.target
    assert [(name.decode(), value.decode("latin-1")) for name, value in headers] == list(
        request.headers.pairs()
    )
    assert tuple(offered_in(headers)) == request.subprotocols
    scope = scope_of(
        target,
        headers,
        root_path="",
        asgi_version="3.0",
        secure=is_secure,
        client=PEER,
        server=None,
        state={},
    )
    again = Request.from_scope(scope)
    ours, theirs = _readings(request), _readings(again)
    if not request.query:
        ours["target"] = ours["target"].removesuffix("?")  # a scope has no place for it
    assert theirs == ours
    assert (again.client, again.secure) == (request.client, is_secure)


def _check_origins(origin: bytes, host: bytes, rules: list[str], is_secure: bool) -> None:
    """Both judges of origins are of one mind."""
    parsed = attempt(ValueError, Origins.parse, rules)
    named = host.decode("latin-1")
    for given in (parsed, Origins.parse("same-host")):
        if isinstance(given, ValueError) or not NATIVE_IS_BUILT:
            continue
        ours = given.allows(origin.decode("latin-1"), named, is_secure)
        assert ours == is_origin_allowed(given.rules, origin, named, is_secure)


def _check_answers(name: bytes, value: bytes, flags: int) -> None:
    """An application's fields are written as one line each, or refused."""
    message = {"headers": [(name, value)], "subprotocol": name.decode("latin-1")}
    offered = [name.decode("latin-1")] if flags & 4 else []
    _check_lines(lambda: accepting(_KEY, offered, message, [(b"server", b"x")]), b"")
    status = 200 + 3 * flags
    _check_lines(lambda: denying(status, [(name, value)], value), value)
    pair = (name.decode("latin-1"), value.decode("latin-1"))
    for made in (
        attempt(ValueError, Accept, headers=[pair]),
        attempt(ValueError, Response, headers=[pair]),
    ):
        for line in () if isinstance(made, ValueError) else made.headers:
            assert "\r" not in "".join(line)
            assert "\n" not in "".join(line)


def _check_lines(write: Callable[[], bytes], body: bytes) -> None:
    written = attempt(ValueError, write)
    if isinstance(written, ValueError):
        return
    assert written.endswith(b"\r\n\r\n" + body)
    head = written.removesuffix(body)
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 ")
    assert all(b": " in line for line in lines[1:])
    assert b"\n" not in b"".join(lines)
    assert b"\r" not in b"".join(lines)
