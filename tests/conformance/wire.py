"""A raw client: bytes out, frames in, and deadlines. It repairs nothing and hides nothing."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

__all__ = ["Frame", "Server", "Wire", "frame", "head", "opened"]

ANSWER_S = 5.0
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"  # RFC 6455 §5.7

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and how it is spoken to."""

    host: str
    port: int
    path: str = "/"
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the server."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    def __str__(self) -> str:
        names = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
        if self.opcode == CLOSE:
            code = struct.unpack("!H", self.payload[:2])[0] if len(self.payload) > 1 else "empty"
            return f"close {code}"
        shown = self.payload if len(self.payload) <= 20 else self.payload[:17] + b"..."
        return f"{names.get(self.opcode, self.opcode)} {shown.decode('latin-1')!r}"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: bytes | None = None,
) -> bytes:
    """Return a client's frame; `length` replaces the length field and what stands before it.

    Args:
        rsv: the three reserved bits, RSV1 is 4.
        length: the seven bits, as one byte without the mask bit, and the extended length.
    """
    first = bytes([fin << 7 | rsv << 4 | opcode])
    if length is None:
        size = len(payload)
        if size < 126:
            length = bytes([size])
        elif size < 65_536:
            length = b"\x7e" + struct.pack("!H", size)
        else:
            length = b"\x7f" + struct.pack("!Q", size)
    if not masked:
        return first + length + payload
    length = bytes([length[0] | 0x80]) + length[1:]
    return first + length + MASK + bytes(b ^ MASK[i % 4] for i, b in enumerate(payload))


def head(*changes: bytes, path: str = "/", drop: bytes = b"") -> bytes:
    """Return an upgrade request with further fields, less the fields that begin with `drop`."""
    lines = [
        b"GET %b HTTP/1.1" % path.encode(),
        b"Host: conformance.test",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: 13",
    ]
    kept = [line for line in lines if not (drop and line.lower().startswith(drop.lower()))]
    return b"\r\n".join([*kept, *changes, b"", b""])


class Wire:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes; a server that has ended is noticed by reading."""
        self._writer.write(data)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Read a response: status (0 for the end), fields in lower case, body."""
        async with asyncio.timeout(ANSWER_S):
            try:
                text = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, {}, b""
            first, *lines = text[:-4].split(b"\r\n")
            pairs = (line.split(b":", 1) for line in lines)
            fields = {name.lower(): value.strip() for name, value in pairs}
            status = int(first.split(b" ")[1])
            body = b""
            if status != 101 and b"content-length" in fields:
                body = await self._reader.readexactly(int(fields[b"content-length"]))
            return status, fields, body

    async def frame(self) -> Frame | None:
        """Read a frame; None is the end.

        Raises:
            TimeoutError: nothing came.
        """
        async with asyncio.timeout(ANSWER_S):
            try:
                first, size = await self._reader.readexactly(2)
                if size & 0x7F == 126:
                    size = struct.unpack("!H", await self._reader.readexactly(2))[0]
                elif size & 0x7F == 127:
                    size = struct.unpack("!Q", await self._reader.readexactly(8))[0]
                payload = await self._reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        return Frame(first & 0x0F, payload, bool(first & 0x80), first >> 4 & 7)

    def has_input(self) -> bool:
        """Tell whether bytes, or the end, have come that nobody has read."""
        return bool(self._reader._buffer) or self._reader.at_eof()  # type: ignore[attr-defined]

    async def is_ended(self) -> bool:
        """Read on until the server ends the connection; False if it does not."""
        try:
            async with asyncio.timeout(ANSWER_S):
                while await self._reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def abort(self) -> None:
        """End the transport."""
        self._writer.transport.abort()


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[Wire]:
    """Connect; nothing is sent yet."""
    async with asyncio.timeout(ANSWER_S):
        streams = await asyncio.open_connection(
            server.host, server.port, ssl=server.tls, limit=1 << 22
        )
    wire = Wire(*streams)
    try:
        yield wire
    finally:
        wire.abort()
