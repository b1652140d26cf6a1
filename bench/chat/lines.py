"""Thousands of clients of the chat's JSON face in one thread: each follows a script.

A script is a generator: it yields requests and is given their replies. Lines of listeners count
what they are shown without reading it, so that the load costs less than what it measures.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import time
from collections.abc import Callable, Generator
from typing import Any

__all__ = ["Crowd", "Line", "Script"]

Frame = dict[str, Any]
Script = Generator[Frame, Frame, None]
"""Yields requests without `id`, receives replies; its end leaves the line open."""

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: chat.v1.json\r\n\r\n"
)
KEY = b"\0\0\0\0"  # masks nothing; the server must still look
MESSAGE = b'"type":"message"'
RECEIVE = 262_144
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class Line:
    """One connection.

    Attributes:
        is_listening: Whether messages are only counted from now on.
        counted: How many of them arrived.
    """

    __slots__ = ("_begin", "_rest", "_script", "counted", "is_listening", "is_open", "sock")

    def __init__(self, sock: socket.socket, begin: Callable[[Frame], Script]) -> None:
        self.sock = sock
        self.is_open = False
        self.is_listening = False
        self.counted = 0
        self._begin = begin
        self._rest = b""
        self._script: Script | None = None

    def receive(self) -> None:
        """Take what arrived.

        Raises:
            OSError: the server ended the line, or refused the upgrade.
        """
        data = self.sock.recv(RECEIVE)
        if not data:
            raise OSError("the server ended a connection")
        data = self._rest + data
        if self.is_listening:
            self.counted += data.count(MESSAGE)
            # What may be the beginning of the next one is kept.
            self._rest = b"" if data.endswith(b"}") else data[1 - len(MESSAGE) :]
            return
        if not self.is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise OSError(f"refused: {head[:80]!r}")
            self.is_open = True
        at = 0
        while (size := len(data) - at) >= 2:
            length, start = data[at + 1], 2
            if length == 126 and size >= 4:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif length == 127 and size >= 10:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if (start == 2 and length >= 126) or size < start + length:
                break
            self._take(data[at] & 15, data[at + start : at + start + length])
            at += start + length
        self._rest = data[at:]

    def pong(self) -> None:
        """Give a sign of life, for a line whose pings are not read."""
        self._send(PONG, b"")

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            raise OSError(f"the server closed a connection: {payload!r}")
        elif self._script is None:
            self._script = self._begin(json.loads(payload))
            self._go_on(None)
        elif payload.startswith(b'{"re":'):
            reply = json.loads(payload)
            if not reply["ok"]:
                raise OSError(f"a request was refused: {reply['error']}")
            self._go_on(reply)
        elif payload.find(MESSAGE, 0, 20) != -1:
            self.counted += 1

    def _go_on(self, reply: Frame | None) -> None:
        assert self._script is not None
        with contextlib.suppress(StopIteration):
            request = next(self._script) if reply is None else self._script.send(reply)
            self._send(TEXT, json.dumps({"id": 1, **request}).encode())

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        else:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        self.sock.send(head + KEY + payload)


class Crowd:
    """Lines to one server.

    Args:
        port: Of the server.
    """

    def __init__(self, port: int) -> None:
        self.lines: dict[int, Line] = {}
        self._port = port
        self._poller = select.epoll()

    def add(self, begin: Callable[[Frame], Script]) -> Line:
        """Begin to connect; `begin` makes the script when it is given the server's hello."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            sock.connect(("127.0.0.1", self._port))
        line = self.lines[sock.fileno()] = Line(sock, begin)
        self._poller.register(sock.fileno(), select.EPOLLOUT)
        return line

    def run(self, until: Callable[[], bool], patience_s: float) -> None:
        """Serve all lines until a condition holds.

        Raises:
            OSError: it does not hold in time, or a line was lost.
        """
        deadline = time.monotonic() + patience_s
        while not until():
            if time.monotonic() > deadline:
                raise OSError(f"not within {patience_s:g} s")
            for descriptor, events in self._poller.poll(0.05):
                line = self.lines[descriptor]
                if events & select.EPOLLOUT:
                    self._connected(line)
                else:
                    line.receive()

    def cut(self) -> None:
        """Reset every line at once, and forget them."""
        for line in self.lines.values():
            line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Drop all lines."""
        for line in self.lines.values():
            line.sock.close()
        self.lines.clear()

    def _connected(self, line: Line) -> None:
        code = line.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, "a connection failed")
        self._poller.modify(line.sock.fileno(), select.EPOLLIN)
        line.sock.send(HANDSHAKE)
