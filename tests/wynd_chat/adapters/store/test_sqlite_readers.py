"""The reader's threads: bounded, undisturbed by writers and by callers that give up."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from wynd_chat.adapters.store import sqlite_readers
from wynd_chat.adapters.store.sqlite_file import SqliteFile
from wynd_chat.adapters.store.sqlite_readers import THREADS, SqliteReaders
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wynd_chat.ports.store import Snapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a database."""
    path = tmp_path / "chat.db"
    SqliteFile(path, busy_s=0.05).prepare("the epoch")
    return path


@pytest.fixture
async def readers(path: Path) -> AsyncIterator[SqliteReaders]:
    """Give readers of it."""
    readers = SqliteReaders(SqliteFile(path, busy_s=0.05))
    yield readers
    await readers.close()


def epoch(snapshot: Snapshot) -> str | None:
    """Read something."""
    return snapshot.meta("epoch")


async def test_reads_go_on_while_another_program_writes(readers: SqliteReaders, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE meta SET value = 'changed'")
        assert await readers.read(epoch) == "the epoch"
        other.execute("COMMIT")
    assert await readers.read(epoch) == "changed"


async def test_reads_run_beside_each_other_up_to_the_number_of_threads(
    readers: SqliteReaders,
) -> None:
    together = threading.Barrier(THREADS)
    results = await asyncio.gather(
        *(readers.read(lambda _: together.wait(10) >= 0) for _ in range(THREADS))
    )
    assert results == [True] * THREADS


async def test_what_a_read_raises_comes_out_and_spoils_nothing(readers: SqliteReaders) -> None:
    def broken(snapshot: Snapshot) -> None:
        epoch(snapshot)
        raise LookupError

    for _ in range(2 * THREADS):
        with pytest.raises(LookupError):
            await readers.read(broken)
    assert await readers.read(epoch) == "the epoch"


async def test_a_caller_that_gives_up_disturbs_nobody(readers: SqliteReaders) -> None:
    gate = threading.Event()

    def slow(snapshot: Snapshot) -> str | None:
        gate.wait(10)
        return epoch(snapshot)

    tasks = [asyncio.create_task(readers.read(slow)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    gate.set()
    results = await asyncio.gather(*(readers.read(epoch) for _ in range(20)))
    assert results == ["the epoch"] * 20


async def test_too_many_reads_are_refused(
    readers: SqliteReaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_readers, "WAITING_MAX", 3)
    gate = threading.Event()
    tasks = [asyncio.create_task(readers.read(lambda _: gate.wait(10))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StoreFailure, match="too many"):
        await readers.read(epoch)
    gate.set()
    await asyncio.gather(*tasks)
    assert await readers.read(epoch) == "the epoch"


async def test_a_damaged_page_fails_the_read_and_not_the_readers(
    readers: SqliteReaders, path: Path
) -> None:
    assert await readers.read(epoch) == "the epoch"

    def damaged(snapshot: Any) -> None:
        snapshot._connection.exec_driver_sql("SELECT * FROM no_such_table")

    for _ in range(THREADS + 1):
        with pytest.raises(StoreFailure, match="no_such_table"):
            await readers.read(damaged)
    assert await readers.read(epoch) == "the epoch"
