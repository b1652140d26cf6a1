"""Commands from other threads, run on the loop's thread in the order they came.

Bounded: a thread that posts faster than the loop runs gets `LimitExceeded`.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from wynd.errors import LimitExceeded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Backlog"]

COMMAND_BYTES = 256  # what a command without a payload counts: its objects are about that large


class Backlog:
    """A queue of calls, filled from any thread and emptied on the loop's."""

    __slots__ = ("_bytes", "_bytes_max", "_commands", "_is_running", "_loop", "lock")

    def __init__(self, loop: asyncio.AbstractEventLoop, bytes_max: int) -> None:
        self._loop = loop
        self._bytes_max = bytes_max
        self._bytes = 0
        self._commands: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._is_running = False
        self.lock: threading.Lock = threading.Lock()
        """Held for a few instructions only, never across a call."""

    def post(self, function: Callable[..., None], *arguments: Any, size: int = 0) -> None:
        """Have the loop call `function`; thread-safe.

        Raises:
            LimitExceeded: `process_bytes_max` of payload waits already.
        """
        size += COMMAND_BYTES
        with self.lock:
            if self._commands and self._bytes + size > self._bytes_max:
                raise LimitExceeded("process_bytes_max", self._bytes_max)
            self._commands.append((function, arguments))
            self._bytes += size
            is_first = len(self._commands) == 1
        if is_first:
            self._loop.call_soon_threadsafe(self.run)

    def run(self) -> None:
        """Run what was posted; on the loop's thread. Calls made meanwhile wait for the next run."""
        if not self._commands or self._is_running:
            return
        with self.lock:
            commands, self._commands = self._commands, deque()
            self._bytes = 0
        self._is_running = True
        try:
            while commands:
                function, arguments = commands.popleft()
                function(*arguments)
        finally:
            self._is_running = False
            if commands:  # one failed, a bug; the others must not go with it
                with self.lock:
                    self._commands.extendleft(reversed(commands))
                self._loop.call_soon(self.run)
