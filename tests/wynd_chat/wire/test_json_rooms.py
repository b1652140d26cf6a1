"""What a client is told of its user's rooms where no event says it."""

from __future__ import annotations

from wynd_chat.domain.events import Author
from wynd_chat.domain.models import Room, RoomKind, UserKind
from wynd_chat.wire.json_rooms import encode_entered, encode_exited

DEV = Room(
    id="r_1",
    kind=RoomKind.PRIVATE,
    name="dev",
    name_key="dev",
    last_seq=42,
    created_by=None,
    created_at=0,
)
DIRECT = Room(id="r_2", kind=RoomKind.DM, name=None, name_key=None, created_by=None, created_at=0)


def test_entering_says_where_events_begin() -> None:
    assert encode_entered(DEV, 43, None) == (
        '{"type":"entered","room":"dev","kind":"private","head":43}'
    )


def test_entering_a_direct_conversation_says_with_whom() -> None:
    assert encode_entered(DIRECT, 0, Author("u_B", "Bob", UserKind.GUEST)) == (
        '{"type":"entered","room":"r_2","kind":"dm","head":0,'
        '"with":{"id":"u_B","name":"Bob","kind":"guest"}}'
    )


def test_a_room_is_exited_by_its_shown_name() -> None:
    assert encode_exited(DEV) == '{"type":"exited","room":"dev"}'
    assert encode_exited(DIRECT) == '{"type":"exited","room":"r_2"}'
