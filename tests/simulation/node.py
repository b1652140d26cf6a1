"""One process that runs the chat: the real application on simulated ports.

`Node` starts it, kills it at a fault point or whenever it is told to, or ends it in order; what
must hold at either end is checked here. What the chat does is decided in `wynd_chat`.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from tests.simulation.broker import SimulatedBroker
from tests.simulation.chance import SimulatedClock, SimulatedTokens
from tests.simulation.database import Disk, SimulatedStore
from tests.simulation.loop import Killed, Process, VirtualLoop
from tests.wynd_chat.kit import PlainPasswords
from wynd_chat.app import Chat
from wynd_chat.gateway.listening import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.network import Network
    from wynd import CloseEvent, ConnectionHandle, Wynd
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.gateway.sockets import Sockets
    from wynd_chat.settings import Settings

__all__ = ["POINTS", "Machine", "Node"]

POINTS = ("after_commit", "before_publish", "before_acknowledgement", "before_commit")
DRAIN_S = 25.0


class Machine:
    """What outlives a process: disk, clocks, network, and the seed's chance.

    Attributes:
        crash_at: The fault point at which the process dies, and how often it is passed before.
    """

    def __init__(
        self, loop: VirtualLoop, settings: Settings, disk: Disk, network: Network, seed: str
    ) -> None:
        self.loop = loop
        self.settings = settings
        self.disk = disk
        self.network = network
        self.clock = SimulatedClock(loop)
        self.chance = random.Random(f"{seed} machine")
        self.tokens = SimulatedTokens(self.chance)
        self.crash_at: tuple[str, int] | None = None
        self.report: Callable[[str], None] = lambda _problem: None
        """Told of everything that must not be."""
        self.on_death: Callable[[Node], None] = lambda _node: None
        """Told of every process that was killed."""


class Node:
    """One process with the chat in it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.process = Process(machine.loop)
        self.died = asyncio.Event()
        """Set when it was killed."""
        self.store = SimulatedStore(
            machine.disk, machine.loop, self.process, machine.chance, self._passed
        )
        self.broker = SimulatedBroker(machine.loop, self.process, machine.chance)
        self.chat = Chat(
            machine.settings,
            store=self.store,
            clock=machine.clock,
            tokens=machine.tokens,
            faults=self,
            broker=self.broker,
            passwords=(PlainPasswords(), PlainPasswords()),
            listeners=self._listeners,
        )
        self._ends: dict[tuple[str, int], int] = {}  # connection → how often its end was told

    async def start(self) -> None:
        """Open the chat. Raises Killed where it dies meanwhile."""
        await self._alive(self.process.spawn(self._open()))

    async def _open(self) -> None:
        await self.store.open()
        await self.chat.open()

    async def stop(self) -> None:
        """End in order; nothing may stay behind."""
        await self._alive(self.process.spawn(self.chat.close()))
        self.machine.network.unlisten(self.process)
        for _ in range(10):  # what was cancelled gets its turn
            await asyncio.sleep(0)
        for left in self.process.left():
            self.machine.report(f"left after the stop: {left}")
        if self.chat.hub.clients:
            self.machine.report(f"the hub keeps {list(self.chat.hub.clients.values())}")
        for number, ends in self._ends.items():
            if ends != 1:
                self.machine.report(f"the end of connection {number} was told {ends} times")
        self.process.is_dead = True

    def kill(self) -> None:
        """Let it die at once."""
        if not self.process.is_dead:
            self.process.kill()
            self.machine.network.crashed(self.process)
            self.died.set()
            self.machine.loop.later(0.0, self.machine.on_death, self)

    # Fault points; see `wynd_chat.ports.faults`

    def passed(self, point: str) -> None:
        """Die here, if that is due."""
        self._passed(point)

    async def reached(self, point: str) -> None:
        """Die here, if that is due, or take one's time."""
        self._passed(point)
        if self.machine.chance.random() < 0.2:
            await asyncio.sleep(self.machine.chance.uniform(0.0, 0.3))

    def _passed(self, point: str) -> None:
        due = self.machine.crash_at
        if due is None or due[0] != point:
            return
        if due[1] > 0:
            self.machine.crash_at = (point, due[1] - 1)
            return
        self.machine.crash_at = None
        self.kill()
        raise Killed

    async def _alive(self, task: asyncio.Task[None]) -> None:
        """Wait for a step of the process, or for its death."""
        died = asyncio.ensure_future(self.died.wait())
        await asyncio.wait({task, died}, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if self.process.is_dead:
            raise Killed
        task.result()

    def _listeners(self, **parts: Any) -> Listeners:
        return _Ports(self, parts["sockets"], parts["hub"])

    def watch_ends(self, name: str, wynd: Wynd) -> None:
        """Count the ends of each connection."""

        async def opened(handle: ConnectionHandle) -> None:
            self._ends[name, handle.id] = 0

        async def closed(event: CloseEvent, handle: ConnectionHandle) -> None:
            self._ends[name, handle.id] = self._ends.get((name, handle.id), 0) + 1

        wynd.on_open(opened)
        wynd.on_disconnect(closed)


class _Ports(Listeners):
    """Stands where the chat's listeners do; hosts its Wynds as an ASGI server would."""

    def __init__(self, node: Node, sockets: Sockets, hub: Hub) -> None:
        self._node = node
        self._hub = hub
        self._sockets = sockets
        self._wynds = {"main": sockets.main, "plain": sockets.plain}
        self._end = asyncio.Event()

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where the page would be; loopback, so that guests are let in."""
        return (("127.0.0.1", 3000),)

    async def open(self) -> None:
        """Start the Wynds by the lifespan protocol, and listen."""
        machine, loop = self._node.machine, asyncio.get_running_loop()
        for name, wynd in self._wynds.items():
            wynd._random = random.Random(machine.chance.random())
            self._node.watch_ends(name, wynd)
            started: asyncio.Future[None] = loop.create_future()
            self._lifespan = loop.create_task(self._host(wynd, started))
            await started
            self._hub.listening(wynd)
        handlers = {name: wynd.handler() for name, wynd in self._wynds.items()}
        machine.network.listen(self._node.process, handlers)

    async def close(self, code: int) -> None:
        """Stop in the order of the chat's own listeners."""
        self._node.machine.network.unlisten(self._node.process)
        wynds = self._wynds.values()
        await asyncio.gather(*(wynd.stop(code, drain=DRAIN_S) for wynd in wynds))
        self._end.set()
        await asyncio.sleep(0)

    async def _host(self, wynd: Wynd, started: asyncio.Future[None]) -> None:
        events = iter(("lifespan.startup", "lifespan.shutdown"))

        async def receive() -> dict[str, str]:
            kind = next(events)
            if kind == "lifespan.shutdown":
                await self._end.wait()
            return {"type": kind}

        async def send(event: dict[str, str]) -> None:
            if event["type"] == "lifespan.startup.complete":
                started.set_result(None)

        await wynd.handler()({"type": "lifespan"}, receive, send)
