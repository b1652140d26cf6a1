"""What happens in a room and is kept: one numbered sequence per room (`chat.v1` durable events).

An event without a number is a draft: the store numbers it in the transaction that keeps it.
Presence takes no number and is not here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from wynd_chat.domain.models import RoomRole, UserKind

__all__ = [
    "Author",
    "Event",
    "EventBody",
    "FileInfo",
    "Joined",
    "LeaveHow",
    "Left",
    "Message",
    "MessageKind",
    "RoleChanged",
    "TopicChanged",
    "hidden",
    "without_ignored",
]


class MessageKind(StrEnum):
    """What kind of message it is."""

    TEXT = "text"
    ME = "me"
    FILE = "file"
    SYSTEM = "system"


class LeaveHow(StrEnum):
    """How a member left."""

    LEAVE = "leave"
    KICK = "kick"
    BAN = "ban"


@dataclass(frozen=True, slots=True)
class Author:
    """A user as events show one: the name is the one at the time of reading, or the last known."""

    id: str | None
    name: str
    kind: UserKind


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file of a message."""

    id: str
    name: str
    mime: str
    size: int
    w: int | None
    h: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Somebody said something. A deleted message keeps its row; its text and files are gone."""

    id: str
    author: Author
    kind: MessageKind
    text: str
    mentions: tuple[str, ...] = ()
    files: tuple[FileInfo, ...] = ()
    reply_to: int | None = None
    edited_at: int | None = None
    is_deleted: bool = False
    cid: str | None = None
    is_hidden: bool = False
    """As somebody reads it who ignores the author: its text and files are left out."""


@dataclass(frozen=True, slots=True)
class TopicChanged:
    """The topic was set, or cleared ("")."""

    by: Author
    topic: str


@dataclass(frozen=True, slots=True)
class Joined:
    """An account became a member; a guest's coming is presence."""

    user: Author


@dataclass(frozen=True, slots=True)
class Left:
    """An account is no member any more."""

    user: Author
    how: LeaveHow
    by: Author | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """A member's role changed, or a member was silenced (`silenced_until`, 0: no longer)."""

    user: Author
    role: RoomRole
    by: Author
    silenced_until: int | None = None
    reason: str = ""
    """Why somebody was silenced."""


def hidden(message: Message) -> Message:
    """Return a message as somebody reads it who ignores its author."""
    return replace(message, text="", mentions=(), files=(), is_hidden=True)


EventBody = Message | TopicChanged | Joined | Left | RoleChanged


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a room's sequence: contiguous from 1, numbered in the transaction it is in."""

    room_id: str
    seq: int
    at: int
    body: EventBody


def without_ignored(event: Event, ignored: Collection[str]) -> Event:
    """Return an event as somebody reads it who ignores these users: their messages hidden."""
    body = event.body
    if isinstance(body, Message) and body.author.id in ignored:
        return replace(event, body=hidden(body))
    return event
