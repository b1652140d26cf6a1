"""`Draw`: the bytes of a fuzzer as numbers, choices and texts, the same ones for the same bytes.

Decides how an input is read, so that committed inputs mean tomorrow what they mean today. It never
ends: behind the last byte are zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Draw", "text_of"]

T = TypeVar("T")


def text_of(data: bytes) -> str:
    """Return bytes as a text; those that are no UTF-8 become halves of surrogate pairs."""
    return data.decode("utf-8", "surrogateescape")


class Draw:
    """Takes an input from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left but zeros."""
        return self._at >= len(self._data)

    def take(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def number(self, most: int) -> int:
        """Return a number from 0 to `most`, of as many bytes as it needs."""
        size = (most.bit_length() + 7) // 8
        return int.from_bytes(self.take(size), "big") % (most + 1)

    def flag(self) -> bool:
        """Return one or the other."""
        return self.number(1) == 1

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of them."""
        return choices[self.number(len(choices) - 1)]

    def sized(self, most: int) -> bytes:
        """Return bytes of a size that is drawn too."""
        return self.take(self.number(most))

    def text(self, most: int) -> str:
        """Return a text of a size that is drawn too; see `text_of`."""
        return text_of(self.sized(most))

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(max(0, len(self._data) - self._at))
