"""A client of many connections in one thread, for what the load generator does not do.

It keeps connections open, answers pings, sends at a given pace and notes how long answers take.
"""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass, field

from bench.measure import HANDSHAKE

__all__ = ["Crowd", "percentile"]

PER_ADDRESS = 20_000  # connections from one source address: it has no more ports
KEY = b"\0\0\0\0"  # masks nothing; the server must still look
PING, TEXT = 0x9, 0x1
BIND_ADDRESS_NO_PORT = 24
"""A socket option of Linux: the port is chosen when connecting, which is quicker by far."""
ANSWER_EVERY = 500  # connections opened; a server drops those whose pings nobody answers
MESSAGE_BYTES_MAX = 125  # the short form of a frame's length


@dataclass(slots=True)
class Crowd:
    """Open connections to one port, and what arrived on them."""

    port: int
    sockets: dict[int, socket.socket] = field(default_factory=dict)
    pings: int = 0
    texts: int = 0
    said: int = 0
    waits_s: list[float] = field(default_factory=list)
    """From sending to the answer, of every message that `say` sent."""
    _poller: select.epoll = field(default_factory=select.epoll)
    _partial: dict[int, bytes] = field(default_factory=dict)
    _said: dict[int, float] = field(default_factory=dict)

    def open(self, count: int) -> None:
        """Open so many more connections, answering pings of those that are open.

        Raises:
            OSError: the server refuses one.
        """
        for _ in range(count):
            number = 1 + len(self.sockets) // PER_ADDRESS + os.getpid() % 60_000 * 16
            source = f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
            client = socket.socket()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
            client.bind((source, 0))
            client.connect(("127.0.0.1", self.port))
            client.sendall(HANDSHAKE)
            if not client.recv(4096).startswith(b"HTTP/1.1 101"):
                raise OSError("the server refused a connection")
            client.setblocking(False)
            self.sockets[client.fileno()] = client
            self._poller.register(client.fileno(), select.EPOLLIN)
            if len(self.sockets) % ANSWER_EVERY == 0:
                self._answer()

    def say(self, descriptor: int, text: bytes) -> None:
        """Send a short text on one connection."""
        if len(text) > MESSAGE_BYTES_MAX:
            raise ValueError(f"a text here has at most {MESSAGE_BYTES_MAX} bytes")
        self.said += 1
        self._said[descriptor] = time.perf_counter()
        self.sockets[descriptor].send(bytes((0x81, 0x80 | len(text))) + KEY + text)

    def is_waiting(self, descriptor: int) -> bool:
        """Whether the answer to the last text is outstanding."""
        return descriptor in self._said

    def listen(self, seconds: float, texts_wanted: int | None = None) -> None:
        """Receive for a time, or until so many texts arrived in all."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            if texts_wanted is not None and self.texts >= texts_wanted:
                return
            for descriptor, _ in self._poller.poll(left):
                self._receive(descriptor)

    def _answer(self) -> None:
        """Receive what is there."""
        for descriptor, _ in self._poller.poll(0):
            self._receive(descriptor)

    def close(self) -> None:
        """Drop all connections."""
        self._poller.close()
        for client in self.sockets.values():
            client.close()

    def _receive(self, descriptor: int) -> None:
        data = self.sockets[descriptor].recv(65_536)
        if not data:
            raise OSError("the server ended a connection")
        data = self._partial.pop(descriptor, b"") + data
        while len(data) >= 2 and len(data) >= (end := 2 + data[1]):
            self._take(descriptor, data[0] & 15, data[2:end])
            data = data[end:]
        if data:
            self._partial[descriptor] = data

    def _take(self, descriptor: int, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.pings += 1
            answer = bytes((0x8A, 0x80 | len(payload))) + KEY + payload
            self.sockets[descriptor].send(answer)
        elif opcode == TEXT:
            self.texts += 1
            if (said := self._said.pop(descriptor, None)) is not None:
                self.waits_s.append(time.perf_counter() - said)
        else:
            raise OSError(f"unexpected frame {opcode} {payload!r}")


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
