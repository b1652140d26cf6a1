"""Where signing in may lead on to; reading and origins are tried through the server."""

from __future__ import annotations

import pytest

from wynd_chat.gateway.forms.reading import safe_next


@pytest.mark.parametrize(
    "text", ["link", "password", "join/abc-DEF_123", "claim/x", "join/" + "x" * 200]
)
def test_the_forms_themselves_are_places_to_go_on_to(text: str) -> None:
    assert safe_next(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "/", "./", "../link", "link/", "login", "join", "join/", "join/a/b"),
        *("join/a?b", "join/a#b", "join/a\n", "join/%2e%2e", "//evil.example/link"),
        *("https://evil.example", "javascript:link", "link\r\nx: y", "join/" + "x" * 201),
    ],
)
def test_nothing_else_is(text: str | None) -> None:
    assert safe_next(text) == ""
