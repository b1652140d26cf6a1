"""`SqliteStore`: one file, one writer thread with group commit, a few reader threads.

This file puts the parts together: `intake` is the loop's side, `sqlite_writer` and `sqlite_readers`
are the threads, `sqlite_file` is the database.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wynd_chat.adapters.store.intake import Intake
from wynd_chat.adapters.store.probe import is_writable
from wynd_chat.adapters.store.sqlite_file import SqliteFile
from wynd_chat.adapters.store.sqlite_readers import SqliteReaders
from wynd_chat.adapters.store.sqlite_writer import SqliteWriter
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.store import NewMessage, Posted, Snapshot, Transaction

__all__ = ["SqliteStore"]

T = TypeVar("T")


class SqliteStore:
    """A `Store` in one SQLite file.

    Args:
        path: The file; made if it is not there. Its folder must exist.
        busy_s: How long a database that another program locked is waited for.
        after_commit: Called in the writer's thread after each commit, before anybody is told: for
            tests of that order, and for simulated stalls.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        busy_s: float = 2.0,
        after_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._file = SqliteFile(Path(path), busy_s=busy_s)
        self._after_commit = after_commit
        self._intake = Intake()
        self._changed: Callable[[], None] | None = None
        self._writer: SqliteWriter | None = None
        self._readers: SqliteReaders | None = None

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """Call `callback` with each event this store committed."""
        self._intake.on_commit(callback)

    def on_foreign_change(self, callback: Callable[[], None]) -> bool:
        """Call `callback`, on the loop, after another program wrote to the file."""
        self._changed = callback
        return True

    async def open(self) -> None:
        """Check and migrate the file, then start the threads."""
        if self._intake.is_open:
            return
        await asyncio.to_thread(self._file.prepare, secrets.token_hex(8))
        self._readers = SqliteReaders(self._file)
        self._writer = SqliteWriter(
            self._file,
            hand_back=self._intake.resolve,
            changed=self._tell_changed,
            after_commit=self._after_commit,
        )
        self._intake.is_open = True

    async def close(self) -> None:
        """Finish what was accepted, then end the threads."""
        writer, readers = self._writer, self._readers
        if writer is None or readers is None:
            return
        if self._intake.is_open:
            self._intake.is_open = False
            writer.stop()
        await writer.wait_ended()
        await readers.close()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in the writer's thread and commit it."""
        result: T = await self._submit(work)
        return result

    async def post(self, message: NewMessage) -> Posted:
        """Judge, number and store a message."""
        posted: Posted = await self._submit(message)
        return posted

    async def read(self, work: Callable[[Snapshot], T]) -> T:
        """Run `work` in a reader's thread, over one moment."""
        if not self._intake.is_open or self._readers is None:
            raise StoreFailure("the store is closed")
        return await self._readers.read(work)

    async def is_writable(self) -> bool:
        """Commit a row as it is; after a failure, also more than a message needs."""
        writable = await is_writable(self.write, in_doubt=self._intake.in_doubt)
        self._intake.in_doubt = not writable
        return writable

    def statistics(self) -> Mapping[str, float]:
        """Return counters since the start, of what was written."""
        writer = self._writer
        return {
            "commits": 0 if writer is None else writer.commits,
            "posts": self._intake.posts,
            "groups": self._intake.groups,
            "commit_seconds": 0.0 if writer is None else writer.commit_seconds,
            "waiting": self._intake.waiting,
        }

    def _submit(self, todo: Callable[[Transaction], Any] | NewMessage) -> asyncio.Future[Any]:
        operation = self._intake.accept(todo)
        assert self._writer is not None
        self._writer.submit(operation)
        return operation.future

    def _tell_changed(self) -> None:
        if self._changed is not None:
            self._changed()
