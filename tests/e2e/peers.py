"""Raw peers for end-to-end tests: they can be silent, stop reading, or vanish."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wynd import Wynd

KEEPALIVE = (9, b"")  # a ping of the server; the first one comes at random
HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def port_of(wynd: Wynd) -> int:
    """Return the port of the first TCP address."""
    address = wynd.addresses[0]
    assert isinstance(address, tuple)
    return address[1]


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """Return a masked, unfragmented frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class RawPeer:
    """A plain TCP connection; nothing is answered unless the test does it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._rest = b""

    @classmethod
    async def connect(cls, port: int, receive_buffer: int | None = None) -> RawPeer:
        """Complete TCP and say nothing."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(sock)

    @classmethod
    async def open(cls, port: int, receive_buffer: int | None = None) -> RawPeer:
        """Complete the opening handshake."""
        peer = await cls.connect(port, receive_buffer)
        await peer.send(HANDSHAKE.format(port=port).encode())
        while b"\r\n\r\n" not in peer._rest:
            peer._rest += await peer.receive()
        head, _, peer._rest = peer._rest.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return peer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self._loop.sock_sendall(self.sock, data)

    async def receive(self) -> bytes:
        """Return what comes next; b"" at the end."""
        return await self._loop.sock_recv(self.sock, 65536)

    async def read_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame; keepalive pings are passed over."""
        while True:
            if len(self._rest) >= 2:
                size, start = self._rest[1] & 127, 2
                if size == 126 and len(self._rest) >= 4:
                    size, start = int.from_bytes(self._rest[2:4], "big"), 4
                if len(self._rest) >= start + size and not (size == 126 and start == 2):
                    opcode, payload = self._rest[0] & 15, self._rest[start : start + size]
                    self._rest = self._rest[start + size :]
                    if (opcode, payload) == KEEPALIVE:
                        continue
                    return opcode, payload
            data = await self.receive()
            if not data:
                raise ConnectionError("end of stream")
            self._rest += data

    def close(self) -> None:
        """Close the transport without a close frame."""
        self.sock.close()

    def reset(self) -> None:
        """End the transport with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
