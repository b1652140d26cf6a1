"""`make_store`: each kind of address gives its database, any other one a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wynd_chat.adapters.store.making import make_store
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.adapters.store.postgres import PostgresStore
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.ports.store import StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path


def test_each_address_gives_its_database(tmp_path: Path) -> None:
    assert isinstance(make_store("memory:"), MemoryStore)
    assert isinstance(make_store(f"sqlite:///{tmp_path}/deep/down/chat.sqlite3"), SqliteStore)
    assert isinstance(make_store("postgresql://chat@localhost/chat"), PostgresStore)


def test_the_folder_of_a_new_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    make_store(f"sqlite:///{tmp_path}/new/chat.sqlite3")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_other_addresses_and_impossible_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="must begin with memory:, sqlite:///"):
        make_store("mysql://localhost/chat")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be made"):
        make_store(f"sqlite:///{tmp_path}/file/chat.sqlite3")
