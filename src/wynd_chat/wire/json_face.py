"""The JSON face `chat.v1.json`: frames to requests, and replies, events and notices to frames.

Decides what each frame looks like and which input is malformed. Who receives what, and when, is the
gateway's; what a request means, the services'. Each event is encoded once, not once per receiver.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import (
    Author,
    Event,
    FileInfo,
    Joined,
    Left,
    Message,
    RoleChanged,
    TopicChanged,
)
from wynd_chat.wire.requests import (
    ID_BYTES_MAX,
    REQUESTS,
    Auth,
    Command,
    Commands,
    Name,
    Read,
    Request,
    RequestId,
    Send,
    Sync,
    Unfit,
)
from wynd_chat.wire.strict_json import FRAME_BYTES_MAX, StrictJsonError, parse_object
from wynd_chat.wire.times import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wynd_chat.domain.commands import CommandSpec
    from wynd_chat.domain.models import User

__all__ = [
    "VERSION",
    "Auth",
    "Command",
    "Commands",
    "Hello",
    "HelloLimits",
    "Malformed",
    "Name",
    "Read",
    "Request",
    "RequestId",
    "Send",
    "Sync",
    "add_cid",
    "author_object",
    "command_object",
    "decode",
    "encode_error",
    "encode_event",
    "encode_hello",
    "encode_presence",
    "encode_reply",
    "encode_tick",
    "event_object",
    "user_object",
]

VERSION = 1
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class Malformed(ChatError):
    """A frame that is no request.

    Attributes:
        request_id: Its `id`, where that could be read.
        is_malformed: Whether it counts towards close 4500: no strict JSON, no object, no type, no
            possible id. A field that does not fit and an unknown type do not count.
    """

    def __init__(
        self, code: ErrorCode, sentence: str, *, request_id: RequestId, is_malformed: bool
    ) -> None:
        super().__init__(code, sentence)
        self.request_id = request_id
        self.is_malformed = is_malformed


def decode(frame: str) -> Request:
    """Return the request a text frame is. Unknown fields are ignored.

    Raises:
        Malformed: It is none; `bad_request`, or `unsupported` for an unknown type or choice.
    """
    try:
        value = parse_object(frame)
    except StrictJsonError as error:
        raise _malformed(error.sentence) from None
    request_id = _read_id(value.get("id"))
    name = value.get("type")
    if type(name) is not str:
        raise _malformed("type must be a string", request_id)
    kind = REQUESTS.get(name)
    if kind is None:
        known = ", ".join(sorted(REQUESTS))
        raise _unfit(ErrorCode.UNSUPPORTED, f"unknown type, known are {known}", request_id)
    found: dict[str, Any] = {}
    for field in kind.fields:
        content = value.get(field.name)
        if content is None:
            if field.is_required:
                raise _unfit(ErrorCode.BAD_REQUEST, f"{field.name} is missing", request_id)
            continue
        try:
            found[field.name] = field.read(content)
        except Unfit as error:
            raise _unfit(error.code, f"{field.name} {error.sentence}", request_id) from None
    if kind.build is Send and not found.get("files") and not found.get("text", "").strip():
        raise _unfit(ErrorCode.BAD_REQUEST, "text is empty and there are no files", request_id)
    return kind.build(id=request_id, **found)


def _read_id(value: object) -> RequestId:
    if value is None or type(value) is int:
        return value
    if type(value) is not str:
        raise _malformed("id must be a string or an integer")
    if len(value.encode()) > ID_BYTES_MAX:
        raise _malformed(f"id has at most {ID_BYTES_MAX} bytes")
    return value


def _malformed(sentence: str, request_id: RequestId = None) -> Malformed:
    return Malformed(ErrorCode.BAD_REQUEST, sentence, request_id=request_id, is_malformed=True)


def _unfit(code: ErrorCode, sentence: str, request_id: RequestId) -> Malformed:
    return Malformed(code, sentence, request_id=request_id, is_malformed=False)


# Objects


def author_object(author: Author) -> dict[str, Any]:
    """Return a user as events show one; `id` is None for a user who was deleted."""
    return {"id": author.id, "name": author.name, "kind": author.kind.value}


def user_object(user: User) -> dict[str, Any]:
    """Return the user of this connection."""
    return {"id": user.id, "name": user.name, "kind": user.kind.value, "role": user.role.value}


def command_object(spec: CommandSpec) -> dict[str, Any]:
    """Return a command as `commands` lists it."""
    return {
        "name": spec.name,
        "aliases": list(spec.aliases),
        "args": [
            {"name": part.name, "required": part.required, "rest": part.rest, "hint": part.hint}
            for part in spec.arguments
        ],
        "summary": spec.summary,
        "example": spec.example,
        "syntax": spec.syntax,
        "who": spec.who.value,
        "group": str(spec.group),
    }


def event_object(event: Event, room_shown: str, *, with_cid: bool) -> dict[str, Any]:
    """Return a durable event.

    Args:
        event: The event.
        room_shown: `Room.shown`: the name, or the id of a direct conversation.
        with_cid: Whether the receiver is the author; nobody else gets the cid.
    """
    body = event.body
    if isinstance(body, Message):
        return _message_object(event, body, room_shown, with_cid)
    value: dict[str, Any] = {"type": "", "room": room_shown, "seq": event.seq}
    value["at"] = time_text(event.at)
    if isinstance(body, TopicChanged):
        value |= {"type": "topic", "from": author_object(body.by), "topic": body.topic}
    elif isinstance(body, Joined):
        value |= {"type": "joined", "user": author_object(body.user)}
    elif isinstance(body, Left):
        value |= {"type": "left", "user": author_object(body.user), "how": body.how.value}
        value["by"] = None if body.by is None else author_object(body.by)
        value["reason"] = body.reason
    else:
        value |= {"type": "role", "user": author_object(body.user), "role": body.role.value}
        value["by"] = author_object(body.by)
        value |= _silence(body)
    return value


def _message_object(event: Event, body: Message, room_shown: str, with_cid: bool) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": "message",
        "room": room_shown,
        "seq": event.seq,
        "at": time_text(event.at),
        "from": author_object(body.author),
        "kind": body.kind.value,
        "text": body.text,
        "mentions": list(body.mentions),
        "files": [_file_object(file) for file in body.files],
    }
    if body.reply_to is not None:
        value["reply_to"] = body.reply_to
    if body.edited_at is not None:
        value["edited_at"] = time_text(body.edited_at)
    if body.is_deleted:
        value["deleted"] = True
    if body.is_hidden:
        value["hidden"] = True
    if with_cid and body.cid is not None:
        value["cid"] = body.cid
    return value


def _file_object(file: FileInfo) -> dict[str, Any]:
    value = {"id": file.id, "name": file.name, "mime": file.mime, "size": file.size}
    return value | {"w": file.w, "h": file.h}


def _silence(body: RoleChanged) -> dict[str, Any]:
    if body.silenced_until is None:
        return {}
    until = time_text(body.silenced_until) if body.silenced_until else None
    return {"silenced_until": until} | ({"reason": body.reason} if body.reason else {})


# Frames


@dataclass(frozen=True, slots=True)
class HelloLimits:
    """What a client must know of the limits."""

    text: int
    """Code points of a message."""
    burst: int
    """Messages at once."""
    per_second: float
    """Messages in the long run."""
    upload: int
    """Bytes of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What the server says first."""

    server_name: str
    server_version: str
    epoch: str
    conn: str
    """The id of this connection, for logs and support."""
    user: User | None
    """Whom the handshake's credential names."""
    are_guests_allowed: bool
    lobby: str
    """The name of the room that everybody is in."""
    ping_s: int
    """The longest silence of the server, in seconds."""
    features: Sequence[str]
    limits: HelloLimits


def encode_hello(hello: Hello) -> str:
    """Return the first frame of a connection."""
    limits = hello.limits
    return _encode(
        {
            "type": "hello",
            "v": VERSION,
            "server": {"name": hello.server_name, "version": hello.server_version},
            "epoch": hello.epoch,
            "conn": hello.conn,
            "user": None if hello.user is None else user_object(hello.user),
            "guests": hello.are_guests_allowed,
            "lobby": hello.lobby,
            "ping": hello.ping_s,
            "features": list(hello.features),
            "limits": {
                "text": limits.text,
                "frame": FRAME_BYTES_MAX,
                "burst": limits.burst,
                "per_second": limits.per_second,
                "upload": limits.upload,
            },
        }
    )


def encode_reply(request_id: RequestId, **fields: object) -> str:
    """Return the reply to a request that was carried out.

    Args:
        request_id: The request's id. Without one the server answers nothing.
        fields: What the reply has besides `re` and `ok`: JSON values, times by `time_text`.
    """
    return _encode({"re": request_id, "ok": True, **fields})


def encode_error(request_id: RequestId, error: ChatError) -> str:
    """Return the reply to a request that was refused."""
    value: dict[str, object] = {"code": error.code.value, "message": error.sentence}
    if error.retry_after is not None:
        value["retry_after"] = error.retry_after
    value["temporary"] = error.code.is_temporary
    return _encode({"re": request_id, "ok": False, "error": value})


def encode_event(event: Event, room_shown: str, *, with_cid: bool) -> str:
    """Return the frame of a durable event; see `event_object`."""
    return _encode(event_object(event, room_shown, with_cid=with_cid))


def add_cid(frame: str, cid: str) -> str:
    """Return a message's frame as its author gets it: with the `cid`, which comes last.

    Args:
        frame: What `encode_event` returned without it.
        cid: The message's.
    """
    return f'{frame[:-1]},"cid":{_encode(cid)}}}'


def encode_presence(user: Author, state: str, text: str | None = None) -> str:
    """Return the notice that a user came, went, went away, or has another name now.

    Args:
        user: The user, with the name of now.
        state: "online", "away" or "offline".
        text: With "away": why, "" for no reason.
    """
    value = {"type": "presence", "user": author_object(user), "state": state}
    return _encode(value if text is None else value | {"text": text})


def encode_tick(at: int, heads: Mapping[str, int], online: Mapping[str, int] | None = None) -> str:
    """Return the notice that keeps an idle connection alive.

    Args:
        at: Milliseconds UTC.
        heads: Newest seq by room shown.
        online: People here by room shown, for rooms too large for presence.
    """
    value: dict[str, object] = {"type": "tick", "at": time_text(at), "heads": dict(heads)}
    return _encode(value | {"online": dict(online)} if online else value)
