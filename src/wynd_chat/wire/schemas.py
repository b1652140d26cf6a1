"""The JSON face described: a JSON Schema (2020-12) of every message, and the AsyncAPI document.

Requests are described by the table that decodes them (`requests.REQUESTS`). What the server sends
is described here, and tests hold every encoder to it. Schemas leave room for further fields, since
clients must ignore what they do not know; sizes in bytes are in words, a schema counts characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wynd_chat.domain.commands import Group, Who
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.events import LeaveHow, MessageKind
from wynd_chat.domain.models import RoomKind, RoomRole, ServerRole, UserKind
from wynd_chat.wire.json_face import VERSION
from wynd_chat.wire.requests import ID_SCHEMA, REQUESTS, SYNC_LIMIT_MAX
from wynd_chat.wire.strict_json import FRAME_BYTES_MAX, INTEGER_MAX

if TYPE_CHECKING:
    from enum import StrEnum

__all__ = ["EVENT_TYPES", "NOTICE_TYPES", "SCHEMAS", "asyncapi_document", "schema_of"]

Json = dict[str, Any]

EVENT_TYPES = ("message", "topic", "joined", "left", "role")
"""Durable events: they have a seq."""
NOTICE_TYPES = ("presence", "tick", "entered", "exited")
"""Ephemeral events: they have none and may be dropped."""

_TEXT: Json = {"type": "string"}
_NULL: Json = {"type": "null"}
_SEQ: Json = {"type": "integer", "minimum": 1, "maximum": INTEGER_MAX}
_HEAD: Json = _SEQ | {"minimum": 0}
_COUNT: Json = {"type": "integer", "minimum": 0}
_ROOM: Json = {
    "type": "string",
    "description": "A room's name, or the id of a direct conversation.",
}
_TIME: Json = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    "description": "RFC 3339, UTC, milliseconds.",
}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _map(of: Json) -> Json:
    return {"type": "object", "additionalProperties": of}


def _one_of(values: type[StrEnum]) -> Json:
    return {"type": "string", "enum": [value.value for value in values]}


def _maybe(schema: Json) -> Json:
    return {"anyOf": [schema, _NULL]}


def _object(optional: Json | None = None, /, **required: Json) -> Json:
    """Return the schema of an object with these fields, `from_` and `with_` without underscore."""
    named = {name.rstrip("_"): schema for name, schema in required.items()}
    return {
        "type": "object",
        "properties": named | (optional or {}),
        "required": list(named),
    }


def _typed(kind: str, optional: Json | None = None, /, **required: Json) -> Json:
    return _object(optional, type={"const": kind}, **required)


def _event(kind: str, optional: Json | None = None, /, **required: Json) -> Json:
    return _typed(kind, optional, room=_ROOM, seq=_SEQ, at=_TIME, **required)


def _reply(optional: Json | None = None, /, **required: Json) -> Json:
    return _object(optional, re=_ID, ok={"const": True}, **required)


def _request(name: str) -> Json:
    entry = REQUESTS[name]
    schema = _typed(name)
    for field in entry.fields:
        schema["properties"][field.name] = dict(field.schema)
        if field.is_required:
            schema["required"].append(field.name)
    schema["properties"]["id"] = dict(ID_SCHEMA)
    return schema | {"description": entry.summary} | dict(entry.together)


_ID: Json = {"type": ["string", "integer", "null"], "description": "The `id` of the request."}
_AUTHOR = _ref("Author")
_USER = _ref("User")

_OBJECTS: dict[str, Json] = {
    "Author": _object(id=_maybe(_TEXT), name=_TEXT, kind=_one_of(UserKind))
    | {"description": "A user as events show one; no id once the user was deleted."},
    "User": _object(id=_TEXT, name=_TEXT, kind=_one_of(UserKind), role=_one_of(ServerRole)),
    "File": _object(id=_TEXT, name=_TEXT, mime=_TEXT, size=_COUNT, w=_maybe(_SEQ), h=_maybe(_SEQ)),
    "Command": _object(
        name=_TEXT,
        aliases=_list(_TEXT),
        args=_list(
            _object(name=_TEXT, required={"type": "boolean"}, rest={"type": "boolean"}, hint=_TEXT)
        ),
        summary=_TEXT,
        example=_TEXT,
        syntax=_TEXT,
        who=_one_of(Who),
        group=_one_of(Group),
    ),
    "SyncRoom": _object(
        {
            "with": _AUTHOR | {"description": "The other side of a direct conversation."},
            "events": _list(_ref("Event")) | {"maxItems": SYNC_LIMIT_MAX},
            "gap": {"const": True, "description": "The events cannot be had whole; load a page."},
        },
        room=_ROOM,
        kind=_one_of(RoomKind),
        head=_HEAD,
        read=_HEAD,
    )
    | {"oneOf": [{"required": ["events"]}, {"required": ["gap"]}]},
    "SyncRefused": _object(room=_TEXT, error=_one_of(ErrorCode)),
}

_SENT: dict[str, Json] = {
    "hello": _typed(
        "hello",
        v={"const": VERSION},
        server=_object(name=_TEXT, version=_TEXT),
        epoch=_TEXT,
        conn=_TEXT,
        user=_maybe(_USER),
        guests={"type": "boolean"},
        lobby=_TEXT,
        ping={"type": "integer", "minimum": 1, "description": "Seconds."},
        features=_list(_TEXT),
        limits=_object(
            text=_COUNT,
            frame={"const": FRAME_BYTES_MAX},
            burst=_COUNT,
            per_second={"type": "number", "exclusiveMinimum": 0},
            upload=_COUNT,
        ),
    ),
    "error": _object(
        re=_ID,
        ok={"const": False},
        error=_object(
            {"retry_after": {"type": "number", "minimum": 0, "description": "Seconds."}},
            code=_one_of(ErrorCode),
            message=_TEXT,
            temporary={"type": "boolean"},
        ),
    ),
    "message": _event(
        "message",
        {
            "reply_to": _SEQ,
            "edited_at": _TIME,
            "deleted": {"const": True},
            "hidden": {"const": True, "description": "The receiver ignores its author."},
            "cid": _TEXT | {"description": "Only to the author's connections."},
        },
        from_=_AUTHOR,
        kind=_one_of(MessageKind),
        text=_TEXT,
        mentions=_list(_TEXT) | {"description": "Ids of users."},
        files=_list(_ref("File")),
    ),
    "topic": _event("topic", from_=_AUTHOR, topic=_TEXT),
    "joined": _event("joined", user=_AUTHOR),
    "left": _event("left", user=_AUTHOR, how=_one_of(LeaveHow), by=_maybe(_AUTHOR), reason=_TEXT),
    "role": _event(
        "role",
        {
            "silenced_until": _maybe(_TIME) | {"description": "A timeout; null ends one."},
            "reason": _TEXT | {"description": "Of a timeout, where one was given."},
        },
        user=_AUTHOR,
        role=_one_of(RoomRole),
        by=_AUTHOR,
    ),
    "presence": _typed(
        "presence",
        {"text": _TEXT | {"description": "With `away`: why."}},
        user=_AUTHOR,
        state={"enum": ["online", "away", "offline"]},
    ),
    "entered": _typed(
        "entered",
        {"with": _AUTHOR | {"description": "The other side of a direct conversation."}},
        room=_ROOM,
        kind=_one_of(RoomKind),
        head=_HEAD,
    )
    | {"description": "The user is in a room from now on; its events come above `head`."},
    "exited": _typed("exited", room=_ROOM) | {"description": "The user is no longer in a room."},
    "tick": _typed("tick", {"online": _map(_COUNT)}, at=_TIME, heads=_map(_HEAD)),
}

_REPLIES: dict[str, Json] = {
    "auth": _reply(user=_USER),
    "name": _reply({"token": _TEXT | {"description": "For a guest; 24 h."}}, user=_USER),
    "sync": _reply(epoch=_TEXT, rooms=_list({"anyOf": [_ref("SyncRoom"), _ref("SyncRefused")]})),
    "send": _reply(
        {"dup": {"const": True, "description": "This cid was sent before."}},
        room=_ROOM,
        seq=_SEQ,
        at=_TIME,
    ),
    "read": _reply(seq=_HEAD),
    "command": _reply(
        result={"type": "object"},
        lines=_list(_TEXT) | {"description": "As the text face prints them."},
    ),
    "commands": _reply(commands=_list(_ref("Command"))),
}


def _requests() -> dict[str, Json]:
    return {f"{name}Request": _request(name) for name in REQUESTS}


SCHEMAS: dict[str, Json] = (
    _OBJECTS
    | {"Event": {"anyOf": [_ref(name) for name in EVENT_TYPES]}}
    | _SENT
    | _requests()
    | {f"{name}Reply": schema for name, schema in _REPLIES.items()}
)
"""By name: objects; what the server sends; `sendRequest`, `sendReply` and so on."""


def schema_of(name: str) -> Json:
    """Return a schema that stands alone, with all it refers to.

    Raises:
        KeyError: There is none of this name.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": {"schemas": SCHEMAS},
        **SCHEMAS[name],
    }


def asyncapi_document(server_url: str, version: str) -> Json:
    """Return the AsyncAPI 3.0 description of the face, as `/api/asyncapi.json` serves it.

    Args:
        server_url: Where the chat is reached: "https://host/prefix", or with `ws` or `wss`.
        version: Of this server.

    Raises:
        ValueError: The address has another scheme or no host.
    """
    url = urlsplit(server_url)
    protocol = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}.get(url.scheme)
    if protocol is None or not url.netloc:
        raise ValueError(f"{server_url!r} is no address; write it as https://host")
    server: Json = {"host": url.netloc, "protocol": protocol}
    if path := url.path.rstrip("/"):
        server["pathname"] = path
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "wynd-chat, JSON face",
            "version": version,
            "description": (
                "One JSON object per text frame, in the subprotocol `chat.v1.json`. The server "
                "says `hello` first. A connection's requests are answered in order; one without "
                "`id` is answered only when it is refused. Ignore unknown types and fields."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {"chat": server},
        "channels": {
            "chat": {
                "address": "/ws",
                "servers": [{"$ref": "#/servers/chat"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": _WS_BINDING},
            }
        },
        "operations": _operations(),
        "components": {"messages": messages, "schemas": SCHEMAS},
    }


_CHANNEL = {"$ref": "#/channels/chat"}
_WS_BINDING: Json = {
    "method": "GET",
    "headers": {
        "type": "object",
        "properties": {
            "Sec-WebSocket-Protocol": {
                "type": "string",
                "description": "`chat.v1.json`, beside it a credential as `bearer.<base64url>`.",
            },
            "Authorization": {"type": "string", "description": "`Bearer` and a token."},
        },
        "required": ["Sec-WebSocket-Protocol"],
    },
    "bindingVersion": "0.1.0",
}


def _messages() -> dict[str, Json]:
    """Return the message objects; requests and replies name the field that joins them."""
    correlated = dict.fromkeys((f"{name}Request" for name in REQUESTS), "id")
    correlated |= dict.fromkeys((*(f"{name}Reply" for name in _REPLIES), "error"), "re")
    messages: dict[str, Json] = {}
    for name in (*_SENT, *correlated):
        messages[name] = {"name": name, "payload": _ref(name)}
        if name in correlated:
            location = f"$message.payload#/{correlated[name]}"
            messages[name]["correlationId"] = {"location": location}
    return messages


def _operations() -> dict[str, Json]:
    """Return what the server does: it receives requests, and sends everything else."""

    def channel_messages(*names: str) -> list[Json]:
        return [{"$ref": f"#/channels/chat/messages/{name}"} for name in names]

    operations: dict[str, Json] = {
        "hello": {
            "action": "send",
            "channel": _CHANNEL,
            "summary": "The server's first frame",
            "messages": channel_messages("hello"),
        },
        "events": {
            "action": "send",
            "channel": _CHANNEL,
            "summary": "What happens in the rooms one is subscribed to",
            "messages": channel_messages(*EVENT_TYPES, *NOTICE_TYPES),
        },
    }
    for name, entry in REQUESTS.items():
        operations[name] = {
            "action": "receive",
            "channel": _CHANNEL,
            "summary": entry.summary,
            "messages": channel_messages(f"{name}Request"),
            "reply": {
                "channel": _CHANNEL,
                "messages": channel_messages(f"{name}Reply", "error"),
            },
        }
        if entry.errors:
            operations[name]["description"] = "Refused with " + ", ".join(
                f"`{code.value}`" for code in entry.errors
            )
    return operations
