"""What breaks in a simulation, and when: drawn from the seed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.chance import chance_of
from tests.simulation.loop import Killed
from tests.simulation.node import POINTS
from wynd_chat.domain.events import Author, MessageKind
from wynd_chat.domain.models import UserKind
from wynd_chat.ports.store import NewMessage, StoreFailure

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Incidents"]

INCIDENTS = {
    "crash": 3,
    "crash at a point": 8,
    "restart": 2,
    "restore": 1,
    "clock": 3,
    "slow disk": 3,
    "full disk": 3,
    "trim": 3,
    "another program": 8,
    "cut all": 1,
}
WORDS, WEIGHTS = tuple(INCIDENTS), tuple(INCIDENTS.values())
HOUR_MS = 3_600_000
PATIENCE = 600  # tenths of a second until the last frame of a process has arrived


class Incidents:
    """Breaks things in a world until it is told to end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = chance_of(world.seed, "incidents")
        self._spoken = 0
        self.is_over = False
        """Set when nothing new may happen."""

    async def run(self) -> None:
        """Let things happen, one after the other."""
        while not self.is_over:
            await asyncio.sleep(self._chance.expovariate(0.35))
            what = self._chance.choices(WORDS, WEIGHTS)[0]
            self._world.ledger.note("world", f"incident: {what}")
            self._world.ledger.count(f"incident: {what}")
            await self._happen(what)

    async def _happen(self, what: str) -> None:
        world, chance = self._world, self._chance
        machine, disk, node = world.machine, world.disk, world.node
        match what:
            case "crash":
                if node is not None:
                    node.kill()
            case "crash at a point":
                machine.crash_at = (chance.choice(POINTS), chance.randint(0, 12))
            case "restart":
                await self._restart(restores=False)
            case "restore":
                await self._restart(restores=True)
            case "clock":
                hours = chance.choice((-5.0, -0.01, 0.01, 2.0))
                machine.clock.jumped_ms += int(hours * HOUR_MS)
            case "slow disk":
                disk.slow_s = chance.choice((0.5, 3.0))
                await self._later(lambda: setattr(disk, "slow_s", 0.01))
            case "full disk":
                disk.is_full = True
                await self._later(lambda: setattr(disk, "is_full", False))
            case "trim":
                self._trim()
            case "another program":
                for _ in range(chance.randint(1, 4)):
                    self._post()
                    await asyncio.sleep(chance.choice((0.0, 0.2)))
            case "cut all":
                for link in world.network.links:
                    link.cut()

    async def _later(self, end: object) -> None:
        try:
            await asyncio.sleep(self._chance.uniform(0.5, 5.0))
        finally:
            end()  # type: ignore[operator]

    async def _restart(self, *, restores: bool) -> None:
        """End in order and begin again, at times as what a backup has."""
        world = self._world
        node = world.node
        backup = world.disk.copy()
        if restores:
            await asyncio.sleep(self._chance.uniform(0.0, 2.0))
            node = world.node
        if node is None:
            return
        world.node = None
        try:
            await node.stop()
        except Killed:
            return  # it died on the way; another one comes
        world.ledger.note("world", "it has stopped")
        if restores:
            for link in world.network.links:
                link.thaw()
                link.resume()
            await asyncio.sleep(0.01)  # what was read is taken in
            for _ in range(PATIENCE):
                processes = [link.process for link in world.network.links]
                if not any(one is not None and one.is_dead for one in processes):
                    break
                await asyncio.sleep(0.1)
            world.disk.restore(backup, f"restored {len(world.nodes)}")
            world.ledger.restored()
        await world.start()

    def _trim(self) -> None:
        """Forget old events of a room, as the upkeep does."""
        world = self._world
        rooms = [room for room in world.disk.tables.rooms.values() if room.last_seq > 3]
        if rooms:
            room = self._chance.choice(rooms)
            below = self._chance.randint(2, room.last_seq)
            try:
                world.disk.commit(lambda tx: tx.trim_events(room.id, below))
            except StoreFailure:
                return
            world.ledger.note("world", f"#{room.shown} is trimmed below {below}")

    def _post(self) -> None:
        """Post as another program does: only a wake-up, and the database, tell the server."""
        world = self._world
        tables = world.disk.tables
        rooms = [room for room in tables.rooms.values() if not room.is_direct]
        room = self._chance.choice(rooms)
        user_ids = sorted(one for one in tables.memberships[room.id] if one.startswith("u_"))
        if not user_ids:
            return
        user = tables.users[self._chance.choice(user_ids)]
        self._spoken += 1
        message = NewMessage(
            id=world.machine.tokens.new_id("m_"),
            room_id=room.id,
            author=Author(user.id, user.name, UserKind(user.kind)),
            kind=MessageKind.SYSTEM,
            text=f"sys#{self._spoken}",
            at=world.machine.clock.now_ms(),
            is_privileged=True,
            is_announcement=True,
        )
        try:
            posted, _ = world.disk.commit(message)
        except StoreFailure:
            return
        world.ledger.note("world", f"another program posts #{room.shown} {posted.event.seq}")
        if world.node is not None:
            world.node.broker.wake(room.id, posted.event.seq)
            world.node.store.foreign_change()
