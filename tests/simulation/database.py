"""The database of a simulation: the memory store as the disk, and what a process sees of it.

`Disk` outlives processes, keeps what was committed and can be put back to what it once was.
`SimulatedStore` is one process's connection: it works as the SQL stores do (group commit, the loop
learns later), takes its time, and fails while the disk is full.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.adapters.store.memory_tables import MemorySnapshot, Tables
from wynd_chat.adapters.store.memory_transaction import MemoryTransaction
from wynd_chat.ports.store import NewMessage, Posted, StoreFailure

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from tests.simulation.loop import Process, VirtualLoop
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.store import Snapshot

__all__ = ["Disk", "SimulatedStore"]

GROUP_MAX = 8


class Disk(MemoryStore):
    """Everything that was committed.

    Attributes:
        is_full: Whether writing fails.
        slow_s: How long an operation takes at most.
        on_change: Called after every commit that is more than a message.
        on_events: Called after every commit, with its events.
    """

    def __init__(self, epoch: str) -> None:
        super().__init__(epoch=epoch)
        self.is_full = False
        self.slow_s = 0.01
        self.on_change: Callable[[], None] = lambda: None
        self.on_events: Callable[[list[tuple[Room, Event]]], None] = lambda _happened: None
        self._happened: list[tuple[Room, Event]] = []
        self.on_commit(lambda room, event: self._happened.append((room, event)))

    @property
    def now(self) -> Snapshot:
        """What is committed."""
        return MemorySnapshot(self._tables)

    @property
    def tables(self) -> Tables:
        """The rows themselves."""
        return self._tables

    def commit(self, todo: Any) -> tuple[Any, list[tuple[Room, Event]]]:
        """Carry out a work or a post; return its result and the events it made.

        Raises:
            Exception: what the work raises; nothing of it is kept.
        """
        if self.is_full:
            raise StoreFailure("no space left on device")
        assert not self._happened
        try:
            if isinstance(todo, NewMessage):
                result: Any = self._change(lambda: self._transaction.post(todo))
            else:
                result = self._change(lambda: todo(self._transaction))
        except BaseException:
            self._happened.clear()
            raise
        happened, self._happened = self._happened, []
        self.on_events(happened)
        if not isinstance(todo, NewMessage):
            self.on_change()
        return result, happened

    def copy(self) -> dict[str, Any]:
        """Return a backup."""
        return {
            field.name: _copied(getattr(self._tables, field.name))
            for field in fields(Tables)
            if field.name != "log"
        }

    def restore(self, backup: Mapping[str, Any], epoch: str) -> None:
        """Be what the backup was, as another database."""
        tables = Tables()
        for name, table in backup.items():
            setattr(tables, name, _copied(table))
        self._tables = tables
        self._transaction = MemoryTransaction(tables)
        tables.meta["epoch"] = epoch


def _copied(table: dict[Any, Any]) -> dict[Any, Any]:
    return {key: dict(row) if isinstance(row, dict) else row for key, row in table.items()}


@dataclass(eq=False, slots=True)
class _Operation:
    todo: Any
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None
    happened: list[tuple[Room, Event]] | None = None


class SimulatedStore:
    """What one process has of the disk (`ports.store.Store`)."""

    def __init__(
        self,
        disk: Disk,
        loop: VirtualLoop,
        process: Process,
        chance: random.Random,
        passed: Callable[[str], None],
    ) -> None:
        self._disk = disk
        self._loop = loop
        self._process = process
        self._chance = chance
        self._passed = passed
        self._waiting: list[_Operation] = []
        self._writer: asyncio.Task[None] | None = None
        self._tell: Callable[[Room, Event], None] = lambda _room, _event: None
        self._tell_foreign: Callable[[], None] = lambda: None
        self._is_open = False
        self._posts = 0

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """See `Store.on_commit`."""
        self._tell = callback

    def on_foreign_change(self, callback: Callable[[], None]) -> bool:
        """See `Store.on_foreign_change`."""
        self._tell_foreign = callback
        return True

    def foreign_change(self) -> None:
        """Let the process notice that somebody else wrote; within a second, as SQLite does."""
        delay = self._chance.uniform(0.0, 1.0)
        self._loop.later(delay, lambda: self._process.call(self._notice_foreign))

    def _notice_foreign(self) -> None:
        if self._is_open:
            self._tell_foreign()

    async def open(self) -> None:
        """See `Store.open`."""
        self._check_alive()
        self._is_open = True

    async def close(self) -> None:
        """See `Store.close`."""
        self._is_open = False
        if self._writer is not None:
            await self._writer

    async def write(self, work: Callable[[Any], Any]) -> Any:
        """See `Store.write`."""
        return await self._queued(work)

    async def post(self, message: NewMessage) -> Posted:
        """See `Store.post`."""
        posted: Posted = await self._queued(message)
        self._posts += 1
        return posted

    async def read(self, work: Callable[[Snapshot], Any]) -> Any:
        """See `Store.read`; what was read is handed out later than it was true."""
        self._check_open()
        await self._pause()
        self._check_alive()
        found = work(self._disk.now)
        await self._pause()
        return found

    async def is_writable(self) -> bool:
        """See `Store.is_writable`."""
        await self._pause()
        return self._is_open and not self._disk.is_full

    def statistics(self) -> Mapping[str, float]:
        """See `Store.statistics`."""
        return {"commits": 0, "posts": self._posts, "groups": 0, "commit_seconds": 0, "waiting": 0}

    async def _queued(self, todo: Any) -> Any:
        self._check_open()
        operation = _Operation(todo, self._loop.create_future())
        self._waiting.append(operation)
        if self._writer is None:
            self._writer = self._loop.create_task(self._write())
        return await operation.future

    async def _write(self) -> None:
        """Carry out what waits, group by group; the loop learns of a group when all is done."""
        try:
            while self._waiting:
                await self._pause()
                self._check_alive()
                self._passed("before_commit")
                group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
                for operation in group:
                    self._carry_out(operation)
                await self._pause()
                for operation in group:
                    self._resolve(operation)
        finally:
            self._writer = None

    def _carry_out(self, operation: _Operation) -> None:
        try:
            operation.result, operation.happened = self._disk.commit(operation.todo)
        except Exception as error:
            operation.error = error

    def _resolve(self, operation: _Operation) -> None:
        for room, event in operation.happened or ():
            self._tell(room, event)
        if operation.future.done():
            return
        if operation.error is None:
            operation.future.set_result(operation.result)
        else:
            operation.future.set_exception(operation.error)

    async def _pause(self) -> None:
        draw = self._chance.random()
        if draw < 0.3:
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(draw * draw * self._disk.slow_s)

    def _check_open(self) -> None:
        self._check_alive()
        if not self._is_open:
            raise StoreFailure("the store is closed")

    def _check_alive(self) -> None:
        if self._process.is_dead:
            raise StoreFailure("a dead process reads and writes nothing")
