"""The network of a simulation: connections as an ASGI host has them, and what happens to them.

Each direction of a `Link` is a queue with its own delays, so nothing is reordered and anything may
come late. A link can be cut, closed, frozen (both peers see silence) or stalled (the client does
not read, so that the server's `send` waits). Knows no chat.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.loop import Process, VirtualLoop

__all__ = ["Link", "Network", "Peer"]

WINDOW_BYTES = 2 * 1024  # what may be under way to a client that does not read
DEAD_S = 35.0  # a host's pings: 25 s and 10 s (chat.v1 §5.5, rule 7)
ABNORMAL = 1006


class Peer:
    """What a client does when something arrives."""

    def opened(self) -> None:
        """The upgrade was accepted."""

    def refused(self, status: int, body: str) -> None:
        """The upgrade was refused; the link is gone."""

    def received(self, text: str) -> None:
        """A frame arrived."""

    def ended(self, code: int, reason: str) -> None:
        """The connection has ended; nothing more arrives."""


class Network:
    """Makes links to whatever process listens now."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop = loop
        self.chance = chance
        self.process: Process | None = None
        self.applications: Mapping[str, Callable[..., Any]] = {}
        """By "main" and "plain"."""
        self._links: list[Link] = []
        self.made = 0
        """How many links there were."""
        self.is_calm = False
        """Whether nothing is slow any more."""

    @property
    def links(self) -> list[Link]:
        """Those of which either side does not know an end."""
        self._links = [link for link in self._links if not link.is_gone]
        return self._links

    def add(self, link: Link) -> int:
        """Note a link; return its number."""
        self._links.append(link)
        self.made += 1
        return self.made

    def listen(self, process: Process, applications: Mapping[str, Callable[..., Any]]) -> None:
        """Lead new links to a process."""
        self.process, self.applications = process, applications

    def unlisten(self, process: Process) -> None:
        """Refuse new links, as a port that nobody listens to."""
        if self.process is process:
            self.process = None

    def delay(self) -> float:
        """Return how long something is under way."""
        draw = self.chance.random()
        if self.is_calm or draw < 0.8:
            return 0.001 + draw * 0.02
        return draw * draw * 2.0

    def crashed(self, process: Process) -> None:
        """Tear all links to a process that died."""
        self.unlisten(process)
        for link in self.links:
            if link.process is process:
                link.torn()


class _Pipe:
    """One direction of a link."""

    def __init__(self, network: Network, deliver: Callable[[Any], None]) -> None:
        self._network = network
        self._deliver = deliver
        self._items: deque[tuple[float, Any]] = deque()
        self._last = 0.0
        self._timer: asyncio.Handle | None = None
        self.is_held = False

    def put(self, item: Any) -> None:
        """Send something on its way, behind what is there."""
        loop = self._network.loop
        self._last = max(self._last, loop.time() + self._network.delay())
        self._items.append((self._last, item))
        self._arm()

    def hold(self, is_held: bool) -> None:
        """Let nothing arrive, or everything again."""
        self.is_held = is_held
        self._arm()

    def drop(self, chance: random.Random) -> None:
        """Lose what is under way, all or the latest part of it."""
        kept = chance.randint(0, len(self._items))
        if self.is_held or chance.random() < 0.5:
            kept = 0
        while len(self._items) > kept:
            self._items.pop()
        self.is_held = False

    def _arm(self) -> None:
        if self._timer is None and self._items and not self.is_held:
            loop = self._network.loop
            delay = max(0.0, self._items[0][0] - loop.time())
            self._timer = loop.later(delay, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._items and not self.is_held:
            _, item = self._items.popleft()
            self._arm()
            self._deliver(item)


class Link:
    """One connection between a client and the process that listened when it began."""

    def __init__(
        self,
        network: Network,
        peer: Peer,
        name: str,
        *,
        address: str,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._network = network
        self._peer = peer
        self.number = network.add(self)
        self.process = network.process
        self._up = _Pipe(network, self._arrived_up)
        self._down = _Pipe(network, self._arrived_down)
        self._inbox: deque[dict[str, Any]] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._under_way = 0  # bytes towards the client
        self._is_stalled = False
        self._unread: deque[Any] = deque()
        self._body = b""
        self._status = 0
        self.is_over = False
        """Whether the client's side has ended."""
        self.is_cut = False
        """Whether the connection is lost, though its client may not know yet."""
        self._is_server_over = False
        self._dead: asyncio.Handle | None = None
        if self.process is None:
            self._down.put(("refused", 0, "nobody listens"))
            return
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/ws",
            "raw_path": b"/ws",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")]
            + [(key.encode(), value.encode()) for key, value in (headers or {}).items()],
            "client": (address, 40_000 + self.number),
            "server": ("127.0.0.1", 80),
            "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
        }
        self._application = network.applications[name]
        self._up.put(("scope", scope))

    @property
    def is_gone(self) -> bool:
        """Whether both sides know of the end."""
        process = self.process
        return self.is_over and (self._is_server_over or process is None or process.is_dead)

    # The client's side

    def send(self, text: str) -> None:
        """Send a frame; after the end it is lost."""
        if not self.is_over:
            self._up.put(("event", {"type": "websocket.receive", "text": text}))

    def close(self, code: int = 1000) -> None:
        """Close in order."""
        if not self.is_over:
            self.is_over = True
            self._up.put(("event", {"type": "websocket.disconnect", "code": code, "reason": ""}))
            self._finish(code, "")

    def cut(self) -> None:
        """Lose the connection: both learn of it, sooner or later, and what is under way is lost."""
        if self.is_over:
            return
        self.is_cut = True
        for pipe in (self._up, self._down):
            pipe.drop(self._network.chance)
        lost = {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}
        self._up.put(("event", lost))
        self._down.put(("end", ABNORMAL, ""))
        self._read_on()

    def torn(self) -> None:
        """Lose the connection to a process that is no more."""
        self._is_server_over = True
        if not self.is_over:
            self._down.drop(self._network.chance)
            self._down.put(("end", ABNORMAL, ""))
            self._read_on()

    def freeze(self) -> None:
        """Let nothing through any more; after a while both take the other for dead."""
        if not self.is_over:
            self._up.hold(True)
            self._down.hold(True)
            self._dead = self._network.loop.later(DEAD_S, self.cut)

    def thaw(self) -> None:
        """Let through what waited."""
        if self._dead is not None:
            self._dead.cancel()
            self._dead = None
        self._up.hold(False)
        self._down.hold(False)

    @property
    def is_frozen(self) -> bool:
        """Whether nothing comes through."""
        return self._down.is_held

    def stall(self) -> None:
        """Read nothing any more; the server has to keep what it sends."""
        self._is_stalled = True

    def resume(self) -> None:
        """Read again."""
        self._is_stalled = False
        self._read_on()

    # The server's side: ASGI

    async def _run(self, scope: dict[str, Any]) -> None:
        await self._application(scope, self._receive, self._send)
        self._is_server_over = True
        if not self.is_over:
            self._down.put(("end", ABNORMAL, ""))

    async def _receive(self) -> dict[str, Any]:
        while not self._inbox:
            self._reader = self._network.loop.create_future()
            await self._reader
        return self._inbox.popleft()

    async def _send(self, event: dict[str, Any]) -> None:
        if self.process is None or self.process.is_dead:
            return
        kind = event["type"]
        if kind == "websocket.accept":
            self._down.put(("opened",))
        elif kind == "websocket.http.response.start":
            self._status = event["status"]
        elif kind == "websocket.http.response.body":
            self._body += event.get("body", b"")
            if not event.get("more_body"):
                self._down.put(("refused", self._status, self._body.decode()))
        elif kind == "websocket.send":
            text = event["text"]
            while self._under_way >= WINDOW_BYTES and not self.is_over:
                self._room = self._network.loop.create_future()
                await self._room
            self._under_way += len(text)
            self._down.put(("frame", text))
        elif kind == "websocket.close":
            self._down.put(("end", event.get("code", 1000), event.get("reason") or ""))

    # What arrives

    def _arrived_up(self, item: Any) -> None:
        process = self.process
        if process is None or self._is_server_over:
            return
        kind, content = item
        if kind == "scope" and self._network.process is not process:
            self._is_server_over = True
            self._down.put(("refused", 0, "nobody listens any more"))
            return
        if process.is_dead:
            return
        if kind == "scope":
            self._inbox.append({"type": "websocket.connect"})
            process.spawn(self._run(content))
            return
        self._inbox.append(content)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _arrived_down(self, item: Any) -> None:
        if self._is_stalled or self._unread:
            self._unread.append(item)
        else:
            self._take(item)

    def _read_on(self) -> None:
        while self._unread and not self._is_stalled:
            self._take(self._unread.popleft())

    def _take(self, item: Any) -> None:
        if self.is_over:
            return
        kind, *content = item
        if kind == "frame":
            self._under_way -= len(content[0])
            self._make_room()
            self._peer.received(content[0])
        elif kind == "opened":
            self._peer.opened()
        elif kind == "refused":
            self.is_over = True
            self._peer.refused(*content)
        else:
            self.is_over = True
            code, reason = content
            answer = {"type": "websocket.disconnect", "code": code, "reason": ""}
            if not self._is_server_over:
                self._up.hold(False)
                self._up.put(("event", answer))
            self._finish(code, reason)

    def _finish(self, code: int, reason: str) -> None:
        if self._dead is not None:
            self._dead.cancel()
        self._under_way = 0
        self._make_room()
        self._peer.ended(code, reason)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
