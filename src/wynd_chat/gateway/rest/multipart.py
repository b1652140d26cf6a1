"""Bodies of forms with files (RFC 7578), part by part as they come; nothing is held in memory.

Decides how many parts and how long their heads may be. What becomes of a file is the caller's.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from wynd_chat.domain.errors import ChatError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Part", "boundary_of", "read_parts"]

BOUNDARY_BYTES_MAX = 70  # RFC 2046 §5.1.1
_HEAD, _DATA, _PART_END, _END = range(4)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form. Its bytes are read before the next part is asked for."""

    name: str
    file_name: str | None
    """What the sender calls the file; None for a field that is no file."""
    chunks: AsyncIterator[bytes]


def boundary_of(content_type: str) -> bytes:
    """Return what parts are separated by.

    Raises:
        ChatError: `unsupported`: it is no form with files; `bad_request`: it names no boundary.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise ChatError(
            ErrorCode.UNSUPPORTED, "send multipart/form-data, or PUT the file to uploads/NAME"
        )
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= BOUNDARY_BYTES_MAX:
        raise _malformed()
    return bytes(boundary)


async def read_parts(
    stream: AsyncIterator[bytes], boundary: bytes, *, parts_max: int, head_bytes_max: int
) -> AsyncIterator[Part]:
    """Yield the parts of a body; what follows the last one is not read.

    Raises:
        ChatError: `bad_request`: it is not well formed, or it ends too early; `too_large`: too
            many parts, or too long a head.
    """
    reader = _Reader(stream, boundary, parts_max, head_bytes_max)
    while True:
        kind, value = await reader.next()
        if kind == _END:
            return
        if kind == _HEAD:
            name, file_name = value
            yield Part(name, file_name, reader.chunks())


class _Reader:
    """Turns the parser's calls into a sequence that is asked for."""

    def __init__(
        self, stream: AsyncIterator[bytes], boundary: bytes, parts_max: int, head_bytes_max: int
    ) -> None:
        self._stream = stream
        self._events: deque[tuple[int, Any]] = deque()
        self._parts_left = parts_max
        self._head_bytes_max = head_bytes_max
        self._head_bytes = 0
        self._field, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._has_ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": lambda: self._events.append((_PART_END, None)),
                "on_end": self._end,
            },
            max_header_size=sys.maxsize,  # `_count_head` decides, however the form is cut
        )

    async def next(self) -> tuple[int, Any]:
        """Return what comes next."""
        while not self._events:
            chunk = await anext(self._stream, None)
            if chunk is None:
                raise _malformed()  # it ends before its last boundary
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise _malformed() from None
        return self._events.popleft()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the part that has begun."""
        while True:
            kind, value = await self.next()
            if kind == _DATA:
                yield value
                continue
            if kind != _PART_END:
                self._events.appendleft((kind, value))
            return

    # What the parser calls

    def _part_begin(self) -> None:
        self._parts_left -= 1
        if self._parts_left < 0:
            raise ChatError(ErrorCode.TOO_LARGE, "the form has too many parts")
        self._head_bytes = 0
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_head(end - start)
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_head(end - start)
        self._value += data[start:end]

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._head_bytes_max:
            raise ChatError(ErrorCode.TOO_LARGE, "the head of a part is too long")

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data":
            raise _malformed()
        file_name = options.get(b"filename")
        shown = None if file_name is None else file_name.decode("utf-8", "replace")
        self._events.append((_HEAD, (options.get(b"name", b"").decode("utf-8", "replace"), shown)))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append((_DATA, bytes(data[start:end])))

    def _end(self) -> None:
        self._events.append((_END, None))


def _malformed() -> ChatError:
    return ChatError(ErrorCode.BAD_REQUEST, "the form is not well formed")
