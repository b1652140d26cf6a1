"""`Histories`: pages of what one may read; what was missed comes whole or not at all."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import eventually
from tests.wynd_chat.kit import a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Message
from wynd_chat.domain.models import History, RoomKind
from wynd_chat.services import feed as feeds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wynd_chat.kit import Kit
    from wynd_chat.domain.models import Room, User
    from wynd_chat.ports.store import Transaction
    from wynd_chat.services.history import Missed, MissedRoom, Page


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    async with a_kit() as made:
        yield made


def seqs(page: Page) -> list[int]:
    """Return the numbers of a page's messages."""
    return [event.seq for event in page.messages]


async def missed(kit: Kit, user: User, room: Room, position: int, limit: int = 200) -> MissedRoom:
    """Return what a user missed in one room."""
    found = await kit.histories.missed(user, kit.histories.epoch, {room.shown: position}, limit)
    return next(one for one in found.rooms if one.room.id == room.id)


async def test_pages_lie_before_after_or_around_a_message(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abcdefghij")
    page = await kit.histories.page(alice, kit.lobby, limit=3, with_total=True)
    assert (seqs(page), page.has_before, page.has_after) == ([8, 9, 10], True, False)
    assert (page.head, page.total) == (10, 10)
    page = await kit.histories.page(alice, kit.lobby, before=4, limit=3)
    assert (seqs(page), page.has_before, page.has_after) == ([1, 2, 3], False, True)
    page = await kit.histories.page(alice, kit.lobby, after=7, limit=2)
    assert (seqs(page), page.has_before, page.has_after) == ([8, 9], True, True)
    page = await kit.histories.page(alice, kit.lobby, around=5, limit=4)
    assert (seqs(page), page.has_before, page.has_after) == ([3, 4, 5, 6], True, True)
    page = await kit.histories.page(alice, kit.lobby, around=5, limit=1)
    assert seqs(page) == [5]
    page = await kit.histories.page(alice, kit.lobby, before=1)
    assert (seqs(page), page.has_before, page.has_after) == ([], False, True)


async def test_a_page_since_a_time_has_nothing_older(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, "old")
    await kit.clock.advance(60)
    since = kit.clock.now_ms()
    await kit.say(alice, kit.lobby, "new")
    page = await kit.histories.page(alice, kit.lobby, since=since)
    assert (seqs(page), page.has_before) == ([2], False)


async def test_what_is_no_page_is_refused(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    wrongs: tuple[dict[str, Any], ...] = ({"limit": 0}, {"limit": 201}, {"before": 1, "after": 1})
    for wrong in wrongs:
        with pytest.raises(ChatError) as refused:
            await kit.histories.page(alice, kit.lobby, **wrong)
        assert refused.value.code is ErrorCode.BAD_REQUEST


async def test_strangers_read_nothing(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    dev, ops = await kit.room(alice), await kit.private_room(alice)
    await kit.say(alice, dev, "a")
    await kit.say(alice, ops, "b")
    for room, code in ((dev, ErrorCode.NOT_MEMBER), (ops, ErrorCode.NOT_FOUND)):
        with pytest.raises(ChatError) as refused:
            await kit.histories.page(bob, room)
        assert refused.value.code is code
        with pytest.raises(ChatError) as refused:
            await kit.histories.message(bob, room, 1)
        assert refused.value.code is code


async def test_one_message_is_found_by_its_number(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, "a")
    event = await kit.histories.message(alice, kit.lobby, 1)
    assert isinstance(event.body, Message)
    assert event.body.text == "a"
    with pytest.raises(ChatError, match="there is no message 2"):
        await kit.histories.message(alice, kit.lobby, 2)


async def test_where_history_begins_with_joining_nothing_older_is_read(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    dev = await kit.room(alice)
    await kit.say(alice, dev, "before")
    await kit.change(dev, history=History.SINCE_JOIN)
    bob = await kit.guest("Bob")
    await kit.rooms.join(bob, "dev")
    await kit.say(alice, dev, "after")
    page = await kit.histories.page(bob, dev, with_total=True)
    assert (seqs(page), page.total, page.has_before) == ([2], 1, False)
    with pytest.raises(ChatError, match="there is no message 1"):
        await kit.histories.message(bob, dev, 1)
    one = await missed(kit, bob, dev, 0)
    assert one.events is not None
    assert [event.seq for event in one.events] == [2]
    assert seqs(await kit.histories.page(alice, dev)) == [1, 2]


# What was missed


async def test_all_rooms_of_a_user_are_there_those_not_asked_for_without_events(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    dev = await kit.room(alice, "dev", bob)
    direct = await kit.direct(alice, bob)
    await kit.say(alice, dev, "a")
    found = await kit.histories.missed(
        bob, kit.histories.epoch, {"#dev": 0, direct.id: 0, "ops": 3}, 200
    )
    by_id = {one.room.id: one for one in found.rooms}
    assert by_id.keys() == {kit.lobby.id, dev.id, direct.id}
    assert by_id[kit.lobby.id].events is None
    assert len(by_id[dev.id].events or ()) == 1
    assert by_id[direct.id].events == ()
    assert by_id[direct.id].peer == alice
    assert found.strangers == ("ops",)


async def test_a_private_room_of_others_is_a_stranger_like_one_that_is_not(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    await kit.private_room(alice)
    found = await kit.histories.missed(bob, kit.histories.epoch, {"ops": 0, "none": 0}, 200)
    assert found.strangers == ("ops", "none")


async def test_another_epoch_is_a_gap_everywhere(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    found = await kit.histories.missed(alice, "other", {"lobby": 0}, 200)
    assert [one.events for one in found.rooms] == [None]


async def test_events_forgotten_above_the_position_are_a_gap(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abcdef")
    await kit.store.write(lambda tx: tx.trim_events(kit.lobby.id, 4))
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, kit.lobby, "g")
    for position, expected in ((0, None), (2, None), (3, [4, 5, 6, 7]), (7, [])):
        one = await missed(kit, alice, kit.lobby, position)
        assert (one.events if one.events is None else [e.seq for e in one.events]) == expected


async def test_two_hundred_who_reconnect_read_the_history_once(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abc")
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, kit.lobby, "d")
    users = [await kit.guest(f"user{n}x") for n in range(200)]
    before = kit.feed.history_reads
    found = await asyncio.gather(*(missed(kit, user, kit.lobby, 0) for user in users))
    assert kit.feed.history_reads == before + 1
    assert all(len(one.events or ()) == 4 for one in found)


async def test_what_is_posted_while_it_is_read_is_in_it(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abc")
    await kit.clock.advance(feeds.RING_S + 1)
    for _ in range(20):
        reading = asyncio.ensure_future(missed(kit, alice, kit.lobby, 0))
        posting = asyncio.ensure_future(kit.say(alice, kit.lobby, "x"))
        one = await reading
        assert one.events is not None
        assert [event.seq for event in one.events] == list(range(1, one.head + 1))
        await posting


async def reading_both(kit: Kit, alice: User) -> asyncio.Task[Missed]:
    """Return who reads the lobby, which is in the ring, and waits for #dev, which is not."""
    dev = await kit.room(alice, "dev")
    await kit.say(alice, kit.lobby, *"ab")
    await kit.say(alice, dev, *"ab")
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, dev, "c")
    positions = {"lobby": 0, "dev": 0}
    rooms_are_read = kit.store.gate = asyncio.Event()
    asking = asyncio.create_task(kit.histories.missed(alice, kit.histories.epoch, positions, 200))
    await eventually(lambda: kit.store.late == 1)
    kit.store.gate, reads = asyncio.Event(), kit.store.reads
    rooms_are_read.set()
    await eventually(lambda: kit.store.reads > reads and kit.store.late == 1)
    return asking


async def test_what_the_ring_lets_go_meanwhile_is_no_gap(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    asking = await reading_both(kit, alice)
    gate, kit.store.gate = kit.store.gate, None
    await kit.say(alice, kit.lobby, "c")  # all before it is too old for the ring
    assert kit.feed.recent(kit.lobby.id, 0) is None
    assert gate is not None
    gate.set()
    found = {one.room.shown: one for one in (await asking).rooms}
    assert [event.seq for event in found["lobby"].events or ()] == [1, 2, 3]
    assert [event.seq for event in found["dev"].events or ()] == [1, 2, 3]


async def test_a_past_that_is_changed_meanwhile_is_not_shown_as_it_was(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    asking = await reading_both(kit, alice)
    gate, kit.store.gate = kit.store.gate, None
    for room, _ in await kit.store.read(lambda snapshot: snapshot.rooms_of(alice.id)):
        kit.feed.forget(room.id)
    assert gate is not None
    gate.set()
    assert [one.events for one in (await asking).rooms] == [None, None]


def trim(tx: Transaction, room_id: str, below: int) -> None:
    """Forget events below a seq."""
    tx.trim_events(room_id, below)


posts = st.tuples(st.just("post"), st.integers(1, 4))
passing = st.tuples(st.just("pass"), st.sampled_from([1, 60, 121]))
trims = st.tuples(st.just("trim"), st.integers(0, 12))
asks = st.tuples(st.just("ask"), st.integers(0, 14))


@given(
    st.lists(st.one_of(posts, passing, trims, asks), max_size=25),
    st.integers(1, 8),
    st.sampled_from([RoomKind.PUBLIC, RoomKind.PRIVATE]),
)
def test_recovery_is_complete_or_refused(
    steps: list[tuple[str, int]], limit: int, kind: RoomKind
) -> None:
    """Whatever happened: everything above the position up to the head, in order, or a gap.

    It is a gap exactly where it has to be: trimmed, more than the limit, or from the future.
    """

    async def run() -> None:
        async with a_kit() as kit:
            alice = await kit.guest("Alice")
            room = await kit.change(await kit.room(alice), kind=kind)
            head = floor = 0
            for what, number in steps:
                if what == "post":
                    await kit.say(alice, room, *"x" * number)
                    head += number
                elif what == "pass":
                    await kit.clock.advance(number)
                elif what == "trim":
                    below = min(number, head)
                    await kit.store.write(partial(trim, room_id=room.id, below=below))
                    floor = max(floor, below - 1)
                else:
                    one = await missed(kit, alice, room, number, limit)
                    assert one.head == head
                    wanted = list(range(number + 1, head + 1))
                    if number > head or len(wanted) > limit:
                        assert one.events is None
                    elif one.events is None:
                        assert number < floor  # the ring may still have what the store forgot
                    else:
                        assert [event.seq for event in one.events] == wanted

    asyncio.run(run())
