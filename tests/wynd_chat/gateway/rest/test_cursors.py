"""Cursors: they lead on, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.rest.cursors import decode_cursor, encode_cursor, sliced

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


@given(key=TEXTS)
def test_a_cursor_is_the_key_it_was_made_of(key: str) -> None:
    cursor = encode_cursor("users", key)
    assert decode_cursor("users", cursor) == key
    assert cursor.isascii()
    assert "=" not in cursor


def test_no_cursor_is_the_beginning() -> None:
    assert decode_cursor("users", None) == ""


@given(key=TEXTS, data=st.data())
def test_a_garbled_cursor_is_refused(key: str, data: st.DataObject) -> None:
    cursor = encode_cursor("users", key)
    at = data.draw(st.integers(0, len(cursor) - 2))  # the last character has bits to spare
    other = data.draw(st.sampled_from("AZaz09-_").filter(lambda one: one != cursor[at]))
    with pytest.raises(ChatError) as refused:
        decode_cursor("users", cursor[:at] + other + cursor[at + 1 :])
    assert refused.value.code is ErrorCode.BAD_REQUEST


@given(text=st.text(max_size=60))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ChatError):
        decode_cursor("users", text)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(ChatError):
        decode_cursor("rooms", encode_cursor("users", "alice"))


@given(keys=st.lists(TEXTS, unique=True, max_size=30), limit=st.integers(1, 10))
def test_pages_have_every_entry_once_in_order(keys: list[str], limit: int) -> None:
    keys = [key for key in keys if key]
    found: list[str] = []
    cursor: str | None = None
    while True:
        page, cursor = sliced("all", keys, lambda one: one, cursor, limit)
        assert len(page) == limit or cursor is None
        found += page
        if cursor is None:
            break
    assert found == sorted(keys)
