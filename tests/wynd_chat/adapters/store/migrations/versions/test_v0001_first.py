"""The first migration makes the tables that the program means, on SQLite to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.contracts.chat_stores import memory_engine
from wynd_chat.adapters.store.migrate import migrate
from wynd_chat.adapters.store.schema import METADATA

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


AVATAR = (
    ", CONSTRAINT fk_users_avatar_id_uploads FOREIGN KEY(avatar_id) "
    "REFERENCES uploads (id) ON DELETE SET NULL"
)


def sqlite() -> Engine:
    """Return an empty database in memory."""
    return memory_engine()


def statements(connection: Connection) -> dict[str, str]:
    """Return what each table and index was made with, by name."""
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
    )
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_alembic_finds_no_difference() -> None:
    with sqlite().begin() as connection:
        migrate(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_the_statements_are_those_of_the_program() -> None:
    with sqlite().begin() as migrated, sqlite().begin() as made:
        migrate(migrated)
        METADATA.create_all(made)
        ours, theirs = statements(migrated), statements(made)
    assert AVATAR in ours["users"]
    # users and uploads name each other; SQLAlchemy may leave one of such a pair out on SQLite.
    for text in (ours, theirs):
        text["users"] = text["users"].replace(AVATAR, "")
    assert ours == theirs


def test_every_table_is_strict() -> None:
    with sqlite().begin() as connection:
        migrate(connection)
        rows = connection.exec_driver_sql(
            "SELECT name, strict FROM pragma_table_list "
            "WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
        ).all()
    assert {name for name, _ in rows} == set(METADATA.tables)
    assert all(strict for _, strict in rows)
