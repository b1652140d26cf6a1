"""The contract of `wynd_chat.ports.store.Store`: what happened, as it is read again.

Events come back as they were appended and posted, whole stretches or none, with what is unread.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    CAROL,
    DEV,
    LOBBY,
    a_message,
    a_upload,
    author,
    joined,
)
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import (
    Event,
    EventBody,
    LeaveHow,
    Left,
    Message,
    MessageKind,
    RoleChanged,
    TopicChanged,
)
from wynd_chat.domain.models import (
    RoomRole,
)
from wynd_chat.ports.store import ABOVE_ALL

if TYPE_CHECKING:
    from wynd_chat.ports.store import Store, Transaction


# events


async def test_events_are_numbered_from_one_without_holes(store: Store) -> None:
    bodies: list[EventBody] = [
        joined(BOB),
        TopicChanged(author(ALICE), 'a "topic"\nof two lines'),
        RoleChanged(author(BOB), RoomRole.OP, author(ALICE)),
        RoleChanged(author(BOB), RoomRole.OP, author(ALICE), silenced_until=77, reason="loud"),
        Left(author(BOB), LeaveHow.LEAVE, None, "bye"),
        Left(author(BOB), LeaveHow.BAN, author(ALICE), ""),
    ]

    def work(tx: Transaction) -> list[Event]:
        first = [tx.append(DEV.id, body, 10 + at) for at, body in enumerate(bodies)]
        return [*first, tx.post(a_message("last", at=20)).event]

    events = await store.write(work)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert [event.body for event in events[:6]] == bodies
    page = await store.read(lambda snapshot: snapshot.events_after(DEV.id, 0, 100))
    assert page.is_complete
    assert list(page.events) == events
    room = await store.read(lambda snapshot: snapshot.room(DEV.id))
    assert room is not None
    assert room.last_seq == 7


async def test_an_event_of_an_unknown_room_is_not_found(store: Store) -> None:
    with pytest.raises(ChatError) as caught:
        await store.write(lambda tx: tx.append("r_none", joined(BOB), 1))
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_replay_is_whole_or_nothing(store: Store) -> None:
    for number in range(1, 11):
        await store.post(a_message(str(number)))
    await store.write(lambda tx: tx.trim_events(DEV.id, 5))

    async def replay(seq: int, limit: int = 100) -> tuple[list[int], bool]:
        page = await store.read(lambda snapshot: snapshot.events_after(DEV.id, seq, limit))
        return [event.seq for event in page.events], page.is_complete

    assert await replay(4) == ([5, 6, 7, 8, 9, 10], True)
    assert await replay(4, 2) == ([5, 6], True)
    assert await replay(3) == ([], False)
    assert await replay(0) == ([], False)
    assert await replay(-3) == ([], False)
    assert await replay(10) == ([], True)
    assert await replay(11) == ([], True)
    assert await replay(ABOVE_ALL + 5) == ([], True)
    assert await replay(4, 0) == ([], True)
    assert await replay(3, 0) == ([], False)
    await store.write(lambda tx: tx.trim_events(DEV.id, ABOVE_ALL))
    assert await replay(9) == ([], False)
    assert await replay(10) == ([], True)
    assert await store.read(lambda snapshot: snapshot.count_messages(DEV.id)) == 10
    posted = await store.post(a_message("11"))
    assert posted.event.seq == 11
    assert await replay(10) == ([11], True)


# messages


async def test_a_message_comes_back_as_it_was_posted(store: Store) -> None:
    await store.write(lambda tx: tx.put_upload(a_upload()))
    first = await store.post(a_message("first"))
    message = a_message(
        "Hällo 👋\nworld",
        kind=MessageKind.ME,
        mentions=(BOB.id, CAROL.id),
        file_ids=("f_cat.png",),
        reply_to=first.event.seq,
        cid="c-1",
        at=5_000,
    )
    posted = await store.post(message)
    assert not posted.is_duplicate
    assert posted.room == replace(DEV, last_seq=2)
    assert (posted.event.room_id, posted.event.seq, posted.event.at) == (DEV.id, 2, 5_000)
    body = posted.event.body
    assert isinstance(body, Message)
    assert (body.id, body.author, body.kind) == (message.id, author(ALICE), MessageKind.ME)
    assert (body.text, body.mentions, body.reply_to) == (message.text, (BOB.id, CAROL.id), 1)
    assert (body.cid, body.is_deleted, body.edited_at) == ("c-1", False, None)
    assert [(file.id, file.name, file.size, file.w) for file in body.files] == [
        ("f_cat.png", "cat.png", 120_000, 640)
    ]
    for found in (
        await store.read(lambda snapshot: snapshot.message(DEV.id, 2)),
        await store.read(lambda snapshot: snapshot.message_by_cid(ALICE.id, "c-1")),
        (await store.read(lambda snapshot: snapshot.messages(DEV.id, limit=1)))[0],
        (await store.read(lambda snapshot: snapshot.events_after(DEV.id, 1, 1))).events[0],
    ):
        assert found == posted.event


async def test_an_empty_text_is_a_message(store: Store) -> None:
    posted = await store.post(a_message(""))
    assert isinstance(posted.event.body, Message)
    assert posted.event.body.text == ""
    assert await store.read(lambda snapshot: snapshot.message(DEV.id, 1)) == posted.event


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "x\udfff"])
async def test_texts_that_no_database_keeps_are_refused(store: Store, text: str) -> None:
    with pytest.raises(ValueError, match=r"U\+0000|surrogate"):
        await store.post(a_message(text))
    with pytest.raises(ValueError, match=r"U\+0000|surrogate"):
        await store.write(lambda tx: tx.put_room(replace(DEV, topic=text)))
    assert (await store.post(a_message("next"))).event.seq == 1


async def test_messages_are_found_by_stretch(store: Store) -> None:
    await store.write(lambda tx: tx.append(DEV.id, joined(BOB), 1))
    for number in range(2, 10):
        await store.post(a_message(str(number), at=number * 10))
    await store.write(lambda tx: tx.append(DEV.id, joined(BOB), 100))
    await store.post(a_message("11", at=110))

    async def found(**how: Any) -> list[int]:
        events = await store.read(lambda snapshot: snapshot.messages(DEV.id, **how))
        return [event.seq for event in events]

    assert await found(limit=3) == [8, 9, 11]
    assert await found(limit=3, newest=False) == [2, 3, 4]
    assert await found(limit=3, before=8) == [5, 6, 7]
    assert await found(limit=3, after=8) == [9, 11]
    assert await found(limit=2, after=3, newest=False) == [4, 5]
    assert await found(limit=9, after=3, before=6) == [4, 5]
    assert await found(limit=9, after=6, before=6) == []
    assert await found(limit=9, since=80) == [8, 9, 11]
    assert await found(limit=2, since=30, newest=False) == [3, 4]
    assert await found(limit=0) == []
    assert await found(limit=-1) == []
    assert await found(limit=2**40, after=-(2**70), before=2**70) == [2, 3, 4, 5, 6, 7, 8, 9, 11]
    assert await store.read(lambda snapshot: snapshot.message(DEV.id, 1)) is None
    assert await store.read(lambda snapshot: snapshot.message(DEV.id, 2**70)) is None
    assert await store.read(lambda snapshot: snapshot.messages("r_none", limit=9)) == []
    assert await store.read(lambda snapshot: snapshot.count_messages(DEV.id)) == 9
    assert await store.read(lambda snapshot: snapshot.count_messages(DEV.id, after=8)) == 2
    assert await store.read(lambda snapshot: snapshot.last_message_at(DEV.id, ALICE.id)) == 110
    assert await store.read(lambda snapshot: snapshot.last_message_at(DEV.id, BOB.id)) is None


async def test_history_is_there_after_the_last_member_left(store: Store) -> None:
    await store.post(a_message("said"))
    for user in (ALICE, BOB):
        await store.write(lambda tx, user=user: tx.drop_membership(DEV.id, user.id))  # type: ignore[misc]
    assert await store.read(lambda snapshot: snapshot.member_ids(DEV.id)) == frozenset()
    assert len(await store.read(lambda snapshot: snapshot.messages(DEV.id, limit=5))) == 1
    assert (await store.read(lambda snapshot: snapshot.events_after(DEV.id, 0, 5))).is_complete


async def test_unread_counts_others_and_mentions_up_to_the_limit(store: Store) -> None:
    for number in range(6):
        mentions = (CAROL.id, BOB.id) if number % 2 else (BOB.id + "x", "u_%", BOB.id.upper())
        await store.post(a_message(str(number), mentions=mentions))
    await store.post(a_message("to myself", ALICE, LOBBY, mentions=(ALICE.id,)))

    def unread(user_id: str, **how: Any) -> Any:
        return store.read(lambda snapshot: snapshot.count_unread(user_id, **how))

    assert await unread(BOB.id) == {DEV.id: (6, 3), LOBBY.id: (1, 0)}
    assert await unread(BOB.id, limit=2) == {DEV.id: (2, 2), LOBBY.id: (1, 0)}
    assert await unread(ALICE.id) == {DEV.id: (0, 0), LOBBY.id: (0, 0)}
    await store.write(lambda tx: tx.raise_read(DEV.id, BOB.id, 4))
    assert await unread(BOB.id) == {DEV.id: (2, 1), LOBBY.id: (1, 0)}
    assert await unread("u_nobody") == {}


async def test_an_own_message_raises_the_read_marker(store: Store) -> None:
    await store.post(a_message("1"))
    await store.post(a_message("2", BOB))
    await store.post(a_message("3"))
    membership = await store.read(lambda snapshot: snapshot.membership(DEV.id, BOB.id))
    assert membership is not None
    assert membership.read_seq == 2
