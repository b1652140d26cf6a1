"""Answers: compact JSON, and entity tags that match as HTTP says."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from wynd_chat.gateway.rest.answers import answer, compact, matches, nothing, weak_tag


def test_json_is_compact_and_utf_8() -> None:
    assert compact({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        compact(float("nan"))


def test_an_answer_has_what_it_was_given() -> None:
    given = answer({"a": 1}, 201, headers={"location": "x"})
    assert (given.status_code, given.body) == (201, b'{"a":1}')
    assert given.headers["content-type"] == "application/json"
    assert given.headers["location"] == "x"
    assert (nothing().status_code, nothing().body) == (204, b"")


def test_tags_tell_values_apart() -> None:
    assert weak_tag({"a": 1}) == weak_tag({"a": 1})
    assert weak_tag({"a": 1}) != weak_tag({"a": 2})


@pytest.mark.parametrize(
    ("known", "is_match"),
    [
        (None, False),
        ('W/"a"', True),
        ('"a"', True),
        ('"b", W/"a"', True),
        ("*", True),
        ('"b"', False),
        ("", False),
        ("a", False),
    ],
)
def test_a_known_tag_matches_weakly(known: str | None, is_match: bool) -> None:
    headers = [] if known is None else [(b"if-none-match", known.encode())]
    request = Request({"type": "http", "method": "GET", "headers": headers})
    assert matches(request, 'W/"a"') is is_match
