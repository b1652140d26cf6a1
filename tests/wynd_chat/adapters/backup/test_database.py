"""Copies of the SQLite file: checked from end to end, and only of a chat's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.adapters.backup.chats import make_chat, names_in, open_chat
from wynd_chat.adapters.backup.archive import BackupError
from wynd_chat.adapters.backup.database import check_database, copy_database, set_epoch

if TYPE_CHECKING:
    from pathlib import Path


def ignore(_done: int, _total: int) -> None:
    """Take no notice."""


async def test_a_copy_is_one_file_and_the_original_stays_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "da?ta #1%"  # a path that a URI must quote
    await (await make_chat(data)).close()
    before = (data / "chat.sqlite3").read_bytes()
    found = copy_database(data / "chat.sqlite3", tmp_path / "copy", ignore)
    assert found.counts["messages"] == 3
    assert found.contents == {}
    assert (data / "chat.sqlite3").read_bytes() == before
    assert names_in(tmp_path) == ["copy", "da?ta #1%"]


async def test_the_epoch_is_replaced(tmp_path: Path) -> None:
    await (await make_chat(tmp_path)).close()
    set_epoch(tmp_path / "chat.sqlite3", "another")
    store = await open_chat(tmp_path)
    assert await store.read(lambda snapshot: snapshot.meta("epoch")) == "another"
    await store.close()


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cats (name)")
    with pytest.raises(BackupError, match="none of wynd-chat"):
        check_database(path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(BackupError, match="cannot be read"):
        check_database(path)
    with pytest.raises(BackupError, match="cannot be changed"):
        set_epoch(path, "x")


async def test_rows_that_refer_to_missing_ones_are_noticed(tmp_path: Path) -> None:
    await (await make_chat(tmp_path)).close()
    path = tmp_path / "chat.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM users")
    with pytest.raises(BackupError, match="refer to others that are missing"):
        check_database(path)
