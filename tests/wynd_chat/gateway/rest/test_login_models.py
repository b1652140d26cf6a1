"""What the API gives about logins fits what its document says; what it takes is bounded."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wynd_chat.domain.models import Session, SessionKind
from wynd_chat.gateway.rest.login_models import Login, NewAccount, NewLogin, NewToken
from wynd_chat.wire.json_logins import login_object


@pytest.mark.parametrize("kind", SessionKind)
@pytest.mark.parametrize("ends", [None, 5])
def test_a_login_is_as_documented(kind: SessionKind, ends: int | None) -> None:
    session = Session(
        token_hash="ab" * 32,
        user_id="u_1",
        kind=kind,
        created_at=1,
        last_seen_at=2,
        expires_at=ends,
    )
    value = login_object(session, None)
    model = Login.model_validate(value)
    assert model.model_extra == {}
    assert model.model_dump() == value


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (NewLogin, {"name": "Alice"}),
        (NewLogin, {"name": "Alice", "password": "x", "admin": True}),
        (NewLogin, {"name": 1, "password": "x"}),
        (NewLogin, {"name": "x" * 201, "password": "x"}),
        (NewLogin, {"name": "Alice", "password": "x" * 2049}),
        (NewAccount, {"name": "Alice", "password": "x", "role": "admin"}),
        (NewAccount, {"name": "Alice", "password": None}),
        (NewToken, {"days": 0}),
        (NewToken, {"days": 3651}),
        (NewToken, {"days": "7"}),
    ],
)
def test_what_does_not_fit_is_refused(model: type, body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)  # type: ignore[attr-defined]
