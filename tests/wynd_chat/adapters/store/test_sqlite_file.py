"""The SQLite file: who may read it, when it is refused, and that it is copied before it changes."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError

from tests.wynd_chat.adapters.store.test_migrate import later_scripts
from wynd_chat.adapters.store.sqlite_file import SqliteFile, driver_of
from wynd_chat.ports.store import StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a database that is not there yet."""
    return tmp_path / "chat.db"


def prepared(path: Path) -> SqliteFile:
    """Return a database with its schema."""
    file = SqliteFile(path, busy_s=0.1)
    file.prepare("epoch-1")
    return file


def tables(path: Path) -> set[str]:
    """Return the names of a file's tables."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}


def test_only_its_owner_may_read_the_file_and_its_log(path: Path) -> None:
    old = os.umask(0)
    try:
        with prepared(path).writer() as connection, connection.begin():
            connection.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")
            for file in path.parent.iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    finally:
        os.umask(old)


def test_a_writer_syncs_every_commit_and_checks_references(path: Path) -> None:
    with prepared(path).writer() as connection:
        driver = driver_of(connection)
        assert driver.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert driver.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert driver.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_reader_cannot_write_and_sees_one_moment(path: Path) -> None:
    file = prepared(path)
    with file.writer() as writer, file.reader() as reader:
        count = "SELECT count(*) FROM meta"
        with reader.begin():
            before = reader.exec_driver_sql(count).scalar()
            with writer.begin():
                writer.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")
            assert reader.exec_driver_sql(count).scalar() == before
            with pytest.raises(OperationalError, match="readonly"):
                reader.exec_driver_sql("DELETE FROM meta")
        with reader.begin():
            assert reader.exec_driver_sql(count).scalar() == (before or 0) + 1


def test_preparing_again_keeps_the_epoch(path: Path) -> None:
    prepared(path)
    SqliteFile(path, busy_s=0.1).prepare("epoch-2")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchall()
    assert rows == [("epoch-1",)]


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to look at" * 30, b"SQLite format 3\0" * 99]
)
def test_what_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreUnusable, match=r"chat\.db is damaged or no database"):
        prepared(path)
    assert path.read_bytes() == content


def test_a_damaged_database_is_refused(path: Path) -> None:
    with prepared(path).writer() as connection, connection.begin():
        for number in range(500):
            connection.exec_driver_sql("INSERT INTO meta VALUES (?, ?)", (str(number), "x" * 200))
    content = bytearray(path.read_bytes())
    for page in range(len(content) // 4096 - 8, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = bytes(range(64))
    path.write_bytes(content)
    with pytest.raises(StoreUnusable, match="damaged"):
        SqliteFile(path, busy_s=0.1).prepare("epoch")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="No such file or directory"):
        prepared(tmp_path / "none" / "chat.db")


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(StoreUnusable, match="another program"):
        prepared(path)
    assert tables(path) == {"recipes"}


def test_a_newer_schema_is_refused(path: Path, tmp_path: Path) -> None:
    SqliteFile(path, busy_s=0.1).prepare("epoch", later_scripts(tmp_path))
    with pytest.raises(StoreUnusable, match="newer than this program"):
        prepared(path)


def test_the_file_is_copied_before_its_schema_changes(path: Path, tmp_path: Path) -> None:
    with prepared(path).writer() as connection, connection.begin():
        connection.exec_driver_sql("INSERT INTO meta VALUES ('color', 'red')")
    SqliteFile(path, busy_s=0.1).prepare("epoch", later_scripts(tmp_path))
    copy = path.with_name("chat.db.schema-0001")
    assert "more" in tables(path)
    assert "more" not in tables(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as copied:
        assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = copied.execute("SELECT value FROM meta WHERE key = 'color'").fetchall()
    assert rows == [("red",)]
    assert not list(path.parent.glob("*.partial"))


def test_a_migration_that_fails_leaves_the_database_as_it_was(path: Path, tmp_path: Path) -> None:
    prepared(path)
    scripts = later_scripts(tmp_path, fate='op.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(StoreUnusable, match="nowhere"):
        SqliteFile(path, busy_s=0.1).prepare("epoch", scripts)
    assert "more" not in tables(path)
    prepared(path)


def test_a_migration_that_breaks_references_is_undone(path: Path, tmp_path: Path) -> None:
    prepared(path)
    statement = "INSERT INTO ignores VALUES ('u_none', 'u_none')"
    scripts = later_scripts(tmp_path, fate=f'op.execute("{statement}")')
    with pytest.raises(StoreUnusable, match="lead nowhere"):
        SqliteFile(path, busy_s=0.1).prepare("epoch", scripts)
    assert "more" not in tables(path)


def test_a_database_locked_by_another_program_is_refused_after_a_while(path: Path) -> None:
    prepared(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnusable, match="locked"):
            SqliteFile(path, busy_s=0.05).prepare("epoch")


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.36.0")
    with pytest.raises(StoreUnusable, match=r"SQLite 3\.36\.0; wynd-chat needs 3\.37 or newer"):
        prepared(path)
    assert not path.exists()


def test_an_sqlite_without_full_text_search_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Without(sqlite3.Connection):
        """A connection to an SQLite that says no to every question about its build."""

        def execute(self, *arguments: object) -> sqlite3.Cursor:
            return super().execute("SELECT 0")

    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: Without(":memory:"))
    with pytest.raises(StoreUnusable, match="without FTS5"):
        prepared(path)
