"""`PostgresStore`: one writer connection with group commit, a few reader connections.

This file puts the parts together: `intake` accepts, `postgres_writer` commits, `postgres_server` is
the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from wynd_chat.adapters.store.intake import WAITING_MAX, Intake
from wynd_chat.adapters.store.postgres_server import LOST, PostgresServer, understand
from wynd_chat.adapters.store.postgres_writer import PostgresWriter
from wynd_chat.adapters.store.probe import is_writable
from wynd_chat.adapters.store.reading import SqlSnapshot
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.store import NewMessage, Posted, Snapshot, Transaction

__all__ = ["PostgresStore"]

T = TypeVar("T")


class PostgresStore:
    """A `Store` in a PostgreSQL database.

    A work may be run again if its transaction lost against another node's, so it must not change
    anything but the transaction.

    Args:
        url: `postgresql://user:password@host:port/database`; `?host=/folder` for a socket.
        after_commit: Called after each commit, before anybody is told: for tests of that order,
            and for simulated stalls.

    Raises:
        StoreUnusable: The address is none.
    """

    def __init__(self, url: str, *, after_commit: Callable[[], None] = lambda: None) -> None:
        self._server = PostgresServer(url)
        self._after_commit = after_commit
        self._intake = Intake()
        self._writer: PostgresWriter | None = None
        self._reads: set[asyncio.Task[Any]] = set()

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """Call `callback` with each event this store committed."""
        self._intake.on_commit(callback)

    def on_foreign_change(self, callback: Callable[[], None]) -> bool:
        """Nothing tells what others write (NOTIFY would take a lock at every commit)."""
        return False

    async def open(self) -> None:
        """Connect, check and migrate, then start the writer."""
        if self._intake.is_open:
            return
        await self._server.prepare(secrets.token_hex(8))
        self._writer = PostgresWriter(
            self._server, hand_back=self._intake.resolve, after_commit=self._after_commit
        )
        self._intake.is_open = True

    async def close(self) -> None:
        """Finish what was accepted, then disconnect."""
        writer = self._writer
        if writer is None:
            return
        if self._intake.is_open:
            self._intake.is_open = False
            writer.stop()
        await writer.wait_ended()
        if self._reads:
            await asyncio.wait(self._reads)
        await self._server.dispose()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in the writer's transaction and commit it."""
        result: T = await self._submit(work)
        return result

    async def post(self, message: NewMessage) -> Posted:
        """Judge, number and store a message."""
        posted: Posted = await self._submit(message)
        return posted

    async def read(self, work: Callable[[Snapshot], T]) -> T:
        """Run `work` over one moment.

        A caller that is cancelled leaves the read to itself: no connection is given back in the
        middle of an answer.
        """
        if not self._intake.is_open:
            raise StoreFailure("the store is closed")
        if len(self._reads) >= WAITING_MAX:
            raise StoreFailure("too many reads are waiting")
        task = asyncio.create_task(self._read(work))
        self._reads.add(task)
        task.add_done_callback(self._read_done)
        return await asyncio.shield(task)

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

    async def _read(self, work: Callable[[Snapshot], T]) -> T:
        def run(connection: Connection) -> T:
            with connection.begin():
                return work(SqlSnapshot(connection))

        try:
            return await self._try_read(run)
        except StoreFailure:
            # The server may have been restarted since the connection was used last.
            return await self._try_read(run)

    async def _try_read(self, run: Callable[[Connection], T]) -> T:
        try:
            connection = await self._server.reader()
            try:
                return await connection.run_sync(run)
            except StoreFailure:
                await connection.invalidate()
                raise
            finally:
                with contextlib.suppress(*LOST):
                    await connection.close()
        except LOST as error:
            failed = understand(error).error
            raise failed from error

    def _read_done(self, task: asyncio.Task[Any]) -> None:
        self._reads.discard(task)
        if not task.cancelled():
            task.exception()  # a caller that was cancelled fetches neither result nor error
