"""The store in memory waits for nothing, so that the same calls always end the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import ALICE, DEV, a_message, fill
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import TypeVar

    T = TypeVar("T")


def at_once(call: Coroutine[object, object, T]) -> T:
    """Return what a coroutine returns without ever waiting."""
    with pytest.raises(StopIteration) as caught:
        call.send(None)
    result: T = caught.value.value
    return result


def test_every_call_is_done_at_once_and_without_a_loop() -> None:
    store = MemoryStore()
    at_once(store.open())
    at_once(store.write(fill))
    assert at_once(store.post(a_message())).event.seq == 1
    assert at_once(store.read(lambda snapshot: snapshot.user(ALICE.id))) == ALICE
    assert at_once(store.is_writable())
    at_once(store.close())


def test_the_epoch_is_drawn_or_given() -> None:
    def epoch_of(store: MemoryStore) -> str | None:
        at_once(store.open())
        return at_once(store.read(lambda snapshot: snapshot.meta("epoch")))

    assert epoch_of(MemoryStore(epoch="e")) == "e"
    assert epoch_of(MemoryStore()) != epoch_of(MemoryStore())


async def test_a_closed_store_keeps_its_rows_until_it_is_opened_again() -> None:
    store = MemoryStore()
    await store.open()
    await store.write(fill)
    await store.close()
    with pytest.raises(StoreFailure, match="closed"):
        await store.post(a_message())
    await store.open()
    assert (await store.post(a_message())).room.id == DEV.id


def test_nobody_else_can_change_it() -> None:
    assert MemoryStore().on_foreign_change(lambda: None)
