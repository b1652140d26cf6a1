"""The SQLite file of a chat, from outside: a consistent copy beside a running server, and checks.

Knows of the schema only what a backup has to say: `alembic_version`, `meta`, `uploads`. Uses the
driver itself, since stores migrate what they open and a copy must stay as it is.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from wynd_chat.adapters.backup.archive import BackupError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from wynd_chat.adapters.backup.archive import Progress

__all__ = ["Copy", "check_database", "copy_database", "set_epoch"]

PAGES_AT_ONCE = 1024  # 4 MiB: between two steps others get the disk
BUSY_S = 30.0


@dataclass(frozen=True, slots=True)
class Copy:
    """What is in a database."""

    schema: str | None
    epoch: str | None
    counts: Mapping[str, int]
    """Rows by table."""
    contents: Mapping[str, int]
    """Size of each content that a file of the chat needs, by SHA-256."""


def copy_database(source: Path, target: Path, progress: Progress) -> Copy:
    """Copy a database as it is at one moment, while others write to it (SQLite's online backup).

    The read transaction that is held meanwhile pins the moment: without it every write of the
    server would make the copy begin anew.

    Args:
        source: The database.
        target: Where the copy goes; one file, in no WAL mode.
        progress: Told (bytes copied, bytes in all).

    Raises:
        BackupError: there is none, or it is damaged.
    """
    if not source.is_file():
        raise BackupError(f"there is no database {source}; has the server run once?")
    try:
        with (
            closing(_connect(source)) as live,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            page = live.execute("PRAGMA page_size").fetchone()[0]
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            live.backup(
                copy,
                pages=PAGES_AT_ONCE,
                progress=lambda _, left, total: progress((total - left) * page, total * page),
                sleep=0.05,
            )
            live.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}") from None
    return check_database(target)


def check_database(path: Path, *, known_schemas: Collection[str] | None = None) -> Copy:
    """Check a copy from end to end; return what is in it.

    Args:
        path: A database that nobody else uses.
        known_schemas: The migrations that this program knows; None: any.

    Raises:
        BackupError: damaged, no database of wynd-chat, or of a newer one.
    """
    try:
        with closing(_connect(path)) as connection:
            sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if sound != "ok":
                raise BackupError(f"the database is damaged: {sound}")
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise BackupError("the database is damaged: rows refer to others that are missing")
            found = _inspect(connection)
    except sqlite3.Error as error:
        raise BackupError(f"the database cannot be read: {error}") from None
    if known_schemas is not None and found.schema not in known_schemas:
        raise BackupError(
            f"this backup's schema ({found.schema}) is newer than this wynd-chat; update it first"
        )
    return found


def set_epoch(path: Path, epoch: str) -> None:
    """Give a database another identity, so that clients drop what they remember of the old one."""
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "INSERT INTO meta (key, value) VALUES ('epoch', ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (epoch,),
            )
    except sqlite3.Error as error:
        raise BackupError(f"the database cannot be changed: {error}") from None


def _connect(path: Path) -> sqlite3.Connection:
    """Open what is there, to read it; a database in WAL mode is read beside its writer.

    Not read-only: the last reader who may write takes the files of the WAL away again.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)


def _inspect(connection: sqlite3.Connection) -> Copy:
    names = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    if "meta" not in names or "alembic_version" not in names:
        raise BackupError("the database is none of wynd-chat")
    counts = {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        for name in sorted(names)
        if name != "alembic_version"
    }
    schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    epoch = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    contents = connection.execute("SELECT sha256, size FROM uploads WHERE state <> 'gone'")
    return Copy(
        schema=None if schema is None else schema[0],
        epoch=None if epoch is None else epoch[0],
        counts=counts,
        contents=dict(contents.fetchall()),
    )
