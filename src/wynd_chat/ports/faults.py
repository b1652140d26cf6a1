"""`Faults`: named points where a simulation may stop or delay what is under way.

| Point | Where |
|---|---|
| `after_commit` | an event is committed and nobody was told of it |
| `before_publish` | those who are connected here were shown it, other nodes not yet |
| `before_acknowledgement` | all were told; the author does not know that it is stored |
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Faults", "NoFaults"]


class Faults(Protocol):
    """Is told that a point was reached, and may end what is under way there."""

    def passed(self, point: str) -> None:
        """Pass a point where nothing may wait: "after_commit" or "before_publish"."""

    async def reached(self, point: str) -> None:
        """Pass a point where it may wait too, such as "before_acknowledgement"."""


class NoFaults:
    """Nothing happens at any point; what the running server has."""

    def passed(self, point: str) -> None:
        """Go on."""

    async def reached(self, point: str) -> None:
        """Go on."""
