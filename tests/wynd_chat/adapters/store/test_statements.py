"""Every statement that reads a large table finds its rows by an index, on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Select, event
from sqlalchemy.sql.compiler import SQLCompiler

from tests.contracts.chat_stores import memory_engine
from wynd_chat.adapters.store import posting, statements
from wynd_chat.adapters.store.schema import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

# Small tables that may be read whole, and counts over a table of which nearly all is counted.
MAY_SCAN = {
    "ACCOUNT_COUNT": "users",
    "BANS_OF_SERVER": "bans",
    "UPLOAD_BYTES": "uploads",
}
STATEMENTS = {
    name: value
    for module in (statements, posting)
    for name, value in vars(module).items()
    if isinstance(value, Select)
}


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    """Give an empty database with the schema."""
    with memory_engine().connect() as connection:
        METADATA.create_all(connection)
        yield connection


def plan(connection: Connection, statement: Select[Any]) -> list[str]:
    """Return the steps that SQLite would take."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        asked.append((text, values))

    event.listen(connection, "before_cursor_execute", note)
    try:
        connection.execute(statement, values_for(connection, statement))
    finally:
        event.remove(connection, "before_cursor_execute", note)
    text, values = asked[0]
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
    return [str(row[3]) for row in rows]


def values_for(connection: Connection, statement: Select[Any]) -> dict[str, Any]:
    """Return some value for every parameter that has none."""
    compiled = statement.compile(dialect=connection.dialect)
    assert isinstance(compiled, SQLCompiler)
    values: dict[str, Any] = {}
    for name, parameter in compiled.binds.items():
        if parameter.required:
            values[name] = ["a", "b"] if parameter.expanding else "[]" if name == "listed" else 1
    return values


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_table_is_read_whole(connection: Connection, name: str) -> None:
    steps = plan(connection, STATEMENTS[name])
    given = ("SCAN CONSTANT ROW", "SCAN value", "SCAN json_each", "SCAN anon_")  # bounded lists
    scans = [
        step
        for step in steps
        if step.startswith("SCAN") and not step.startswith(given) and "listed" not in step
    ]
    allowed = MAY_SCAN.get(name)
    assert [step for step in scans if allowed is None or allowed not in step] == [], steps
    assert steps


@pytest.mark.parametrize(
    "name", ["EVENTS_AFTER", "NEWEST_MESSAGES", "OLDEST_MESSAGES", "MEMBERS", "ACCOUNTS"]
)
def test_pages_are_read_in_order_without_sorting(connection: Connection, name: str) -> None:
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan(connection, STATEMENTS[name])


def test_mentions_are_counted_over_messages_that_have_any(connection: Connection) -> None:
    assert any("ix_messages_mentions" in step for step in plan(connection, statements.UNREAD))


def test_messages_are_counted_without_reading_them(connection: Connection) -> None:
    assert any("COVERING INDEX" in step for step in plan(connection, statements.MESSAGE_COUNT))
    assert any("ix_messages_deleted" in step for step in plan(connection, statements.DELETED_COUNT))
