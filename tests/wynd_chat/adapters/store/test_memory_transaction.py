"""Changes in memory wait for whoever keeps or undoes them. What they do: contract suite."""

from __future__ import annotations

import pytest

from tests.contracts.chat_stores import ALICE, DEV, a_message, fill, joined
from wynd_chat.adapters.store.memory_tables import Tables
from wynd_chat.adapters.store.memory_transaction import MemoryTransaction
from wynd_chat.domain.events import Message


@pytest.fixture
def transaction() -> MemoryTransaction:
    """Give a transaction over three users in two rooms, which are kept."""
    tables = Tables()
    transaction = MemoryTransaction(tables)
    fill(transaction)
    tables.keep()
    return transaction


def test_events_are_noted_with_the_room_after_them(transaction: MemoryTransaction) -> None:
    transaction.append(DEV.id, joined(ALICE), 1)
    transaction.post(a_message(cid="1"))
    transaction.post(a_message(cid="1"))
    assert [(room.last_seq, event.seq) for room, event in transaction.happened] == [(1, 1), (2, 2)]


def test_undoing_also_frees_names_and_cids(transaction: MemoryTransaction) -> None:
    posted = transaction.post(a_message(cid="1"))
    transaction.drop_user(ALICE.id)
    transaction._tables.undo()
    assert transaction.user_by_key("alice") == ALICE
    assert transaction.message_by_cid(ALICE.id, "1") is None
    assert (room := transaction.room(DEV.id)) is not None
    assert room.last_seq == 0
    again = transaction.post(a_message(cid="1"))
    assert again == posted


def test_a_message_is_posted_not_appended(transaction: MemoryTransaction) -> None:
    body = transaction.post(a_message()).event.body
    assert isinstance(body, Message)
    with pytest.raises(ValueError, match="posted"):
        transaction.append(DEV.id, body, 1)
