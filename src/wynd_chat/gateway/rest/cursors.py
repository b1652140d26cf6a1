"""Cursors: where the next page of a list begins, as an opaque text for the client.

A cursor holds the key of the last entry and the list it is of; a few bytes of a digest tell a
garbled one. It gives no rights: what a page shows is judged anew.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, TypeVar

from wynd_chat.domain.errors import ChatError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CURSOR_CHARS_MAX", "decode_cursor", "encode_cursor", "sliced"]

CURSOR_CHARS_MAX = 512  # a name of 32 code points is at most 128 bytes
_CHECK_BYTES = 6

T = TypeVar("T")


def encode_cursor(kind: str, key: str) -> str:
    """Return the cursor behind the entry `key` of a list."""
    content = f"{kind}\0{key}".encode()
    return base64.urlsafe_b64encode(_check(content) + content).decode().rstrip("=")


def decode_cursor(kind: str, cursor: str | None) -> str:
    """Return the key of a cursor's entry; "" without one.

    Raises:
        ChatError: `bad_request`: it is garbled, or of another list.
    """
    if cursor is None:
        return ""
    try:
        if len(cursor) > CURSOR_CHARS_MAX:
            raise ValueError
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        content = raw[_CHECK_BYTES:]
        found, _, key = content.decode().partition("\0")
        if raw[:_CHECK_BYTES] != _check(content) or found != kind:
            raise ValueError
    except (binascii.Error, ValueError):  # also of bytes that are no UTF-8
        raise ChatError(
            ErrorCode.BAD_REQUEST, "this cursor is not one of this list, begin without"
        ) from None
    return key


def sliced(
    kind: str, entries: Sequence[T], key: Callable[[T], str], cursor: str | None, limit: int
) -> tuple[list[T], str | None]:
    """Return a page of a list that is at hand, and the cursor of the next one, None at the end.

    Args:
        kind: Of the list.
        entries: All of them; the page is of those whose key is above the cursor's.
        key: Of an entry: unique, and what the page is in the order of.
        cursor: Where to begin.
        limit: How many at most.

    Raises:
        ChatError: `bad_request`, as `decode_cursor`.
    """
    after = decode_cursor(kind, cursor)
    rest = sorted((one for one in entries if key(one) > after), key=key)
    page = rest[:limit]
    more = len(rest) > limit
    return page, encode_cursor(kind, key(page[-1])) if more else None


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECK_BYTES]
