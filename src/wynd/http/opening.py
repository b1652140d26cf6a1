"""The opening handshake as ASGI sees it: a request head becomes a scope, answers become bytes.

Decides what an application may put into an answer. Whether a head is a valid upgrade is judged by
the native module; sockets and tasks are the affair of `websocket`.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Header", "accepting", "denying", "head_of", "offered_in", "scope_of"]

Header = tuple[bytes, bytes]

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")  # no CR, LF, NUL or other control byte
OF_HANDSHAKE = frozenset(
    b"connection content-length keep-alive proxy-connection sec-websocket-accept "
    b"sec-websocket-extensions sec-websocket-key sec-websocket-version te trailer "
    b"transfer-encoding upgrade".split()
)


def head_of(head: bytes) -> tuple[bytes, list[Header]]:
    """Return target and fields of a request head that was judged valid; names in lower case."""
    first, *lines = head[: head.index(b"\r\n\r\n")].split(b"\r\n")
    target = first.split(b" ")[1]
    fields = []
    for line in lines:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value.strip(b" \t")))
    return target, fields


def offered_in(headers: Iterable[Header]) -> list[str]:
    """Return the subprotocols that a client offers, in its order."""
    values = [value for name, value in headers if name == b"sec-websocket-protocol"]
    names = ",".join(value.decode("latin-1") for value in values).split(",")
    return [name.strip() for name in names if name.strip()]


def scope_of(
    target: bytes,
    headers: list[Header],
    *,
    root_path: str,
    asgi_version: str,
    secure: bool,
    client: tuple[str, int] | None,
    server: tuple[str, int | None] | None,
    state: dict[str, Any],
) -> dict[str, Any]:
    """Return the scope of a WebSocket connection (ASGI WebSocket specification 2.4)."""
    raw_path, _, query = target.partition(b"?")
    return {
        "type": "websocket",
        "asgi": {"version": asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if secure else "ws",
        "server": server,
        "client": client,
        "root_path": root_path,
        "path": root_path + unquote(raw_path.decode("ascii")),
        "raw_path": root_path.encode("ascii") + raw_path,
        "query_string": query,
        "headers": headers,
        "subprotocols": offered_in(headers),
        "state": state.copy(),
        "extensions": {"websocket.http.response": {}},
    }


def accepting(
    accept_key: bytes,
    offered: Sequence[str],
    message: dict[str, Any],
    defaults: Iterable[Header],
    extensions: str = "",
) -> bytes:
    """Return the 101 of a `websocket.accept`, with the value of Sec-WebSocket-Extensions, if any.

    Raises:
        ValueError: a subprotocol that was not offered, a malformed field, or one that belongs to
            the handshake.
    """
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept_key,
    ]
    if extensions:
        lines.append(b"Sec-WebSocket-Extensions: " + extensions.encode("ascii"))
    subprotocol = message.get("subprotocol")
    if subprotocol:
        if subprotocol not in offered:
            raise ValueError(f"subprotocol {subprotocol!r} was not offered by the client")
        lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode("ascii"))
    headers = [*defaults, *(message.get("headers") or ())]
    for name, value in headers:
        if name.lower() in OF_HANDSHAKE:
            raise ValueError(f"the field {name.decode('latin-1')!r} belongs to the handshake")
        lines.append(_line(name, value))
    return b"\r\n".join([*lines, b"", b""])


def denying(
    status: int, headers: Iterable[Header], body: bytes, defaults: Iterable[Header] = ()
) -> bytes:
    """Return a whole response that refuses an upgrade; the connection ends with it.

    Raises:
        ValueError: a malformed field or status.
    """
    if not 200 <= status <= 999:
        raise ValueError(f"the status of a refusal must be 200 to 999, not {status}")
    try:
        phrase = HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        phrase = b""
    fields = {name.lower(): value for name, value in defaults}
    fields.setdefault(b"date", formatdate(usegmt=True).encode("ascii"))
    fields[b"content-length"] = b"%d" % len(body)
    fields[b"connection"] = b"close"
    named = [(name, value) for name, value in headers if name.lower() not in _FRAMING]
    given = {name.lower() for name, _ in named}
    rest = [(name, value) for name, value in fields.items() if name not in given]
    if body and b"content-type" not in given:
        rest.append((b"content-type", b"text/plain; charset=utf-8"))
    lines = [b"HTTP/1.1 %d %s" % (status, phrase)]
    lines += [_line(name, value) for name, value in [*named, *rest]]
    return b"\r\n".join([*lines, b"", body])


_FRAMING = (b"connection", b"content-length", b"transfer-encoding")


def _line(name: bytes, value: bytes) -> bytes:
    name, value = bytes(name), bytes(value)
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no field name")
    if not VALUE.fullmatch(value):
        raise ValueError(f"the value of {name.decode('ascii')!r} holds a control character")
    return name + b": " + value
