"""The load generator for what `load.c` does not speak: TLS, permessage-deflate and plain HTTP.

    python -m bench.webload KIND PORT CONNECTIONS SIZE DEPTH SECONDS PID [tls] [deflate]

KIND is "echo" (each connection keeps DEPTH texts in flight), "fanout" (connection 0 publishes; a
text counts per delivery), "get" or "post" (one request after another on each connection, a body of
SIZE bytes in both directions for "post"). One thread, epoll, loopback. It is slower than the C one,
so servers are not always saturated; what is read is the server's CPU per unit, the same load for
all. Prints one JSON object: units, seconds, cpu_us (per unit), bytes (received per unit).
"""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import sys
import time
import zlib
from dataclasses import dataclass, field

from bench.measure import HANDSHAKE, cpu_with_children

WARM_S = 0.3
STEP_S = 0.05
DEADLINE_S = 30.0
READ_BYTES = 256 * 1024
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
WORDS = [
    "tea",
    "kettle",
    "cup",
    "saucer",
    "steam",
    "leaf",
    "water",
    "boils",
    "pours",
    "warm",
    "quiet",
    "table",
    "window",
    "rain",
]


@dataclass(slots=True)
class Client:
    """One connection."""

    sock: socket.socket
    out: bytearray = field(default_factory=bytearray)
    got: bytearray = field(default_factory=bytearray)
    waits_to_write: bool = False

    def send(self, poll: select.epoll, data: bytes) -> None:
        """Send, or keep for later what the socket does not take."""
        self.out += data
        self.write(poll)

    def write(self, poll: select.epoll) -> None:
        """Send what waits."""
        try:
            while self.out:
                del self.out[: self.sock.send(self.out)]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        waits = bool(self.out)
        if waits != self.waits_to_write:
            self.waits_to_write = waits
            events = select.EPOLLIN | (select.EPOLLOUT if waits else 0)
            poll.modify(self.sock.fileno(), events)

    def read(self) -> bytes:
        """Return what is there."""
        pieces = []
        try:
            while True:
                piece = self.sock.recv(READ_BYTES)
                if not piece:
                    raise SystemExit("the server ended a connection")
                pieces.append(piece)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        return b"".join(pieces)


def text_of(size: int) -> bytes:
    """Return a text as chats have them: words, repeated unevenly."""
    words: list[str] = []
    number = 7
    while sum(map(len, words)) + len(words) <= size:
        number = (number * 1103515245 + 12345) % (1 << 31)
        words.append(WORDS[number % len(WORDS)])
    return " ".join(words).encode()[:size].ljust(size, b".")


def frame_of(payload: bytes, *, is_deflated: bool) -> bytes:
    """Return a masked text frame; a mask of zeros costs the server as much as any other."""
    first = 0x81
    if is_deflated:
        deflate = zlib.compressobj(6, wbits=-15)
        payload = (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
        first |= 0x40
    size = len(payload)
    if size < 126:
        header = bytes((first, 0x80 | size))
    elif size < 65_536:
        header = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return header + bytes(4) + payload


def frames_in(got: bytearray) -> int:
    """Take all whole frames out of `got`; return how many they were."""
    at = count = 0
    while len(got) - at >= 2:
        size, start = got[at + 1], at + 2
        if size >= 126:
            more = 2 if size == 126 else 8
            if len(got) < start + more:
                break
            size = int.from_bytes(got[start : start + more], "big")
            start += more
        if len(got) < start + size:
            break
        count += (got[at] & 0x0F) < 8  # pings are none
        at = start + size
    del got[:at]
    return count


def answers_in(got: bytearray) -> int:
    """The same for HTTP answers with a Content-Length."""
    count = 0
    while True:
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return count
        head = bytes(got[:end]).lower()
        if b" 200 " not in head[:13]:
            raise SystemExit(f"the server answered {bytes(head[:40])!r}")
        at = head.index(b"content-length:") + 15
        size = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
        if len(got) < end + 4 + size:
            return count
        del got[: end + 4 + size]
        count += 1


def connect(port: int, context: ssl.SSLContext | None, head: bytes) -> Client:
    """Open a connection; with a `head`, up to the answer 101."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        sock = context.wrap_socket(sock)
    if head:
        sock.sendall(head)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"the server refused: {answer[:60]!r}")
        if b"deflate" in head and b"permessage-deflate" not in answer.lower():
            raise SystemExit("the server did not agree to permessage-deflate")
    sock.setblocking(False)
    return Client(sock)


class Load:
    """All connections and what they have done."""

    def __init__(
        self, kind: str, clients: list[Client], size: int, depth: int, *, is_deflated: bool
    ) -> None:
        self.kind = kind
        self.clients = clients
        self.units = self.bytes = 0
        self._depth = depth
        self._missing = 0  # deliveries of what was published
        self._poll = select.epoll()
        self._by_number = {client.sock.fileno(): client for client in clients}
        if kind in ("echo", "fanout"):
            self._unit = frame_of(text_of(size), is_deflated=is_deflated)
        else:
            body = b"x" * (size if kind == "post" else 0)
            length = b"Content-Length: %d\r\n" % size if body else b""
            method, path = (b"POST", b"/echo") if body else (b"GET", b"/")
            self._unit = b"%b %b HTTP/1.1\r\nHost: a\r\n%b\r\n%b" % (method, path, length, body)
        for number in self._by_number:
            self._poll.register(number, select.EPOLLIN)

    def start(self) -> None:
        """Send the first of everything."""
        if self.kind == "fanout":
            self._publish()
        else:
            for client in self.clients:
                client.send(self._poll, self._unit * self._depth)

    def _publish(self) -> None:
        self._missing = self._depth * (len(self.clients) - 1)
        self.clients[0].send(self._poll, self._unit * self._depth)

    def run(self, until: float) -> None:
        """Go on until that time."""
        idle_since = time.monotonic()
        while True:
            events = self._poll.poll(STEP_S)
            now = time.monotonic()
            if events:
                idle_since = now
            elif now - idle_since > DEADLINE_S:
                raise SystemExit("nothing comes back any more")
            for number, event in events:
                client = self._by_number[number]
                if event & select.EPOLLOUT:
                    client.write(self._poll)
                if event & ~select.EPOLLOUT:
                    self._take(client)
            if now >= until:
                return

    def _take(self, client: Client) -> None:
        data = client.read()
        client.got += data
        count = frames_in(client.got) if self.kind in ("echo", "fanout") else answers_in(client.got)
        self.units += count
        self.bytes += len(data)
        if self.kind == "fanout":
            self._missing -= count
            if self._missing <= 0:
                self._publish()
        elif count:
            client.send(self._poll, self._unit * count)


def main() -> None:
    """Run as the command line says; print what was measured."""
    kind, *numbers = sys.argv[1:7]
    port, connections, size, depth, seconds = (int(n) if n.isdigit() else float(n) for n in numbers)
    pid, options = int(sys.argv[7]), sys.argv[8:]
    context = None
    if "tls" in options:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = HANDSHAKE if kind in ("echo", "fanout") else b""
    if "deflate" in options:
        head = head[:-2] + OFFER
    clients = [connect(int(port), context, head) for _ in range(int(connections))]
    load = Load(kind, clients, int(size), int(depth), is_deflated="deflate" in options)
    load.start()
    load.run(time.monotonic() + WARM_S)
    before, cpu, began = (load.units, load.bytes), cpu_with_children(pid), time.monotonic()
    load.run(began + seconds)
    units, cpu_s, took = load.units - before[0], cpu_with_children(pid) - cpu, time.monotonic()
    if not units:
        raise SystemExit("nothing came back")
    found = {
        "units": units,
        "seconds": round(took - began, 3),
        "cpu_us": round(1e6 * cpu_s / units, 4),
        "bytes": round((load.bytes - before[1]) / units, 1),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the connections need no farewell


if __name__ == "__main__":
    main()
