"""A broker that loses, repeats, delays and reorders wake-ups, as `ports.broker` allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from tests.simulation.loop import Process, VirtualLoop
    from wynd_chat.ports.broker import WakeUp

__all__ = ["SimulatedBroker"]


class SimulatedBroker:
    """The broker as one process has it; what others publish comes by `wake`."""

    def __init__(self, loop: VirtualLoop, process: Process, chance: random.Random) -> None:
        self._loop = loop
        self._process = process
        self._chance = chance
        self._wake_ups: list[WakeUp] = []
        self.is_lossy = True

    def publish(self, room_id: str, seq: int) -> None:
        """See `Broker.publish`; whoever publishes is woken too."""
        if not self._process.is_dead:
            self.wake(room_id, seq)

    def subscribe(self, wake_up: WakeUp) -> None:
        """See `Broker.subscribe`."""
        self._wake_ups.append(wake_up)

    def wake(self, room_id: str, seq: int) -> None:
        """Wake the process up, sooner or later, once, more often, or not at all."""
        copies = self._chance.choice((0, 0, 1, 1, 1, 2)) if self.is_lossy else 1
        for _ in range(copies):
            self._loop.later(self._chance.uniform(0.0, 0.5), self._arrived, room_id, seq)

    def _arrived(self, room_id: str, seq: int) -> None:
        for wake_up in self._wake_ups:
            self._process.call(wake_up, room_id, seq)
