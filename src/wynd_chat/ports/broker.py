"""`Broker`: wakes up readers of a room, on this node and, later, on others.

Carries only room and sequence number. It may lose, repeat and reorder; no correctness depends on
it, since a reader that sees a gap reads the store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Broker", "WakeUp"]

WakeUp = Callable[[str, int], None]
"""Called with room id and the newest seq known to be committed; must not block."""


class Broker(Protocol):
    """Passes on that a room has something new."""

    def publish(self, room_id: str, seq: int) -> None:
        """Say that `room_id` was committed up to `seq`; returns at once, never raises."""

    def subscribe(self, wake_up: WakeUp) -> None:
        """Be told of every publish from now on, one's own included."""
