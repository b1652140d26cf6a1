"""A chat that listens, for each test of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Return a chat in memory whose limits no test reaches."""
    async with a_chat(tmp_path) as running:
        yield running
