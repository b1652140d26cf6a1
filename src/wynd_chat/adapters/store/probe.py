"""Whether a store can be written to: two writes, a small one and, when in doubt, a large one.

The small one changes a row back and forth, once every few seconds, and so finds a disk without
any room, a lock, a lost connection. A disk with very little room may take it and refuse a message;
so after a failure only a write that needs more space than a message counts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.ports.store import Transaction

__all__ = ["is_writable"]

PROBE_S = 2.0  # readiness must follow a fault within 5 s
ROOM_CHARACTERS = 131_072  # the longest message takes some 80 KiB in tables and indexes


class Write(Protocol):
    """A store's `write`."""

    async def __call__(self, work: Callable[[Transaction], None]) -> None:
        """Run a work and commit it."""


async def is_writable(write: Write, *, in_doubt: bool) -> bool:
    """Try whether a commit succeeds; never raises.

    Args:
        write: The store's.
        in_doubt: The last thing that is known is a failure.
    """
    try:
        async with asyncio.timeout(PROBE_S):
            if in_doubt:
                await write(take_room)
                await write(give_back)
            await write(touch)
    except (StoreFailure, TimeoutError):
        return False
    return True


def take_room(transaction: Transaction) -> None:
    """Write more than a message."""
    transaction.put_meta("probe", "-" * ROOM_CHARACTERS)


def give_back(transaction: Transaction) -> None:
    """Leave the space to others."""
    transaction.put_meta("probe", "")


def touch(transaction: Transaction) -> None:
    """Change a small row: for one that stays as it was SQLite writes nothing, and finds nothing."""
    transaction.put_meta("probe", "" if transaction.meta("probe") else "-")
