"""What the specification asks of the tables: two types, references, unique keys, indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from tests.contracts.chat_stores import memory_engine
from wynd_chat.adapters.store.schema import METADATA, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Table

STAGE_1 = {
    "bans",
    "events",
    "idempotency",
    "ignores",
    "invites",
    "link_codes",
    "memberships",
    "messages",
    "meta",
    "rooms",
    "sessions",
    "upload_tokens",
    "uploads",
    "users",
}


def test_every_table_of_the_first_stage_is_there() -> None:
    assert set(METADATA.tables) == STAGE_1


@pytest.mark.parametrize("table", METADATA.tables.values(), ids=str)
def test_columns_are_text_or_64_bit_integers(table: Table) -> None:
    postgres = postgresql.dialect()  # type: ignore[no-untyped-call]
    for column in table.columns:
        assert isinstance(column.type, Text | Integer)
        if isinstance(column.type, Integer):
            assert isinstance(column.type.dialect_impl(postgres), BigInteger)


@pytest.mark.parametrize("table", METADATA.tables.values(), ids=str)
def test_every_id_of_another_row_is_a_reference(table: Table) -> None:
    not_ours = {("messages", "id"), ("uploads", "id"), ("rooms", "id"), ("users", "id")}
    for column in table.columns:
        names_a_row = column.name.endswith("_id") or column.name == "created_by"
        if names_a_row and (table.name, column.name) not in not_ours:
            assert column.foreign_keys, column


@pytest.mark.parametrize("table", METADATA.tables.values(), ids=str)
def test_what_a_dropped_user_leaves_is_found_by_an_index(table: Table) -> None:
    small = {"invites", "link_codes", "upload_tokens", "bans"}  # scanned in no time
    led_by = {index.columns[0].name for index in table.indexes if len(index.columns)}
    led_by.add(next(iter(table.primary_key)).name)
    for column in table.columns:
        to_users = any(key.column.table.name == "users" for key in column.foreign_keys)
        if to_users and table.name not in small:
            assert column.name in led_by, column


@pytest.fixture
def connection() -> Iterator[Connection]:
    """Give an empty database without foreign keys, for constraints of single tables."""
    with memory_engine().begin() as connection:
        METADATA.create_all(connection)
        yield connection


def add_message(connection: Connection, number: int, **values: object) -> None:
    row = {
        "id": f"m_{number}",
        "room_id": "r",
        "seq": number,
        "author_id": "u",
        "author_name": "Alice",
        "author_kind": "human",
        "kind": "text",
        "text": "",
        "search_text": "",
        "at": 0,
    }
    connection.execute(messages.insert(), row | values)


def test_a_cid_is_unique_for_its_author_only_where_there_is_one(connection: Connection) -> None:
    add_message(connection, 1, cid="c")
    add_message(connection, 2, cid="c", author_id="v")
    add_message(connection, 3)
    add_message(connection, 4)
    with pytest.raises(IntegrityError):
        add_message(connection, 5, cid="c", room_id="r2")


def test_a_seq_is_unique_in_its_room(connection: Connection) -> None:
    add_message(connection, 1)
    with pytest.raises(IntegrityError):
        add_message(connection, 1, id="m_other")


def test_a_text_is_no_number(connection: Connection) -> None:
    with pytest.raises(IntegrityError, match="cannot store TEXT value in INTEGER column"):
        add_message(connection, 1, at="soon")
