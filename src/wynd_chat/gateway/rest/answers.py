"""What endpoints answer with: compact JSON, and the header fields of pages of messages."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = ["answer", "compact", "matches", "nothing", "weak_tag"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def compact(value: object) -> bytes:
    """Return a value as JSON in UTF-8."""
    return _encode(value).encode()


def answer(
    value: object, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer with a JSON body."""
    return Response(compact(value), status, dict(headers or {}), "application/json")


def nothing() -> Response:
    """Return the answer of what was done and has nothing to tell."""
    return Response(status_code=204)


def weak_tag(value: Any) -> str:
    """Return an entity tag of what a value says (RFC 9110 §8.8.3)."""
    return f'W/"{hashlib.sha256(compact(value)).hexdigest()[:32]}"'


def matches(request: Request, tag: str) -> bool:
    """Tell whether a request already has what `tag` stands for (RFC 9110 §13.1.2)."""
    known = request.headers.get("if-none-match")
    if known is None:
        return False
    opaque = tag.removeprefix("W/")
    return known.strip() == "*" or any(
        one.strip().removeprefix("W/") == opaque for one in known.split(",")
    )
