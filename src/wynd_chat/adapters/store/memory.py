"""`MemoryStore`: everything in dictionaries, nothing kept; for tests, simulations, `--ephemeral`.

Runs inline on the loop, without threads and without waiting, so that a run with the same calls has
the same outcome. It is the oracle the SQL stores are compared with, and shares no code with them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, TypeVar

from wynd_chat.adapters.store.memory_tables import MemorySnapshot, Tables
from wynd_chat.adapters.store.memory_transaction import MemoryTransaction
from wynd_chat.ports.store import Posted, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.store import NewMessage, Snapshot, Transaction

__all__ = ["MemoryStore"]

T = TypeVar("T")


class MemoryStore:
    """A `Store` that keeps everything in memory and forgets it at the end of the program.

    Args:
        epoch: The identity of the data; drawn at random if None.
    """

    def __init__(self, *, epoch: str | None = None) -> None:
        self._epoch = epoch
        self._tables = Tables()
        self._transaction = MemoryTransaction(self._tables)
        self._is_open = False
        self._tell: Callable[[Room, Event], None] = lambda _room, _event: None
        self._commits = 0
        self._posts = 0

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """Call `callback` with each event that is kept."""
        self._tell = callback

    def on_foreign_change(self, callback: Callable[[], None]) -> bool:
        """Nobody else can change it, so there is never anything to tell."""
        return True

    async def open(self) -> None:
        """Make the epoch where there is none; what was stored before `close` is still there."""
        self._is_open = True
        if self._transaction.meta("epoch") is None:
            self._transaction.put_meta("epoch", self._epoch or secrets.token_hex(8))
            self._tables.keep()

    async def close(self) -> None:
        """Refuse everything from now on."""
        self._is_open = False

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work`; undo all of it if it raises."""
        return self._change(lambda: work(self._transaction))

    async def read(self, work: Callable[[Snapshot], T]) -> T:
        """Run `work` over the tables as they are."""
        self._check_open()
        return work(MemorySnapshot(self._tables))

    async def post(self, message: NewMessage) -> Posted:
        """Judge, number and store a message."""
        posted = self._change(lambda: self._transaction.post(message))
        self._posts += 1
        return posted

    async def is_writable(self) -> bool:
        """Tell whether the store is open."""
        return self._is_open

    def statistics(self) -> Mapping[str, float]:
        """Return counters since the start; a commit takes no time here."""
        return {
            "commits": self._commits,
            "posts": self._posts,
            "groups": self._commits,
            "commit_seconds": 0.0,
            "waiting": 0,
        }

    def _change(self, change: Callable[[], T]) -> T:
        self._check_open()
        try:
            result = change()
        except BaseException:
            self._tables.undo()
            self._transaction.happened.clear()
            raise
        self._tables.keep()
        self._commits += 1
        happened = self._transaction.happened[:]
        self._transaction.happened.clear()
        for room, event in happened:
            self._tell(room, event)
        return result

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreFailure("the store is closed")
