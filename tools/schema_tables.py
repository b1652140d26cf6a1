"""Turns the JSON Schemas of the face `chat.v1.json` into tables for docs/reference/json-face.md.

Knows how a schema is told in words; what the frames are is `wynd_chat.wire.schemas`, and where the
tables go is `chat_pages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wynd_chat.domain.errors import ErrorCode
from wynd_chat.wire.requests import REQUESTS
from wynd_chat.wire.schemas import EVENT_TYPES, NOTICE_TYPES, SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["PARTS", "fields_of", "type_text"]

Json = dict[str, Any]

OBJECTS = ("User", "Author", "File", "Command", "SyncRoom", "SyncRefused")
ALWAYS = {"type", "id", "re", "ok"}
"""Told once, in the text above the tables."""
COMMON = {"room", "seq", "at"}
"""Of durable events; told once too."""
EVERYWHERE = ("bad_request", "rate_limited", "internal", "unavailable")


def requests() -> str:
    """Return a section per request: its fields, its reply, what it may be refused with."""
    parts = []
    for name, entry in REQUESTS.items():
        request, reply = SCHEMAS[f"{name}Request"], SCHEMAS[f"{name}Reply"]
        parts += [f"### `{name}`", "", f"{entry.summary}.", ""]
        parts += fields_of(request, besides=ALWAYS) or ["No fields.", ""]
        shown = fields_of(reply, besides=ALWAYS)
        parts += ["The reply:", "", *shown]
        codes = [code.value for code in entry.errors if code.value not in EVERYWHERE]
        if name == "command":
            parts += ["Refused with the codes of the command.", ""]
        elif codes:
            parts += [f"Refused with {', '.join(f'`{code}`' for code in codes)}.", ""]
    return "\n".join(parts)


def hello() -> str:
    """Return the fields of the first frame."""
    return "\n".join(fields_of(SCHEMAS["hello"], besides=ALWAYS))


def error() -> str:
    """Return the fields of a refusal."""
    return "\n".join(fields_of(SCHEMAS["error"]["properties"]["error"]))


def events() -> str:
    """Return a section per durable event."""
    return _sections(EVENT_TYPES, ALWAYS | COMMON)


def notices() -> str:
    """Return a section per ephemeral event."""
    return _sections(NOTICE_TYPES, ALWAYS)


def objects() -> str:
    """Return a section per object that frames hold."""
    return _sections(OBJECTS, set())


def _sections(names: tuple[str, ...], besides: set[str]) -> str:
    parts = []
    for name in names:
        schema = SCHEMAS[name]
        parts += [f"### `{name}`", ""]
        if "description" in schema:
            parts += [_text(schema["description"]), ""]
        parts += fields_of(schema, besides=besides)
    return "\n".join(parts)


def fields_of(schema: Json, *, besides: Collection[str] = ()) -> list[str]:
    """Return the lines of a table of an object's fields; [] where there is none to tell."""
    required = set(schema.get("required", ()))
    rows = []
    for name, part in schema.get("properties", {}).items():
        if name in besides:
            continue
        optional = "" if name in required else "yes"
        rows.append(f"| `{name}` | {type_text(part)} | {optional} | {_about(part)} |")
    if not rows:
        return []
    return ["| Field | Type | Optional | Meaning |", "|---|---|---|---|", *rows, ""]


def type_text(schema: Json) -> str:
    """Return what a value is, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "durable event" if name == "Event" else f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{_json(schema['const'])}`"
    if schema.get("enum") == list(ErrorCode):
        return "[code](chat-codes.md#error-codes)"
    if "enum" in schema:
        return ", ".join(f"`{_json(value)}`" for value in schema["enum"] if value is not None)
    if "anyOf" in schema:
        return " or ".join(type_text(one) for one in schema["anyOf"])
    kind = schema.get("type", "value")
    if isinstance(kind, list):
        return " or ".join(type_text({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"list of {type_text(schema.get('items', {}))}"
    if kind == "object":
        return _object_text(schema)
    return str(kind)


def _object_text(schema: Json) -> str:
    fields = schema.get("properties")
    if fields:
        inner = ", ".join(f"`{name}` {type_text(part)}" for name, part in fields.items())
        return f"object: {inner}"
    values = schema.get("additionalProperties")
    return f"object of {type_text(values)} by name" if isinstance(values, dict) else "object"


def _about(schema: Json) -> str:
    parts = [schema["description"]] if "description" in schema else []
    if "anyOf" in schema:
        parts += [one["description"] for one in schema["anyOf"] if "description" in one]
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None and most < 1_000_000:
        parts.append(f"{least} to {most}.")
    if "maxItems" in schema:
        parts.append(f"At most {schema['maxItems']}.")
    return _text(" ".join(parts))


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _json(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


PARTS: dict[str, Callable[[], str]] = {
    "requests": requests,
    "hello": hello,
    "error": error,
    "events": events,
    "notices": notices,
    "objects": objects,
}
