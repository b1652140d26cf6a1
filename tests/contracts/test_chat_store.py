"""The contract of `wynd_chat.ports.store.Store`: transactions, posts, cids, opening and closing.

What callers see: events are numbered without holes in the order of commits, a cid is stored once,
a work that raises leaves nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    CAROL,
    DEV,
    LOBBY,
    a_ban,
    a_message,
    a_session,
    a_upload,
    author,
    fill,
    joined,
    opened,
)
from tests.wynd_chat.domain.rows import a_member, a_room, a_user
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import (
    Author,
    Event,
    Message,
    MessageKind,
    TopicChanged,
)
from wynd_chat.domain.models import (
    Room,
    UploadState,
    UserKind,
)
from wynd_chat.ports.store import Posted, StoreFailure

if TYPE_CHECKING:
    from tests.contracts.chat_stores import Chat
    from wynd_chat.ports.store import Store, Transaction


# who may post


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (a_message(room=a_room("none")), ErrorCode.NOT_FOUND),
        (a_message(user=CAROL), ErrorCode.NOT_MEMBER),
        (a_message(user=a_user("Stranger")), ErrorCode.NOT_MEMBER),
        (a_message(reply_to=1), ErrorCode.BAD_REQUEST),
        (a_message(reply_to=0), ErrorCode.BAD_REQUEST),
        (a_message(reply_to=-1), ErrorCode.BAD_REQUEST),
        (a_message(reply_to=2**70), ErrorCode.BAD_REQUEST),
        (a_message(file_ids=("f_none",)), ErrorCode.BAD_REQUEST),
        (a_message(file_ids=("f_bobs",)), ErrorCode.BAD_REQUEST),
        (a_message(file_ids=("f_mine", "f_mine")), ErrorCode.BAD_REQUEST),
        (a_message(file_ids=("f_gone",)), ErrorCode.BAD_REQUEST),
    ],
)
async def test_a_post_is_judged_in_its_transaction(
    store: Store, message: Any, code: ErrorCode
) -> None:
    def work(tx: Transaction) -> None:
        tx.put_upload(a_upload("mine"))
        tx.put_upload(a_upload("bobs", BOB))
        tx.put_upload(a_upload("gone", state=UploadState.GONE))

    await store.write(work)
    with pytest.raises(ChatError) as caught:
        await store.post(message)
    assert caught.value.code is code
    with pytest.raises(ChatError) as caught:
        await store.write(lambda tx: tx.post(message))
    assert caught.value.code is code
    room = await store.read(lambda snapshot: snapshot.room(DEV.id))
    assert room is not None
    assert room.last_seq == 0
    assert (await store.read(lambda s: s.upload("f_mine"))) == a_upload("mine")


async def test_silence_lock_and_slow_mode_hold(store: Store) -> None:
    slow = replace(DEV, slow_s=10)
    await store.write(lambda tx: tx.put_room(slow))
    await store.post(a_message("1", BOB, at=1_000))
    with pytest.raises(ChatError) as caught:
        await store.post(a_message("2", BOB, at=10_999))
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert caught.value.retry_after is not None
    await store.post(a_message("3", BOB, at=11_000))
    await store.post(a_message("4", ALICE, at=11_000))
    await store.post(a_message("5", ALICE, at=11_000))  # the owner
    await store.write(lambda tx: tx.put_room(replace(DEV, locked=True)))
    with pytest.raises(ChatError) as caught:
        await store.post(a_message("6", BOB, at=50_000))
    assert caught.value.code is ErrorCode.FORBIDDEN
    await store.post(a_message("7", BOB, at=50_000, is_privileged=True))
    await store.write(lambda tx: tx.put_membership(a_member(BOB, DEV, silenced_until=60_000)))
    with pytest.raises(ChatError) as caught:
        await store.post(a_message("8", BOB, at=50_000, is_privileged=True))
    assert caught.value.code is ErrorCode.SILENCED
    await store.post(a_message("9", BOB, at=60_000, is_privileged=True))


async def test_the_server_announces_without_membership(store: Store) -> None:
    server = Author(None, "Server", UserKind.SYSTEM)
    await store.write(lambda tx: tx.put_room(replace(DEV, locked=True)))
    message = a_message("hear", author=server, is_announcement=True, kind=MessageKind.SYSTEM)
    posted = await store.post(message)
    assert isinstance(posted.event.body, Message)
    assert posted.event.body.author == server
    assert await store.read(lambda snapshot: snapshot.message(DEV.id, 1)) == posted.event


# cids


async def test_fifty_repeats_store_one_message(store: Store) -> None:
    first = await store.post(a_message("once", cid="1"))
    for number in range(50):
        again = await store.post(a_message(f"again {number}", cid="1", at=2_000))
        assert again.is_duplicate
        assert again.event == first.event
    assert await store.read(lambda snapshot: snapshot.count_messages(DEV.id)) == 1


async def test_sixty_four_racing_repeats_store_one_message(store: Store) -> None:
    posts = [store.post(a_message(f"try {number}", cid="1")) for number in range(64)]
    outcomes = await asyncio.gather(*posts)
    assert sum(not outcome.is_duplicate for outcome in outcomes) == 1
    assert len({outcome.event for outcome in outcomes}) == 1
    assert await store.read(lambda snapshot: snapshot.count_messages(DEV.id)) == 1


async def test_a_cid_is_its_authors_own_and_counts_in_all_rooms(store: Store) -> None:
    first = await store.post(a_message("a", cid="1"))
    other = await store.post(a_message("b", BOB, cid="1"))
    assert not other.is_duplicate
    elsewhere = await store.post(a_message("c", room=LOBBY, cid="1"))
    assert elsewhere.is_duplicate
    assert elsewhere.event == first.event
    assert elsewhere.room.id == DEV.id
    different = await store.post(a_message("d", cid="1 "))
    assert not different.is_duplicate


async def test_a_repeat_is_answered_although_the_author_may_not_post_any_more(
    store: Store,
) -> None:
    first = await store.post(a_message("a", BOB, cid="1"))
    await store.write(lambda tx: tx.drop_membership(DEV.id, BOB.id))
    again = await store.post(a_message("a", BOB, cid="1"))
    assert again == Posted(first.room, first.event, is_duplicate=True)


async def test_a_file_is_attached_to_one_message(store: Store) -> None:
    await store.write(lambda tx: tx.put_upload(a_upload("mine")))
    posts = [store.post(a_message(str(n), file_ids=("f_mine",))) for n in range(8)]
    outcomes = await asyncio.gather(*posts, return_exceptions=True)
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 1
    upload = await store.read(lambda snapshot: snapshot.upload("f_mine"))
    assert upload is not None
    assert (upload.state, upload.room_id) == (UploadState.ATTACHED, DEV.id)
    await store.write(lambda tx: tx.put_upload(replace(upload, state=UploadState.GONE)))
    (event,) = await store.read(lambda snapshot: snapshot.messages(DEV.id, limit=5))
    assert isinstance(event.body, Message)
    assert event.body.files == ()


# transactions


async def test_a_work_that_raises_leaves_nothing(store: Store) -> None:
    told: list[Event] = []
    store.on_commit(lambda _room, event: told.append(event))

    def work(tx: Transaction) -> None:
        tx.put_user(a_user("Dora"))
        tx.drop_user(BOB.id)
        tx.put_room(replace(DEV, topic="changed"))
        tx.append(DEV.id, joined(ALICE), 1)
        tx.post(a_message("lost", cid="1"))
        assert tx.message_by_cid(ALICE.id, "1") is not None
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        await store.write(work)
    assert told == []
    assert await store.read(lambda snapshot: snapshot.user_by_key("dora")) is None
    assert await store.read(lambda snapshot: snapshot.room(DEV.id)) == DEV
    assert await store.read(lambda snapshot: snapshot.member_ids(DEV.id)) == {ALICE.id, BOB.id}
    posted = await store.post(a_message("kept", cid="1"))
    assert (posted.event.seq, posted.is_duplicate) == (1, False)


async def test_failures_among_operations_that_share_a_commit_take_nothing_else_along(
    store: Store,
) -> None:
    def broken(tx: Transaction) -> None:
        tx.post(a_message("broken"))
        raise LookupError

    outcomes = await asyncio.gather(
        store.post(a_message("1")),
        store.post(a_message("no", CAROL)),
        store.write(broken),
        store.post(a_message("2")),
        store.post(a_message("\ud800")),
        store.post(a_message("3", id="m_fixed")),
        store.post(a_message("4", id="m_fixed")),
        store.post(a_message("5")),
        return_exceptions=True,
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds[:4] == [Posted, ChatError, LookupError, Posted]
    assert kinds[4] in {ValueError, UnicodeEncodeError}
    assert kinds[5:] == [Posted, ValueError, Posted]
    events = await store.read(lambda snapshot: snapshot.messages(DEV.id, limit=9))
    assert [(e.seq, e.body.text) for e in events if isinstance(e.body, Message)] == [
        (1, "1"),
        (2, "2"),
        (3, "3"),
        (4, "5"),
    ]


@pytest.mark.parametrize(
    "work",
    [
        lambda tx: tx.put_membership(a_member(a_user("Nobody"), DEV)),
        lambda tx: tx.put_membership(a_member(ALICE, a_room("none"))),
        lambda tx: tx.put_session(a_session("t", user_id="u_nobody")),
        lambda tx: tx.put_room(a_room("x", created_by="u_nobody")),
        lambda tx: tx.put_ignore(ALICE.id, "u_nobody"),
        lambda tx: tx.put_ban(a_ban("1", room_id="r_none")),
        lambda tx: tx.put_upload(a_upload(message_id="m_none")),
        lambda tx: tx.put_user(replace(ALICE, avatar_id="f_none")),
    ],
)
async def test_a_reference_to_nothing_is_refused(store: Store, work: Any) -> None:
    with pytest.raises(ValueError, match="refers"):
        await store.write(work)
    await store.write(lambda tx: tx.put_membership(a_member(CAROL, DEV)))


async def test_racing_posts_are_numbered_in_the_order_they_are_told(store: Store) -> None:
    told: list[tuple[str, int, int]] = []
    store.on_commit(lambda room, event: told.append((room.id, event.seq, room.last_seq)))

    async def sender(number: int) -> list[int]:
        user, room = (ALICE, BOB)[number % 2], (DEV, LOBBY)[number // 2 % 2]
        posted = [await store.post(a_message(f"{number} {n}", user, room)) for n in range(25)]
        return [outcome.event.seq for outcome in posted]

    seqs = await asyncio.gather(*(sender(number) for number in range(8)))
    assert all(own == sorted(own) for own in seqs)
    for room_id in (DEV.id, LOBBY.id):
        here = [(seq, last_seq) for told_room, seq, last_seq in told if told_room == room_id]
        assert here == [(seq, seq) for seq in range(1, 101)]


async def test_events_are_told_before_the_call_returns_and_also_for_a_cancelled_caller(
    store: Store,
) -> None:
    told: list[tuple[Room, Event]] = []
    store.on_commit(lambda room, event: told.append((room, event)))

    def work(tx: Transaction) -> None:
        tx.put_room(replace(DEV, topic="new"))
        tx.append(DEV.id, TopicChanged(author(ALICE), "new"), 1)
        tx.post(a_message("in a work", cid="1"))

    await store.write(work)
    assert [(room.topic, room.last_seq, event.seq) for room, event in told] == [
        ("new", 1, 1),
        ("new", 2, 2),
    ]
    duplicate = await store.post(a_message("again", cid="1"))
    assert duplicate.is_duplicate
    assert len(told) == 2
    task = asyncio.create_task(store.post(a_message("abandoned")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await store.post(a_message("after"))
    texts = [event.body.text for _, event in told if isinstance(event.body, Message)]
    assert texts == ["in a work", "abandoned", "after"]


async def test_reads_see_one_moment(store: Store) -> None:
    async def write() -> None:
        for number in range(50):
            await store.write(
                lambda tx, number=number: (  # type: ignore[misc]
                    tx.put_meta("a", str(number)),
                    tx.put_meta("b", str(number)),
                )
            )

    writing = asyncio.create_task(write())
    while not writing.done():
        a, b = await store.read(lambda snapshot: (snapshot.meta("a"), snapshot.meta("b")))
        assert a == b
        await asyncio.sleep(0)
    await writing


# opening and closing


async def test_what_was_stored_and_the_epoch_outlive_the_store(chat: Chat) -> None:
    async with opened(chat.make()) as store:
        epoch = await store.read(lambda s: s.meta("epoch"))
        posted = await store.post(a_message("kept", cid="1"))
    assert epoch
    second = chat.make() if chat.is_kept else store
    async with opened(second, is_filled=False) as store:
        assert await store.read(lambda s: s.meta("epoch")) == epoch
        assert await store.read(lambda s: s.message(DEV.id, 1)) == posted.event
        again = await store.post(a_message("again", cid="1"))
        assert again.is_duplicate
        assert again.event == posted.event
        assert (await store.post(a_message("more"))).event.seq == 2


async def test_closing_carries_out_what_was_accepted_and_refuses_the_rest(chat: Chat) -> None:
    store = chat.make()
    await store.open()
    await store.open()  # twice is once
    await store.write(fill)
    posts = [asyncio.create_task(store.post(a_message(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    assert [(await post).event.seq for post in posts] == list(range(1, 21))
    for refused in (
        store.post(a_message("late")),
        store.write(lambda tx: tx.put_meta("a", "b")),
        store.read(lambda snapshot: snapshot.meta("a")),
    ):
        with pytest.raises(StoreFailure, match="closed"):
            await refused
    assert not await store.is_writable()
    await store.close()


async def test_a_store_that_was_never_opened_closes(chat: Chat) -> None:
    store = chat.make()
    assert not await store.is_writable()
    await store.close()


async def test_a_healthy_store_is_writable_and_counts(store: Store) -> None:
    assert await store.is_writable()
    assert await store.is_writable()
    await store.post(a_message("1"))
    statistics = store.statistics()
    assert statistics["posts"] == 1
    assert statistics["commits"] >= 2
    assert statistics["groups"] >= 2
    assert statistics["commit_seconds"] >= 0
    assert statistics["waiting"] == 0
