"""Reading where the rows are not as the store itself leaves them. The rest: contract suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import BOB, DEV, a_message, a_upload, fill, memory_engine
from wynd_chat.adapters.store.reading import SqlSnapshot, bounded, counted, padded
from wynd_chat.adapters.store.schema import METADATA
from wynd_chat.adapters.store.transaction import SqlTransaction
from wynd_chat.domain.events import Message
from wynd_chat.ports.store import ABOVE_ALL, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def transaction() -> Iterator[SqlTransaction]:
    """Give a transaction over a database with a few messages."""
    with memory_engine().begin() as connection:
        METADATA.create_all(connection)
        transaction = SqlTransaction(connection)
        fill(transaction)
        for number in range(5):
            transaction.put_upload(a_upload(f"{number}"))
            transaction.post(a_message(str(number), file_ids=(f"f_{number}",)))
        yield transaction


def change(transaction: SqlTransaction, statement: str) -> None:
    """Change rows behind the store's back."""
    transaction._connection.exec_driver_sql(statement)


def test_a_replay_without_one_of_its_messages_is_refused(transaction: SqlTransaction) -> None:
    change(transaction, "DELETE FROM messages WHERE seq = 3")
    page = transaction.events_after(DEV.id, 0, 10)
    assert (page.events, page.is_complete) == ((), False)
    assert transaction.events_after(DEV.id, 3, 10).is_complete


def test_a_tombstone_counts_nowhere_and_is_read_as_one(transaction: SqlTransaction) -> None:
    change(transaction, "UPDATE messages SET deleted_at = 9, text = '' WHERE seq = 2")
    assert transaction.count_messages(DEV.id) == 4
    assert transaction.count_unread(BOB.id)[DEV.id] == (4, 0)
    event = transaction.message(DEV.id, 2)
    assert event is not None
    assert isinstance(event.body, Message)
    assert event.body.is_deleted


def test_each_message_has_its_own_files(transaction: SqlTransaction) -> None:
    events = transaction.messages(DEV.id, limit=3)
    files = [[f.id for f in e.body.files] for e in events if isinstance(e.body, Message)]
    assert files == [["f_2"], ["f_3"], ["f_4"]]


def test_a_fault_is_a_failure_of_the_store(transaction: SqlTransaction) -> None:
    change(transaction, "DROP TABLE meta")
    with pytest.raises(StoreFailure, match="no such table"):
        SqlSnapshot(transaction._connection).meta("epoch")


@pytest.mark.parametrize(("size", "padded_size"), [(1, 1), (2, 2), (3, 4), (5, 8), (512, 512)])
def test_lists_are_padded_to_powers_of_two(size: int, padded_size: int) -> None:
    values: list[Any] = list(range(size))
    assert len(padded(values)) == padded_size
    assert set(padded(values)) == set(values)


def test_numbers_fit_into_what_databases_take() -> None:
    assert bounded(10**30) == ABOVE_ALL
    assert bounded(-(10**30)) == -ABOVE_ALL
    assert [counted(limit) for limit in (-1, 0, 7, 10**12)] == [0, 0, 7, 2**31 - 1]
