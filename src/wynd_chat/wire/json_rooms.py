"""Frames that tell a client about its user's rooms where no durable event does.

A guest's joining takes no number, and a direct conversation has no joining at all; both reach the
user's own connections as these ephemeral frames (feature "memberships" of `hello`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wynd_chat.wire.json_face import author_object

if TYPE_CHECKING:
    from wynd_chat.domain.events import Author
    from wynd_chat.domain.models import Room

__all__ = ["encode_entered", "encode_exited"]

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode_entered(room: Room, head: int, peer: Author | None) -> str:
    """Return the notice that the user is in a room from now on; events come above `head`.

    Args:
        room: The room.
        head: Up to which number it was shown before the user's connections were.
        peer: The other side of a direct conversation.
    """
    value: dict[str, Any] = {
        "type": "entered",
        "room": room.shown,
        "kind": room.kind.value,
        "head": head,
    }
    if peer is not None:
        value["with"] = author_object(peer)
    return _compact(value)


def encode_exited(room: Room) -> str:
    """Return the notice that the user is no longer in a room."""
    return _compact({"type": "exited", "room": room.shown})
