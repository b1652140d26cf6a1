"""The machine's clock and random generator: the only place of the chat that reads either.

Knows no rules; what is new, secret or due is asked for through `ports.clock`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from typing import TYPE_CHECKING, Any

from ulid import ULID

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.ports.clock import Timer

__all__ = ["SystemClock", "SystemTokens"]

# 32 signs, five bits each, none of which looks like another (no I, O, 0, 1).
CODE_SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class SystemClock:
    """Reads the system's clocks and orders calls on the running loop."""

    def now_ms(self) -> int:
        """Return wall time, milliseconds UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Timer:
        """Call `callback` after `delay` seconds, on the running loop."""
        return asyncio.get_running_loop().call_later(delay, callback, *arguments)

    async def sleep(self, delay: float) -> None:
        """Wait `delay` seconds."""
        await asyncio.sleep(delay)


class SystemTokens:
    """Draws from the system's generator; only jitter comes from a faster one."""

    def secret(self) -> str:
        """Return 256 random bits as 43 characters of URL-safe base64."""
        return secrets.token_urlsafe(32)

    def code(self) -> str:
        """Return 40 random bits as `ABCD-1234`, of signs that cannot be mistaken."""
        signs = "".join(secrets.choice(CODE_SIGNS) for _ in range(8))
        return f"{signs[:4]}-{signs[4:]}"

    def new_id(self, prefix: str) -> str:
        """Return the prefix and a ULID: 48 bits of milliseconds, 80 random bits."""
        return f"{prefix}{ULID()}"

    def fraction(self) -> float:
        """Return a number in [0, 1); it may be guessed."""
        return random.random()
