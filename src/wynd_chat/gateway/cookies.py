"""The session's cookie: its name, its attributes, and which of those that came counts.

Over TLS it has the prefix that browsers guard (`__Host-`: this host only, never set over plain
HTTP); there a cookie without it counts for nothing, since whoever is on the way could have set it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

__all__ = ["cookie_name", "drop_cookie", "give_cookie", "token_of"]

PLAIN = "wynd_chat"
GUARDED = f"__Host-{PLAIN}"
AGE_S = 365 * 24 * 3600  # how long the browser keeps it; when the login ends, the server decides


def cookie_name(*, is_secure: bool) -> str:
    """Return the cookie's name, over TLS or over plain HTTP."""
    return GUARDED if is_secure else PLAIN


def token_of(cookies: Mapping[str, str], *, is_secure: bool) -> str | None:
    """Return the token of the cookie that counts, None where there is none."""
    return cookies.get(cookie_name(is_secure=is_secure)) or None


def give_cookie(response: Response, token: str, *, is_secure: bool) -> None:
    """Let an answer give the browser a session."""
    response.set_cookie(
        cookie_name(is_secure=is_secure),
        token,
        max_age=AGE_S,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="strict",
    )


def drop_cookie(response: Response, *, is_secure: bool) -> None:
    """Let an answer take the session from the browser."""
    response.delete_cookie(
        cookie_name(is_secure=is_secure),
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="strict",
    )
