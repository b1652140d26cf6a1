"""`RoomSettings`: what members and ops may set, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.kit import a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import TopicChanged
from wynd_chat.domain.models import RoomKind, RoomRole, ServerRole
from wynd_chat.ports.outlet import RoomChanged
from wynd_chat.services.messaging import author_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wynd_chat.kit import Kit

SETTINGS = ["set_private", "set_key", "set_locked", "set_slow"]
VALUES: dict[str, Any] = {
    "set_private": True,
    "set_key": "sesame",
    "set_locked": True,
    "set_slow": 30,
}


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    async with a_kit() as made:
        yield made


@pytest.mark.parametrize("setting", SETTINGS)
async def test_ops_owners_and_admins_may_members_and_strangers_may_not(
    kit: Kit, setting: str
) -> None:
    owner, op, member, stranger = [
        await kit.account(name) for name in ("Olga", "Otto", "Mia", "Sam")
    ]
    root = await kit.account("Root", role=ServerRole.ADMIN)
    dev = await kit.room(owner, "dev", op, member)
    await kit.role(op, dev, RoomRole.OP)
    change = getattr(kit.settings, setting)
    for user in (owner, op, root):
        changed = await change(user, dev, VALUES[setting])
        assert kit.outlet.notices[-1] == RoomChanged(changed)
    await kit.change(dev, kind=RoomKind.PUBLIC)
    for user, code in ((member, ErrorCode.FORBIDDEN), (stranger, ErrorCode.NOT_MEMBER)):
        with pytest.raises(ChatError) as refused:
            await change(user, dev, VALUES[setting])
        assert refused.value.code is code


@pytest.mark.parametrize("setting", SETTINGS)
async def test_a_conversation_has_no_settings(kit: Kit, setting: str) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    with pytest.raises(ChatError) as refused:
        await getattr(kit.settings, setting)(alice, await kit.direct(alice, bob), VALUES[setting])
    assert refused.value.code is ErrorCode.FORBIDDEN


async def test_members_set_the_topic_of_open_rooms_only(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    dev = await kit.room(alice, "dev", bob)
    changed, event = await kit.settings.set_topic(bob, dev, "Release\n1.2")
    assert event.body == TopicChanged(author_of(bob), "Release 1.2")
    assert (changed.topic, changed.last_seq) == ("Release 1.2", event.seq)
    assert kit.outlet.events[-1][1] == event
    for more in ({"locked": True}, {"locked": False, "kind": RoomKind.PRIVATE}):
        await kit.change(dev, **more)
        with pytest.raises(ChatError, match="only ops can do that"):
            await kit.settings.set_topic(bob, dev, "mine")
        await kit.settings.set_topic(alice, dev, "")


async def test_a_topic_has_its_bounds(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    await kit.settings.set_topic(alice, kit.lobby, "a" * 300)
    with pytest.raises(ChatError, match="topic too long: 301 characters, at most 300"):
        await kit.settings.set_topic(alice, kit.lobby, "a" * 301)
    with pytest.raises(ChatError, match="a conversation has no topic"):
        await kit.settings.set_topic(alice, await kit.direct(alice, bob), "ours")
    with pytest.raises(ChatError) as refused:
        await kit.settings.set_topic(bob, await kit.room(alice), "not in it")
    assert refused.value.code is ErrorCode.NOT_MEMBER


async def test_the_lobby_stays_open_to_everybody(kit: Kit) -> None:
    root = await kit.account("Root", role=ServerRole.ADMIN)
    for change in (
        kit.settings.set_private(root, kit.lobby, True),
        kit.settings.set_key(root, kit.lobby, "x"),
        kit.settings.archive(root, kit.lobby),
    ):
        with pytest.raises(ChatError) as refused:
            await change
        assert refused.value.code is ErrorCode.FORBIDDEN
    assert (await kit.settings.set_locked(root, kit.lobby, True)).locked


async def test_of_a_key_only_its_hash_is_kept(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    dev = await kit.room(alice)
    assert (await kit.settings.set_key(alice, dev, "sesame")).key_hash == "hash of sesame"
    assert (await kit.settings.set_key(alice, dev, None)).key_hash is None
    with pytest.raises(ChatError, match="a key has at most 128 bytes"):
        await kit.settings.set_key(alice, dev, "é" * 65)


async def test_slow_mode_is_at_most_six_hours(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    dev = await kit.room(alice)
    assert (await kit.settings.set_slow(alice, dev, 6 * 3600)).slow_s == 6 * 3600
    assert (await kit.settings.set_slow(alice, dev, None)).slow_s == 0
    with pytest.raises(ChatError, match="slow mode is at most 6h"):
        await kit.settings.set_slow(alice, dev, 6 * 3600 + 1)


async def test_only_owners_archive_and_then_nobody_writes(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    dev = await kit.room(alice, "dev", bob)
    await kit.role(bob, dev, RoomRole.OP)
    with pytest.raises(ChatError, match="only owners can do that"):
        await kit.settings.archive(bob, dev)
    assert (await kit.settings.archive(alice, dev)).archived_at == kit.clock.now_ms()
    with pytest.raises(ChatError, match="#dev is archived"):
        await kit.say(alice, dev, "hi")
