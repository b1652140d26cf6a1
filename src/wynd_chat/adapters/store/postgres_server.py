"""The PostgreSQL server: connections with the settings durability needs, and what may be wrong.

Decides which servers are good enough, brings the schema up to date, and finds out what became of a
commit whose answer was lost. Knows nothing of operations.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from wynd_chat.adapters.store.failures import Failed, translate
from wynd_chat.adapters.store.migrate import SCRIPTS, migrate
from wynd_chat.ports.store import StoreFailure, StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["LOST", "PostgresServer", "understand"]

logger = logging.getLogger("wynd_chat.store")

VERSION_MIN = 130_000  # 13: pg_current_xact_id and pg_xact_status on its type
READERS = 4  # connections; as many as the SQLite store has threads
CONNECT_S = 5.0
COMMAND_S = 10.0  # the longest statement is a page of history
SERVER_SETTINGS = {
    "application_name": "wynd-chat",
    "synchronous_commit": "on",
    "lock_timeout": "5000",  # ms; a lock that is held longer is somebody else's
    # ms; a node that is stopped in the middle must not hold up the others' writes for ever
    "idle_in_transaction_session_timeout": "10000",
}
# What a lost or refused connection raises; the driver's own errors while connecting are not
# wrapped by SQLAlchemy.
LOST = (SQLAlchemyError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

MIGRATING = 0x77796E64_0001  # keys of advisory locks: "wynd" and a number
WRITING = 0x77796E64_0002


class PostgresServer:
    """One database on a server.

    Args:
        url: `postgresql://user:password@host:port/database`; `?host=/folder` for a socket.

    Raises:
        StoreUnusable: This is no such address.
    """

    def __init__(self, url: str) -> None:
        self._url = driver_url(url)
        self._writing = create_async_engine(
            self._url,
            pool_size=READERS + 1,  # and the writer
            max_overflow=0,
            pool_timeout=COMMAND_S,
            connect_args={
                "timeout": CONNECT_S,
                "command_timeout": COMMAND_S,
                "server_settings": SERVER_SETTINGS,
            },
        )
        self._reading = self._writing.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    async def writer(self) -> AsyncConnection:
        """Return a connection to write with."""
        return await self._writing.connect()

    async def reader(self) -> AsyncConnection:
        """Return a connection each transaction of which is one moment."""
        return await self._reading.connect()

    async def dispose(self) -> None:
        """Close all connections that are not in use."""
        await self._writing.dispose()

    async def prepare(self, epoch: str, scripts: Path = SCRIPTS) -> None:
        """Check the server, bring the schema up to date, make the epoch.

        Raises:
            StoreUnusable: See `ports.store.Store.open`.
        """
        try:
            connection = await self.writer()
            try:
                await connection.run_sync(prepare, epoch, scripts)
            finally:
                await connection.close()
        except LOST as error:
            await self.dispose()
            shown = self._url.render_as_string(hide_password=True)
            raise StoreUnusable(f"Cannot use {shown}: {understand(error).error}.") from error
        except BaseException:
            await self.dispose()
            raise

    async def is_committed(self, transaction_id: str) -> bool | None:
        """Tell what became of a transaction; None while that is open, or was long ago."""
        status = text("SELECT pg_xact_status(CAST(CAST(:id AS text) AS xid8))")
        connection = await self.writer()
        try:
            answer = (await connection.execute(status, {"id": transaction_id})).scalar()
        finally:
            await connection.close()
        return {"committed": True, "aborted": False}.get(str(answer))


def driver_url(url: str) -> URL:
    """Return an address with the driver that is used.

    Raises:
        StoreUnusable: It is none.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreUnusable("storage.url is no address of a PostgreSQL database.") from error
    if address.get_backend_name() not in {"postgresql", "postgres"}:
        raise StoreUnusable("storage.url is no address of a PostgreSQL database.")
    return address.set(drivername="postgresql+asyncpg")


def prepare(connection: Connection, epoch: str, scripts: Path) -> None:
    """Check, migrate and make the epoch in one transaction; other nodes wait for it.

    Raises:
        StoreUnusable: The server is too old, its database not in UTF-8, its schema too new.
    """
    with connection.begin():
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
        version = int(setting(connection, "server_version_num"))
        if version < VERSION_MIN:
            raise StoreUnusable(
                f"The server is PostgreSQL {setting(connection, 'server_version')}; "
                f"wynd-chat needs {VERSION_MIN // 10_000} or newer."
            )
        if setting(connection, "server_encoding") != "UTF8":
            raise StoreUnusable(
                "The database cannot hold every text. Make it with ENCODING 'UTF8' and "
                "TEMPLATE template0."
            )
        for name in ("fsync", "full_page_writes"):
            if setting(connection, name) == "off":
                logger.warning(
                    "PostgreSQL runs with %s=off: acknowledged messages may be lost or damaged "
                    "when the machine stops.",
                    name,
                )
        migrate(connection, scripts=scripts)
        connection.execute(
            text("INSERT INTO meta (key, value) VALUES ('epoch', :epoch) ON CONFLICT DO NOTHING"),
            {"epoch": epoch},
        )


def setting(connection: Connection, name: str) -> str:
    """Return a setting of the server."""
    return str(connection.execute(select(func.current_setting(name))).scalar_one())


def understand(error: BaseException) -> Failed:
    """Return what an error means, the ones that SQLAlchemy does not wrap included."""
    if isinstance(error, DBAPIError):
        return translate(error)
    reason = f"{type(error).__name__}: {error}".rstrip(": ")
    return Failed(StoreFailure(reason), is_fatal=True, may_repeat=False, is_unique=False)


def write_lock(*, is_shared: bool) -> Any:
    """Return the statement that a transaction of writes begins with.

    Works exclude everything else on all nodes, so that what they read is still so when they write.
    Posts, which lock their rooms, run beside each other.
    """
    lock = func.pg_advisory_xact_lock_shared if is_shared else func.pg_advisory_xact_lock
    return select(lock(WRITING))
