"""The undo log of the tables in memory takes back exactly what was done since the last keeping."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wynd_chat.adapters.store.memory_tables import Tables

keys = st.sampled_from("abc")
changes = st.lists(st.tuples(keys, st.none() | st.integers(0, 3)), max_size=12)


def apply(tables: Tables, made: list[tuple[str, int | None]]) -> None:
    """Put numbers under keys, or remove keys (None)."""
    table: dict[str, int] = tables.meta  # type: ignore[assignment]  # any dictionary will do
    for key, value in made:
        if value is None:
            tables.pop(table, key)
        else:
            tables.put(table, key, value)


@given(kept=changes, undone=changes)
def test_undoing_restores_what_was_kept(
    kept: list[tuple[str, int | None]], undone: list[tuple[str, int | None]]
) -> None:
    tables = Tables()
    apply(tables, kept)
    tables.keep()
    before = dict(tables.meta)
    apply(tables, undone)
    tables.undo()
    assert tables.meta == before
    tables.undo()
    assert tables.meta == before


def test_removing_what_is_not_there_is_none() -> None:
    tables = Tables()
    assert tables.pop(tables.meta, "a") is None
    tables.put(tables.meta, "a", "1")
    assert tables.pop(tables.meta, "a") == "1"
