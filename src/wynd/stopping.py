"""Stopping in order: who is told to go when, with which words, and what signals do.

`app` owns the sequence (stop accepting, `on_shutdown`, close, wait, abort); this file holds its
parts. The spread follows the size: thousands of clients get up to `spread` seconds, two get none.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wynd.codes import CloseCode, sentence_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from wynd.engines.base import Engine

__all__ = ["StopSignals", "close_all", "retry_bounds"]

log: logging.Logger = logging.getLogger("wynd")

CLOSES_PER_SECOND = 1000  # a drain spreads its close frames, but two clients need no five seconds
RETRY_AFTER_S = (1.0, 10.0)  # the spread of reconnects after a restart, unless `stop` says other
TICK_S = 0.01  # close frames of one tick leave together


def retry_bounds(
    code: int, retry_after: float | tuple[float, float] | None
) -> tuple[float | None, float]:
    """Return the bounds to draw each client's `retry_after` from; a low of None says nothing.

    Raises:
        ValueError: negative, or the wrong way round.
    """
    if retry_after is None:
        return RETRY_AFTER_S if code == CloseCode.SERVICE_RESTART else (None, 0.0)
    low, high = retry_after if isinstance(retry_after, tuple) else (retry_after, retry_after)
    if low < 0 or high < low:
        raise ValueError(f"retry_after must be seconds or (low, high), not {retry_after!r}")
    return low, high


async def close_all(
    engine: Engine,
    keys: list[int],
    code: int,
    retry: tuple[float | None, float],
    spread: float,
    rng: random.Random,
) -> None:
    """Start the closing handshake of every connection, spread over at most `spread` seconds."""
    pause = min(spread / len(keys), 1 / CLOSES_PER_SECOND) if keys else 0.0
    batch = max(1, int(TICK_S / pause)) if pause else len(keys) or 1
    low, high = retry
    loop = asyncio.get_running_loop()
    began = loop.time()
    for position, key in enumerate(keys):
        reason = sentence_of(code)
        if low is not None:
            reason = f"{reason} retry_after={round(rng.uniform(low, high))}".strip()
        engine.close(key, code, reason)
        if position % batch == batch - 1 and pause:
            # Up to a moment, not for a time: what the turns between take is no part of the spread.
            await asyncio.sleep(max(0.0, began + (position + 1) * pause - loop.time()))


class StopSignals:
    """SIGINT and SIGTERM stop the server; a second one ends every connection at once.

    Plain `signal.signal` handlers, so that a third SIGINT breaks a handler that blocks the loop.
    They stay until the loop is closed: a second Ctrl-C while it ends prints no traceback.
    """

    def __init__(self, stop: Callable[[], Any], force: Callable[[], Any]) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = stop
        self._force = force
        self._count = 0
        self._before: dict[int, Any] = {}
        self._task: asyncio.Task[Any] | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop by way of `loop` from now on; before, a signal ends the start at once."""
        self._loop = loop

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _caught(self, number: int, frame: object) -> None:
        self._count += 1
        if self._loop is None or self._count > 2:
            raise KeyboardInterrupt
        with suppress(RuntimeError):  # the loop is closed: the end is near anyway
            self._loop.call_soon_threadsafe(self._begin if self._count == 1 else self._force)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._stop())
        self._task.add_done_callback(_report)


def _report(task: asyncio.Task[Any]) -> None:
    """Log why a stop failed; unheard, the server would go on as if nobody had asked."""
    if not task.cancelled() and task.exception() is not None:
        log.error("the stop failed", exc_info=task.exception())
