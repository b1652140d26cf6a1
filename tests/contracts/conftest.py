"""The chat's stores, one after the other, for the suites of their contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import memory_chat, opened, postgres_chat, sqlite_chat
from tests.contracts.postgres import POSTGRES, database, postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.contracts.chat_stores import Chat
    from wynd_chat.ports.store import Store

__all__ = ["database", "postgres"]


@pytest.fixture(params=["memory", "sqlite", POSTGRES])
def chat(request: pytest.FixtureRequest, tmp_path: Path) -> Chat:
    """Give each kind of store, one after the other; or the one that a test names."""
    if request.param == "memory":
        return memory_chat()
    if request.param == "sqlite":
        return sqlite_chat(tmp_path)
    return postgres_chat(request.getfixturevalue("database"))


@pytest.fixture
async def store(chat: Chat) -> AsyncIterator[Store]:
    """Give an open store with three users in two rooms."""
    async with opened(chat.make()) as store:
        yield store
