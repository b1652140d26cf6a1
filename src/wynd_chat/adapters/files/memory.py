"""`MemoryFiles`: contents in memory, for tests and for servers that keep nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wynd_chat.adapters.files.kinds import HEAD_BYTES_MAX, TextCheck, kind_of
from wynd_chat.ports.files import FilesFailure, StoredContent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.ports.clock import Clock

__all__ = ["MemoryFiles"]

CAPACITY = 1024 * 1024 * 1024  # half of it is the reserve below which uploads are refused
PIECE_BYTES = 256 * 1024


@dataclass(slots=True)
class _Content:
    data: bytes
    kept_at: int


class MemoryFiles:
    """Keeps contents until the process ends (`ports.files.FileStore`)."""

    def __init__(self, clock: Clock, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._contents: dict[str, _Content] = {}

    async def open(self) -> None:
        """Nothing has to be made ready."""

    async def close(self) -> None:
        """Nothing runs."""

    async def receive(self) -> _MemoryIncoming:
        """Begin to take a content in."""
        return _MemoryIncoming(self)

    async def has(self, sha256: str) -> bool:
        """Tell whether a content is there."""
        return sha256 in self._contents

    async def read(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield a stretch of a content."""
        content = self._contents.get(sha256)
        if content is None or start + length > len(content.data):
            raise FilesFailure(f"content {sha256} is not there")
        for at in range(start, start + length, PIECE_BYTES):
            yield content.data[at : min(at + PIECE_BYTES, start + length)]

    async def remove(self, sha256: str, kept_before: int) -> bool:
        """Remove a content that was last kept before a time."""
        content = self._contents.get(sha256)
        if content is None or content.kept_at >= kept_before:
            return False
        del self._contents[sha256]
        return True

    async def contents(self, after: str, limit: int) -> list[str]:
        """Return hashes above `after`, ascending."""
        return sorted(sha256 for sha256 in self._contents if sha256 > after)[:limit]

    async def free_bytes(self) -> int:
        """Return how much can still be written."""
        return max(0, self._capacity - self.held_bytes)

    @property
    def held_bytes(self) -> int:
        """Bytes of all contents."""
        return sum(len(content.data) for content in self._contents.values())

    def keep(self, data: bytes) -> str:
        """Store a content; return its hash."""
        sha256 = hashlib.sha256(data).hexdigest()
        self._contents[sha256] = _Content(data, self._clock.now_ms())
        return sha256


class _MemoryIncoming:
    """A content on its way in."""

    def __init__(self, files: MemoryFiles) -> None:
        self._files = files
        self._data: bytearray | None = bytearray()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._data is None:
            raise FilesFailure("it was kept or discarded already")
        self._data += chunk

    async def keep(self) -> StoredContent:
        """Take it as whole."""
        if self._data is None:
            raise FilesFailure("it was kept or discarded already")
        data, self._data = bytes(self._data), None
        check = TextCheck()
        check.feed(data, is_last=True)
        kind = kind_of(data[:HEAD_BYTES_MAX], is_text=check.is_text)
        return StoredContent(self._files.keep(data), len(data), *kind)

    async def discard(self) -> None:
        """Forget it."""
        self._data = None
