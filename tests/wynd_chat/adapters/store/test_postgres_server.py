"""Which addresses, servers and databases are good enough, and what became of a commit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from wynd_chat.adapters.store.postgres_server import PostgresServer, driver_url, understand
from wynd_chat.ports.store import StoreFailure, StoreUnusable

if TYPE_CHECKING:
    from tests.contracts.postgres import PostgresProcess


def test_the_driver_is_ours_to_choose() -> None:
    url = driver_url("postgresql://chat:secret@db:5433/chat?host=/run/postgresql")
    assert url.drivername == "postgresql+asyncpg"
    assert (url.host, url.port, url.database) == ("db", 5433, "chat")
    assert driver_url("postgres://db/chat").drivername == "postgresql+asyncpg"


@pytest.mark.parametrize("url", ["", "no address", "mysql://db/chat", "sqlite:///chat.db"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StoreUnusable, match="no address of a PostgreSQL database"):
        PostgresServer(url)


def test_errors_that_are_not_wrapped_are_failures() -> None:
    failed = understand(ConnectionRefusedError("refused"))
    assert isinstance(failed.error, StoreFailure)
    assert str(failed.error) == "ConnectionRefusedError: refused"
    assert failed.is_fatal
    assert str(understand(TimeoutError()).error) == "TimeoutError"


async def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    server = PostgresServer("postgresql://chat:secret@/chat?host=/nowhere/at/all")
    with pytest.raises(StoreUnusable, match="Cannot use postgresql") as caught:
        await server.prepare("epoch")
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.timeout(400)
class TestServer:
    """With a server."""

    async def test_a_database_that_is_not_there_is_told(self, postgres: PostgresProcess) -> None:
        server = PostgresServer(postgres.url("nothing"))
        with pytest.raises(StoreUnusable, match='database "nothing" does not exist'):
            await server.prepare("epoch")

    async def test_a_database_that_cannot_hold_every_text_is_refused(
        self, postgres: PostgresProcess
    ) -> None:
        postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        server = PostgresServer(postgres.url("latin"))
        with pytest.raises(StoreUnusable, match="ENCODING 'UTF8'"):
            await server.prepare("epoch")

    async def test_tables_of_another_program_are_refused(self, postgres: PostgresProcess) -> None:
        postgres.execute("CREATE DATABASE recipes")
        postgres.execute("CREATE TABLE recipes (id integer)", "recipes")
        with pytest.raises(StoreUnusable, match="another program"):
            await PostgresServer(postgres.url("recipes")).prepare("epoch")

    async def test_several_nodes_may_start_at_once(self, postgres: PostgresProcess) -> None:
        postgres.execute("CREATE DATABASE together")
        nodes = [PostgresServer(postgres.url("together")) for _ in range(4)]
        await asyncio.gather(*(node.prepare(f"epoch-{n}") for n, node in enumerate(nodes)))
        await asyncio.gather(*(node.dispose() for node in nodes))
        epochs = postgres.execute("SELECT value FROM meta WHERE key = 'epoch'", "together")
        assert epochs in {f"epoch-{n}" for n in range(4)}

    async def test_an_unsafe_server_is_warned_about(
        self, database: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = PostgresServer(database)  # of the tests, which does not sync
        await server.prepare("epoch")
        await server.dispose()
        assert "fsync=off: acknowledged messages may be lost" in caplog.text

    async def test_commits_are_synced_and_stopped_nodes_hold_nobody_up(self, database: str) -> None:
        server = PostgresServer(database)
        connection = await server.writer()
        try:
            for name, value in (
                ("synchronous_commit", "on"),
                ("idle_in_transaction_session_timeout", "10s"),
                ("lock_timeout", "5s"),
            ):
                answer = await connection.execute(text(f"SHOW {name}"))
                assert answer.scalar() == value
        finally:
            await connection.close()
            await server.dispose()

    async def test_what_became_of_a_transaction_is_known_afterwards(self, database: str) -> None:
        server = PostgresServer(database)
        xid = text("SELECT CAST(pg_current_xact_id() AS text)")
        connection = await server.writer()
        try:
            async with connection.begin():
                committed = (await connection.execute(xid)).scalar_one()
                assert await server.is_committed(committed) is None
            transaction = await connection.begin()
            aborted = (await connection.execute(xid)).scalar_one()
            await transaction.rollback()
            assert await server.is_committed(committed) is True
            assert await server.is_committed(aborted) is False
        finally:
            await connection.close()
            await server.dispose()
