"""The writer's thread of `SqliteStore`: takes what waits, commits it as one, hands it back.

What arrives while a commit runs shares the next one; nothing waits on purpose. The order is fixed:
run the group, commit (which returns once the log is synced to disk), then hand the operations back
in one call on the loop. A lost group leaves nothing; the next starts on a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from wynd_chat.adapters.store.failures import translate
from wynd_chat.adapters.store.groups import GROUP_MAX, GroupLost, Operation, run_group
from wynd_chat.adapters.store.sqlite_file import driver_of
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from wynd_chat.adapters.store.sqlite_file import SqliteFile

__all__ = ["SqliteWriter"]

logger = logging.getLogger("wynd_chat.store")

POLL_S = 1.0  # how soon another program's commit is noticed while nothing is written


class SqliteWriter:
    """One thread with one connection. Made on the loop.

    Args:
        file: The database.
        hand_back: Called on the loop with the operations of each group, committed or failed.
        changed: Called on the loop after another program wrote to the file.
        after_commit: Called in the thread after each commit, before anything is handed back.
    """

    def __init__(
        self,
        file: SqliteFile,
        *,
        hand_back: Callable[[list[Operation]], None],
        changed: Callable[[], None],
        after_commit: Callable[[], None],
    ) -> None:
        self.commits = 0
        self.commit_seconds = 0.0
        self._file = file
        self._hand_back = hand_back
        self._changed = changed
        self._after_commit = after_commit
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._queue: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._data_version: int | None = None
        self._thread = threading.Thread(target=self._run, name="wynd-chat-write", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation) -> None:
        """Queue an operation."""
        self._queue.put(operation)

    def stop(self) -> None:
        """End the thread after what was submitted so far."""
        self._queue.put(None)

    async def wait_ended(self) -> None:
        """Wait until the thread has gone."""
        await asyncio.shield(self._ended)
        self._thread.join()  # it has nothing left to do

    # in the thread

    def _run(self) -> None:
        try:
            is_last = False
            while not is_last:
                group, is_last = self._next_group()
                if group:
                    self._carry_out(group)
                elif not is_last:
                    self._look_around()
        finally:
            self._disconnect()
            self._on_loop(self._ended.set_result, None)

    def _next_group(self) -> tuple[list[Operation], bool]:
        """Return what is waiting, and whether nothing will come after it; empty when idle."""
        group: list[Operation] = []
        with contextlib.suppress(queue.Empty):
            operation = self._queue.get(timeout=POLL_S)
            while operation is not None:
                group.append(operation)
                if len(group) == GROUP_MAX:
                    return group, False
                operation = self._queue.get_nowait()
            return group, True
        return group, False

    def _carry_out(self, group: list[Operation]) -> None:
        try:
            self._commit(group)
        except GroupLost as lost:
            self._lose(group, str(lost))
        except DBAPIError as error:
            self._lose(group, str(translate(error).error))
        except Exception:
            logger.exception("The writer failed; its group was not stored.")
            self._lose(group, "the writer failed")
        self._on_loop(self._hand_back, group)

    def _commit(self, group: list[Operation]) -> None:
        connection = self._connected()
        self._notice_changes(connection)
        transaction = connection.begin()
        run_group(connection, group)
        started = time.perf_counter()
        transaction.commit()
        self.commit_seconds += time.perf_counter() - started
        self.commits += 1
        self._after_commit()

    def _lose(self, group: list[Operation], reason: str) -> None:
        """Undo everything and start over; whatever state the connection is in, it is given up."""
        self._disconnect()
        for operation in group:
            operation.fail(StoreFailure(reason))

    def _look_around(self) -> None:
        try:
            self._notice_changes(self._connected())
        except DBAPIError:
            self._disconnect()  # the next group tells

    def _notice_changes(self, connection: Connection) -> None:
        """Compare SQLite's count of other connections' commits with the last one seen."""
        (version,) = driver_of(connection).execute("PRAGMA data_version").fetchone()
        if self._data_version not in {None, version}:
            self._on_loop(self._changed)
        self._data_version = version

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._file.writer()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()

    def _on_loop(self, callback: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            logger.error("The loop was closed before the store; nobody was told of a commit.")
