"""Make docs/reference/rest.md from the chat's OpenAPI document; `--check` only compares."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from wynd_chat.gateway.rest.api import ROUTERS
from wynd_chat.gateway.rest.documents import openapi_document

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "rest.md"
Json = dict[str, Any]

INTRODUCTION = """\
# The chat over HTTP

Made by `tools/rest_reference.py` from the OpenAPI document of the server; do not edit. A running
chat shows the same, to try out, at `/api/docs`, and the document itself at `/api/openapi.json`.
The WebSocket is described by `/api/asyncapi.json`.

- **Login.** `Authorization: Bearer TOKEN`, or the page's cookie; with the cookie only a page of
  the chat's own host, or one of `server.origins`, may write.
- **Bodies** are JSON objects of at most 128 KiB with exactly the fields below. Times are RFC 3339
  in UTC.
- **Refusals** are `application/problem+json` with `type`, `title`, `status`, `detail`, `code` and
  where it is known `retry_after`; 429 and 503 have `Retry-After`. `bad_request`, `internal` and
  `unavailable` can be the answer to everything and are left out below; fields that do not fit are
  listed in `errors`.
- **Repeating.** Every POST takes `Idempotency-Key`, 1 to 64 bytes. A repeat within a day does
  nothing and is answered as the first one; the same key with another request is `conflict`. A
  refusal is not kept. On messages the key is the `cid`.
- **Lists** have `next_cursor`, which is `cursor` of the next page. Pages of messages have a `Link`
  field instead, and where they end below `head` an `ETag`.

Post from a shell:

```sh
curl -H "Authorization: Bearer $TOKEN" -H 'content-type: text/plain' \\
  -d 'Build 512 passed' http://localhost:3000/api/v1/rooms/dev/messages
```
"""
EVERYWHERE = {"bad_request", "internal", "unavailable"}


def main() -> int:
    """Write the page, or with `--check` tell whether it is up to date."""
    page = rest_page()
    if "--check" in sys.argv[1:]:
        is_same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page
        if not is_same:
            sys.stderr.write(f"{PAGE} is out of date: run python tools/rest_reference.py\n")
        return 0 if is_same else 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


def rest_page() -> str:
    """Return the text of the page."""
    api = FastAPI(version="1")
    for router in ROUTERS:
        api.include_router(router)
    document = openapi_document(api)
    parts = [INTRODUCTION]
    tag = ""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                parts.append(f"## {tag}\n")
            parts.append(_operation(path, method, operation))
    parts.append("## Objects\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(_object(name, schema))
    return "\n".join(parts)


def _operation(path: str, method: str, operation: Json) -> str:
    lines = [f"### `{method.upper()} {path}`", "", operation["description"].strip(), ""]
    rows = [
        (one["name"], one["in"], _type(one["schema"]), one.get("description", ""))
        for one in operation.get("parameters", [])
        if one["name"] != "Idempotency-Key"
    ]
    if rows:
        lines += ["| Parameter | In | Type | Meaning |", "|---|---|---|---|"]
        lines += [f"| `{name}` | {place} | {kind} | {text} |" for name, place, kind, text in rows]
        lines.append("")
    body = operation.get("requestBody")
    if body is not None:
        kinds = ", ".join(
            f"{_type(content['schema'])} as `{media}`" for media, content in body["content"].items()
        )
        lines += [f"Body{'' if body.get('required') else ' (may be left out)'}: {kinds}.", ""]
    codes: list[str] = []
    for status, response in operation["responses"].items():
        if int(status) < 400:
            content = response.get("content", {}).get("application/json", {})
            given = f": {_type(content['schema'])}" if content.get("schema") else ""
            lines.append(f"- **{status}**{given}")
        else:
            found = re.findall(r"`(\w+)`", response["description"])
            codes += [f"`{code}` ({status})" for code in found if code not in EVERYWHERE]
    if codes:
        lines.append(f"- Refused with {', '.join(codes)}")
    return "\n".join([*lines, ""])


def _object(name: str, schema: Json) -> str:
    lines = [f"### {name}", "", schema.get("description", "").strip(), ""]
    if "properties" not in schema:
        return "\n".join([*lines, f"One of {_type(schema)}.", ""])
    lines += ["| Field | Type | Meaning |", "|---|---|---|"]
    required = set(schema.get("required", []))
    for field, value in schema["properties"].items():
        is_optional = field not in required
        note = " (may be missing)" if is_optional else ""
        text = value.get("description", "")
        lines.append(f"| `{field}` | {_type(value)}{note} | {text} |")
    return "\n".join([*lines, ""])


def _type(schema: Json) -> str:
    """Return a schema's type in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "const" in schema:
        return f"`{str(schema['const']).lower() if schema['const'] is True else schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    bounds = [str(schema[end]) for end in ("minimum", "maximum") if end in schema]
    if "maximum" in schema and schema["maximum"] == 2**53 - 1:
        bounds = [f"from {schema.get('minimum', 0)}"]
    elif len(bounds) == 2:
        bounds = [" to ".join(bounds)]
    elif bounds:
        bounds = [f"from {bounds[0]}"]
    return " ".join([str(kind), *bounds])


if __name__ == "__main__":
    sys.exit(main())
