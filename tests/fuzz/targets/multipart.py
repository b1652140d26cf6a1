"""Uploads: forms however they are cut, what files are called, ranges, and fields of forms.

The input: a byte for how the body is cut, then between line feeds of 0xFF the `Content-Type`, the
`Range`, and the body. An empty `Content-Type` is that of a form whose boundary is `b`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from tests.fuzz.attempts import attempt
from tests.fuzz.drawing import Draw
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.files import clean_file_name
from wynd_chat.domain.limits import ChatLimits
from wynd_chat.gateway.forms.reading import BODY_BYTES_MAX, FIELDS_MAX, FORM_TYPE, read_fields
from wynd_chat.gateway.rest import files
from wynd_chat.gateway.rest.multipart import BOUNDARY_BYTES_MAX, boundary_of, read_parts
from wynd_chat.gateway.rest.ranges import Unsatisfiable, parse_ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

__all__ = ["check"]

BETWEEN = b"\n\xff\n"
LIMITS = ChatLimits()
PARTS_MAX = 8
HEAD_BYTES_MAX = 300
RANGES_MAX = 5
SIZES = (0, 1, 10, 1000)
_DISPOSITION = re.compile(
    r"""(inline|attachment); filename="[ !#-$&-\[\]-~]*"; filename\*=UTF-8''[A-Za-z0-9%._~-]+"""
)

T = TypeVar("T")
Parts = list[tuple[str, str | None, bytes]]


def check(data: bytes) -> None:
    """Fail where a form is read differently by pieces, or a name or range could do harm."""
    draw = Draw(data)
    piece = draw.number(255) + 1
    content_type, wanted, body = (*draw.rest().split(BETWEEN, 2), b"", b"")[:3]
    _check_ranges(wanted.decode("latin-1"))
    _check_fields(body, piece)
    kind = content_type.decode("latin-1") or "multipart/form-data; boundary=b"
    boundary = attempt(ChatError, boundary_of, kind)
    if isinstance(boundary, ChatError):
        assert boundary.code in (ErrorCode.UNSUPPORTED, ErrorCode.BAD_REQUEST)
        return
    assert 1 <= len(boundary) <= BOUNDARY_BYTES_MAX
    whole, refusal = _read(body, boundary, len(body) or 1)
    cut, cut_refusal = _read(body, boundary, piece)
    if body.startswith(b"--" + boundary):
        # What stands before the first boundary the parser takes or refuses, as it is cut; and of
        # two faults in one head it tells the one that it comes upon first.
        assert (refusal is None) == (cut_refusal is None)
        assert cut == whole or refusal is not None
    assert len(cut) <= PARTS_MAX
    assert sum(len(content) for _, _, content in cut) <= len(body)
    for _, name, _ in cut:
        if name is not None:
            _check_name(name)


def _read(body: bytes, boundary: bytes, piece: int) -> tuple[Parts, ErrorCode | None]:
    """Return the parts that were read, and what the form was refused with."""
    parts: Parts = []

    async def read() -> None:
        reader = read_parts(
            _pieces(body, piece), boundary, parts_max=PARTS_MAX, head_bytes_max=HEAD_BYTES_MAX
        )
        async for part in reader:
            content = b"".join([chunk async for chunk in part.chunks])
            parts.append((part.name, part.file_name, content))

    refusal = attempt(ChatError, _run, read())
    if refusal is None:
        return parts, None
    assert refusal.code in (ErrorCode.BAD_REQUEST, ErrorCode.TOO_LARGE)
    return parts, refusal.code


async def _pieces(body: bytes, piece: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), piece):
        yield body[at : at + piece]


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something")


def _check_name(name: str) -> None:
    cleaned = clean_file_name(name, LIMITS.file_name_bytes_max)
    assert 1 <= len(cleaned.encode()) <= LIMITS.file_name_bytes_max
    assert cleaned not in (".", "..")
    assert "/" not in cleaned
    assert "\\" not in cleaned
    assert clean_file_name(cleaned, LIMITS.file_name_bytes_max) == cleaned
    for is_inline in (True, False):
        field = files._disposition(cleaned, is_inline=is_inline)
        assert _DISPOSITION.fullmatch(field), field


def _check_ranges(header: str) -> None:
    for size in SIZES:
        ranges = attempt(Unsatisfiable, parse_ranges, header, size, RANGES_MAX)
        if ranges is None or isinstance(ranges, Unsatisfiable):
            continue
        assert 1 <= len(ranges) <= RANGES_MAX
        assert sum(length for _, length in ranges) < size
        end_before = -1
        for start, length in ranges:
            assert length > 0
            assert end_before < start
            end_before = start + length
            assert end_before <= size


def _check_fields(body: bytes, piece: int) -> None:
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]

    async def receive() -> dict[str, Any]:
        chunk = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(pieces)}

    headers = [(b"content-type", FORM_TYPE.encode())]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    fields = attempt(ChatError, _run, read_fields(request))
    if isinstance(fields, ChatError):
        assert fields.code in (ErrorCode.BAD_REQUEST, ErrorCode.TOO_LARGE)
        return
    assert len(body) <= BODY_BYTES_MAX
    assert len(fields) <= FIELDS_MAX
    for value in fields.values():
        assert "\0" not in value
        value.encode()
