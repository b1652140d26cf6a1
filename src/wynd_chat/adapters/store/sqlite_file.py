"""The SQLite file: connections with the settings that durability needs, and what is wrong with it.

Decides pragmas, which SQLite is new enough, what counts as damaged, and how a file is copied before
its schema changes. Knows nothing of operations and threads.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from wynd_chat.adapters.store.migrate import SCRIPTS, migrate
from wynd_chat.ports.store import StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

__all__ = ["SqliteFile", "driver_of"]

SQLITE_MIN = (3, 37, 0)  # STRICT tables
CHECKED_BYTES_MAX = 256 * 2**20  # checked whole at start in about a second; larger files in part
WAL_BYTES_KEPT = 64 * 2**20  # a log that grew beyond it is cut after a checkpoint
DAMAGED_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class SqliteFile:
    """One database file.

    Args:
        path: Where it is, or shall be; its folder must exist.
        busy_s: How long a locked database is waited for.
    """

    def __init__(self, path: Path, *, busy_s: float) -> None:
        self.path = path
        self._writing = self._engine("BEGIN IMMEDIATE", busy_s, is_writer=True)
        self._reading = self._engine("BEGIN", busy_s, is_writer=False)

    def writer(self) -> Connection:
        """Return a new connection whose transactions take the write lock at once."""
        return self._writing.connect()

    def reader(self) -> Connection:
        """Return a new connection that can only read; each transaction is one moment."""
        return self._reading.connect()

    def prepare(self, epoch: str, scripts: Path = SCRIPTS) -> None:
        """Make the file where there is none, check it, bring its schema up to date.

        Args:
            epoch: The identity of the data, if it has none yet.
            scripts: The folder of migrations.

        Raises:
            StoreUnusable: See `ports.store.Store.open`.
        """
        check_library()
        try:
            # Only its owner may read it: it holds hashes of passwords and what people wrote.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreUnusable(f"Cannot open {self.path}: {error.strerror}.") from error
        try:
            with self.writer() as connection:
                self._check(driver_of(connection))
                self._migrate(connection, scripts)
                with connection.begin():
                    connection.exec_driver_sql(
                        "INSERT INTO meta (key, value) VALUES ('epoch', ?) ON CONFLICT DO NOTHING",
                        (epoch,),
                    )
        except DBAPIError as error:
            raise self._unusable(error.orig) from error
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _engine(self, begin: str, busy_s: float, *, is_writer: bool) -> Engine:
        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                self.path, timeout=busy_s, isolation_level=None, check_same_thread=False
            )
            try:
                for pragma in (
                    "foreign_keys = ON",
                    "synchronous = FULL",
                    "trusted_schema = OFF",
                    f"journal_size_limit = {WAL_BYTES_KEPT}",
                    "cache_size = -16384" if is_writer else "query_only = ON",
                ):
                    connection.execute(f"PRAGMA {pragma}")
            except BaseException:
                connection.close()
                raise
            return connection

        engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def _check(self, driver: sqlite3.Connection) -> None:
        """Refuse a file that is damaged or that cannot have a write-ahead log."""
        (mode,) = driver.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnusable(
                f"SQLite cannot keep a write-ahead log beside {self.path} (journal mode {mode}). "
                "Put the database on a local disk."
            )
        if self.path.stat().st_size <= CHECKED_BYTES_MAX:
            (verdict,) = driver.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise self._damaged(verdict)

    def _migrate(self, connection: Connection, scripts: Path) -> None:
        # A migration may have to rebuild tables that others refer to; it is checked as a whole.
        driver = driver_of(connection)
        driver.execute("PRAGMA foreign_keys = OFF")
        with connection.begin():
            is_changed = migrate(connection, scripts=scripts, before_change=self._copy)
            broken = driver.execute("PRAGMA foreign_key_check").fetchall() if is_changed else []
            if broken:
                raise StoreUnusable(
                    f"{self.path} could not be brought up to date: {len(broken)} references lead "
                    "nowhere. It was left as it was; please report this."
                )
        driver.execute("PRAGMA foreign_keys = ON")

    def _copy(self, revision: str) -> None:
        """Copy the database beside itself before its schema `revision` is changed."""
        target = self.path.with_name(f"{self.path.name}.schema-{revision}")
        partial = target.with_name(target.name + ".partial")
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with (
            closing(sqlite3.connect(self.path)) as source,
            closing(sqlite3.connect(partial)) as copy,
        ):
            source.backup(copy)
            # The copy is one file, to be read by any SQLite without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
        synced(partial)
        partial.replace(target)
        synced(self.path.parent)

    def _unusable(self, error: Any) -> StoreUnusable:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED_CODES:
            return self._damaged(str(error))
        return StoreUnusable(f"Cannot use {self.path}: {error}.")

    def _damaged(self, verdict: str) -> StoreUnusable:
        return StoreUnusable(
            f"{self.path} is damaged or no database ({verdict}). Restore a backup, or move the "
            "file away to start anew."
        )


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Return the connection of the driver below."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def check_library() -> None:
    """Refuse an SQLite that cannot hold the schema.

    Raises:
        StoreUnusable: Too old, or built without FTS5.
    """
    wanted = ".".join(str(part) for part in SQLITE_MIN[:2])
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        raise StoreUnusable(
            f"This Python has SQLite {sqlite3.sqlite_version}; wynd-chat needs {wanted} or newer. "
            "Use a newer Python, or PostgreSQL."
        )
    with_fts5 = "SELECT sqlite_compileoption_used('ENABLE_FTS5')"
    with closing(sqlite3.connect(":memory:")) as connection:
        (is_there,) = connection.execute(with_fts5).fetchone()
    if not is_there:
        raise StoreUnusable(
            "This Python's SQLite was built without FTS5, which wynd-chat needs for search. "
            "Use another Python, or PostgreSQL."
        )


def synced(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
