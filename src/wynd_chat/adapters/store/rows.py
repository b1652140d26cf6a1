"""Between rows and values: what a column of text or integers means to the domain, and back.

Decides how flags, enumerations, JSON and events' bodies are written. Knows no statements.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from wynd_chat.adapters.store import schema
from wynd_chat.domain.events import (
    Author,
    Event,
    FileInfo,
    Joined,
    LeaveHow,
    Left,
    Message,
    MessageKind,
    RoleChanged,
    TopicChanged,
)
from wynd_chat.domain.models import (
    Ban,
    History,
    IdempotentAnswer,
    Invite,
    InviteKind,
    LinkCode,
    Membership,
    Notify,
    Room,
    RoomKind,
    RoomRole,
    ServerRole,
    Session,
    SessionKind,
    Upload,
    UploadState,
    UploadToken,
    User,
    UserKind,
    UserStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Table

    from wynd_chat.domain.events import EventBody
    from wynd_chat.ports.store import NewMessage

__all__ = [
    "ANSWERS",
    "BANS",
    "EVENT_OF_MESSAGE",
    "FILE_COLUMNS",
    "INVITES",
    "LINK_CODES",
    "MEMBERSHIPS",
    "MESSAGE_COLUMNS",
    "ROOMS",
    "SESSIONS",
    "UPLOADS",
    "UPLOAD_TOKENS",
    "USERS",
    "Mapper",
    "body_row",
    "check_text",
    "event_from",
    "file_from",
    "message_event",
    "message_from",
    "message_row",
    "scrubbed",
]

T = TypeVar("T")

EVENT_OF_MESSAGE = "message"


class Mapper(Generic[T]):
    """Turns values of one class into rows of one table, whose columns have the fields' names.

    Args:
        model: The class.
        table: The table.
        readers: For columns that are no plain text or integer: what makes the field's value of
            what is stored; None stays None.
    """

    def __init__(self, model: type[T], table: Table, **readers: Callable[[Any], Any]) -> None:
        self.table = table
        self.names = [field.name for field in fields(model)]  # type: ignore[arg-type]
        self.columns: list[ColumnElement[Any]] = [table.c[name] for name in self.names]
        self._model = model
        self._readers = [(self.names.index(name), reader) for name, reader in readers.items()]

    def to_row(self, value: T) -> dict[str, Any]:
        """Return a value as a row.

        Raises:
            ValueError: A text that no database keeps.
        """
        return {name: stored(getattr(value, name)) for name in self.names}

    def from_row(self, row: Sequence[Any], start: int = 0) -> T:
        """Return the value of a row's columns from `start` on, in the order of `columns`."""
        values = list(row[start : start + len(self.names)])
        for index, reader in self._readers:
            if values[index] is not None:
                values[index] = reader(values[index])
        return self._model(**dict(zip(self.names, values, strict=True)))


def stored(value: Any) -> Any:
    """Return what stands in the database for the value of a field."""
    if isinstance(value, str):
        check_text(value)
        return str(value)
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, int):
        return value
    return json.dumps(dict(value))


def check_text(text: str) -> None:
    """Refuse what no database keeps: U+0000 and lone surrogates.

    Raises:
        ValueError: (its subclass UnicodeEncodeError for surrogates).
    """
    if "\0" in text:
        raise ValueError("texts cannot hold U+0000")
    if not text.isascii():
        text.encode()


USERS = Mapper(
    User, schema.users, kind=UserKind, role=ServerRole, status=UserStatus, prefs=json.loads
)
ROOMS = Mapper(Room, schema.rooms, kind=RoomKind, history=History, locked=bool, archive_public=bool)
MEMBERSHIPS = Mapper(Membership, schema.memberships, role=RoomRole, notify=Notify)
SESSIONS = Mapper(Session, schema.sessions, kind=SessionKind)
INVITES = Mapper(Invite, schema.invites, kind=InviteKind)
LINK_CODES = Mapper(LinkCode, schema.link_codes)
UPLOAD_TOKENS = Mapper(UploadToken, schema.upload_tokens)
BANS = Mapper(Ban, schema.bans)
UPLOADS = Mapper(Upload, schema.uploads, state=UploadState)
ANSWERS = Mapper(IdempotentAnswer, schema.idempotency)

_M = schema.messages.c
MESSAGE_COLUMNS: list[ColumnElement[Any]] = [
    _M.id,
    _M.room_id,
    _M.seq,
    _M.at,
    _M.author_id,
    _M.author_name,
    _M.author_kind,
    _M.kind,
    _M.text,
    _M.mentions,
    _M.reply_to,
    _M.edited_at,
    _M.deleted_at,
    _M.cid,
]
_U = schema.uploads.c
FILE_COLUMNS: list[ColumnElement[Any]] = [_U.id, _U.name, _U.mime, _U.size, _U.w, _U.h]


def message_row(message: NewMessage, seq: int, search_text: str) -> dict[str, Any]:
    """Return a new message as a row of `messages`."""
    return {
        "id": message.id,
        "room_id": message.room_id,
        "seq": seq,
        "author_id": message.author.id,
        "author_name": message.author.name,
        "author_kind": message.author.kind.value,
        "cid": message.cid,
        "kind": message.kind.value,
        "text": message.text,
        "search_text": search_text,
        "reply_to": message.reply_to,
        "mentions": json.dumps(message.mentions) if message.mentions else None,
        "at": message.at,
    }


def message_event(message: NewMessage, seq: int, files: tuple[FileInfo, ...]) -> Event:
    """Return the event of a message that was just stored."""
    body = Message(
        id=message.id,
        author=message.author,
        kind=message.kind,
        text=message.text,
        mentions=message.mentions,
        files=files,
        reply_to=message.reply_to,
        cid=message.cid,
    )
    return Event(message.room_id, seq, message.at, body)


def message_from(row: Sequence[Any], files: Mapping[str, list[FileInfo]], start: int = 0) -> Event:
    """Return the event of a row of `MESSAGE_COLUMNS`, with its files by message id."""
    (
        message_id,
        room_id,
        seq,
        at,
        author_id,
        author_name,
        author_kind,
        kind,
        text,
        mentions,
        reply_to,
        edited_at,
        deleted_at,
        cid,
    ) = row[start:]
    body = Message(
        id=message_id,
        author=Author(author_id, author_name, UserKind(author_kind)),
        kind=MessageKind(kind),
        text=text,
        mentions=() if mentions is None else tuple(json.loads(mentions)),
        files=tuple(files.get(message_id, ())),
        reply_to=reply_to,
        edited_at=edited_at,
        is_deleted=deleted_at is not None,
        cid=cid,
    )
    return Event(room_id, seq, at, body)


def file_from(row: Sequence[Any]) -> FileInfo:
    """Return a row of `FILE_COLUMNS`."""
    return FileInfo(*row)


def body_row(body: EventBody) -> dict[str, Any]:
    """Return the columns kind, author_id and body of an event that is no message.

    Raises:
        ValueError: A message, or a text that no database keeps.
    """
    content: dict[str, Any]
    match body:
        case TopicChanged(by, topic):
            kind, actor, content = "topic", by, {"by": author_json(by), "topic": topic}
        case Joined(user):
            kind, actor, content = "joined", user, {"user": author_json(user)}
        case Left(user, how, by_or_none, reason):
            kind, actor = "left", by_or_none or user
            content = {
                "user": author_json(user),
                "how": how.value,
                "by": None if by_or_none is None else author_json(by_or_none),
                "reason": reason,
            }
        case RoleChanged(user, role, by, silenced_until, reason):
            kind, actor = "role", by
            content = {
                "user": author_json(user),
                "role": role.value,
                "by": author_json(by),
                "silenced_until": silenced_until,
            }
            if reason:
                content["reason"] = reason
        case _:
            raise ValueError("messages are posted, not appended")
    text = json.dumps(content, ensure_ascii=False)
    check_text(text)
    return {"kind": kind, "author_id": actor.id, "body": text}


def event_from(room_id: str, seq: int, kind: str, body: str, at: int) -> Event:
    """Return an event that is no message."""
    content = json.loads(body)
    value: EventBody
    if kind == "topic":
        value = TopicChanged(author_from(content["by"]), content["topic"])
    elif kind == "joined":
        value = Joined(author_from(content["user"]))
    elif kind == "left":
        by = content["by"]
        value = Left(
            author_from(content["user"]),
            LeaveHow(content["how"]),
            None if by is None else author_from(by),
            content["reason"],
        )
    elif kind == "role":
        value = RoleChanged(
            author_from(content["user"]),
            RoomRole(content["role"]),
            author_from(content["by"]),
            content["silenced_until"],
            content.get("reason", ""),
        )
    else:
        raise ValueError(f"an event of kind {kind!r} is not known")
    return Event(room_id, seq, at, value)


def scrubbed(body: str, user_id: str, name: str) -> str:
    """Return an event's body in which a user has no id any more, and this name."""
    content = json.loads(body)
    for who in ("user", "by"):
        author = content.get(who)
        if author is not None and author["id"] == user_id:
            author.update(id=None, name=name)
    return json.dumps(content, ensure_ascii=False)


def author_json(author: Author) -> dict[str, Any]:
    """Return an author as it stands in an event's body."""
    return {"id": author.id, "name": author.name, "kind": author.kind.value}


def author_from(content: Mapping[str, Any]) -> Author:
    """Return an author of an event's body."""
    return Author(content["id"], content["name"], UserKind(content["kind"]))
