"""A running chat server for each test of delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.delivery.servers import MORTAL, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.e2e.delivery.servers import ChatServer


@pytest.fixture
async def server(native_engine: None, tmp_path: Path) -> AsyncIterator[ChatServer]:
    """Return `wynd-chat` on SQLite in a process of its own."""
    async with running(tmp_path / "chat") as server:
        yield server


@pytest.fixture
async def mortal_server(native_engine: None, tmp_path: Path) -> AsyncIterator[ChatServer]:
    """Return a server that dies when a certain text was committed; see `server.py`."""
    async with running(tmp_path / "chat", MORTAL) as server:
        yield server
