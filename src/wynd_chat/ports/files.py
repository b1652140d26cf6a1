"""`FileStore`: the contents of files, by their SHA-256. Names, rights and counts are rows.

Guarantees, which the contract suite holds every file store to:

1. A content exists once, whole and on disk, when `keep` returns; before that nobody reads it.
2. What was received and not kept leaves nothing behind.
3. No name of a user ever becomes part of a path, and no symbolic link is followed.
4. `remove` and `keep` of the same content cannot interleave: what was kept within the grace time
   is not removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["FileStore", "FilesFailure", "Incoming", "StoredContent"]


class FilesFailure(Exception):
    """The files cannot be read or written now; the text is for the log."""


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A content that is kept."""

    sha256: str
    """In hexadecimal."""
    size: int
    mime: str
    """What it is, judged by the content alone."""
    w: int | None
    """Width in pixels, as the header says; None for what is no image."""
    h: int | None


class Incoming(Protocol):
    """A content that is on its way in."""

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            FilesFailure: they cannot be written.
        """

    async def keep(self) -> StoredContent:
        """Take it as whole: on disk and under its hash when this returns.

        Raises:
            FilesFailure: it cannot be kept; nothing is left of it.
        """

    async def discard(self) -> None:
        """Forget it; after `keep`, or twice, it does nothing."""


class FileStore(Protocol):
    """Keeps contents."""

    async def open(self) -> None:
        """Make ready, and remove what a crash left half received.

        Raises:
            FilesFailure: there is no place that can be written.
        """

    async def close(self) -> None:
        """Finish what runs; twice is once."""

    async def receive(self) -> Incoming:
        """Begin to take a content in.

        Raises:
            FilesFailure: nothing can be written.
        """

    async def has(self, sha256: str) -> bool:
        """Tell whether a content is there."""

    def read(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield a stretch of a content in pieces of bounded size.

        Raises:
            FilesFailure: it is not there, or ends before that.
        """

    async def remove(self, sha256: str, kept_before: int) -> bool:
        """Remove a content that was last kept before a time (milliseconds UTC); tell whether."""

    async def contents(self, after: str, limit: int) -> list[str]:
        """Return hashes above `after`, ascending."""

    async def free_bytes(self) -> int:
        """Return how much can still be written."""

    @property
    def held_bytes(self) -> int:
        """Bytes of all contents."""
