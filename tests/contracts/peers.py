"""What the contract suite talks to servers with: an independent client, and a raw one.

`connect` is the `websockets` client. `RawPeer` owns its socket, so that it can stop reading, read
late, send any bytes and vanish without a word. `eventually` waits for a condition, never sleeps
for an amount of time that decides a result.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import websockets
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from wynd import Wynd

__all__ = ["EngineName", "Log", "RawPeer", "connect", "eventually", "get", "port_of", "serving"]

EngineName = Literal["native", "portable"]

DEADLINE_S = 10.0
RECEIVE_BUFFER = 4096  # a slow reader's: little fits into the kernel on its side


def port_of(wynd: Wynd) -> int:
    """Return the TCP port a server listens on."""
    address = wynd.addresses[0]
    assert isinstance(address, tuple)
    return address[1]


@asynccontextmanager
async def serving(wynd: Wynd) -> AsyncIterator[int]:
    """Serve on a free port of 127.0.0.1 and give the port."""
    async with wynd.serving(0, host="127.0.0.1"):
        yield port_of(wynd)


def connect(port: int, path: str = "/", **options: Any) -> websockets.connect:
    """Return a connection to be awaited or entered; keepalive and compression are off."""
    options = {"compression": None, "ping_interval": None, "proxy": None, **options}
    return websockets.connect(f"ws://127.0.0.1:{port}{path}", **options)


async def eventually(condition: Callable[[], Any], what: str = "") -> None:
    """Return when `condition()` is true; fail after a deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_S
    while not condition():
        assert loop.time() < deadline, what or "the condition did not come true"
        await asyncio.sleep(0.002)


def is_not_keepalive(event: object) -> bool:
    """Tell what a test waits for from the server's keepalive, whose first ping comes at random."""
    return not (isinstance(event, Frame) and event.opcode is Opcode.PING and not event.data)


class Log(list[Any]):
    """What handlers saw, and a way to wait for it."""

    async def length(self, count: int) -> Log:
        """Wait until `count` entries are there."""
        await eventually(lambda: len(self) >= count, f"only {len(self)} of {count}: {self!r:.300}")
        return self


class RawPeer:
    """A client on a socket of its own, which reads only when it is told to."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol) -> None:
        self._sock = sock
        self._protocol = protocol
        self._events: list[Any] = []
        self._is_at_end = False

    @classmethod
    async def connect(
        cls, port: int, path: str = "/", *, deflates: bool = False, **headers: str
    ) -> RawPeer:
        """Connect and complete the opening handshake; with `deflates`, offer compression.

        Raises:
            AssertionError: the answer was not 101.
        """
        peer = await cls.dial(port, path, deflates=deflates)
        request = peer._protocol.connect()
        request.headers.update(headers)
        peer._protocol.send_request(request)
        await peer._flush()
        response = await peer._event()
        assert isinstance(response, Response)
        assert response.status_code == 101
        return peer

    @classmethod
    async def dial(cls, port: int, path: str = "/", *, deflates: bool = False) -> RawPeer:
        """Complete TCP only."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        uri = parse_uri(f"ws://127.0.0.1:{port}{path}")
        offers = [ClientPerMessageDeflateFactory()] if deflates else None
        return cls(sock, ClientProtocol(uri, max_size=None, extensions=offers))

    async def send_bytes(self, data: bytes) -> None:
        """Put bytes on the wire as they are."""
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def send_text(self, text: str) -> None:
        """Send one text message."""
        self._protocol.send_text(text.encode())
        await self._flush()

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame; None sends one without a code."""
        if code is None:
            self._protocol.send_close()
        else:
            self._protocol.send_close(code, reason)
        await self._flush()

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            AssertionError: a close frame or the end came instead.
        """
        frame = await self._event()
        assert isinstance(frame, Frame), frame
        assert frame.opcode in (Opcode.TEXT, Opcode.BINARY), frame
        return bytes(frame.data).decode() if frame.opcode is Opcode.TEXT else bytes(frame.data)

    async def drain(self) -> tuple[list[str | bytes], Close | None]:
        """Read to the end; return all messages and the close frame, if one came."""
        messages: list[str | bytes] = []
        close = None
        while (frame := await self._event()) is not None:
            if frame.opcode is Opcode.CLOSE:
                close = Close.parse(frame.data)
            elif frame.opcode is Opcode.TEXT:
                messages.append(bytes(frame.data).decode())
            elif frame.opcode is Opcode.BINARY:
                messages.append(bytes(frame.data))
        return messages, close

    async def read_all(self) -> bytes:
        """Read raw bytes to the end of the stream."""
        chunks = []
        async with asyncio.timeout(DEADLINE_S):
            while chunk := await self._recv():
                chunks.append(chunk)
        return b"".join(chunks)

    async def _event(self) -> Any:
        """Return the next event of the protocol, None at the end; keepalive pings are passed over.

        The protocol answers them.
        """
        async with asyncio.timeout(DEADLINE_S):
            while not self._events:
                if self._is_at_end:
                    return None
                data = await self._recv()
                if data:
                    self._protocol.receive_data(data)
                else:
                    self._is_at_end = True
                    self._protocol.receive_eof()
                await self._flush()
                self._events += filter(is_not_keepalive, self._protocol.events_received())
        return self._events.pop(0)

    async def _recv(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._sock, 65536)
        except ConnectionError:
            return b""

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                try:
                    await self.send_bytes(data)
                except ConnectionError:
                    self._is_at_end = True
            else:
                self._shut_writing()

    def _shut_writing(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._is_at_end = True

    def reset(self) -> None:
        """Vanish with a TCP reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def leave(self) -> None:
        """Vanish with a FIN and no close frame."""
        self._sock.close()

    async def __aenter__(self) -> RawPeer:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sock.close()


async def get(port: int, head: str) -> tuple[int, dict[str, str], bytes]:
    """Send a request head (CRLF is added per line); return status, fields and body."""
    async with await RawPeer.dial(port) as peer:
        lines = [*head.strip().splitlines(), "", ""]
        await peer.send_bytes("\r\n".join(line.strip() for line in lines).encode("latin-1"))
        answer = await peer.read_all()
    top, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = top.decode("latin-1").split("\r\n")
    pairs = (field.split(":", 1) for field in fields)
    return int(status.split()[1]), {name.lower(): value.strip() for name, value in pairs}, body
