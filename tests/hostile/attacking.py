"""A server process whose memory and CPU time are read from outside, and a raw blocking client."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conformance.wire import CLOSE, TEXT, Frame, frame, head

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KIB", "MIB", "SLACK", "Attacker", "Victim", "attacked"]

PROGRAM = Path(__file__).with_name("server.py")
DEADLINE_S = 30.0
KIB, MIB = 1024, 1024 * 1024
SLACK = 256 * KIB  # a page here and there of interpreter and allocator


class Victim:
    """The server process."""

    def __init__(self, pid: int, port: int, metrics_port: int = 0) -> None:
        self.pid = pid
        self.port = port
        self.metrics_port = metrics_port

    def resident(self) -> int:
        """Bytes of the process that are in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def cpu_s(self) -> float:
        """CPU time of the process so far, in seconds."""
        return time.clock_gettime((~self.pid << 3) | 2)  # its clock, as in the kernel's header

    @contextlib.contextmanager
    def peak(self) -> Iterator[list[int]]:
        """Give a list that holds, after the block, by how many bytes memory grew at most."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # forgets the peak so far
        before, grown = self.resident(), [0]
        yield grown
        status = Path(f"/proc/{self.pid}/status").read_text()
        highest = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        grown[0] = int(highest.split()[1]) * KIB - before

    def attacker(self, *fields: bytes, source: str = "127.0.0.1") -> Attacker:
        """Return an open WebSocket; many that come and go need several sources of ports."""
        attacker = self.visitor(source)
        attacker.send(head(*fields))
        status = attacker.status()
        assert status == 101, status
        return attacker

    def visitor(self, source: str = "127.0.0.1") -> Attacker:
        """Return a connection that has said nothing."""
        address = ("127.0.0.1", self.port)
        return Attacker(socket.create_connection(address, DEADLINE_S, (source, 0)))

    def meter(self) -> Attacker:
        """Return a connection to the port of the metrics."""
        address = ("127.0.0.1", self.metrics_port)
        return Attacker(socket.create_connection(address, timeout=DEADLINE_S))

    def is_well(self) -> None:
        """Expect that a new client is served."""
        with self.attacker() as client:
            client.send(frame(TEXT, b"well?"))
            assert client.frame() == Frame(TEXT, b"well?")

    def recovers(self) -> None:
        """Expect that a new client is served once the server has seen others go."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with self.visitor() as visitor:
                visitor.send(head())
                if visitor.status() == 101:
                    return
            assert time.monotonic() < deadline


class Attacker:
    """A client that sends what it likes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = bytearray()

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> bool:
        """Send all; False if the server has had enough."""
        try:
            self.sock.sendall(data)
        except ConnectionError:
            return False
        return True

    def _take(self, size: int) -> bytes:
        while len(self._got) < size:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError
            self._got += data
        taken = bytes(self._got[:size])
        del self._got[:size]
        return taken

    def frame(self) -> Frame:
        """Return the next frame.

        Raises:
            EOFError: the server ended the connection.
        """
        first, size = self._take(2)
        if size == 126:
            size = struct.unpack("!H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self._take(8))[0]
        return Frame(first & 0x0F, self._take(size), bool(first & 0x80), first >> 4 & 7)

    def status(self) -> int:
        """Return the status of the next answer, 0 for the end; its body is dropped."""
        try:
            while b"\r\n\r\n" not in self._got:
                data = self.sock.recv(65_536)
                if not data:
                    return 0
                self._got += data
        except ConnectionError:
            return 0
        answer, _, rest = bytes(self._got).partition(b"\r\n\r\n")
        self._got[:] = rest
        return int(answer.split(b" ")[1])

    def close_code(self) -> int | None:
        """Read on to the close frame; None if the connection ended without one."""
        try:
            while True:
                found = self.frame()
                if found.opcode == CLOSE:
                    code: int = struct.unpack("!H", found.payload[:2])[0]
                    return code
        except (EOFError, ConnectionError):
            return None


@contextlib.contextmanager
def attacked(**options: Any) -> Iterator[Victim]:
    """Run a server until the block ends; it must have survived."""
    command = [sys.executable, str(PROGRAM), json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ports = map(int, process.stdout.readline().split())
            yield Victim(process.pid, *ports)
            assert process.poll() is None, "the server has ended"
        finally:
            process.terminate()
