"""Contents in memory: the half of what it may hold is the reserve."""

from __future__ import annotations

from tests.wynd_chat.kit import HandClock
from wynd_chat.adapters.files.memory import CAPACITY, MemoryFiles
from wynd_chat.domain.limits import ChatLimits


async def test_uploads_end_before_memory_does() -> None:
    files = MemoryFiles(HandClock(), capacity=100)
    incoming = await files.receive()
    await incoming.write(b"x" * 70)
    await incoming.keep()
    assert await files.free_bytes() == 30
    assert CAPACITY - ChatLimits().disk_free_bytes_min == 512 * 1024 * 1024
