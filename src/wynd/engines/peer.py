"""One connection of the portable engine: what is remembered of it, and the states it goes through.

Only data; `peers` says what happens to it.

                  accept                 close(), a limit              host says so
    REQUESTED ─────────────▶ OPEN ─────────────────────────▶ CLOSING ──────────────▶ GONE
        │                     └────────────────────────────────────────────────────▶ ▲
        └─ refused, late, lost ──────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from wynd.engines.outbox import Outbox

if TYPE_CHECKING:
    import asyncio
    from collections import deque
    from collections.abc import Awaitable, Callable, MutableMapping

    from wynd.engines.admission import TokenBucket
    from wynd.engines.outbox import Ledger
    from wynd.request import Request

    Event = MutableMapping[str, Any]
    Send = Callable[[Event], Awaitable[None]]

__all__ = ["Peer", "State"]


class State(Enum):
    REQUESTED = 1
    OPEN = 2
    CLOSING = 3
    GONE = 4


class Peer:
    """One connection."""

    __slots__ = (
        "above_soft",
        "close",
        "deadline",
        "early",
        "ended",
        "failure",
        "inbox",
        "inbox_bytes",
        "key",
        "outbox",
        "paused",
        "posted_bytes",
        "rate",
        "reader_waits",
        "receiver",
        "request",
        "rooms",
        "scheduled",
        "send",
        "sending_since",
        "sent",
        "state",
        "told_bytes",
        "writer",
        "writer_waits",
        "yields",
    )

    def __init__(self, key: int, request: Request, send: Send, ledger: Ledger) -> None:
        self.key: int = key
        self.request: Request = request
        self.send: Send = send
        self.state: State = State.REQUESTED
        self.deadline: asyncio.Timeout | None = None
        self.early: asyncio.Task[Event] | None = None
        """A `receive()` begun during the handshake, to be used before any other."""
        self.outbox: Outbox = Outbox(ledger)
        self.posted_bytes: int = 0
        """Bytes sent from other threads that have not reached the outbox."""
        self.above_soft: bool = False
        self.writer: asyncio.Task[None] | None = None
        self.writer_waits: asyncio.Future[None] | None = None
        self.sending_since: float | None = None
        self.rooms: set[str] | None = None
        self.rate: TokenBucket | None = None
        self.inbox: deque[str | bytes] | None = None
        self.inbox_bytes: int = 0
        self.told_bytes: int = 0
        """Of the latest message that was told: while it is paused, that one waits outside."""
        self.paused: bool = False
        self.scheduled: bool = False
        """A callback that delivers is due."""
        self.reader_waits: asyncio.Future[None] | None = None
        self.receiver: asyncio.Task[Any] | None = None
        """The application's task while it waits in `receive()`."""
        self.yields: bool = False
        """Whether that wait was broken off for the close frame."""
        self.failure: int | None = None
        """Close code for what the peer did; what came before is delivered first."""
        self.close: tuple[int, str] | None = None
        """Code and reason of the close frame that waits behind the outbox."""
        self.sent: int | None = None
        """Code of the close frame the host has taken."""
        self.ended: tuple[int, str] | None = None
        """Code and reason the peer ended with; `closed` is due."""
