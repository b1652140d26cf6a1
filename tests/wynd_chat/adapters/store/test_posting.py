"""A batch of posts has the outcome of posting one after another, with a handful of statements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import asyncpg

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    CAROL,
    DEV,
    LOBBY,
    a_message,
    a_upload,
    fill,
    memory_engine,
)
from wynd_chat.adapters.store.posting import LOCKED_ROOMS
from wynd_chat.adapters.store.schema import METADATA
from wynd_chat.adapters.store.transaction import SqlTransaction
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.ports.store import Posted

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def transaction() -> Iterator[SqlTransaction]:
    """Give a transaction over a database with three users in two rooms."""
    engine = memory_engine()
    with engine.begin() as connection:
        METADATA.create_all(connection)
        transaction = SqlTransaction(connection)
        fill(transaction)
        yield transaction


def summary(outcomes: list[Any]) -> list[Any]:
    """Return seqs, "dup" with its seq, or codes."""
    shown: list[Any] = []
    for outcome in outcomes:
        if isinstance(outcome, Posted):
            seq = outcome.event.seq
            shown.append(("dup", seq) if outcome.is_duplicate else seq)
        else:
            shown.append(outcome.code if isinstance(outcome, ChatError) else type(outcome))
    return shown


def test_numbers_are_given_in_order_and_only_to_what_is_kept(transaction: SqlTransaction) -> None:
    outcomes = transaction.post_many(
        [
            a_message("a"),
            a_message("b", BOB, LOBBY),
            a_message("c", CAROL),
            a_message("d", BOB),
            a_message("e", room=LOBBY),
            a_message("f"),
        ]
    )
    assert summary(outcomes) == [1, 1, ErrorCode.NOT_MEMBER, 2, 2, 3]
    rooms = [outcome.room.last_seq for outcome in outcomes if isinstance(outcome, Posted)]
    assert rooms == [1, 1, 2, 2, 3]
    assert (room := transaction.room(DEV.id)) is not None
    assert room.last_seq == 3
    assert (membership := transaction.membership(DEV.id, ALICE.id)) is not None
    assert membership.read_seq == 3


def test_repeats_within_a_batch_are_repeats(transaction: SqlTransaction) -> None:
    outcomes = transaction.post_many(
        [
            a_message("a", cid="1"),
            a_message("b", cid="1"),
            a_message("c", BOB, cid="1"),
            a_message("d", room=LOBBY, cid="1"),
            a_message("e", CAROL, cid="2"),
            a_message("f", CAROL, LOBBY, cid="2"),
        ]
    )
    assert summary(outcomes) == [1, ("dup", 1), 2, ("dup", 1), ErrorCode.NOT_MEMBER, 1]
    again = transaction.post_many([a_message("g", room=LOBBY, cid="1"), a_message("h")])
    assert summary(again) == [("dup", 1), 3]
    assert isinstance(again[0], Posted)
    assert again[0].room.id == DEV.id


def test_what_a_message_changes_counts_for_the_next_one(transaction: SqlTransaction) -> None:
    transaction.put_room(replace(DEV, slow_s=10))
    transaction.put_upload(a_upload("mine", BOB))
    outcomes = transaction.post_many(
        [
            a_message("a", BOB, at=1_000),
            a_message("b", BOB, at=5_000),
            a_message("c", BOB, at=11_000, reply_to=1, file_ids=("f_mine",)),
            a_message("d", BOB, at=21_000, reply_to=2, file_ids=("f_mine",)),
            a_message("e", BOB, at=21_000, reply_to=2),
            a_message("f", BOB, at=31_000, reply_to=4),
            a_message("g", BOB, at=31_000, reply_to=3),
        ]
    )
    assert summary(outcomes) == [
        1,
        ErrorCode.RATE_LIMITED,
        2,
        ErrorCode.BAD_REQUEST,
        3,
        ErrorCode.BAD_REQUEST,
        4,
    ]


def test_a_batch_of_any_size_takes_the_same_statements(transaction: SqlTransaction) -> None:
    statements: list[str] = []

    @event.listens_for(transaction._connection, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def needed(count: int) -> list[str]:
        statements.clear()
        texts = [f"{count}-{number}" for number in range(count)]
        outcomes = transaction.post_many([a_message(text, cid=text) for text in texts])
        assert all(isinstance(outcome, Posted) for outcome in outcomes)
        return list(statements)

    small, large = needed(2), needed(300)
    assert small == large
    assert len(small) <= 7


def test_nothing_is_written_for_a_batch_that_is_refused(transaction: SqlTransaction) -> None:
    statements: list[str] = []

    @event.listens_for(transaction._connection, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement.split()[0])

    assert summary(transaction.post_many([a_message("a", CAROL)])) == [ErrorCode.NOT_MEMBER]
    assert set(statements) == {"SELECT"}


def test_postgres_locks_rooms_in_the_order_of_their_ids() -> None:
    dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]
    statement = str(LOCKED_ROOMS.compile(dialect=dialect))
    assert statement.rstrip().endswith("ORDER BY rooms.id FOR NO KEY UPDATE OF rooms")
