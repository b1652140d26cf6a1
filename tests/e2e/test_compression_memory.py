"""What compression costs a server in memory: a bomb, and connections that are idle afterwards.

The figures are the server process's own, read from /proc.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import NATIVE_IS_BUILT
from tests.waiting import PATIENCE_S

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from wynd._engine import ClientProtocol, encode_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.usefixtures("native_engine"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

PROGRAM = Path(__file__).with_name("echo_server.py")
KIB, MIB = 1024, 1024 * 1024
MESSAGE_BYTES_MAX = 1 * MIB
NOISE_BYTES = 1 * MIB  # of the allocator, the interpreter and the connections themselves
CONNECTIONS = 100
WORDS = "what all messages have in common " * 100


def memory_of(pid: int, field: str) -> int:
    """Return `VmRSS` or `VmHWM` of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * KIB
    raise AssertionError(field)


def begin_new_peak(pid: int) -> None:
    """Make `VmHWM` count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@contextlib.asynccontextmanager
async def running(compression: str) -> AsyncIterator[tuple[int, int]]:
    """Run the server; give its process and port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", str(PROGRAM), compression, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            port = int(await process.stdout.readline())
        yield process.pid, port
    finally:
        process.terminate()
        await process.wait()


class Peer:
    """A client that offers compression and says what it is told to."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol) -> None:
        self.sock = sock
        self.protocol = protocol

    @classmethod
    async def connect(cls, port: int) -> Peer:
        sock = socket.socket()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        protocol = ClientProtocol()
        request = protocol.handshake_request(host=f"127.0.0.1:{port}", compression=True)
        await loop.sock_sendall(sock, request)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await loop.sock_recv(sock, 4096)
        protocol.handshake_response(answer)
        return cls(sock, protocol)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def events(self) -> list[tuple[object, ...]]:
        """Return the next events; an empty list at the end."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while data := await loop.sock_recv(self.sock, 65536):
                if events := self.protocol.receive_data(data):
                    return events
        return []


def bomb() -> bytes:
    """Return a frame of 64 KiB that inflates to 64 MiB."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = deflater.compress(bytes(64 * MIB)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    assert 60 * KIB < len(payload) < 70 * KIB
    return encode_frame(1, payload[:-4], rsv1=True, masking_key=b"\x01\x02\x03\x04")


async def explode(port: int, frame: bytes) -> None:
    """Send a bomb on a connection of its own, and expect 1009."""
    peer = await Peer.connect(port)
    with contextlib.closing(peer.sock):
        await peer.send(frame)
        told: list[tuple[object, ...]] = []
        while not told:
            events = await peer.events()
            assert events, "ended without a close frame"
            told = [one for one in events if one != ("ping", b"")]  # it waits beside 200 others
        assert told == [("close", 1009, "Message too big.")]


@pytest.mark.parametrize("compression", ["shared", "dedicated"])
async def test_bombs_are_refused_at_the_limit(compression: str, is_nightly: bool) -> None:
    frame = bomb()
    async with running(compression) as (pid, port):
        for _ in range(3):
            await explode(port, frame)  # warms up
        before = memory_of(pid, "VmRSS")
        begin_new_peak(pid)
        await asyncio.gather(*(explode(port, frame) for _ in range(200 if is_nightly else 40)))
        growth = memory_of(pid, "VmHWM") - before
        assert growth <= MESSAGE_BYTES_MAX + 1 * MIB + NOISE_BYTES, growth


async def idle_bytes(compression: str) -> int:
    """Return what an idle connection costs that has spoken before."""
    async with running(compression) as (pid, port):
        warm = await Peer.connect(port)
        peers = [warm]
        before = 0
        for number in range(CONNECTIONS + 1):
            peer = warm if number == 0 else await Peer.connect(port)
            peers.append(peer)
            await peer.send(peer.protocol.send_text(WORDS))
            assert await peer.events() == [("text", WORDS)]
            if number == 0:
                before = memory_of(pid, "VmRSS")
        grown = memory_of(pid, "VmRSS") - before
        for peer in peers:
            peer.sock.close()
        return grown // CONNECTIONS


async def test_idle_connections_keep_memory_only_in_dedicated_mode() -> None:
    off, shared, dedicated = [
        await idle_bytes(compression) for compression in ("off", "shared", "dedicated")
    ]
    figures = f"bytes per idle connection: off {off}, shared {shared}, dedicated {dedicated}"
    assert shared - off < 4 * KIB, figures
    assert 250 * KIB < dedicated - off < 422 * KIB, figures  # 422 KiB are what the engine counts
