"""Logins as programs read them: what they need to tell them apart, and no secret."""

from __future__ import annotations

import json

from wynd_chat.domain.models import Session, SessionKind
from wynd_chat.wire.json_logins import login_object

LOGIN = Session(
    token_hash="0123456789abcdef" * 4,
    user_id="u_1",
    kind=SessionKind.WEB,
    label="laptop",
    ip="10.0.0.1",
    user_agent="Firefox",
    created_at=0,
    last_seen_at=1000,
    expires_at=2000,
)


def test_a_login_says_where_it_is_and_whether_it_asks() -> None:
    assert login_object(LOGIN, LOGIN.token_hash) == {
        "id": "0123456789abcdef",
        "kind": "web",
        "label": "laptop",
        "ip": "10.0.0.1",
        "user_agent": "Firefox",
        "created_at": "1970-01-01T00:00:00.000Z",
        "last_seen_at": "1970-01-01T00:00:01.000Z",
        "expires_at": "1970-01-01T00:00:02.000Z",
        "current": True,
    }


def test_the_hash_is_not_told() -> None:
    assert LOGIN.token_hash not in json.dumps(login_object(LOGIN, None))
