"""`Health`: whether this server should be sent anybody, for `/readyz`.

1. A probe is asked every second; its answer counts until the next one.
2. A probe without an answer for two seconds counts as failing, whether or not it can be cancelled.
   So a fault shows within 3 s, and its end too; 5 s are allowed.
3. A probe that was never asked is failing: a server is not ready before it knows.
4. Draining is never ready again.

Knows no store and no broker, only probes by name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Health", "Probe", "Report"]

log = logging.getLogger("wynd_chat.health")

Probe = Callable[[], Awaitable[bool]]
"""Returns whether all is well; may be cancelled."""

EVERY_S = 1.0
DEADLINE_S = 2.0


class _Clock(Protocol):
    """What of a clock the probes need."""

    async def sleep(self, delay: float) -> None: ...

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Report:
    """What `/readyz` answers."""

    is_ready: bool
    checks: Mapping[str, str]
    """By probe: "ok", "failing"; "draining" is one of its own while the server ends."""


class Health:
    """Asks probes and remembers what they said.

    Args:
        probes: By name; each returns whether all is well. One that raises counts as failing, and
            its exception goes to the log once.
        clock: Waits and deadlines.
    """

    def __init__(self, probes: Mapping[str, Probe], clock: _Clock) -> None:
        self._probes = dict(probes)
        self._clock = clock
        self._is_well = dict.fromkeys(probes, False)
        self._was_told: dict[str, bool] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_draining = False

    @property
    def is_ready(self) -> bool:
        """Whether every probe is well and the server does not drain."""
        return not self._is_draining and all(self._is_well.values())

    def report(self) -> Report:
        """Return what `/readyz` answers; with 200 when ready, else 503."""
        checks = {name: "ok" if well else "failing" for name, well in self._is_well.items()}
        if self._is_draining:
            checks["draining"] = "failing"
        return Report(self.is_ready, checks)

    def start(self) -> None:
        """Ask every probe at once and go on asking; on the loop."""
        self._tasks = [asyncio.create_task(self._watch(name)) for name in self._probes]

    def drain(self) -> None:
        """Say no from now on."""
        self._is_draining = True

    async def close(self) -> None:
        """Stop asking; twice is once."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, name: str) -> None:
        while True:
            await self._ask(name)
            await self._clock.sleep(EVERY_S)

    async def _ask(self, name: str) -> None:
        """Ask one probe; at the deadline it is failing, its answer counts when it comes."""
        asking = asyncio.ensure_future(self._answer(name))
        timer = self._clock.call_later(DEADLINE_S, self._late, name, asking)
        try:
            await asyncio.wait([asking])
        finally:
            timer.cancel()
            asking.cancel()
        self._note(name, not asking.cancelled() and asking.result())

    async def _answer(self, name: str) -> bool:
        try:
            return bool(await self._probes[name]())
        except Exception as error:
            if self._was_told.get(name, True):
                log.warning("the probe of the %s failed", name, exc_info=error)
            return False

    def _late(self, name: str, asking: asyncio.Task[bool]) -> None:
        self._note(name, False)
        asking.cancel()

    def _note(self, name: str, is_well: bool) -> None:
        self._is_well[name] = is_well
        if self._was_told.get(name) is not is_well:
            self._was_told[name] = is_well
            if is_well:
                log.info("the %s is well", name)
            else:
                log.warning("the %s is failing: not ready", name)
