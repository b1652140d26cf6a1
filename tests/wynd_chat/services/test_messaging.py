"""`Messaging`: what may be said, said once, and acknowledged after it is stored and shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.kit import a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Author, Message, MessageKind
from wynd_chat.domain.models import RoomRole, ServerRole, UserKind
from wynd_chat.ports.faults import NoFaults
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.messaging import Messaging, author_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wynd_chat.kit import Kit


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    async with a_kit() as made:
        yield made


def body(kit: Kit) -> Message:
    """Return the newest message that was shown."""
    found = kit.outlet.events[-1][1].body
    assert isinstance(found, Message)
    return found


@pytest.mark.parametrize(
    ("text", "more", "code"),
    [
        ("", {}, ErrorCode.BAD_REQUEST),
        ("\x00", {}, ErrorCode.BAD_REQUEST),
        ("a" * 8001, {}, ErrorCode.TOO_LARGE),
        ("\ud800", {}, ErrorCode.BAD_REQUEST),
        ("hi", {"cid": ""}, ErrorCode.BAD_REQUEST),
        ("hi", {"cid": "é" * 33}, ErrorCode.BAD_REQUEST),
        ("hi", {"file_ids": tuple(f"f_{n}" for n in range(11))}, ErrorCode.TOO_LARGE),
        ("hi", {"file_ids": ("f_1",)}, ErrorCode.BAD_REQUEST),
        ("hi", {"reply_to": 9}, ErrorCode.BAD_REQUEST),
    ],
)
async def test_what_is_no_message_is_refused_and_not_stored(
    kit: Kit, text: str, more: dict[str, Any], code: ErrorCode
) -> None:
    alice = await kit.guest("Alice")
    with pytest.raises(ChatError) as refused:
        await kit.messaging.post(alice, kit.lobby, text, **more)
    assert refused.value.code is code
    assert kit.outlet.events == []


async def test_what_fits_exactly_is_posted(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.messaging.post(alice, kit.lobby, "a" * 8000, cid="é" * 32)
    assert body(kit).cid == "é" * 32
    await kit.messaging.post(alice, kit.lobby, "a\x00b")
    assert body(kit).text == "ab"


async def test_a_repeat_stores_nothing_and_returns_the_first(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    posts = [kit.messaging.post(alice, kit.lobby, f"try {n}", cid="c") for n in range(64)]
    results = await asyncio.gather(*posts)
    assert {posted.event.seq for posted in results} == {1}
    assert sum(not posted.is_duplicate for posted in results) == 1
    assert kit.outlet.seqs(kit.lobby) == [1]
    bob = await kit.guest("Bob")
    assert not (await kit.messaging.post(bob, kit.lobby, "hi", cid="c")).is_duplicate


async def test_mentions_are_those_who_exist_each_once(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    await kit.say(alice, kit.lobby, "@bob, @Nobody, @Bob and @alice; not bob@example.org")
    assert body(kit).mentions == (bob.id, alice.id)
    await kit.say(alice, kit.lobby, "nobody")
    assert body(kit).mentions == ()


async def test_who_may_write_is_judged_by_what_is_stored(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    dev = await kit.room(alice)
    with pytest.raises(ChatError) as refused:
        await kit.say(bob, dev, "hi")
    assert refused.value.code is ErrorCode.NOT_MEMBER
    await kit.rooms.join(bob, "dev")
    await kit.change(dev, locked=True)
    with pytest.raises(ChatError) as refused:
        await kit.say(bob, dev, "hi")
    assert refused.value.code is ErrorCode.FORBIDDEN
    await kit.role(bob, dev, RoomRole.OP)
    await kit.say(bob, dev, "hi")


async def test_an_admin_is_privileged_but_not_in_conversations(kit: Kit) -> None:
    root, bob = await kit.account("Root", role=ServerRole.ADMIN), await kit.guest("Bob")
    await kit.change(kit.lobby, locked=True)
    await kit.say(root, kit.lobby, "order")
    direct = await kit.direct(bob, await kit.guest("Carol"))
    with pytest.raises(ChatError) as refused:
        await kit.say(root, direct, "let me in")
    assert refused.value.code is ErrorCode.NOT_MEMBER


async def test_the_first_message_into_a_room_is_known(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    assert not await kit.messaging.has_written(alice, kit.lobby)
    await kit.say(alice, kit.lobby, "hi")
    assert await kit.messaging.has_written(alice, kit.lobby)


async def test_the_server_speaks_without_being_a_member(kit: Kit) -> None:
    server = Author(None, "Server", UserKind.SYSTEM)
    await kit.change(kit.lobby, locked=True)
    posted = await kit.messaging.announce(server, kit.lobby, "Maintenance at 18:00")
    assert body(kit).kind is MessageKind.SYSTEM
    assert posted.event.seq == 1
    with pytest.raises(ChatError):
        await kit.messaging.announce(server, kit.lobby, "")


async def test_what_cannot_be_stored_is_not_shown(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    kit.store.fail()
    with pytest.raises(StoreFailure):
        await kit.say(alice, kit.lobby, "hi")
    assert kit.outlet.events == []


async def test_it_is_shown_before_it_is_acknowledged(kit: Kit) -> None:
    shown: list[int] = []

    class Faults(NoFaults):
        async def reached(self, point: str) -> None:
            assert point == "before_acknowledgement"
            shown.append(len(kit.outlet.events))

    messaging = Messaging(kit.store, kit.clock, kit.tokens, kit.limits, Faults())
    alice = await kit.guest("Alice")
    await messaging.post(alice, kit.lobby, "hi")
    assert shown == [1]
    assert body(kit).author == author_of(alice)
