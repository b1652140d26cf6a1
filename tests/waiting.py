"""Waiting for a condition with a deadline: the only place where tests look again and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 10.0


async def eventually(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Return once `condition()` is true; TimeoutError if it is not within the patience."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 - the condition is of another layer: no event tells
            await asyncio.sleep(0.001)
