"""The chat's stores, one after the other, for the suites of their contract.

PostgreSQL is a real server, started once for all tests that ask for it; each test has a fresh
database, copied from one that was migrated before. Without a server those tests are skipped, with
the reason.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import (
    memory_chat,
    opened,
    postgres_chat,
    sqlite_chat,
)
from tests.contracts.postgres import PostgresProcess, Unavailable
from wynd_chat.adapters.store.postgres import PostgresStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.contracts.chat_stores import Chat
    from wynd_chat.ports.store import Store

POSTGRES = pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.timeout(400)])

numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "postgres: needs a PostgreSQL server, which it starts")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresProcess]:
    """Give a running server, with a database `empty` whose schema is up to date."""
    try:
        server = PostgresProcess()
    except Unavailable as reason:
        pytest.skip(f"PostgreSQL: {reason}")
    try:
        server.execute("CREATE DATABASE empty")
        with asyncio.Runner() as runner:
            store = PostgresStore(server.url("empty"))
            runner.run(store.open())
            runner.run(store.close())
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(postgres: PostgresProcess) -> str:
    """Give the name of a database of one's own, with the schema."""
    name = f"chat_{next(numbers)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE empty")
    return name


@pytest.fixture(params=["memory", "sqlite", POSTGRES])
def chat(request: pytest.FixtureRequest, tmp_path: Path) -> Chat:
    """Give each kind of store, one after the other; or the one that a test names."""
    if request.param == "memory":
        return memory_chat()
    if request.param == "sqlite":
        return sqlite_chat(tmp_path)
    server: PostgresProcess = request.getfixturevalue("postgres")
    return postgres_chat(server.url(request.getfixturevalue("database")))


@pytest.fixture
async def store(chat: Chat) -> AsyncIterator[Store]:
    """Give an open store with three users in two rooms."""
    async with opened(chat.make()) as store:
        yield store
