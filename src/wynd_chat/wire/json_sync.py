"""The reply to `sync`: everything a client missed, complete for each room or refused (`gap`).

Decides which rooms' events fit into one reply. Which events a client missed, and whether they can
be had whole, the services say; this file never sends a part of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.events import Author, Event, Message
from wynd_chat.wire.json_face import RequestId, author_object, encode_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wynd_chat.domain.models import RoomKind

__all__ = ["SYNC_BYTES_MAX", "SyncRefused", "SyncReply", "SyncRoom", "encode_sync"]

SYNC_BYTES_MAX = 512 * 1024  # chat.v1 §5.5, rule 6: half of what may wait for a connection
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRoom:
    """A room the caller is in."""

    room_shown: str
    kind: RoomKind
    head: int
    """The seq after which live delivery starts."""
    read: int
    events: Sequence[Event] | None
    """Everything the caller missed, ascending; None: not to be had whole (`gap`)."""
    peer: Author | None = None
    """The other side of a direct conversation."""


@dataclass(frozen=True, slots=True)
class SyncRefused:
    """A room that was asked for and is not the caller's."""

    room: str
    """As the caller called it."""
    code: ErrorCode = ErrorCode.NOT_MEMBER


class SyncReply(NamedTuple):
    """An encoded reply to `sync`."""

    frame: str
    gap_count: int
    """Rooms with `gap`."""


def encode_sync(
    request_id: RequestId,
    epoch: str,
    rooms: Iterable[SyncRoom | SyncRefused],
    *,
    viewer_id: str,
    bytes_max: int = SYNC_BYTES_MAX,
) -> SyncReply:
    """Return the reply to `sync`, at most `bytes_max` bytes where its rooms without events fit.

    Rooms are filled in their order; one whose events do not fit any more has `gap` instead, never
    a part of them.
    """
    entries = [_sync_entry(room) for room in rooms]
    plain = {"re": request_id, "ok": True, "epoch": epoch, "rooms": [e.value for e in entries]}
    left = bytes_max - len(_compact(plain).encode())
    gaps = 0
    encoded: list[str] = []
    for entry in entries:
        text = _compact(entry.value)
        if entry.events is None:
            gaps += "gap" in entry.value
        elif (events := _encode_events(entry, viewer_id, left - 1)) is None:
            gaps += 1
        else:
            del entry.value["gap"]
            full = f'{_compact(entry.value)[:-1]},"events":[{events}]}}'
            left -= len(full.encode()) - len(text.encode())
            text = full
        encoded.append(text)
    head = _compact({"re": request_id, "ok": True, "epoch": epoch})
    return SyncReply(f'{head[:-1]},"rooms":[{",".join(encoded)}]}}', gaps)


class _Entry(NamedTuple):
    value: dict[str, Any]
    """With `gap`, until the events turn out to fit."""
    room_shown: str
    events: Sequence[Event] | None


def _sync_entry(room: SyncRoom | SyncRefused) -> _Entry:
    if isinstance(room, SyncRefused):
        return _Entry({"room": room.room, "error": room.code.value}, room.room, None)
    value: dict[str, Any] = {"room": room.room_shown, "kind": room.kind.value}
    if room.peer is not None:
        value["with"] = author_object(room.peer)
    value |= {"head": room.head, "read": room.read, "gap": True}
    return _Entry(value, room.room_shown, room.events)


def _encode_events(entry: _Entry, viewer_id: str, left: int) -> str | None:
    """Return a room's events joined by commas, or None where they take more than `left` bytes."""
    if left < 0:
        return None
    parts: list[str] = []
    for event in entry.events or ():
        body = event.body
        own = isinstance(body, Message) and body.author.id == viewer_id
        part = encode_event(event, entry.room_shown, with_cid=own)
        left -= len(part.encode()) + 1
        if left < 0:
            return None
        parts.append(part)
    return ",".join(parts)
