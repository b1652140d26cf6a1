"""Row 22: clients lose their lines again and again while messages flow, and miss nothing."""

from __future__ import annotations

import asyncio
import random
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat_client import CUTS, ChatClient, Follower
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.chat_client import Frame
    from tests.e2e.delivery.servers import ChatServer

pytestmark = pytest.mark.timeout(900)  # of the nightly form; the small one takes seconds

SENDERS = 4
BEHIND_MAX = 300  # events the slowest may be behind; `sync` replays at most 500
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Shape:
    """How large a storm is."""

    followers: int
    drops: int
    messages: int


SMALL = Shape(followers=20, drops=3, messages=500)
FULL = Shape(followers=200, drops=20, messages=10_000)


class Victim(Follower):
    """A follower that loses its line at given seqs and comes back at once."""

    def __init__(self, port: int, name: str, cuts: dict[int, str]) -> None:
        super().__init__(port, name, self._heard)
        self.heard = array("I")
        """The numbers that the messages carry, in the order they were shown."""
        self.cuts = cuts
        self._due: list[str] = []
        self._falling: asyncio.Task[None] | None = None

    def _heard(self, event: Frame) -> None:
        self.heard.append(int(event["text"]))
        how = self.cuts.pop(event["seq"], None)
        if how is not None:
            self._due.append(how)
            if self._falling is None or self._falling.done():
                self._falling = asyncio.get_running_loop().create_task(self._fall())

    async def _fall(self) -> None:
        """Lose the line as often as it is due; a cut within a replay comes after the replay."""
        while self._due:
            self.cut(self._due.pop(0))
            await self.come_until_there()

    async def settle(self) -> None:
        """Wait for what is under way; raises what went wrong."""
        if self._falling is not None:
            await self._falling

    @property
    def has_failed(self) -> bool:
        """Whether it gave up."""
        falling = self._falling
        return falling is not None and falling.done() and falling.exception() is not None


async def test_nobody_misses_anything_however_lines_are_lost(
    server: ChatServer, is_nightly: bool
) -> None:
    await storm(server, FULL if is_nightly else SMALL, random.Random(22))


async def storm(server: ChatServer, shape: Shape, rng: random.Random) -> None:
    """Let messages flow while every follower is cut off `shape.drops` times, then compare."""
    victims = [
        Victim(
            server.port,
            f"follower{number}",
            {
                seq: rng.choice(CUTS)
                for seq in rng.sample(range(1, shape.messages + 1), shape.drops)
            },
        )
        for number in range(shape.followers)
    ]
    for victim in victims:
        await victim.come()
    try:
        acknowledged = await flow(server.port, shape.messages, victims)
        await eventually(
            lambda: all(one.last == shape.messages or one.has_failed for one in victims), PATIENCE_S
        )
        for victim in victims:
            await victim.settle()
    finally:
        for victim in victims:
            victim.leave()
    assert [fault for victim in victims for fault in victim.faults] == []
    assert all(not victim.cuts for victim in victims)
    assert [victim.resumed for victim in victims] == [shape.drops + 1] * shape.followers
    assert sum(victim.gaps_told for victim in victims) == 0
    order = array("I", [number for _, number in sorted(acknowledged.items())])
    assert sorted(order) == list(range(shape.messages))
    assert all(victim.heard == order for victim in victims)


async def flow(port: int, messages: int, victims: list[Victim]) -> dict[int, int]:
    """Send numbered messages from several senders; return seq → number as acknowledged.

    Senders wait while the slowest follower is far behind, so that no replay is too long.
    """
    numbers = iter(range(messages))
    acknowledged: dict[int, int] = {}

    async def send(name: str) -> None:
        client = await ChatClient.connect(port)
        await client.name(name)
        for number in numbers:
            await eventually(
                lambda: (
                    len(acknowledged) - min(one.last for one in victims) < BEHIND_MAX
                    or any(one.has_failed for one in victims)
                ),
                PATIENCE_S,
            )
            reply = await client.send(f"{number}", f"{number}")
            acknowledged[reply["seq"]] = number
        await client.close()

    async with asyncio.TaskGroup() as senders:
        for number in range(SENDERS):
            senders.create_task(send(f"sender{number}"))
    return acknowledged
