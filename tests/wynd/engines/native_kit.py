"""A sink that records, and raw peers, for tests of the native engine by itself."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wynd._engine import ClientProtocol
from wynd.engines.base import ListenerOptions
from wynd.engines.native import NativeEngine
from wynd.limits import Limits
from wynd.request import Origins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from wynd.errors import HandlerError
    from wynd.request import Request

DEADLINE_S = 10.0  # nothing here takes that long; a test that hangs ends with it


async def wait_until(condition: Callable[[], object]) -> None:
    """Return once `condition` holds, after as many passes of the loop as it takes."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def open_descriptors() -> int:
    """Return how many descriptors this process has, 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


class RecordingSink:
    """Keeps every call as a tuple in `calls`; `hooks` run after, by the name of the call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.hooks: dict[str, Callable[..., object]] = {}

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of one method."""
        return [call[1:] for call in self.calls if call[0] == name]

    async def wait(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        """Return the arguments of the first `count` calls of a method, once they happened."""
        await wait_until(lambda: len(self.named(name)) >= count)
        return self.named(name)[:count]

    def _record(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        hook = self.hooks.get(name)
        if hook is not None:
            hook(*arguments)

    def requested(self, key: int, listener: int, request: Request) -> None:
        self._record("requested", key, listener, request)

    def opened(self, key: int, request: Request, subprotocol: str | None) -> None:
        self._record("opened", key, request, subprotocol)

    def received(self, key: int, message: str | bytes) -> None:
        self._record("received", key, message)

    def ponged(self, key: int, payload: bytes) -> None:
        self._record("ponged", key, payload)

    def drained(self, key: int) -> None:
        self._record("drained", key)

    def closing(self, key: int, sent: int | None, received: int | None) -> None:
        self._record("closing", key, sent, received)

    def closed(self, key: int, sent: int | None, received: int | None, reason: str) -> None:
        self._record("closed", key, sent, received, reason)

    def handshake_lost(self, key: int) -> None:
        self._record("handshake_lost", key)

    def failed(self, error: HandlerError) -> None:
        self._record("failed", error)


class Peer:
    """A client on a non-blocking socket. Calls without `async` do one system call at most."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.protocol = ClientProtocol()
        self.head = b""
        """Head of the response, and of a refusal its body."""
        self.events: list[tuple[Any, ...]] = []
        self.is_ended = False

    def ask(self, target: str = "/", **fields: str) -> None:
        """Send an upgrade request; `_` in names of fields is `-`."""
        pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
        offered = [value for name, value in pairs if name == "subprotocol"]
        rest = [(name, value) for name, value in pairs if name != "subprotocol"]
        self.sock.send(self.protocol.handshake_request(target, "localhost", offered, rest))

    def text(self, *texts: str) -> None:
        """Send texts in one piece."""
        self.sock.send(b"".join(self.protocol.send_text(text) for text in texts))

    def look(self) -> bool:
        """Take what has arrived; false if nothing new had."""
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return False
        except ConnectionError:
            data = b""
        if not data:
            self.is_ended = True
            return False
        if b"\r\n\r\n" not in self.head:
            head, end, data = (self.head + data).partition(b"\r\n\r\n")
            self.head = head + end
            if b" 101 " in self.head:
                self.protocol.handshake_response(self.head)
            elif end:
                self.head, data = self.head + data, b""
        elif b" 101 " not in self.head:
            self.head, data = self.head + data, b""
        self.events += self.protocol.receive_data(data)
        return True

    async def wait(self, condition: Callable[[], object]) -> None:
        """Read until `condition` holds."""

        def is_met() -> bool:
            while self.look():
                pass
            return bool(condition())

        await wait_until(is_met)

    async def open(self, target: str = "/", **fields: str) -> Peer:
        """Do the opening handshake."""
        self.ask(target, **fields)
        await self.wait(lambda: b"\r\n\r\n" in self.head)
        assert b" 101 " in self.head, self.head
        return self

    async def receive(self, count: int = 1) -> list[tuple[Any, ...]]:
        """Return the next `count` events."""
        await self.wait(lambda: len(self.events) >= count)
        taken, self.events = self.events[:count], self.events[count:]
        return taken

    async def ended(self) -> None:
        """Return once the server has closed."""
        await self.wait(lambda: self.is_ended)


class Serving:
    """A started engine with what was made for it, closed in `serving`."""

    def __init__(self, engine: NativeEngine, sink: RecordingSink) -> None:
        self.engine = engine
        self.sink = sink
        self.peers: list[Peer] = []

    def adopt(self, listener: int = 0, *, asks: bool = False) -> Peer:
        """Return a peer on a socket pair that the engine has not read from."""
        ours, theirs = socket.socketpair()
        self.peers.append(Peer(ours))
        self.engine.adopt(theirs, listener, asks=asks)
        return self.peers[-1]

    async def open(self) -> tuple[int, Peer]:
        """Return key and peer of an open connection on a socket pair."""
        known = len(self.sink.named("opened"))
        peer = await self.adopt().open()
        opened = await self.sink.wait("opened", known + 1)
        return opened[-1][0], peer

    async def connect(self, address: Any) -> Peer:
        """Return a connected peer."""
        family = socket.AF_UNIX
        if isinstance(address, tuple):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
        sock.setblocking(False)
        self.peers.append(Peer(sock))
        await asyncio.get_running_loop().sock_connect(sock, address)
        return self.peers[-1]

    async def listen(self, listener: int = 0, **options: Any) -> Any:
        """Return the addresses of a listener."""
        return await self.engine.listen(listener, ListenerOptions(**options))


@asynccontextmanager
async def serving(
    limits: Limits | None = None,
    *,
    origins: str = "*",
    subprotocols: tuple[str, ...] = (),
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Serving]:
    """Run an engine on the test's loop; on the real clock it sends no keepalive.

    Its first ping comes at random, also between what a test waits for.
    """
    limits = limits or Limits()
    if clock is None:
        limits = replace(limits, ping_interval_s=None)
    engine = NativeEngine(limits, Origins.parse(origins), subprotocols, clock=clock)
    served = Serving(engine, RecordingSink())
    engine.start(asyncio.get_running_loop(), served.sink)
    try:
        yield served
    finally:
        for peer in served.peers:
            peer.sock.close()
        await engine.stop()
