"""How long logins last, how use renews them, what lists call them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Session, SessionKind
from wynd_chat.domain.sessions import (
    GUEST_MS,
    LABEL_CHARS_MAX,
    WEB_MS,
    clean_label,
    expiry_of,
    is_over,
    is_token,
    public_id,
    renewed,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW = 1_000_000_000


def a_login(kind: SessionKind = SessionKind.WEB, **more: object) -> Session:
    """Return a login that was made and used now."""
    session = Session(
        token_hash="0123456789abcdef" * 4,
        user_id="u_1",
        kind=kind,
        created_at=NOW,
        last_seen_at=NOW,
        expires_at=expiry_of(kind, NOW),
    )
    return replace(session, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [
        (SessionKind.GUEST, DAY_MS),
        (SessionKind.DEVICE, DAY_MS),
        (SessionKind.WEB, 30 * DAY_MS),
        (SessionKind.API, None),
        (SessionKind.BOT, None),
    ],
)
def test_how_long_an_unused_login_lasts(kind: SessionKind, lasts: int | None) -> None:
    login = a_login(kind)
    if lasts is None:
        assert not is_over(login, NOW + 10**15)
    else:
        assert not is_over(login, NOW + lasts - 1)
        assert is_over(login, NOW + lasts)


@pytest.mark.parametrize("kind", [SessionKind.GUEST, SessionKind.DEVICE, SessionKind.WEB])
def test_use_renews_a_login_and_is_stored_once_an_hour(kind: SessionKind) -> None:
    login = a_login(kind)
    assert renewed(login, NOW + HOUR_MS - 1) is None
    used = renewed(login, NOW + HOUR_MS)
    assert used == replace(
        login, last_seen_at=NOW + HOUR_MS, expires_at=expiry_of(kind, NOW + HOUR_MS)
    )


def test_a_browser_logs_in_again_after_a_year_however_often_it_comes() -> None:
    last = NOW + 364 * DAY_MS
    login = a_login(last_seen_at=last - DAY_MS, expires_at=last + WEB_MS - DAY_MS)
    used = renewed(login, last)
    assert used is not None
    assert used.expires_at == NOW + 365 * DAY_MS


def test_a_token_keeps_the_end_it_was_made_with() -> None:
    token = a_login(SessionKind.API, expires_at=NOW + GUEST_MS)
    used = renewed(token, NOW + 2 * HOUR_MS)
    assert used == replace(token, last_seen_at=NOW + 2 * HOUR_MS)


def test_tokens_are_those_of_programs() -> None:
    tokens = [kind for kind in SessionKind if is_token(a_login(kind))]
    assert tokens == [SessionKind.API, SessionKind.BOT]


def test_a_login_is_called_by_the_beginning_of_its_hash() -> None:
    assert public_id(a_login()) == "0123456789abcdef"


def test_a_label_is_one_clean_line_or_the_default() -> None:
    assert clean_label(" my\x1b[31m laptop ") == "my laptop"
    assert clean_label("  ", "token") == "token"
    assert clean_label("x" * LABEL_CHARS_MAX) == "x" * LABEL_CHARS_MAX
    with pytest.raises(ChatError) as refused:
        clean_label("x" * (LABEL_CHARS_MAX + 1))
    assert refused.value.code is ErrorCode.TOO_LARGE
