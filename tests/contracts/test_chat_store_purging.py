"""The contract of `wynd_chat.ports.store.Store`: a room that is dropped, and how many there are.

What goes with a room, what stays of others, and that a work that fails drops nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    CAROL,
    DEV,
    LOBBY,
    a_ban,
    a_direct_room,
    a_message,
    a_upload,
    an_invite,
    joined,
)
from tests.wynd_chat.domain.rows import a_member, a_room
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import RoomKind, RoomRole, UploadState, UploadToken

if TYPE_CHECKING:
    from wynd_chat.ports.store import Snapshot, Store, Transaction


def furnish(tx: Transaction) -> None:
    """Put into #dev whatever a room can have, and a message with a file into the lobby."""
    for name in ("dev.png", "again.png", "lobby.png", "pending.png"):
        tx.put_upload(a_upload(name))
    tx.put_upload(a_upload("copy.png", BOB, sha256="hash of again.png"))
    tx.append(DEV.id, joined(ALICE), 1)
    tx.post(a_message("with files", file_ids=("f_dev.png", "f_again.png"), cid="1", at=10))
    tx.post(a_message("his", BOB, mentions=(ALICE.id,), at=11))
    tx.post(a_message("stays", room=LOBBY, file_ids=("f_lobby.png",), cid="2", at=12))
    tx.put_ban(a_ban("here", user_id=CAROL.id))
    tx.put_ban(a_ban("lobby", room_id=LOBBY.id))
    tx.put_ban(a_ban("server", room_id=None, ip_net="192.0.2.0/24"))
    tx.put_invite(an_invite())
    tx.put_invite(an_invite(code_hash="other", target=LOBBY.id))
    for room in (DEV, LOBBY):
        tx.put_upload_token(
            UploadToken(
                code_hash=f"to {room.id}",
                owner_id=ALICE.id,
                target=room.id,
                uses_left=1,
                expires_at=99,
            )
        )


async def test_a_dropped_room_takes_everything_in_it_along(store: Store) -> None:
    await store.write(furnish)
    await store.write(lambda tx: tx.drop_room(DEV.id))

    def check(snapshot: Snapshot) -> None:
        assert snapshot.room(DEV.id) is None
        assert snapshot.room_by_key("dev") is None
        assert snapshot.room_ids(limit=9) == [LOBBY.id]
        assert snapshot.member_ids(DEV.id) == frozenset()
        assert snapshot.membership(DEV.id, ALICE.id) is None
        assert [room.id for room, _ in snapshot.rooms_of(ALICE.id)] == [LOBBY.id]
        assert snapshot.messages(DEV.id, limit=9) == []
        assert snapshot.message(DEV.id, 2) is None
        assert snapshot.events_after(DEV.id, 0, 9).events == ()
        assert snapshot.count_messages(DEV.id) == 0
        assert snapshot.message_by_cid(ALICE.id, "1") is None
        assert snapshot.last_message_at(DEV.id, ALICE.id) is None
        assert not snapshot.has_messages(BOB.id)
        assert DEV.id not in snapshot.count_unread(ALICE.id)
        assert snapshot.bans(DEV.id) == []
        assert snapshot.invite("code") is None
        assert snapshot.upload_token(f"to {DEV.id}") is None

    await store.read(check)


async def test_what_belongs_to_other_rooms_stays(store: Store) -> None:
    await store.write(furnish)
    await store.write(lambda tx: tx.drop_room(DEV.id))

    def check(snapshot: Snapshot) -> None:
        assert snapshot.user(ALICE.id) == ALICE
        assert snapshot.message_by_cid(ALICE.id, "2") is not None
        assert snapshot.count_messages(LOBBY.id) == 1
        assert [ban.id for ban in snapshot.bans(LOBBY.id)] == ["lobby"]
        assert [ban.id for ban in snapshot.bans(None)] == ["server"]
        assert snapshot.invite("other") is not None
        assert snapshot.upload_token(f"to {LOBBY.id}") is not None

    await store.read(check)


async def test_the_files_of_a_dropped_room_are_gone_their_contents_where_nobody_else_has_them(
    store: Store,
) -> None:
    await store.write(furnish)
    await store.write(lambda tx: tx.drop_room(DEV.id))

    def check(snapshot: Snapshot) -> None:
        states = {}
        for name in ("dev", "again", "copy", "lobby", "pending"):
            upload = snapshot.upload(f"f_{name}.png")
            assert upload is not None
            states[name] = (upload.state, upload.room_id, upload.message_id is None)
        gone = (UploadState.GONE, None, True)
        pending = (UploadState.PENDING, None, True)
        assert states == {
            "dev": gone,
            "again": gone,
            "copy": pending,
            "lobby": (UploadState.ATTACHED, LOBBY.id, False),
            "pending": pending,
        }
        assert not snapshot.is_content_used("hash of dev.png")
        assert snapshot.is_content_used("hash of again.png")

    await store.read(check)


async def test_nothing_can_be_put_into_a_dropped_room(store: Store) -> None:
    await store.write(furnish)
    await store.write(lambda tx: tx.drop_room(DEV.id))
    with pytest.raises(ChatError) as posted:
        await store.post(a_message("too late"))
    assert posted.value.code is ErrorCode.NOT_FOUND
    with pytest.raises(ChatError) as appended:
        await store.write(lambda tx: tx.append(DEV.id, joined(BOB), 5))
    assert appended.value.code is ErrorCode.NOT_FOUND
    with pytest.raises(ValueError, match=r"."):
        await store.write(lambda tx: tx.put_membership(a_member(ALICE, DEV)))
    await store.write(lambda tx: tx.drop_room(DEV.id))  # twice is once


async def test_a_room_of_the_same_name_begins_anew(store: Store) -> None:
    await store.write(furnish)
    again = a_room("dev", id="r_again")

    def work(tx: Transaction) -> None:
        tx.drop_room(DEV.id)
        tx.put_room(again)
        tx.put_membership(a_member(ALICE, again, RoomRole.OWNER))

    await store.write(work)
    posted = await store.post(a_message("new", room=again, cid="1"))
    assert (posted.event.seq, posted.is_duplicate) == (1, False)


async def test_a_direct_conversation_can_be_dropped_too(store: Store) -> None:
    direct = a_direct_room(ALICE, BOB)
    await store.write(lambda tx: tx.put_room(direct))
    await store.write(lambda tx: tx.drop_room(direct.id))
    assert direct.dm_key is not None
    assert await store.read(lambda snapshot: snapshot.direct_room(direct.dm_key or "")) is None
    await store.write(lambda tx: tx.put_room(direct))


async def test_a_failed_work_drops_no_room(store: Store) -> None:
    await store.write(furnish)

    def work(tx: Transaction) -> None:
        tx.drop_room(DEV.id)
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(work)

    def check(snapshot: Snapshot) -> None:
        assert (room := snapshot.room_by_key("dev")) is not None
        assert room.last_seq == 3
        assert snapshot.member_ids(DEV.id) == {ALICE.id, BOB.id}
        assert [one.seq for one in snapshot.events_after(DEV.id, 0, 9).events] == [1, 2, 3]
        assert snapshot.count_messages(DEV.id) == 2
        assert (upload := snapshot.upload("f_dev.png")) is not None
        assert (upload.state, upload.room_id) == (UploadState.ATTACHED, DEV.id)
        assert snapshot.invite("code") is not None

    await store.read(check)
    assert (await store.post(a_message("on", cid="1"))).is_duplicate


async def test_public_rooms_are_counted_and_no_others(store: Store) -> None:
    """Strangers may read the number: private rooms do not show in it."""

    def hide(tx: Transaction) -> None:
        tx.put_room(a_room("ops", RoomKind.PRIVATE))
        tx.put_room(a_room("old", archived_at=7))
        tx.put_room(a_direct_room(ALICE, BOB))

    assert await store.read(lambda snapshot: snapshot.count_rooms()) == 2
    await store.write(hide)
    assert await store.read(lambda snapshot: snapshot.count_rooms()) == 2
    await store.write(lambda tx: tx.put_room(a_room("new")))
    assert await store.read(lambda snapshot: snapshot.count_rooms()) == 3
    await store.write(lambda tx: tx.drop_room(DEV.id))
    assert await store.read(lambda snapshot: snapshot.count_rooms()) == 2
