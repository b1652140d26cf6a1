"""Rows for the tests of the domain: users, rooms and memberships with what matters filled in."""

from __future__ import annotations

from typing import Any

from wynd_chat.domain.models import Membership, Room, RoomKind, RoomRole, User, UserKind


def a_user(name: str = "Alice", kind: UserKind = UserKind.HUMAN, **more: Any) -> User:
    """Return a user; the id is made of the name."""
    key = name.lower()
    values: dict[str, Any] = {
        "id": f"u_{key}",
        "name": name,
        "name_key": key,
        "name_skeleton": key,
        "kind": kind,
        "created_at": 0,
        "last_seen_at": 0,
    }
    return User(**(values | more))


def a_room(name: str | None = "dev", kind: RoomKind = RoomKind.PUBLIC, **more: Any) -> Room:
    """Return a room; the id is made of the name."""
    values: dict[str, Any] = {
        "id": f"r_{name}",
        "kind": kind,
        "name": name,
        "name_key": name,
        "created_by": None,
        "created_at": 0,
    }
    return Room(**(values | more))


def a_member(user: User, room: Room, role: RoomRole = RoomRole.MEMBER, **more: Any) -> Membership:
    """Return a membership from the room's first event on."""
    values: dict[str, Any] = {
        "room_id": room.id,
        "user_id": user.id,
        "role": role,
        "joined_seq": 0,
    }
    return Membership(**(values | more))
