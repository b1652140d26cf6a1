"""The writer over PostgreSQL: groups, lost connections, commits whose answer is lost, deadlocks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.contracts.chat_stores import DEV, LOBBY, a_message, fill
from tests.waiting import eventually
from wynd_chat.adapters.store.groups import GROUP_MAX, Operation
from wynd_chat.adapters.store.postgres_server import PostgresServer
from wynd_chat.adapters.store.postgres_writer import PostgresWriter
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection

    from tests.contracts.postgres import PostgresProcess

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(400)]


class Desk:
    """A writer and what it handed back."""

    def __init__(self, url: str) -> None:
        self.server = PostgresServer(url)
        self.groups: list[list[Operation]] = []
        self.writer = PostgresWriter(
            self.server, hand_back=self.groups.append, after_commit=lambda: None
        )

    def submit(self, todo: Any) -> Operation:
        operation = Operation(todo, asyncio.get_running_loop().create_future())
        self.writer.submit(operation)
        return operation

    async def done(self, *operations: Operation) -> None:
        def all_back() -> bool:
            back = [operation for group in self.groups for operation in group]
            return all(operation in back for operation in operations)

        await eventually(all_back)

    async def run(self, todo: Any) -> Operation:
        operation = self.submit(todo)
        await self.done(operation)
        return operation


@asynccontextmanager
async def at_desk(url: str) -> AsyncIterator[Desk]:
    """Run a writer."""
    desk = Desk(url)
    try:
        yield desk
    finally:
        desk.writer.stop()
        await desk.writer.wait_ended()
        await desk.server.dispose()


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    """Give a running writer over a database with three users in two rooms."""
    async with at_desk(database) as desk:
        await desk.run(fill)
        yield desk


def backend(tx: Any) -> int:
    """Return the server's process that a work talks to."""
    pid = tx._connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return int(pid)


async def test_what_arrives_during_a_commit_shares_the_next_one(desk: Desk) -> None:
    groups = len(desk.groups)
    posts = [desk.submit(a_message(str(number))) for number in range(GROUP_MAX + 3)]
    await desk.done(*posts)
    assert sorted(len(group) for group in desk.groups[groups:])[-1] > 100
    assert max(len(group) for group in desk.groups) <= GROUP_MAX
    assert [post.result.event.seq for post in posts] == list(range(1, GROUP_MAX + 4))


async def test_a_connection_that_was_cut_fails_one_group_at_most(
    desk: Desk, postgres: PostgresProcess
) -> None:
    pid = (await desk.run(backend)).result
    postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
    first = await desk.run(a_message("first"))
    second = await desk.run(a_message("second"))
    assert first.error is None or isinstance(first.error, StoreFailure)
    assert second.error is None
    assert second.result.event.seq == (1 if first.error else 2)


async def test_a_connection_cut_in_the_middle_leaves_nothing(
    desk: Desk, postgres: PostgresProcess
) -> None:
    def cut(tx: Any) -> None:
        tx.post(a_message("in the middle"))
        postgres.execute(f"SELECT pg_terminate_backend({backend(tx)}, 5000)")
        tx.post(a_message("too late"))

    lost = await desk.run(cut)
    assert isinstance(lost.error, StoreFailure)
    kept = await desk.run(a_message("kept"))
    assert kept.result.event.seq == 1


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_lost_answer_to_a_commit_is_looked_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    """The commit reaches the server and its answer is lost, or it does not even reach it."""
    real = desk.writer._commit

    def lossy(connection: Connection, group: list[Operation]) -> None:
        monkeypatch.setattr(desk.writer, "_commit", real)
        sent = ""
        original = type(connection)._commit_impl

        def commit(self: Connection) -> None:
            nonlocal sent
            sent = desk.writer._committing or ""
            if is_committed:
                original(self)
            raise ConnectionResetError("the answer is lost")

        with monkeypatch.context() as patch:
            patch.setattr(type(connection), "_commit_impl", commit)
            try:
                real(connection, group)
            finally:
                assert sent != ""

    monkeypatch.setattr(desk.writer, "_commit", lossy)
    posted = await desk.run(a_message("once", cid="1"))
    if is_committed:
        assert posted.error is None
        assert posted.result.event.seq == 1
    else:
        assert isinstance(posted.error, StoreFailure)
    again = await desk.run(a_message("again", cid="1"))
    assert again.result.is_duplicate is is_committed
    assert again.result.event.seq == 1


async def test_a_transaction_that_loses_a_deadlock_is_run_again(desk: Desk) -> None:
    """Another session locks two rooms the other way round."""
    other = await desk.server.writer()
    lock = "SELECT 1 FROM rooms WHERE id = '{}' FOR NO KEY UPDATE"
    attempts: list[int] = []

    def work(tx: Any) -> str:
        attempts.append(1)
        tx._connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        tx.put_room(DEV)
        if len(attempts) == 1:
            locked_dev.set()
        tx.put_room(LOBBY)
        tx.post(a_message(f"attempt {len(attempts)}"))
        return "done"

    locked_dev = asyncio.Event()
    try:
        transaction = await other.begin()
        await other.execute(text("SET LOCAL deadlock_timeout = '1min'"))
        await other.execute(text(lock.format(LOBBY.id)))
        operation = desk.submit(work)
        await asyncio.wait_for(locked_dev.wait(), 5)
        # Whoever waits longer than the timeout loses: the writer, and not this session.
        await other.execute(text(lock.format(DEV.id)))
        await transaction.rollback()
        await desk.done(operation)
    finally:
        await other.close()
    assert operation.result == "done"
    assert len(attempts) == 2
    assert [event.seq for _, event in operation.happened] == [1]


async def test_two_writers_number_a_room_without_holes_and_store_a_cid_once(
    desk: Desk, database: str
) -> None:
    async with at_desk(database) as second:
        both = (desk, second)
        posts = [
            both[n % 2].submit(a_message(f"{n}", room=(DEV, LOBBY)[n // 2 % 2], cid=f"{n % 40}"))
            for n in range(160)
        ]
        bumps = [both[n % 2].submit(add_one) for n in range(40)]
        for one in both:
            await one.done(*(p for p in (*posts, *bumps) if p in all_of(one)))
        await asyncio.gather(*(eventually(lambda w=work: w.result or w.error) for work in posts))  # type: ignore[misc]
    assert [work.error for work in (*posts, *bumps) if work.error] == []
    kept = [work.result for work in posts if not work.result.is_duplicate]
    assert len(kept) == 40
    for room in (DEV, LOBBY):
        seqs = sorted(p.event.seq for p in kept if p.event.room_id == room.id)
        assert seqs == list(range(1, len(seqs) + 1))
    count = await desk.run(lambda tx: tx.meta("count"))
    assert count.result == "40"


def all_of(desk: Desk) -> list[Operation]:
    """Return what a desk has handed back."""
    return [operation for group in desk.groups for operation in group]


def add_one(tx: Any) -> None:
    """Read and write, which two nodes at once must not do in between each other."""
    tx.put_meta("count", str(int(tx.meta("count") or 0) + 1))


async def test_a_mistake_in_the_writer_ends_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = desk.writer._commit

    def broken(*_: Any) -> None:
        monkeypatch.setattr(desk.writer, "_commit", real)
        raise LookupError("on purpose")

    monkeypatch.setattr(desk.writer, "_commit", broken)
    failed = await desk.run(a_message("1"))
    assert isinstance(failed.error, StoreFailure)
    assert "on purpose" in caplog.text
    assert (await desk.run(a_message("2"))).result.event.seq == 1
