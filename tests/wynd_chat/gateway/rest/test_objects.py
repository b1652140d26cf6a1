"""The API's objects fit the models that describe them."""

from __future__ import annotations

import pytest

from wynd_chat.domain.events import Author, Event, FileInfo, Message, MessageKind
from wynd_chat.domain.models import (
    Membership,
    Notify,
    Room,
    RoomKind,
    RoomRole,
    ServerRole,
    User,
    UserKind,
)
from wynd_chat.gateway.rest import models, objects
from wynd_chat.services.rooms import RoomInfo

ALICE = User(
    id="u_1",
    name="Alice",
    name_key="alice",
    name_skeleton="alice",
    kind=UserKind.HUMAN,
    password_hash="a secret",
    role=ServerRole.ADMIN,
    away="lunch",
    created_at=1,
    last_seen_at=2,
)
DEV = Room(
    id="r_1",
    kind=RoomKind.PUBLIC,
    name="dev",
    name_key="dev",
    topic="t",
    last_seq=9,
    key_hash="a secret",
    locked=True,
    slow_s=5,
    created_by="u_1",
    created_at=1,
    archived_at=3,
)
TALK = Room(
    id="r_2",
    kind=RoomKind.DM,
    name=None,
    name_key=None,
    dm_key="u_1 u_2",
    created_by=None,
    created_at=1,
)
MINE = Membership(
    room_id="r_1",
    user_id="u_1",
    role=RoomRole.OP,
    joined_seq=1,
    read_seq=4,
    notify=Notify.MENTIONS,
    silenced_until=2_000,
)


def test_users_fit() -> None:
    shown = objects.user_info(ALICE, is_online=True)
    models.UserInfo.model_validate(shown)
    assert shown == {
        "id": "u_1",
        "name": "Alice",
        "kind": "human",
        "role": "admin",
        "online": True,
        "away": "lunch",
    }


@pytest.mark.parametrize("room", [DEV, TALK], ids=["room", "conversation"])
@pytest.mark.parametrize("membership", [MINE, None], ids=["member", "stranger"])
def test_rooms_fit_and_show_no_key(room: Room, membership: Membership | None) -> None:
    peer = ALICE if room.is_direct else None
    details = objects.room_details(room, membership, 3, peer)
    fitted = models.RoomDetails.model_validate(details)
    assert fitted.key is (room is DEV)
    assert (fitted.with_ is None) is (peer is None)
    assert fitted.role == (None if membership is None else "op")
    info = RoomInfo(room, membership, 3, 2, 1, peer)
    models.RoomSummary.model_validate(objects.room_summary(info))
    if membership is not None:
        mine = models.MyRoom.model_validate(objects.my_room(info))
        assert (mine.head, mine.read, mine.notify) == (room.last_seq, 4, "mentions")
    assert "a secret" not in str(details)


@pytest.mark.parametrize(("now", "is_silenced"), [(1_999, True), (2_000, False)])
def test_members_fit_and_are_silenced_as_long_as_it_lasts(now: int, is_silenced: bool) -> None:
    shown = objects.member_info(ALICE, MINE, is_online=False, now=now)
    models.MemberInfo.model_validate(shown)
    assert shown["silenced_until"] == ("1970-01-01T00:00:02.000Z" if is_silenced else None)


def event(**more: object) -> Event:
    """Return a message of Alice's with everything a message can have."""
    body = Message(
        id="m_1",
        author=Author("u_1", "Alice", UserKind.HUMAN),
        kind=MessageKind.FILE,
        text="look",
        mentions=("u_2",),
        files=(FileInfo("f_1", "a.png", "image/png", 3, 1, None),),
        reply_to=2,
        edited_at=5,
        is_deleted=True,
        cid="c",
        **more,  # type: ignore[arg-type]
    )
    return Event("r_1", 7, 4, body)


def test_messages_fit() -> None:
    shown = objects.message(event(), DEV, ALICE, ())
    fitted = models.Message.model_validate(shown)
    assert (fitted.cid, fitted.reply_to, fitted.deleted, fitted.hidden) == ("c", 2, True, None)
    assert set(shown) <= {
        field.alias or name for name, field in models.Message.model_fields.items()
    }


def test_messages_of_the_ignored_are_hidden() -> None:
    bob = User(
        id="u_2",
        name="Bob",
        name_key="bob",
        name_skeleton="bob",
        kind=UserKind.HUMAN,
        created_at=1,
        last_seen_at=1,
    )
    shown = objects.message(event(), DEV, bob, {"u_1"})
    models.Message.model_validate(shown)
    assert (shown["text"], shown["files"], shown["hidden"]) == ("", [], True)
    assert "cid" not in shown
