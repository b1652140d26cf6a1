"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HandClock", "settle"]


class _Timer:
    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.callback = callback
        self.arguments = arguments
        self.is_cancelled = False

    def cancel(self) -> None:
        """Call it off."""
        self.is_cancelled = True


class HandClock:
    """Time stands still until `advance`."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._order = count()
        self._due: list[tuple[float, int, _Timer]] = []

    @property
    def has_sleepers(self) -> bool:
        """Whether anybody waits for time."""
        return any(not timer.is_cancelled for _, _, timer in self._due)

    def now_ms(self) -> int:
        """Return wall time, milliseconds."""
        return int(self._now * 1000)

    def monotonic(self) -> float:
        """Return seconds."""
        return self._now

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> _Timer:
        """Order a call."""
        timer = _Timer(callback, arguments)
        heapq.heappush(self._due, (self._now + delay, next(self._order), timer))
        return timer

    async def sleep(self, delay: float) -> None:
        """Wait."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay, _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()

    async def advance(self, seconds: float, *, late_by: float = 0.0) -> None:
        """Move time on; calls come in their order, each `late_by` seconds too late."""
        end = self._now + seconds
        await settle()
        while self._due and self._due[0][0] <= end:
            at, _, timer = heapq.heappop(self._due)
            self._now = max(self._now, at + late_by)
            if not timer.is_cancelled:
                timer.callback(*timer.arguments)
            await settle()
        self._now = max(self._now, end)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def settle() -> None:
    """Let everything run that does not wait for time."""
    for _ in range(10):
        await asyncio.sleep(0)
