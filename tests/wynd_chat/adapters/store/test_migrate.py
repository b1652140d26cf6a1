"""When a database is migrated, and when it is refused."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect

from tests.contracts.chat_stores import memory_engine
from wynd_chat.adapters.store.migrate import SCRIPTS, migrate
from wynd_chat.ports.store import StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path

SECOND = '''"""0002: a table more."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE TABLE more (id TEXT PRIMARY KEY) STRICT")
    {fate}
'''


def later_scripts(folder: Path, fate: str = "") -> Path:
    """Return migrations with one more than the program has."""
    scripts = folder / "migrations"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "v0002_more.py").write_text(SECOND.format(fate=fate))
    return scripts


def test_an_empty_database_is_filled_once_and_not_copied() -> None:
    copied: list[str] = []
    with memory_engine().begin() as connection:
        assert migrate(connection, before_change=copied.append)
        assert "messages" in inspect(connection).get_table_names()
        assert not migrate(connection, before_change=copied.append)
    assert copied == []


def test_a_filled_database_is_shown_before_it_is_changed(tmp_path: Path) -> None:
    scripts = later_scripts(tmp_path)
    seen: list[tuple[str, bool]] = []
    with memory_engine().begin() as connection:
        migrate(connection)

        def look(revision: str) -> None:
            seen.append((revision, "more" in inspect(connection).get_table_names()))

        assert migrate(connection, scripts=scripts, before_change=look)
        assert "more" in inspect(connection).get_table_names()
    assert seen == [("0001", False)]


def test_a_schema_newer_than_the_program_is_refused(tmp_path: Path) -> None:
    with memory_engine().begin() as connection:
        migrate(connection, scripts=later_scripts(tmp_path))
        with pytest.raises(StoreUnusable, match="0002 is newer than this program"):
            migrate(connection)


def test_tables_of_another_program_are_refused() -> None:
    with memory_engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (id INTEGER)")
        with pytest.raises(StoreUnusable, match="another program"):
            migrate(connection)
        assert inspect(connection).get_table_names() == ["recipes"]
