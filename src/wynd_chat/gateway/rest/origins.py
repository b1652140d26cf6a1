"""`Origins`: which pages may write with the cookie of the user who visits them.

The rules are those of the WebSocket's upgrade: by default a page of the same host and port, where
an `http` page does not count for a request that came over TLS; else a list of origins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Origins"]

_PORTS = {"http": 80, "https": 443}


class Origins:
    """The rules of one server.

    Args:
        rules: "same-host", "*", or a list such as ["https://example.org", "https://*.example.org"].
    """

    def __init__(self, rules: str | Sequence[str]) -> None:
        self._is_same_host = rules == "same-host"
        self._is_any = rules == "*" or "*" in rules
        listed = () if isinstance(rules, str) else rules
        self._listed = tuple(rule for rule in map(_parts, listed) if rule is not None)

    def allows(self, origin: str, host: str, *, is_secure: bool) -> bool:
        """Tell whether a page may write with a cookie.

        Args:
            origin: The `Origin` field.
            host: The `Host` field.
            is_secure: Whether the request came over TLS.
        """
        if self._is_any:
            return True
        parts = _parts(origin)
        if parts is None or parts[1].startswith("*"):
            return False  # "null" too: sandboxed pages and files of anybody send it
        if self._is_same_host:
            scheme, name, port = parts
            if scheme not in _PORTS or (scheme == "http" and is_secure):
                return False
            # Behind a proxy that ends TLS, Host has no port: the page's default counts.
            own = _parts(f"{scheme}://{host}")
            return own is not None and own[1:] == (name, port)
        return any(_matches(rule, parts) for rule in self._listed)


def _parts(origin: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of an origin (RFC 6454); None for what is none."""
    try:
        url = urlsplit(origin.lower())
        port = url.port
    except ValueError:
        return None
    rest = url.path or url.query or url.fragment or url.username is not None
    if not origin.isascii() or not url.scheme or not url.hostname or rest:
        return None
    return url.scheme, url.hostname, _PORTS.get(url.scheme) if port is None else port


def _matches(rule: tuple[str, str, int | None], origin: tuple[str, str, int | None]) -> bool:
    if (rule[0], rule[2]) != (origin[0], origin[2]):
        return False
    if not rule[1].startswith("*."):
        return rule[1] == origin[1]
    suffix = rule[1][1:]
    return origin[1].endswith(suffix) and len(origin[1]) > len(suffix)
