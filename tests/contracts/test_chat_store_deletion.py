"""The contract of `wynd_chat.ports.store.Store`: messages become tombstones, files go with them.

What stays of a deleted message, what nobody can read any more, and what counting makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    DEV,
    LOBBY,
    a_direct_room,
    a_message,
    a_upload,
)
from tests.wynd_chat.domain.rows import a_member
from wynd_chat.domain.events import Message, MessageKind
from wynd_chat.domain.models import UploadState

if TYPE_CHECKING:
    from wynd_chat.ports.store import Snapshot, Store, Transaction


async def spam(store: Store) -> None:
    """Let Bob write at 10, 20 and 30 (the last with a file and a mention), and Alice at 20."""
    await store.write(lambda tx: tx.put_upload(a_upload("spam.png", BOB)))
    await store.post(a_message("old", BOB, at=10, cid="first"))
    await store.post(a_message("hers", ALICE, at=20))
    await store.post(a_message("in the lobby", BOB, LOBBY, at=20))
    await store.post(
        a_message("new", BOB, at=30, file_ids=("f_spam.png",), mentions=(ALICE.id,), cid="last")
    )


def texts(snapshot: Snapshot, room_id: str = DEV.id) -> list[tuple[str, bool]]:
    """Return text and whether it is deleted, of all messages of a room."""
    bodies = [event.body for event in snapshot.messages(room_id, limit=50)]
    return [(body.text, body.is_deleted) for body in bodies if isinstance(body, Message)]


async def test_a_tombstone_keeps_its_row_and_loses_everything_said(store: Store) -> None:
    await spam(store)
    deleted = await store.write(
        lambda tx: tx.delete_messages(BOB.id, since=30, at=99, room_id=DEV.id)
    )
    assert deleted == [(DEV.id, 3)]
    event = await store.read(lambda s: s.message(DEV.id, 3))
    assert event is not None
    body = event.body
    assert isinstance(body, Message)
    assert (event.at, body.author.id, body.cid, body.kind) == (30, BOB.id, "last", MessageKind.TEXT)
    assert (body.text, body.mentions, body.files, body.is_deleted) == ("", (), (), True)
    page = await store.read(lambda s: s.events_after(DEV.id, 0, 10))
    assert page.is_complete
    assert page.events[2] == event


async def test_since_and_room_bound_what_is_deleted(store: Store) -> None:
    await spam(store)
    await store.write(lambda tx: tx.delete_messages(BOB.id, since=20, at=99, room_id=DEV.id))
    assert await store.read(texts) == [("old", False), ("hers", False), ("", True)]
    assert await store.read(lambda s: texts(s, LOBBY.id)) == [("in the lobby", False)]


async def test_without_a_room_all_of_them_go_conversations_too(store: Store) -> None:
    await spam(store)
    direct = a_direct_room(ALICE, BOB)

    def talk(tx: Transaction) -> None:
        tx.put_room(direct)
        tx.put_membership(a_member(ALICE, direct))
        tx.put_membership(a_member(BOB, direct))
        tx.post(a_message("psst", BOB, direct, at=40))

    await store.write(talk)
    deleted = await store.write(lambda tx: tx.delete_messages(BOB.id, since=0, at=99))
    assert deleted == sorted([(DEV.id, 1), (DEV.id, 3), (LOBBY.id, 1), (direct.id, 1)])
    assert await store.read(texts) == [("", True), ("hers", False), ("", True)]


async def test_what_is_deleted_already_is_not_deleted_again(store: Store) -> None:
    await spam(store)
    await store.write(lambda tx: tx.delete_messages(BOB.id, since=30, at=99, room_id=DEV.id))
    again = await store.write(lambda tx: tx.delete_messages(BOB.id, since=0, at=100))
    assert again == [(DEV.id, 1), (LOBBY.id, 1)]
    assert await store.write(lambda tx: tx.delete_messages(BOB.id, since=0, at=101)) == []
    assert await store.write(lambda tx: tx.delete_messages("u_nobody", since=0, at=101)) == []


async def test_a_cid_stays_used(store: Store) -> None:
    await spam(store)
    await store.write(lambda tx: tx.delete_messages(BOB.id, since=0, at=99))
    posted = await store.post(a_message("once more", BOB, at=50, cid="last"))
    assert posted.is_duplicate
    assert posted.event.seq == 3
    assert isinstance(posted.event.body, Message)
    assert posted.event.body.text == ""


async def test_files_of_tombstones_are_gone(store: Store) -> None:
    await spam(store)
    assert await store.read(lambda s: s.is_content_used("hash of spam.png"))
    assert await store.read(lambda s: s.upload_bytes()) == 120_000
    await store.write(lambda tx: tx.delete_messages(BOB.id, since=0, at=99))
    upload = await store.read(lambda s: s.upload("f_spam.png"))
    assert upload is not None
    assert upload.state is UploadState.GONE
    assert not await store.read(lambda s: s.is_content_used("hash of spam.png"))
    assert await store.read(lambda s: s.upload_bytes()) == 0


async def test_counts_leave_tombstones_out(store: Store) -> None:
    await spam(store)
    before = await store.read(lambda s: s.count_unread(ALICE.id))
    assert before[DEV.id] == (1, 1)  # her own message raised the marker above the first
    await store.write(lambda tx: tx.delete_messages(BOB.id, since=0, at=99))
    after = await store.read(lambda s: s.count_unread(ALICE.id))
    assert after[DEV.id] == (0, 0)
    assert await store.read(lambda s: s.count_messages(DEV.id)) == 1


async def test_a_failed_work_deletes_nothing(store: Store) -> None:
    await spam(store)

    def work(tx: Transaction) -> None:
        tx.delete_messages(BOB.id, since=0, at=99)
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(work)
    assert ("new", False) in await store.read(texts)
    upload = await store.read(lambda s: s.upload("f_spam.png"))
    assert upload is not None
    assert upload.state is UploadState.ATTACHED


async def test_a_message_is_found_by_its_id(store: Store) -> None:
    posted = await store.post(a_message("here", id="m_here"))
    assert await store.read(lambda s: s.seq_of_message("m_here")) == posted.event.seq
    assert await store.read(lambda s: s.seq_of_message("m_nowhere")) is None
