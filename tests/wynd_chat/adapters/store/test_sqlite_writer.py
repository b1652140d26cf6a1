"""The writer's thread: groups, what is lost together, and what another program changed."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import DEV, a_message, fill
from tests.waiting import eventually
from wynd_chat.adapters.store.groups import GROUP_MAX, Operation
from wynd_chat.adapters.store.sqlite_file import SqliteFile
from wynd_chat.adapters.store.sqlite_writer import SqliteWriter
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


class Desk:
    """A writer, what it handed back, and a gate that its commits wait at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        file = SqliteFile(path, busy_s=0.05)
        file.prepare("epoch")
        self.groups: list[list[Operation]] = []
        self.changes = 0
        self.gate = threading.Event()
        self.gate.set()
        self.at_gate = threading.Event()
        self.writer = SqliteWriter(
            file,
            hand_back=self.groups.append,
            changed=self.change,
            after_commit=self.after_commit,
        )

    def change(self) -> None:
        self.changes += 1

    def after_commit(self) -> None:
        self.at_gate.set()
        assert self.gate.wait(10)

    def submit(self, todo: Any) -> Operation:
        operation = Operation(todo, asyncio.get_running_loop().create_future())
        self.writer.submit(operation)
        return operation

    async def done(self, *operations: Operation) -> None:
        def all_back() -> bool:
            back = [operation for group in self.groups for operation in group]
            return all(operation in back for operation in operations)

        await eventually(all_back)

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()


@asynccontextmanager
async def at_desk(path: Path) -> AsyncIterator[Desk]:
    """Run a writer over a database with Alice, Bob and Carol."""
    desk = Desk(path)
    try:
        await desk.done(desk.submit(fill))
        yield desk
    finally:
        desk.gate.set()
        desk.writer.stop()
        await desk.writer.wait_ended()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a running writer."""
    async with at_desk(tmp_path / "chat.db") as desk:
        yield desk


async def held_up(desk: Desk) -> Operation:
    """Let the writer stand still after a commit, before it hands anything back."""
    desk.gate.clear()
    desk.at_gate.clear()
    operation = desk.submit(lambda tx: tx.put_meta("first", "1"))
    await asyncio.to_thread(desk.at_gate.wait, 10)
    return operation


async def test_nobody_is_told_before_the_commit_is_there_for_others(desk: Desk) -> None:
    operation = await held_up(desk)
    assert desk.rows("SELECT value FROM meta WHERE key = 'first'") == [("1",)]
    assert not any(operation in group for group in desk.groups)
    desk.gate.set()
    await desk.done(operation)


async def test_what_arrives_during_a_commit_shares_the_next_one(desk: Desk) -> None:
    await held_up(desk)
    groups = len(desk.groups)
    posts = [desk.submit(a_message(str(number))) for number in range(50)]
    desk.gate.set()
    await desk.done(*posts)
    assert [len(group) for group in desk.groups[groups:]] == [1, 50]
    assert [operation.result.event.seq for operation in posts] == list(range(1, 51))


async def test_a_group_has_a_bound(desk: Desk) -> None:
    await held_up(desk)
    groups = len(desk.groups)
    many = [desk.submit(lambda tx: None) for _ in range(GROUP_MAX + 7)]
    desk.gate.set()
    await desk.done(*many)
    assert [len(group) for group in desk.groups[groups:]] == [1, GROUP_MAX, 7]


async def test_a_locked_database_loses_the_group_and_no_more(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        lost = desk.submit(a_message("lost"))
        await desk.done(lost)
        other.execute("ROLLBACK")
    assert isinstance(lost.error, StoreFailure)
    assert "locked" in str(lost.error)
    kept = desk.submit(a_message("kept"))
    await desk.done(kept)
    assert kept.result.event.seq == 1
    assert desk.rows("SELECT text FROM messages") == [("kept",)]


async def test_a_database_that_is_full_loses_the_group_and_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limit(tx: Any) -> None:
        pages = tx._connection.exec_driver_sql("PRAGMA page_count").scalar()
        tx._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await desk.done(desk.submit(limit))
    posts = [desk.submit(a_message(str(number) * 5_000)) for number in range(3)]
    await desk.done(*posts)
    assert {type(operation.error) for operation in posts} == {StoreFailure}
    assert "full" in str(posts[0].error)
    assert desk.rows("SELECT last_seq FROM rooms WHERE id = 'r_dev'") == [(0,)]
    kept = desk.submit(a_message("kept"))  # on a new connection, which has no such bound
    await desk.done(kept)
    assert kept.result.event.seq == 1


async def test_a_work_that_swallows_a_full_disk_is_not_done(desk: Desk) -> None:
    def work(tx: Any) -> str:
        pages = tx._connection.exec_driver_sql("PRAGMA page_count").scalar()
        tx._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        tx.put_meta("before", "1")
        try:
            tx.put_meta("big", "x" * 100_000)
        except StoreFailure:
            with pytest.raises(StoreFailure):
                tx.put_meta("after", "1")
        return "done"

    operation = desk.submit(work)
    await desk.done(operation)
    assert isinstance(operation.error, StoreFailure)
    assert desk.rows("SELECT key FROM meta WHERE key IN ('before', 'big', 'after')") == []


async def test_a_mistake_in_the_writer_ends_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Exception):
        """Raised where nothing is expected to be raised."""

    real = desk.writer._notice_changes

    def broken(connection: Any) -> None:
        desk.writer._notice_changes = real  # type: ignore[method-assign]
        raise Odd

    desk.writer._notice_changes = broken  # type: ignore[method-assign]
    failed = desk.submit(a_message("1"))
    await desk.done(failed)
    assert isinstance(failed.error, StoreFailure)
    assert "Odd" in caplog.text
    kept = desk.submit(a_message("2"))
    await desk.done(kept)
    assert kept.error is None


async def test_a_file_that_cannot_be_opened_fails_the_group(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.writer._disconnect()
    real: Callable[..., sqlite3.Connection] = sqlite3.connect

    def refuse(*arguments: Any, **options: Any) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    failed = desk.submit(a_message("1"))
    await desk.done(failed)
    assert isinstance(failed.error, StoreFailure)
    monkeypatch.setattr(sqlite3, "connect", real)
    kept = desk.submit(a_message("2"))
    await desk.done(kept)
    assert kept.error is None


async def test_another_programs_commit_is_noticed_when_idle_and_when_busy(desk: Desk) -> None:
    await desk.done(desk.submit(lambda tx: None))
    assert desk.changes == 0  # one's own commits are none
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("INSERT INTO meta VALUES ('theirs', '1')")
        await eventually(lambda: desk.changes == 1)
        other.execute("INSERT INTO meta VALUES ('theirs too', '1')")
        await desk.done(desk.submit(lambda tx: None))
        await eventually(lambda: desk.changes == 2)
    await desk.done(desk.submit(a_message("ours", room=DEV)))
    assert desk.changes == 2
