"""Servers of `WyndProtocol` in the test's own loop, and a peer that speaks raw frames."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any

import uvicorn

from tests.waiting import eventually
from wynd._engine import encode_frame
from wynd.http import Server as NativeServer
from wynd.http.uvicorn import WyndProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAIT_S = 10.0
KEY = b"\x01\x02\x03\x04"


class Server(uvicorn.Server):
    """A server that leaves the signals of the test run alone."""

    port = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Server]:
    """Serve `app` with `WyndProtocol` on a free port until the block ends."""
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, **{"ws": WyndProtocol, "log_config": None, **options})
    server = Server(config)
    server.port = sock.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await eventually(lambda: server.started or task.done())
        yield server
    finally:
        server.should_exit = True
        async with asyncio.timeout(WAIT_S):
            await task


class Served:
    """An application on a port, whoever serves it."""

    def __init__(self, port: int) -> None:
        self.port = port


@contextlib.asynccontextmanager
async def served_by(host: str, app: Any) -> AsyncIterator[Served]:
    """Serve `app`, its WebSockets on `WyndProtocol`, by one of `HOSTS`."""
    if host == "wynd serve":
        async with NativeServer(app).serving(0, host="127.0.0.1") as native:
            yield Served(int(native.addresses[0][1]))
    else:
        async with serving(app, http=host.removeprefix("uvicorn-")) as server:
            yield Served(server.port)


HOSTS = ("uvicorn-httptools", "uvicorn-h11", "wynd serve")


class Peer:
    """A client that sends and reads bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def shake_hands(self, path: str = "/", *fields: str) -> bytes:
        """Send an upgrade request; return the head of the answer."""
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        version = "Sec-WebSocket-Version: 13"
        given = {field.partition(":")[0].lower() for field in fields}
        own = [field for field in (key, version) if field.partition(":")[0].lower() not in given]
        lines = [
            f"GET {path} HTTP/1.1",
            *("Host: localhost", "Upgrade: websocket", "Connection: Upgrade"),
            *own,
            *(field for field in fields if not field.endswith(": ")),
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(WAIT_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    def send(self, *frames: bytes) -> None:
        """Send frames in one write."""
        self.writer.write(b"".join(frames))

    async def frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        async with asyncio.timeout(WAIT_S):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 15, await self.reader.readexactly(length)

    async def closing(self) -> tuple[int, str]:
        """Expect a close frame; return code and reason, 1005 for an empty one."""
        opcode, payload = await self.frame()
        assert opcode == 8, (opcode, payload)
        if not payload:
            return 1005, ""
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    async def end(self) -> bytes:
        """Return what comes up to the end of the stream."""
        async with asyncio.timeout(WAIT_S):
            return await self.reader.read()


@contextlib.asynccontextmanager
async def peer_of(server: Server | Served) -> AsyncIterator[Peer]:
    """Connect a raw peer; it is gone at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


def text(content: str | bytes, **options: Any) -> bytes:
    """A masked text frame."""
    payload = content.encode() if isinstance(content, str) else content
    return encode_frame(1, payload, masking_key=KEY, **options)


def close(code: int | None = None, reason: str = "") -> bytes:
    """A masked close frame."""
    payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
    return encode_frame(8, payload, masking_key=KEY)


def ping(payload: bytes) -> bytes:
    """A masked ping."""
    return encode_frame(9, payload, masking_key=KEY)


def pong(payload: bytes = b"") -> bytes:
    """A masked pong."""
    return encode_frame(10, payload, masking_key=KEY)
