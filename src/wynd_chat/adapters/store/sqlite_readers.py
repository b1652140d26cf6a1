"""The reader's threads of `SqliteStore`: a few, each read over one moment of what is committed.

Knows nothing of writing; in the write-ahead log readers and the writer do not wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError

from wynd_chat.adapters.store.failures import translate
from wynd_chat.adapters.store.reading import SqlSnapshot
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from wynd_chat.adapters.store.sqlite_file import SqliteFile
    from wynd_chat.ports.store import Snapshot

__all__ = ["SqliteReaders"]

T = TypeVar("T")

THREADS = 4  # a read takes tens of microseconds; more threads would only wait for the interpreter
WAITING_MAX = 10_000  # reads; as many as a full server has users, each with one under way


class SqliteReaders:
    """A pool of threads and connections.

    Args:
        file: The database.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="wynd-chat-read")
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._waiting = 0

    async def read(self, work: Callable[[Snapshot], T]) -> T:
        """Run `work` in one of the threads.

        Raises:
            StoreFailure: Too many wait, or the database cannot be read.
        """
        if self._waiting >= WAITING_MAX:
            raise StoreFailure("too many reads are waiting")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)
        future.add_done_callback(self._done)
        return await future

    async def close(self) -> None:
        """Finish what was asked, then end threads and connections."""
        await asyncio.to_thread(self._threads.shutdown)
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _read(self, work: Callable[[Snapshot], T]) -> T:
        connection: Connection | None = None
        try:
            connection = self._connection()
            with connection.begin():
                result = work(SqlSnapshot(connection))
        except DBAPIError as error:
            discard(connection)
            raise translate(error).error from error
        except StoreFailure:
            discard(connection)
            raise
        except BaseException:
            if connection is not None:
                self._idle.put(connection)
            raise
        self._idle.put(connection)
        return result

    def _connection(self) -> Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._file.reader()

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # a caller that was cancelled fetches neither result nor error


def discard(connection: Connection | None) -> None:
    """Give up a connection that failed."""
    if connection is not None:
        with contextlib.suppress(DBAPIError):
            connection.close()
