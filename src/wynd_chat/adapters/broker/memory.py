"""The broker of one process: wake-ups are calls.

Several nodes of a simulation may share one. Keeps nothing: who subscribes later reads the store.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wynd_chat.ports.broker import WakeUp

__all__ = ["MemoryBroker"]

log = logging.getLogger("wynd_chat.broker")


class MemoryBroker:
    """Calls every subscriber at once, in the order they came."""

    def __init__(self) -> None:
        self._wake_ups: list[WakeUp] = []

    def publish(self, room_id: str, seq: int) -> None:
        """Wake up all; one that fails is logged and keeps nobody else asleep."""
        for wake_up in tuple(self._wake_ups):
            try:
                wake_up(room_id, seq)
            except Exception:
                log.exception("a subscriber failed on room %s at %d", room_id, seq)

    def subscribe(self, wake_up: WakeUp) -> None:
        """Wake `wake_up` from now on; twice is twice."""
        self._wake_ups.append(wake_up)
