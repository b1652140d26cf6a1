"""The requests of `chat.v1.json`: one table of types and fields, read by decoder and schemas alike.

Decides the shape of every field: type, size, choices, defaults. What a value means (a name's rules,
a text's length, which is a setting, whether a room exists) is the services' to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from wynd_chat.domain.commands import is_command
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.events import MessageKind
from wynd_chat.wire.strict_json import INTEGER_MAX

__all__ = [
    "FILES_MAX",
    "ID_BYTES_MAX",
    "ID_SCHEMA",
    "REQUESTS",
    "SYNC_LIMIT",
    "SYNC_LIMIT_MAX",
    "Auth",
    "Command",
    "Commands",
    "Field",
    "Name",
    "Read",
    "Request",
    "RequestId",
    "RequestType",
    "Send",
    "Sync",
    "Unfit",
    "encode_request",
]

ID_BYTES_MAX = 64  # chat.v1 §5.2: request ids and cids; any UUID or ULID fits
FILES_MAX = 10  # chat.v1 §5.2; more are several messages
SYNC_LIMIT = 200  # events per room where the client names no number
SYNC_LIMIT_MAX = 500
_ROOM_BYTES_MAX = 256  # a name of 32 characters, four bytes each and decomposed, with its sign
_TOKEN_BYTES_MAX = 1024  # ours have 43; the rest is room for a token somebody else issued
_EPOCH_BYTES_MAX = 64  # ours have fewer; a foreign one is answered, not refused

RequestId = str | int | None
Json = Mapping[str, Any]
ID_SCHEMA: Json = {
    "type": ["string", "integer", "null"],
    "maxLength": ID_BYTES_MAX,
    "minimum": -INTEGER_MAX,
    "maximum": INTEGER_MAX,
    "description": f"Chosen by the client, at most {ID_BYTES_MAX} bytes; the reply has it as `re`.",
}


@dataclass(frozen=True, slots=True)
class Auth:
    """Say who one is, by a token."""

    id: RequestId
    token: str


@dataclass(frozen=True, slots=True)
class Name:
    """Take a name as a guest, or rename an account."""

    id: RequestId
    name: str


@dataclass(frozen=True, slots=True)
class Sync:
    """Subscribe, and have what was missed since the last seq of each room."""

    id: RequestId
    epoch: str
    rooms: Mapping[str, int]
    """Rooms as the client calls them, with the last seq it has; 0 for none."""
    limit: int = SYNC_LIMIT


@dataclass(frozen=True, slots=True)
class Send:
    """Post a message; the text is literal. It has visible characters or files, or both."""

    id: RequestId
    room: str
    cid: str | None = None
    text: str = ""
    kind: MessageKind = MessageKind.TEXT
    """TEXT or ME."""
    files: tuple[str, ...] = ()
    reply_to: int | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """Raise the read marker of a room."""

    id: RequestId
    room: str
    seq: int


@dataclass(frozen=True, slots=True)
class Command:
    """Run a command line, such as "/topic hi", in a room."""

    id: RequestId
    room: str
    text: str


@dataclass(frozen=True, slots=True)
class Commands:
    """Ask for the commands there are."""

    id: RequestId


Request = Auth | Name | Sync | Send | Read | Command | Commands


class Unfit(ValueError):
    """A value that does not fit its field.

    Attributes:
        sentence: What the field takes, to be read after its name: "must be a string".
        code: `bad_request`, or `unsupported` for a choice that does not exist.
    """

    def __init__(self, sentence: str, code: ErrorCode = ErrorCode.BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


class Field(NamedTuple):
    """A field of a request: how it is read and how it is described, side by side."""

    name: str
    read: Callable[[object], object]
    """Returns the value of the dataclass; raises `Unfit`."""
    schema: Json
    is_required: bool = True
    """Where false, a field that is missing or null has the dataclass's default."""


@dataclass(frozen=True, slots=True)
class RequestType:
    """A type of request."""

    build: Callable[..., Request]
    summary: str
    fields: tuple[Field, ...] = ()
    errors: tuple[ErrorCode, ...] = ()
    """What it may be refused with, besides `bad_request`, `rate_limited` and `internal`."""
    together: Json = field(default_factory=dict)
    """A schema over the whole request, where fields depend on each other."""


# Readers of fields


def _string(name: str, about: str, *, least: int = 1, most: int | None = None) -> Field:
    def read(value: object) -> str:
        if type(value) is not str:
            raise Unfit("must be a string")
        if len(value) < least:
            raise Unfit("must not be empty")
        if most is not None and len(value) * 4 > most and len(value.encode()) > most:
            raise Unfit(f"has at most {most} bytes")
        return value

    schema: dict[str, Any] = {"type": "string", "description": about}
    if least:
        schema["minLength"] = least
    if most is not None:
        schema["maxLength"] = most
        schema["description"] = f"{about} At most {most} bytes of UTF-8."
    return Field(name, read, schema)


def _integer(name: str, about: str, least: int, most: int = INTEGER_MAX) -> Field:
    def read(value: object) -> int:
        if type(value) is not int:  # True is an int to isinstance
            raise Unfit("must be an integer")
        if not least <= value <= most:
            raise Unfit(f"must be from {least} to {most}")
        return value

    schema = {"type": "integer", "minimum": least, "maximum": most, "description": about}
    return Field(name, read, schema)


def _optional(of: Field) -> Field:
    schema = dict(of.schema)
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    schema["type"] = [schema["type"], "null"]
    return of._replace(schema=schema, is_required=False)


def _read_kind(value: object) -> MessageKind:
    if type(value) is not str:
        raise Unfit("must be a string")
    if value == "text":
        return MessageKind.TEXT
    if value == "me":
        return MessageKind.ME
    raise Unfit("must be text or me", ErrorCode.UNSUPPORTED)


def _read_files(value: object) -> tuple[str, ...]:
    if type(value) is not list:
        raise Unfit("must be a list of ids")
    if len(value) > FILES_MAX:
        raise Unfit(f"has at most {FILES_MAX} ids")
    ids = tuple(_FILE_ID.read(item) for item in value)
    if len(set(ids)) < len(ids):
        raise Unfit("has an id twice")
    return tuple(str(item) for item in ids)


def _read_positions(value: object) -> dict[str, int]:
    if type(value) is not dict:
        raise Unfit("must be an object of rooms and the last seq of each")
    positions: dict[str, int] = {}
    for room, seq in value.items():
        _ROOM.read(room)
        if type(seq) is not int or seq < 0:
            raise Unfit("must have an integer from 0 for each room")
        positions[room] = seq
    return positions


def _read_command(value: object) -> str:
    if type(value) is not str:
        raise Unfit("must be a string")
    line = value.strip()
    if not is_command(line):
        raise Unfit("must be a command, such as /topic hi")
    return line


_ROOM = _string(
    "room",
    "A room's name, the id of a direct conversation, or \"@\" and a user's name.",
    most=_ROOM_BYTES_MAX,
)
_FILE_ID = _string("files", "The id of an upload.", most=ID_BYTES_MAX)
_SEQ = _integer("seq", "The seq up to which everything is read.", 0)
_SEND_FIELDS = (
    _ROOM,
    _optional(
        _string(
            "cid", "The author's own id for it; a repeat is no second message.", most=ID_BYTES_MAX
        )
    ),
    _optional(_string("text", "The text, literally; its length is `hello.limits.text`.", least=0)),
    _optional(
        Field(
            "kind",
            _read_kind,
            {
                "type": "string",
                "enum": ["text", "me"],
                "description": "`me` is an action; `text` is the default.",
            },
        )
    ),
    _optional(
        Field(
            "files",
            _read_files,
            {
                "type": "array",
                "items": _FILE_ID.schema,
                "maxItems": FILES_MAX,
                "uniqueItems": True,
                "description": "Ids of the author's uploads that no message has yet.",
            },
        )
    ),
    _optional(_integer("reply_to", "The seq of the message it answers.", 1)),
)
_SYNC_FIELDS = (
    _string("epoch", "The epoch of what the client has.", least=0, most=_EPOCH_BYTES_MAX),
    Field(
        "rooms",
        _read_positions,
        {
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": _ROOM_BYTES_MAX},
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX},
            "description": "Each room with the last seq the client has.",
        },
    ),
    _optional(_integer("limit", f"Events per room; {SYNC_LIMIT} by default.", 1, SYNC_LIMIT_MAX)),
)
_NOT_BLANK = r"[^\s]"

REQUESTS: dict[str, RequestType] = {
    "auth": RequestType(
        Auth,
        "Log this connection in by a token",
        (_string("token", "From `name`, or of an account.", most=_TOKEN_BYTES_MAX),),
        (ErrorCode.UNAUTHORIZED,),
    ),
    "name": RequestType(
        Name,
        "Take a name as a guest, or rename the account",
        (_string("name", "The wanted name.", least=0),),
        (
            ErrorCode.BAD_NAME,
            ErrorCode.NAME_TAKEN,
            ErrorCode.NAME_REGISTERED,
            ErrorCode.UNAUTHORIZED,
        ),
    ),
    "sync": RequestType(Sync, "Subscribe and have what was missed", _SYNC_FIELDS),
    "send": RequestType(
        Send,
        "Post a message",
        _SEND_FIELDS,
        (
            ErrorCode.NOT_FOUND,
            ErrorCode.NOT_MEMBER,
            ErrorCode.SILENCED,
            ErrorCode.TOO_LARGE,
            ErrorCode.FORBIDDEN,
            ErrorCode.NOT_ONLINE,
            ErrorCode.UNSUPPORTED,
        ),
        {
            "anyOf": [
                {
                    "required": ["text"],
                    "properties": {"text": {"type": "string", "pattern": _NOT_BLANK}},
                },
                {"required": ["files"], "properties": {"files": {"type": "array", "minItems": 1}}},
            ]
        },
    ),
    "read": RequestType(Read, "Raise the read marker", (_ROOM, _SEQ), (ErrorCode.NOT_MEMBER,)),
    "command": RequestType(
        Command,
        "Run a command line in a room",
        (
            _ROOM,
            Field(
                "text",
                _read_command,
                {
                    "type": "string",
                    "pattern": r"^\s*/(?!/)",
                    "description": "A command line; see `commands`.",
                },
            ),
        ),
        tuple(code for code in ErrorCode if code is not ErrorCode.TEXT_ONLY),
    ),
    "commands": RequestType(Commands, "List the commands there are"),
}
_TYPES = {entry.build: name for name, entry in REQUESTS.items()}


def encode_request(request: Request) -> str:
    """Return the frame a client sends for a request; defaults and a missing id are left out."""
    value: dict[str, object] = {"type": _TYPES[type(request)]}
    for part in fields(request):
        content = getattr(request, part.name)
        if content != part.default and not (part.name == "id" and content is None):
            value[part.name] = dict(content) if isinstance(content, Mapping) else content
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
