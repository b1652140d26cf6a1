"""`Clock`, `Timer` and `Tokens`: time and randomness as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock", "Timer", "Tokens"]


class Timer(Protocol):
    """A call that was ordered."""

    def cancel(self) -> None:
        """Call it off; too late or twice is no error."""


class Clock(Protocol):
    """Reads time and orders calls on the loop."""

    def now_ms(self) -> int:
        """Return wall time, milliseconds UTC; for what people read. It may jump."""

    def monotonic(self) -> float:
        """Return seconds that never go back; for intervals."""

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Timer:
        """Call `callback` after `delay` seconds, on the loop."""

    async def sleep(self, delay: float) -> None:
        """Wait `delay` seconds."""


class Tokens(Protocol):
    """Draws what must not be guessed, and what only has to be new."""

    def secret(self) -> str:
        """Return a new secret of 256 random bits, URL-safe base64 without padding."""

    def code(self) -> str:
        """Return a new code that people type, `ABCD-1234`: 40 random bits."""

    def new_id(self, prefix: str) -> str:
        """Return a new id: the prefix and a ULID, which sorts by time."""

    def fraction(self) -> float:
        """Return a number in [0, 1) for jitter."""
