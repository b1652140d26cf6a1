"""What tests of the portable engine stand on: a host server in memory, a sink that records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from wynd.engines.asgi import PortableEngine
from wynd.limits import Limits
from wynd.request import Accept, Origins, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd.errors import HandlerError

__all__ = ["MemoryHost", "RecordingSink", "settle", "started", "until"]

DEADLINE_S = 10.0


async def settle(turns: int = 10) -> None:
    """Let everything that is ready run: with memory only, nothing else is under way."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Callable[[], Any]) -> None:
    """Return when `condition()` is true; fail after a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 # conditions are of many kinds
            await asyncio.sleep(0.001)


class RecordingSink:
    """Keeps every call; `on_received` may act on messages, `answer` on requests."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.engine: PortableEngine | None = None
        self.on_received: Callable[[int, str | bytes], object] = lambda key, message: None
        self.answer: Callable[[Request], Accept | Response | None] = lambda request: Accept()

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of all calls of one method."""
        return [call[1:] for call in self.calls if call[0] == name]

    def requested(self, key: int, listener: int, request: Request) -> None:
        self.calls.append(("requested", key, listener, request))
        assert self.engine is not None
        answer = self.answer(request)
        if isinstance(answer, Response):
            self.engine.respond(key, answer)
        elif answer is not None:
            self.engine.accept(key, answer)

    def opened(self, key: int, request: Request, subprotocol: str | None) -> None:
        self.calls.append(("opened", key, request, subprotocol))

    def received(self, key: int, message: str | bytes) -> None:
        self.calls.append(("received", key, message))
        self.on_received(key, message)

    def ponged(self, key: int, payload: bytes) -> None:
        self.calls.append(("ponged", key, payload))

    def drained(self, key: int) -> None:
        self.calls.append(("drained", key))

    def closing(self, key: int, sent: int | None, received: int | None) -> None:
        self.calls.append(("closing", key, sent, received))

    def closed(self, key: int, sent: int | None, received: int | None, reason: str) -> None:
        self.calls.append(("closed", key, sent, received, reason))

    def handshake_lost(self, key: int) -> None:
        self.calls.append(("handshake_lost", key))

    def failed(self, error: HandlerError) -> None:
        self.calls.append(("failed", error))


def started(
    limits: Limits | None = None,
    origins: Any = "same-host",
    subprotocols: tuple[str, ...] = (),
) -> tuple[PortableEngine, RecordingSink]:
    """Return a started engine and its sink, on the running loop."""
    engine = PortableEngine(limits or Limits(), Origins.parse(origins), subprotocols)
    sink = RecordingSink()
    sink.engine = engine
    engine.start(asyncio.get_running_loop(), sink)
    return engine, sink


class MemoryHost:
    """One ASGI scope run in memory: the test plays the host server."""

    def __init__(self, engine: PortableEngine, **scope: Any) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/",
            "query_string": b"",
            "headers": [(b"host", b"example.org")],
            "client": ("192.0.2.1", 5000),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            **scope,
        }
        self.sent: list[dict[str, Any]] = []
        self.pulls = 0
        """How often the engine asked for an event."""
        self.takes = asyncio.Event()
        """Cleared, `send` waits: the host's buffer is full."""
        self.takes.set()
        self.refuses: Exception | None = None
        """What `send` raises."""
        self._engine = engine
        self.has_one_lock = False
        """Whether a close waits while the engine waits for an event, as granian's does."""
        self._lock = asyncio.Lock()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    def start(self, **options: Any) -> MemoryHost:
        """Run the application on this scope, with a `websocket.connect` to begin with."""
        if self.scope["type"] == "websocket":
            self.put({"type": "websocket.connect"})
        application = self._engine.application(self.scope, self.receive, self.send, **options)
        self.task = asyncio.get_running_loop().create_task(application)
        return self

    async def open(self, **options: Any) -> MemoryHost:
        """Start and wait until it was accepted."""
        self.start(**options)
        await until(lambda: self.sent)
        assert self.sent.pop(0)["type"] == "websocket.accept"
        await settle()
        return self

    def put(self, event: dict[str, Any]) -> None:
        """Have the engine receive an event."""
        self._incoming.put_nowait(event)

    def put_text(self, *messages: str) -> None:
        """Have the engine receive texts."""
        for message in messages:
            self.put({"type": "websocket.receive", "text": message})

    def disconnect(self, code: int = 1000, **event: Any) -> None:
        """Have the engine receive the end."""
        self.put({"type": "websocket.disconnect", "code": code, **event})

    def texts(self) -> list[str]:
        """Return the texts sent so far."""
        return [event["text"] for event in self.sent if event["type"] == "websocket.send"]

    async def finish(self) -> None:
        """Wait for the application's end; what it raised is raised here."""
        assert self.task is not None
        async with asyncio.timeout(DEADLINE_S):
            await self.task
        await settle()

    async def receive(self) -> dict[str, Any]:
        self.pulls += 1
        async with self._lock:
            return await self._incoming.get()

    async def send(self, event: Any) -> None:
        await self.takes.wait()
        if self.has_one_lock and event["type"] == "websocket.close":
            async with self._lock:
                pass
        if self.refuses is not None:
            raise self.refuses
        self.sent.append(event)
