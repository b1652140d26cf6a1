"""`Gathering`: counts who came and went in a busy room, for one line instead of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.domain.models import Room
    from wynd_chat.ports.clock import Clock

__all__ = ["Gathering"]

GATHER_S = 5.0  # often enough to see a room fill, seldom enough not to scroll it away


class Gathering:
    """What happened in one room since the last line; it ends with its line."""

    def __init__(
        self, clock: Clock, room: Room, gathered: Callable[[Room, int, int], None]
    ) -> None:
        self._room = room
        self._gathered = gathered
        self._joined = 0
        self._left = 0
        self._timer = clock.call_later(GATHER_S, self._end)

    def count(self, *, came: bool) -> None:
        """Count one more."""
        if came:
            self._joined += 1
        else:
            self._left += 1

    def close(self) -> None:
        """End without a line."""
        self._timer.cancel()

    def _end(self) -> None:
        self._gathered(self._room, self._joined, self._left)
