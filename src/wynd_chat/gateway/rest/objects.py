"""The API's objects from rows of the domain; messages come from `wire.json_face`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wynd_chat.domain.events import Message, hidden
from wynd_chat.services.messaging import author_of
from wynd_chat.wire.json_face import author_object, event_object, user_object
from wynd_chat.wire.times import time_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Membership, Room, User
    from wynd_chat.services.rooms import RoomInfo

__all__ = ["member_info", "message", "my_room", "room_details", "room_summary", "user_info"]


def user_info(user: User, *, is_online: bool) -> dict[str, Any]:
    """Return `UserInfo`."""
    return {**user_object(user), "online": is_online, "away": user.away}


def room_summary(info: RoomInfo) -> dict[str, Any]:
    """Return `RoomSummary`."""
    room = info.room
    return {
        "id": room.id,
        "room": room.shown,
        "kind": room.kind.value,
        "topic": room.topic,
        "here": info.here,
        "member": info.membership is not None,
        "unread": info.unread,
        "mentions": info.mentions,
    }


def my_room(info: RoomInfo) -> dict[str, Any]:
    """Return `MyRoom`, of a room that the caller is in."""
    membership = info.membership
    assert membership is not None
    value = room_summary(info) | {
        "head": info.room.last_seq,
        "read": membership.read_seq,
        "role": membership.role.value,
        "notify": membership.notify.value,
    }
    return value if info.peer is None else value | {"with": author_object(author_of(info.peer))}


def room_details(
    room: Room, membership: Membership | None, here: int, peer: User | None
) -> dict[str, Any]:
    """Return `RoomDetails`."""
    value = {
        "id": room.id,
        "room": room.shown,
        "kind": room.kind.value,
        "topic": room.topic,
        "head": room.last_seq,
        "here": here,
        "key": room.key_hash is not None,
        "locked": room.locked,
        "slow_s": room.slow_s,
        "created_at": time_text(room.created_at),
        "archived_at": None if room.archived_at is None else time_text(room.archived_at),
        "member": membership is not None,
        "role": None if membership is None else membership.role.value,
    }
    return value if peer is None else value | {"with": author_object(author_of(peer))}


def member_info(user: User, membership: Membership, *, is_online: bool, now: int) -> dict[str, Any]:
    """Return `MemberInfo`."""
    until = membership.silenced_until
    return {
        "user": author_object(author_of(user)),
        "role": membership.role.value,
        "online": is_online,
        "away": user.away,
        "silenced_until": None if until is None or until <= now else time_text(until),
    }


def message(event: Event, room: Room, reader: User, ignored: Collection[str]) -> dict[str, Any]:
    """Return `Message`, as `reader` may see it."""
    body = event.body
    is_own = False
    if isinstance(body, Message):
        is_own = body.author.id == reader.id
        if body.author.id in ignored:
            event = replace(event, body=hidden(body))
    return event_object(event, room.shown, with_cid=is_own)
