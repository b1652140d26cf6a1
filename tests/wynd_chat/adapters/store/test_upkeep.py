"""The statements of upkeep read no more of a large table than they need; results: contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import memory_engine
from wynd_chat.adapters.store import upkeep
from wynd_chat.adapters.store.schema import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

GIVEN: dict[str, Any] = {
    "before": 1,
    "after": "",
    "limit": 5,
    "end": 9,
    "room_id": "r",
    "user_id": "u",
}


@pytest.fixture
def connection() -> Iterator[Connection]:
    """Give an empty database."""
    with memory_engine().begin() as connection:
        METADATA.create_all(connection)
        yield connection


def plan(connection: Connection, statement: Any) -> str:
    """Return how SQLite goes about a statement."""
    text = str(statement.compile(connection, compile_kwargs={"render_postcompile": True}))
    names = statement.compile(connection).positiontup or ()
    values = tuple(GIVEN.get(name, 1) for name in names)
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
    return "\n".join(row[-1] for row in rows)


@pytest.mark.parametrize(
    "name", ["FIRST_EVENT", "LAST_OLD_EVENT", "ROOM_IDS", "HAS_MESSAGES", "STALE_GUESTS"]
)
def test_large_tables_are_searched_by_an_index(name: str, connection: Connection) -> None:
    steps = plan(connection, getattr(upkeep, name)).splitlines()
    assert any(step.startswith("SEARCH") for step in steps), steps
    assert [step for step in steps if step.startswith("SCAN") and "CONSTANT" not in step] == []
