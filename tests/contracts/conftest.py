"""The chat's stores, one after the other, for the suites of their contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import memory_chat, opened, sqlite_chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.contracts.chat_stores import Chat
    from wynd_chat.ports.store import Store


@pytest.fixture(params=["memory", "sqlite"])
def chat(request: pytest.FixtureRequest, tmp_path: Path) -> Chat:
    """Give each kind of store, one after the other."""
    return memory_chat() if request.param == "memory" else sqlite_chat(tmp_path)


@pytest.fixture
async def store(chat: Chat) -> AsyncIterator[Store]:
    """Give an open store with three users in two rooms."""
    async with opened(chat.make()) as store:
        yield store
