"""The session's cookie: attributes as the specification has them, one name that counts."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from wynd_chat.gateway.cookies import cookie_name, drop_cookie, give_cookie, token_of


def attributes(response: Response) -> tuple[str, set[str]]:
    """Return name and value, and the attributes in lower case."""
    pair, *rest = response.headers["set-cookie"].split("; ")
    return pair, {one.lower() for one in rest}


@pytest.mark.parametrize("is_secure", [True, False])
def test_a_given_cookie_is_guarded_as_far_as_the_connection_allows(is_secure: bool) -> None:
    response = Response()
    give_cookie(response, "t0ken", is_secure=is_secure)
    pair, said = attributes(response)
    assert pair == ("__Host-wynd_chat=t0ken" if is_secure else "wynd_chat=t0ken")
    assert {"httponly", "samesite=strict", "path=/"} <= said
    assert ("secure" in said) is is_secure
    assert not any(one.startswith("domain") for one in said)


@pytest.mark.parametrize("is_secure", [True, False])
def test_a_dropped_cookie_ends_at_once_and_has_the_same_attributes(is_secure: bool) -> None:
    response = Response()
    drop_cookie(response, is_secure=is_secure)
    pair, said = attributes(response)
    assert pair == f'{cookie_name(is_secure=is_secure)}=""'
    assert {"max-age=0", "httponly", "samesite=strict", "path=/"} <= said
    assert ("secure" in said) is is_secure


def test_the_cookie_of_the_other_kind_of_connection_counts_for_nothing() -> None:
    both = {"__Host-wynd_chat": "guarded", "wynd_chat": "plain"}
    assert token_of(both, is_secure=True) == "guarded"
    assert token_of(both, is_secure=False) == "plain"
    assert token_of({"wynd_chat": "plain"}, is_secure=True) is None
    assert token_of({"__Host-wynd_chat": "guarded"}, is_secure=False) is None
    assert token_of({"wynd_chat": ""}, is_secure=False) is None
