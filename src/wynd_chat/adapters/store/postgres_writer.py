"""The writer of `PostgresStore`: takes what waits, commits it as one, hands it back.

One task with one connection; what arrives while a commit runs shares the next one. Several nodes
may write: works exclude each other by an advisory lock, posts by the rows of their rooms. A commit
whose answer is lost is looked up afterwards, so that callers learn what became of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy import Text, cast, func, select

from wynd_chat.adapters.store.groups import GROUP_MAX, GroupLost, Operation, run_group
from wynd_chat.adapters.store.postgres_server import LOST, understand, write_lock
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from wynd_chat.adapters.store.postgres_server import PostgresServer

__all__ = ["PostgresWriter"]

logger = logging.getLogger("wynd_chat.store")

ATTEMPTS = 5  # of a transaction that lost against another node's
LOOK_UP_S = 5.0  # how long the outcome of a commit is asked for
LOOK_UP_EVERY_S = 0.05
LOCK_ALONE = write_lock(is_shared=False)
LOCK_SHARED = write_lock(is_shared=True)
TRANSACTION_ID = select(cast(func.pg_current_xact_id_if_assigned(), Text))


class PostgresWriter:
    """One task with one connection. Made on the loop.

    Args:
        server: The database.
        hand_back: Called with the operations of each group, committed or failed.
        after_commit: Called after each commit, before anything is handed back.
    """

    def __init__(
        self,
        server: PostgresServer,
        *,
        hand_back: Callable[[list[Operation]], None],
        after_commit: Callable[[], None],
    ) -> None:
        self.commits = 0
        self.commit_seconds = 0.0
        self._server = server
        self._hand_back = hand_back
        self._after_commit = after_commit
        self._queue: asyncio.Queue[Operation | None] = asyncio.Queue()
        self._connection: AsyncConnection | None = None
        self._committing: str | None = None
        """The id of the transaction whose commit was sent and not answered yet."""
        self._task = asyncio.create_task(self._run(), name="wynd-chat-write")

    def submit(self, operation: Operation) -> None:
        """Queue an operation."""
        self._queue.put_nowait(operation)

    def stop(self) -> None:
        """End after what was submitted so far."""
        self._queue.put_nowait(None)

    async def wait_ended(self) -> None:
        """Wait until it has ended."""
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            is_last = False
            while not is_last:
                group, is_last = await self._next_group()
                if group:
                    await self._carry_out(group)
        finally:
            await self._disconnect()

    async def _next_group(self) -> tuple[list[Operation], bool]:
        """Return what is waiting, and whether nothing will come after it."""
        group: list[Operation] = []
        operation = await self._queue.get()
        with contextlib.suppress(asyncio.QueueEmpty):
            while operation is not None:
                group.append(operation)
                if len(group) == GROUP_MAX:
                    return group, False
                operation = self._queue.get_nowait()
            return group, True
        return group, False

    async def _carry_out(self, group: list[Operation]) -> None:
        try:
            reason = await self._committed(group)
        except Exception:
            logger.exception("The writer failed; its group was not stored.")
            await self._disconnect()
            reason = "the writer failed"
        if reason is not None:
            for operation in group:
                operation.fail(StoreFailure(reason))
        self._hand_back(group)

    async def _committed(self, group: list[Operation]) -> str | None:
        """Commit a group; return None, or why it could not be."""
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                connection = await self._connected()
                await connection.run_sync(self._commit, group)
            except (GroupLost, *LOST) as error:
                failed = error.failed if isinstance(error, GroupLost) else understand(error)
                await self._disconnect()
                sent, self._committing = self._committing, None
                if sent is not None and await self._look_up(sent):
                    break
                reason = str(failed.error)
                if not failed.may_repeat:
                    return reason
            else:
                break
        else:
            return reason
        self.commits += 1
        self._after_commit()
        return None

    def _commit(self, connection: Connection, group: list[Operation]) -> None:
        with connection.begin() as transaction:
            has_works = any(callable(operation.todo) for operation in group)
            connection.execute(LOCK_ALONE if has_works else LOCK_SHARED)
            run_group(connection, group)
            self._committing = connection.execute(TRANSACTION_ID).scalar()
            started = time.perf_counter()
            transaction.commit()
            self._committing = None
            self.commit_seconds += time.perf_counter() - started

    async def _look_up(self, transaction_id: str) -> bool:
        """Tell whether a transaction was committed, after the answer was lost.

        False also if that cannot be found out in time. A message with a cid may be sent again in
        any case.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_UP_S):
                while True:
                    with contextlib.suppress(*LOST):
                        verdict = await self._server.is_committed(transaction_id)
                        if verdict is not None:
                            return verdict
                    await asyncio.sleep(LOOK_UP_EVERY_S)
        logger.error("What became of transaction %s could not be found out.", transaction_id)
        return False

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            self._connection = await self._server.writer()
        return self._connection

    async def _disconnect(self) -> None:
        """Give the connection up, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*LOST):
                await connection.invalidate()
            with contextlib.suppress(*LOST):
                await connection.close()
