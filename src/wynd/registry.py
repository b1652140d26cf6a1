"""`Registry`: the open connections of one `Wynd` and what all of them share.

The mirror on the Python side: who is connected is answered from here, never by asking an engine.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from wynd.engines.base import Engine
    from wynd.handle import ConnectionHandle
    from wynd.limits import Limits

__all__ = ["Clock", "Registry", "Timer"]


class Timer(Protocol):
    """A pending call, as `Clock.call_later` returns it."""

    def cancel(self) -> None:
        """Withdraw the call; harmless if it was made."""


class Clock(Protocol):
    """Monotonic time and timers. An event loop is one; `wynd.testing.FakeClock` is another."""

    def time(self) -> float:
        """Return seconds since some fixed point."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Call `callback(*args)` after `delay` seconds."""


class Registry:
    """Shared state of one `Wynd`: engine, limits, loop, open connections, counters."""

    __slots__ = (
        "by_id",
        "clock",
        "engine",
        "limits",
        "loop",
        "outbox_bytes_soft",
        "sends_failed",
        "thread_id",
    )

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        clock: Clock | None = None,
    ) -> None:
        self.engine: Engine = engine
        self.limits: Limits = limits
        self.outbox_bytes_soft: int = limits.outbox_bytes_soft  # every send compares with it
        self.loop: asyncio.AbstractEventLoop = loop
        self.clock: Clock = clock or loop
        self.thread_id: int = threading.get_ident()
        self.by_id: dict[int, ConnectionHandle] = {}
        """Connections the middleware let through and that are not closed, by public id."""
        self.sends_failed: int = 0

    def clients(self) -> list[ConnectionHandle]:
        """Return the handles of all open connections, oldest first."""
        return list(self.by_id.values())

    def on_loop_thread(self) -> bool:
        """Return whether the caller runs on the event loop's thread."""
        return threading.get_ident() == self.thread_id
