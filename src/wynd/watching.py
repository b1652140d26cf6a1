"""`LoopWatch`: names in the log whoever blocks the event loop.

A thread asks the loop for a sign of life; where none comes in time, the stack of the loop's thread
tells which function holds it. Nothing is added to the path of a message.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import CodeType, FrameType

__all__ = ["LoopWatch", "name_blocker", "watch_loop"]

log: logging.Logger = logging.getLogger("wynd.loop")

BLOCKED_S = 0.1
"""A loop that gives no sign for so long is blocked."""
PAUSE_S = 0.05
"""Between two questions: whoever blocks for the sum of both is always named."""
REPEAT_S = 10.0
"""The same function is named again after so long at the earliest."""
NAMED_MAX = 1000

_LIBRARIES = ("asyncio", "uvloop", "uvicorn", "wynd")
_OUTSIDE = ("asyncio.runners", "selectors")
"""A stack that leads here without a function of the application in between blocks nothing."""


class LoopWatch:
    """Watches the loop of the thread that makes it, until `stop`.

    Args:
        loop: the running loop of this thread.
        blocked_s: how long it may give no sign; seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        blocked_s: float = BLOCKED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._users = 1
        self._loop_thread = threading.get_ident()
        self._blocked_s = blocked_s
        self._clock = clock
        self._named: dict[CodeType, float] = {}
        self._has_beaten = threading.Event()
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="wynd-loop-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread soon, when all who share it did so; does not wait for it."""
        self._users -= 1
        if self._users:
            return
        if _watches.get(self._loop) is self:
            del _watches[self._loop]
        self._is_stopped.set()
        self._has_beaten.set()

    def _watch(self) -> None:
        while not self._is_stopped.wait(PAUSE_S):
            self._has_beaten.clear()
            try:
                self._loop.call_soon_threadsafe(self._has_beaten.set)
            except RuntimeError:  # the loop was closed without us
                return
            if not self._has_beaten.wait(self._blocked_s):
                self._report()
                while not self._has_beaten.wait(1) and not self._loop.is_closed():
                    pass

    def _report(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        found = name_blocker(frame)
        del frame  # its locals must not live on in this thread
        if found is None:
            return
        code, text = found
        now = self._clock()
        if now < self._named.get(code, 0.0):
            return
        if len(self._named) >= NAMED_MAX:
            self._named.clear()
        self._named[code] = now + REPEAT_S
        log.warning(
            "%s has blocked the event loop for over %d ms; meanwhile nobody is served: let it "
            "await, or move the work to a thread (asyncio.to_thread)",
            text,
            self._blocked_s * 1000,
        )


_watches: dict[asyncio.AbstractEventLoop, LoopWatch] = {}


def watch_loop(loop: asyncio.AbstractEventLoop) -> LoopWatch:
    """Return the running loop's one watch, so that several applications name a blocker once.

    Each caller calls `LoopWatch.stop` once.
    """
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = LoopWatch(loop)
    else:
        watch._users += 1
    return watch


def name_blocker(frame: FrameType | None) -> tuple[CodeType, str] | None:
    """Find the application's function that holds the loop, from the innermost frame outwards.

    Returns:
        Its code, and `module.function (file:line)`, with the line it is in now further inside if
        that is elsewhere; None if the loop waits for events, or a library of the loop runs alone.
    """
    while frame is not None and _is_library(frame):
        if _module_of(frame) in _OUTSIDE:
            return None
        frame = frame.f_back
    if frame is None:
        return None
    innermost = handler = frame
    while handler.f_back is not None and not _is_library(handler.f_back):
        handler = handler.f_back
    if handler.f_back is None:  # the program around the loop, not something the loop runs
        return None
    code = handler.f_code
    text = f"{_module_of(handler)}.{code.co_qualname} ({code.co_filename}:{handler.f_lineno}"
    if innermost is not handler:
        text += f", in {innermost.f_code.co_filename}:{innermost.f_lineno}"
    return code, text + ")"


def _is_library(frame: FrameType) -> bool:
    module = _module_of(frame)
    return module.partition(".")[0] in _LIBRARIES or module in _OUTSIDE


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))
