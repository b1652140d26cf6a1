"""`Faults`: named points where a simulation may stop or delay what is under way."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Faults", "NoFaults"]


class Faults(Protocol):
    """Is told that a point was reached, and may raise or wait there."""

    async def reached(self, point: str) -> None:
        """Pass a point, such as "before_acknowledgement"."""


class NoFaults:
    """Nothing happens at any point; what the running server has."""

    async def reached(self, point: str) -> None:
        """Go on."""
