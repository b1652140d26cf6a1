"""Time and randomness of a simulation: everything that happens by chance comes from the seed."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.loop import VirtualLoop
    from wynd_chat.ports.clock import Timer

__all__ = ["START_MS", "SimulatedClock", "SimulatedTokens", "chance_of"]

START_MS = 1_795_435_445_123  # 2026-11-23T12:04:05.123Z


def chance_of(seed: int, name: str) -> random.Random:
    """Return a generator of its own for one part of the world, so that parts stay apart."""
    return random.Random(f"{seed} {name}")


class SimulatedClock:
    """The machine's clocks: one that never goes back, and one on the wall, which jumps."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.jumped_ms = 0
        """How far the clock on the wall is from where it began and should be."""

    def now_ms(self) -> int:
        """Return wall time, milliseconds UTC."""
        return START_MS + int(self._loop.time() * 1000) + self.jumped_ms

    def monotonic(self) -> float:
        """Return virtual seconds."""
        return self._loop.time()

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Timer:
        """Order a call, as part of the process that asks."""
        return self._loop.call_later(delay, callback, *arguments)

    async def sleep(self, delay: float) -> None:
        """Wait."""
        await asyncio.sleep(delay)


class SimulatedTokens:
    """Draws what is only new; jitter comes from the seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._numbers = count(1)

    def secret(self) -> str:
        """Return a secret that is only new."""
        return f"secret-{next(self._numbers)}"

    def code(self) -> str:
        """Return a code that is only new."""
        return f"CODE-{next(self._numbers):04}"

    def new_id(self, prefix: str) -> str:
        """Return an id whose order is that of the calls."""
        return f"{prefix}{next(self._numbers):06}"

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._chance.random()
