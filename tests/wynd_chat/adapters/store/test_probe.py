"""The probe of a store really writes, so that a fault shows while nobody says anything."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from wynd_chat.adapters.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path


async def test_each_probe_commits_something_that_others_can_see(tmp_path: Path) -> None:
    path = tmp_path / "chat.sqlite3"
    store = SqliteStore(path)
    await store.open()
    try:
        with contextlib.closing(sqlite3.connect(path)) as other:
            versions = [data_version(other)]
            for _ in range(3):
                assert await store.is_writable()
                versions.append(data_version(other))
        assert len(set(versions)) == 4, "a probe wrote nothing, so it can find no full disk"
        assert (await store.read(lambda snapshot: len(snapshot.meta("probe") or ""))) < 2
    finally:
        await store.close()


def data_version(connection: sqlite3.Connection) -> int:
    """Return SQLite's count of other connections' commits."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
