"""`Idempotency`: keys are reserved, kept for a day, freed by refusals and forgotten."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.kit import Kit, a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.services.idempotency import Idempotency

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import IdempotentAnswer
    from wynd_chat.ports.store import Snapshot

DAY_S = 24 * 3600


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    """Return services over a store."""
    async with a_kit() as made:
        yield made


async def test_a_key_is_new_once(kit: Kit) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    keys = Idempotency(kit.store, kit.clock)
    assert await keys.reserve(alice, "k", "h") is None
    assert await keys.reserve(bob, "k", "h") is None  # theirs
    await keys.keep(alice, "k", "h", 201, "body")
    found = await keys.reserve(alice, "k", "h")
    assert found is not None
    assert (found.status, found.body) == (201, "body")


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_key_of_another_request_is_a_conflict(kit: Kit, is_kept: bool) -> None:
    alice = await kit.account("Alice")
    keys = Idempotency(kit.store, kit.clock)
    await keys.reserve(alice, "k", "h")
    if is_kept:
        await keys.keep(alice, "k", "h", 201, "")
    with pytest.raises(ChatError, match="of another request") as refused:
        await keys.reserve(alice, "k", "other")
    assert refused.value.code is ErrorCode.CONFLICT


async def test_a_reserved_key_is_not_given_out_again_until_it_is_freed(kit: Kit) -> None:
    alice = await kit.account("Alice")
    keys = Idempotency(kit.store, kit.clock)
    await keys.reserve(alice, "k", "h")
    with pytest.raises(ChatError, match="cut off"):
        await keys.reserve(alice, "k", "h")
    await keys.release(alice, "k")
    assert await keys.reserve(alice, "k", "other") is None


def row_of(user_id: str, key: str, snapshot: Snapshot) -> IdempotentAnswer | None:
    """Return what is stored of a key."""
    return snapshot.idempotent_answer(user_id, key)


async def test_a_key_is_free_after_a_day_and_its_row_gone(kit: Kit) -> None:
    alice = await kit.account("Alice")
    keys = Idempotency(kit.store, kit.clock)
    await keys.reserve(alice, "old", "h")
    await keys.keep(alice, "old", "h", 201, "")
    await keys.reserve(alice, "freed", "h")
    await keys.release(alice, "freed")
    await kit.clock.advance(DAY_S + 1)
    assert await keys.reserve(alice, "new", "h") is None
    for key in ("old", "freed"):
        assert await kit.store.read(partial(row_of, alice.id, key)) is None
    assert await keys.reserve(alice, "old", "other") is None


@pytest.mark.parametrize(
    ("key", "is_possible"),
    [("", False), ("k", True), ("ü" * 32, True), ("ü" * 33, False), ("k" * 65, False)],
)
async def test_a_key_has_1_to_64_bytes(kit: Kit, key: str, is_possible: bool) -> None:
    alice = await kit.account("Alice")
    keys = Idempotency(kit.store, kit.clock)
    if is_possible:
        assert await keys.reserve(alice, key, "h") is None
        return
    with pytest.raises(ChatError) as refused:
        await keys.reserve(alice, key, "h")
    assert refused.value.code is ErrorCode.BAD_REQUEST
