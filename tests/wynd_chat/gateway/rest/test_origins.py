"""Which pages may write with a cookie: the same host, or a list, as for the WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wynd_chat.gateway.rest.origins import Origins

if TYPE_CHECKING:
    from collections.abc import Sequence

LISTED = ("https://example.org", "https://*.example.net", "http://localhost:5173")


@pytest.mark.parametrize(
    ("rules", "origin", "host", "is_secure", "is_allowed"),
    [
        ("same-host", "http://chat.org", "chat.org", False, True),
        ("same-host", "http://CHAT.org", "chat.ORG", False, True),
        ("same-host", "http://chat.org:80", "chat.org", False, True),
        ("same-host", "http://localhost:3000", "localhost:3000", False, True),
        ("same-host", "http://[::1]:3000", "[::1]:3000", False, True),
        ("same-host", "https://chat.org", "chat.org", True, True),
        ("same-host", "https://chat.org", "chat.org", False, True),  # a proxy ends TLS
        ("same-host", "http://chat.org", "chat.org", True, False),
        ("same-host", "http://localhost:3001", "localhost:3000", False, False),
        ("same-host", "http://localhost", "localhost:3000", False, False),
        ("same-host", "http://127.0.0.1:3000", "localhost:3000", False, False),
        ("same-host", "http://evil.org", "chat.org", False, False),
        ("same-host", "http://chat.org.evil.org", "chat.org", False, False),
        ("same-host", "http://chat.org@evil.org", "chat.org", False, False),
        ("same-host", "http://user@chat.org", "chat.org", False, False),
        ("same-host", "http://chat.org/", "chat.org", False, False),
        ("same-host", "http://chat.org:x", "chat.org", False, False),
        ("same-host", "http://chat.org:99999", "chat.org", False, False),
        ("same-host", "ftp://chat.org", "chat.org", False, False),
        ("same-host", "null", "null", False, False),
        ("same-host", "", "", False, False),
        ("same-host", "http://", "", False, False),
        ("same-host", "http://[::1", "[::1", False, False),
        ("same-host", "http://ch\u0430t.org", "ch\u0430t.org", False, False),
        (LISTED, "https://example.org", "chat.org", True, True),
        (LISTED, "https://example.org:443", "chat.org", True, True),
        (LISTED, "http://example.org", "chat.org", False, False),
        (LISTED, "https://a.b.example.net", "chat.org", True, True),
        (LISTED, "https://example.net", "chat.org", True, False),
        (LISTED, "https://evilexample.net", "chat.org", True, False),
        (LISTED, "https://*.example.net", "chat.org", True, False),
        (LISTED, "http://localhost:5173", "chat.org", False, True),
        (LISTED, "https://chat.org", "chat.org", True, False),
        (LISTED, "null", "chat.org", True, False),
        ("*", "https://evil.org", "chat.org", True, True),
        (("*",), "null", "chat.org", True, True),
    ],
)
def test_an_origin_is_judged(
    rules: str | Sequence[str], origin: str, host: str, is_secure: bool, is_allowed: bool
) -> None:
    assert Origins(rules).allows(origin, host, is_secure=is_secure) is is_allowed
