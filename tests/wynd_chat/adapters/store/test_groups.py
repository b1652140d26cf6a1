"""Operations in one transaction: each stands or falls alone, unless the transaction is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.contracts.chat_stores import CAROL, DEV, a_message, fill, memory_engine
from wynd_chat.adapters.store.groups import GroupLost, Operation, run_group
from wynd_chat.adapters.store.schema import METADATA
from wynd_chat.domain.errors import ChatError
from wynd_chat.ports.store import Posted, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


@pytest.fixture
def connection() -> Iterator[Connection]:
    """Give a transaction over a database with three users in two rooms."""
    engine = memory_engine(isolation_level=None)
    event.listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA foreign_keys = ON"))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with engine.connect() as connection, connection.begin():
        METADATA.create_all(connection)
        run(connection, fill)
        yield connection


def run(connection: Connection, *todos: Any) -> list[Operation]:
    """Run works and posts as one group."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        operations = [Operation(todo, loop.create_future()) for todo in todos]
    run_group(connection, operations)
    return operations


def texts(connection: Connection) -> list[str]:
    """Return the texts of all messages, by seq."""
    rows = connection.exec_driver_sql("SELECT text FROM messages ORDER BY seq")
    return [text for (text,) in rows]


def test_results_and_events_belong_to_their_operation(connection: Connection) -> None:
    works = run(
        connection,
        a_message("1", cid="c"),
        lambda tx: tx.post(a_message("2")).event.seq,
        a_message("1 again", cid="c"),
        lambda tx: "nothing",
    )
    assert [type(work.result) for work in works] == [Posted, int, Posted, str]
    assert [[event.seq for _, event in work.happened] for work in works] == [[1], [2], [], []]


def test_what_raises_is_undone_and_the_rest_is_kept(connection: Connection) -> None:
    def broken(tx: Any) -> None:
        tx.post(a_message("broken"))
        raise LookupError

    works = run(connection, a_message("1"), broken, a_message("no", CAROL), a_message("2"))
    assert [type(work.error) for work in works] == [
        type(None),
        LookupError,
        ChatError,
        type(None),
    ]
    assert works[1].happened == ()
    assert texts(connection) == ["1", "2"]
    assert works[3].result.event.seq == 2


def test_a_row_that_is_refused_costs_its_post_only(connection: Connection) -> None:
    works = run(
        connection, a_message("1", id="m"), a_message("2", id="m"), a_message("3", id="other")
    )
    assert [type(work.error) for work in works] == [type(None), ValueError, type(None)]
    assert texts(connection) == ["1", "3"]
    assert [work.result.event.seq for work in works if work.result] == [1, 2]
    assert [len(work.happened) for work in works] == [1, 0, 1]


def test_a_work_that_swallows_a_refusal_of_the_database_is_not_done(
    connection: Connection,
) -> None:
    def careless(tx: Any) -> str:
        tx.put_meta("before", "1")
        with pytest.raises(ValueError, match="refers"):
            tx.put_ignore("u_alice", "u_nobody")
        with pytest.raises(ValueError, match="refers"):
            tx.put_meta("after", "1")
        return "done"

    (work,) = run(connection, careless)
    assert isinstance(work.error, ValueError)
    assert connection.exec_driver_sql("SELECT count(*) FROM meta").scalar() == 0


def test_a_lost_transaction_loses_the_group(connection: Connection) -> None:
    def lost(tx: Any) -> None:
        raise_full(connection)
        tx.put_meta("a", "b")

    with pytest.raises(GroupLost, match="full"):
        run(connection, a_message("1"), lost)


def test_a_savepoint_that_cannot_be_made_loses_the_group(connection: Connection) -> None:
    raise_full(connection)
    with pytest.raises(GroupLost, match="full") as caught:
        run(connection, lambda tx: None)
    assert isinstance(caught.value.failed.error, StoreFailure)


def raise_full(connection: Connection) -> None:
    """Let every statement from now on fail as on a full disk."""

    class Full(Exception):
        """What the driver raises."""

        sqlite_errorcode = 13

    @event.listens_for(connection, "before_cursor_execute")
    def _fail(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Full("database or disk is full"))


def test_posts_between_works_are_one_batch(connection: Connection) -> None:
    statements: list[str] = []

    @event.listens_for(connection, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def inserts(*todos: Any) -> int:
        statements.clear()
        run(connection, *todos)
        return sum(statement.startswith("INSERT INTO messages") for statement in statements)

    assert inserts(*(a_message(str(number), room=DEV) for number in range(100))) == 1
    assert inserts(a_message("a"), a_message("b"), lambda tx: None, a_message("c")) == 2
