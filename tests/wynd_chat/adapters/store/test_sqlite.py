"""The SQLite store as a whole, where it differs from others: a file that others use too."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import DEV, a_message, opened
from tests.waiting import eventually
from wynd_chat.adapters.store import intake
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.ports.store import StoreFailure, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wynd_chat.ports.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a database."""
    return tmp_path / "chat.db"


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold the file's write lock, as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_locked_database_refuses_posts_keeps_readers_and_ends(path: Path) -> None:
    async with opened(SqliteStore(path, busy_s=0.05)) as store:
        await store.post(a_message("before"))
        async with locked(path):
            assert not await store.is_writable()
            with pytest.raises(StoreFailure, match="locked"):
                await store.post(a_message("lost"))
            assert await store.read(lambda s: s.count_messages(DEV.id)) == 1
        assert await store.is_writable()
        assert (await store.post(a_message("after"))).event.seq == 2


async def test_another_programs_writes_are_told_and_seen(path: Path) -> None:
    told: list[Store] = []
    async with (
        opened(SqliteStore(path)) as store,
        opened(SqliteStore(path), is_filled=False) as cli,
    ):
        assert store.on_foreign_change(lambda: told.append(store))
        await cli.write(lambda tx: tx.put_meta("color", "red"))
        await eventually(lambda: told)
        assert await store.read(lambda snapshot: snapshot.meta("color")) == "red"


async def test_two_programs_number_the_same_room_without_holes(path: Path) -> None:
    async with opened(SqliteStore(path)) as one, opened(SqliteStore(path), is_filled=False) as two:
        posts = [(one, two)[n % 2].post(a_message(str(n), cid=str(n % 10))) for n in range(40)]
        outcomes = await asyncio.gather(*posts)
        seqs = {outcome.event.seq for outcome in outcomes if not outcome.is_duplicate}
        assert seqs == set(range(1, 11))


class Gate:
    """Where the writer stands still after a commit while it is closed."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.open()

    def open(self) -> None:
        """Let the writer pass."""
        self._event.set()

    def close(self) -> None:
        """Stop it at the next commit."""
        self._event.clear()

    def __call__(self) -> None:
        assert self._event.wait(10)


async def test_too_many_waiting_writes_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WAITING_MAX", 5)
    gate = Gate()
    async with opened(SqliteStore(path, after_commit=gate)) as store:
        gate.close()
        posts = [asyncio.create_task(store.post(a_message(str(n)))) for n in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(StoreFailure, match="too many"):
            await store.post(a_message("6"))
        assert store.statistics()["waiting"] == 5
        gate.open()
        assert [(await post).event.seq for post in posts] == [1, 2, 3, 4, 5]
        assert (await store.post(a_message("7"))).event.seq == 6


async def test_a_stalled_disk_is_not_writable_and_the_loop_goes_on(path: Path) -> None:
    gate = Gate()
    async with opened(SqliteStore(path, after_commit=gate)) as store:
        gate.close()
        assert not await store.is_writable()
        assert await store.read(lambda s: s.room(DEV.id)) == DEV
        gate.open()
        await eventually(lambda: store.statistics()["waiting"] == 0)
        assert await store.is_writable()


async def test_a_store_can_be_opened_again(path: Path) -> None:
    store = SqliteStore(path)
    async with opened(store):
        await store.post(a_message("1"))
    async with opened(store, is_filled=False):
        assert (await store.post(a_message("2"))).event.seq == 2


@pytest.fixture
def damaged(path: Path) -> Path:
    """Give the path of something else."""
    path.write_bytes(b"not a database" * 100)
    return path


async def test_a_file_that_cannot_be_used_leaves_no_threads(damaged: Path) -> None:
    before = threading.active_count()
    store = SqliteStore(damaged)
    with pytest.raises(StoreUnusable, match="damaged"):
        await store.open()
    with pytest.raises(StoreFailure, match="closed"):
        await store.post(a_message())
    await store.close()
    assert threading.active_count() <= before + 1  # the loop's own helper thread


async def test_closing_ends_the_threads(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await store.read(lambda snapshot: snapshot.meta("epoch"))
        assert any(thread.name.startswith("wynd-chat") for thread in threading.enumerate())
    assert not any(thread.name.startswith("wynd-chat") for thread in threading.enumerate())
