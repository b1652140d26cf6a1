"""A host on one port with a small ASGI application, and raw clients, for tests of `wynd.http`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from wynd import Wynd
from wynd.http.hosts import HostConfig, Mounted
from wynd.http.native import NativeHost
from wynd.http.serving import host_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.websockets import WebSocket

DEADLINE_S = 10.0  # nothing here takes that long; a test that hangs ends with it

KEEPALIVE = b"\x89\x00"  # a ping of the server; the first one comes at random
UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


def upgrade(path: str = "/ws") -> bytes:
    """Return an upgrade request."""
    return UPGRADE % path.encode()


class Served:
    """What the test application saw, and what lets it go on."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.was_disconnected = asyncio.Event()

    def application(self) -> Starlette:
        """Return the application."""

        async def hello(request: Request) -> PlainTextResponse:
            self._note(request)
            return PlainTextResponse("hello")

        async def echo(request: Request) -> PlainTextResponse:
            self._note(request)
            return PlainTextResponse(await request.body())

        async def size(request: Request) -> PlainTextResponse:
            self._note(request)
            total = 0
            async for piece in request.stream():
                total += len(piece)
            return PlainTextResponse(str(total))

        async def big(request: Request) -> StreamingResponse:
            self._note(request)

            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(160):
                    yield b"x" * 65536

            return StreamingResponse(pieces())

        async def slow(request: Request) -> PlainTextResponse:
            self._note(request)
            self.begun.set()
            await self.go_on.wait()
            return PlainTextResponse("slow")

        async def client(request: Request) -> PlainTextResponse:
            seen = request.client
            assert seen is not None
            return PlainTextResponse(f"{seen.host} {request.url.scheme} {request.scope['path']}")

        async def gone(request: Request) -> PlainTextResponse:
            self.begun.set()
            while not await request.is_disconnected():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)  # the loop goes on between two looks
            self.was_disconnected.set()
            return PlainTextResponse("nobody reads this")

        async def fails(request: Request) -> PlainTextResponse:
            raise RuntimeError("on purpose")

        async def socket(websocket: WebSocket) -> None:
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(f"asgi: {text}")

        return Starlette(
            routes=[
                Route("/hello", hello, methods=["GET", "POST"]),
                Route("/both", hello),
                Route("/echo", echo, methods=["POST"]),
                Route("/size", size, methods=["POST"]),
                Route("/big", big),
                Route("/slow", slow),
                Route("/client", client),
                Route("/gone", gone),
                Route("/fails", fails),
                WebSocketRoute("/asgi", socket),
            ]
        )

    def _note(self, request: Request) -> None:
        self.requests.append(f"{request.method} {request.url.path}")


class Client:
    """A raw TCP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *pieces: bytes) -> None:
        """Send bytes."""
        self.writer.write(b"".join(pieces))

    async def response(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Read one response: status, fields in lower case, body."""
        async with asyncio.timeout(DEADLINE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            fields = {name.lower(): value for name, value in pairs}
            body = b""
            status = int(head[0].split(" ")[1])
            if has_body and fields.get("transfer-encoding") == "chunked":
                body = await self._chunks()
            elif has_body and status >= 200:
                body = await self.reader.readexactly(int(fields.get("content-length", 0)))
            return status, fields, body

    async def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = int(await self.reader.readline(), 16)
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
            if not size:
                return bytes(body)

    async def ask(self, *pieces: bytes, has_body: bool = True) -> tuple[int, bytes]:
        """Send a request and read its answer: status and body."""
        self.send(*pieces)
        status, _, body = await self.response(has_body=has_body)
        return status, body

    async def rest(self) -> bytes:
        """Read until the server ends the connection."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read()

    async def frame(self) -> bytes:
        """Read the payload of one short frame; keepalive pings are passed over."""
        async with asyncio.timeout(DEADLINE_S):
            while (start := await self.reader.readexactly(2)) == KEEPALIVE:
                pass
            return await self.reader.readexactly(start[1])

    def text(self, payload: bytes) -> None:
        """Send a masked text frame, masked with zeros."""
        self.send(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]), payload)


class Running:
    """A host that listens, with what was made for it."""

    def __init__(self, host: NativeHost, served: Served) -> None:
        self.host = host
        self.served = served
        self._clients: list[Client] = []

    async def connect(self) -> Client:
        """Return a connected client."""
        address = self.host.addresses[0]
        assert isinstance(address, tuple)
        client = Client(*await asyncio.open_connection(*address))
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            client.writer.transport.abort()


def echoing(**options: Any) -> Wynd:
    """Return a `Wynd` that answers each text with itself."""
    wynd = Wynd(**options)

    @wynd.on_text
    async def echo(message: Any, handle: Any) -> None:
        await handle.send_text(f"wynd: {message.data}")

    return wynd


def mounted(mounts: Mapping[str, Wynd]) -> list[Mounted]:
    """Return path → `Wynd` as a host takes it."""
    return [Mounted(path, wynd) for path, wynd in mounts.items()]


def settings(**options: Any) -> HostConfig:
    """Return the settings of a host on a free port of the loopback that drains for a second."""
    return host_config(0, **{"host": "127.0.0.1", "drain_s": 1.0, **options})


@asynccontextmanager
async def running(
    mounts: Mapping[str, Wynd] | None = None, **options: Any
) -> AsyncIterator[Running]:
    """Serve on a free port of the loopback; the test application unless `app` is given."""
    served = Served()
    app = options.pop("app", None) or served.application()
    given = {"/ws": echoing()} if mounts is None else mounts
    http = options.pop("http", None)
    host = NativeHost(app, mounts=mounted(given), config=settings(**options), http=http)
    await host.start()
    await host.listen()
    test = Running(host, served)
    try:
        yield test
    finally:
        await test.close()
        await host.stop()
