"""The PostgreSQL store as a whole, where it differs from others: a server that may go away."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.contracts.chat_stores import DEV, a_message, opened
from wynd_chat.adapters.store.migrate import migrate
from wynd_chat.adapters.store.postgres import PostgresStore
from wynd_chat.adapters.store.postgres_server import PostgresServer
from wynd_chat.adapters.store.schema import METADATA
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sqlalchemy import Connection

    from tests.contracts.postgres import PostgresProcess
    from wynd_chat.ports.store import Transaction

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(400)]


async def on_server(url: str, work: Callable[[Connection], Any]) -> Any:
    """Run a function over a connection to a database, and commit."""
    server = PostgresServer(url)
    connection = await server.writer()
    try:
        result = await connection.run_sync(work)
        await connection.commit()
    finally:
        await connection.close()
        await server.dispose()
    return result


async def test_alembic_finds_no_difference_to_the_tables_of_the_program(database: str) -> None:
    def differences(connection: Connection) -> Any:
        assert not migrate(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, METADATA)

    assert await on_server(database, differences) == []


def definitions(postgres: PostgresProcess, database: str) -> str:
    """Return all columns, constraints and indexes of a database, sorted."""
    columns = (
        "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' "
        "|| coalesce(column_default, '') || ' ' || coalesce(collation_name, '') "
        "FROM information_schema.columns WHERE table_schema = 'public'"
    )
    constraints = "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) "
    constraints += "FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    union = " UNION ALL ".join((columns, constraints, indexes))
    query = f"SELECT * FROM ({union}) AS every(line) WHERE line NOT LIKE '%alembic%' ORDER BY 1"
    return postgres.execute(query, database)


async def test_the_migrations_make_what_the_program_means(postgres: PostgresProcess) -> None:
    postgres.execute("CREATE DATABASE made")
    await on_server(postgres.url("made"), METADATA.create_all)
    assert definitions(postgres, "made") == definitions(postgres, "empty")


async def test_a_server_that_goes_away_fails_calls_and_nothing_else(
    postgres: PostgresProcess, database: str
) -> None:
    async with opened(PostgresStore(database)) as store:
        await store.post(a_message("before", cid="1"))
        postgres.stop()
        try:
            assert not await store.is_writable()
            with pytest.raises(StoreFailure):
                await store.post(a_message("lost", cid="2"))
            with pytest.raises(StoreFailure):
                await store.read(lambda snapshot: snapshot.room(DEV.id))
        finally:
            postgres.start()
        assert await store.is_writable()
        assert await store.read(lambda s: s.count_messages(DEV.id)) == 1
        assert (await store.post(a_message("again", cid="2"))).event.seq == 2


async def test_a_server_that_stands_still_is_not_writable_in_time(
    postgres: PostgresProcess, database: str
) -> None:
    async with opened(PostgresStore(database)) as store:
        postgres.pause()
        try:
            started = time.monotonic()
            assert not await store.is_writable()
            assert time.monotonic() - started < 4
        finally:
            postgres.resume()
        assert (await store.post(a_message("after"))).event.seq == 1
        assert await store.is_writable()


def put_fifty(tx: Transaction) -> None:
    """Store fifty values that are their own keys."""
    for number in range(50):
        tx.put_meta(str(number), str(number))


async def test_reads_that_were_cancelled_never_answer_somebody_else(database: str) -> None:
    async with opened(PostgresStore(database)) as store:
        await store.write(put_fifty)

        async def ask(number: int) -> bool:
            return await store.read(lambda snapshot: snapshot.meta(str(number))) == str(number)

        for start in range(0, 300, 50):
            tasks = [asyncio.create_task(ask(n % 50)) for n in range(start, start + 50)]
            await asyncio.sleep(0.001 * (start // 50))
            for task in tasks[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            answered = [o for o in outcomes if not isinstance(o, asyncio.CancelledError)]
            assert answered == [True] * len(answered)
            assert len(answered) >= 25


def test_what_others_write_is_not_told() -> None:
    assert not PostgresStore("postgresql://db/chat").on_foreign_change(lambda: None)
