"""How long logins last, and what a login is called: the rules over `Session` rows.

Plain functions over rows and milliseconds. Who may log in is `services.logins`; what happens to
connections whose login ended is the gateway's.
"""

from __future__ import annotations

from dataclasses import replace

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Session, SessionKind
from wynd_chat.domain.text import clean_line

__all__ = [
    "DEVICE_MS",
    "GUEST_MS",
    "LABEL_CHARS_MAX",
    "WEB_MS",
    "clean_label",
    "expiry_of",
    "is_over",
    "is_token",
    "public_id",
    "renewed",
]

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
GUEST_MS = DAY_MS  # chat.md 5.2: a guest resumes within a day
DEVICE_MS = DAY_MS  # a terminal's login ends with its connection; this is for what a crash leaves
WEB_MS = 30 * DAY_MS  # after the last visit
WEB_LONGEST_MS = 365 * DAY_MS  # after the login, however often it is used
RENEWED_EVERY_MS = HOUR_MS  # each renewal is a write
LABEL_CHARS_MAX = 64
PUBLIC_ID_CHARS = 16  # 64 bits of the hash: tells logins apart, gives no token away

_LASTS_MS = {
    SessionKind.GUEST: GUEST_MS,
    SessionKind.DEVICE: DEVICE_MS,
    SessionKind.WEB: WEB_MS,
}
_TOKENS = frozenset({SessionKind.API, SessionKind.BOT})


def expiry_of(kind: SessionKind, now: int) -> int | None:
    """Return when a new login of a kind ends if it is not used; None: never, as tokens."""
    lasts = _LASTS_MS.get(kind)
    return None if lasts is None else now + lasts


def is_over(session: Session, now: int) -> bool:
    """Tell whether a login has ended by itself."""
    return session.expires_at is not None and session.expires_at <= now


def is_token(session: Session) -> bool:
    """Tell whether it is a token of a program, as `/token` lists them."""
    return session.kind in _TOKENS


def renewed(session: Session, now: int) -> Session | None:
    """Return a login as its use renews it, or None where there is nothing to store yet.

    Tokens keep the end they were made with. A login is stored at most once an hour for this.
    """
    if now < session.last_seen_at + RENEWED_EVERY_MS:
        return None
    ends = session.expires_at
    lasts = _LASTS_MS.get(session.kind)
    if lasts is not None and ends is not None:
        ends = max(ends, now + lasts)
        if session.kind is SessionKind.WEB:
            ends = min(ends, session.created_at + WEB_LONGEST_MS)
    return replace(session, last_seen_at=now, expires_at=ends)


def public_id(session: Session) -> str:
    """Return what lists call a login; it is no secret."""
    return session.token_hash[:PUBLIC_ID_CHARS]


def clean_label(text: str, default: str = "") -> str:
    """Return what a login or token is for, on one line; `default` where nothing is said.

    Raises:
        ChatError: `too_large`.
    """
    label = clean_line(text).strip() or default
    if len(label) > LABEL_CHARS_MAX:
        raise ChatError(ErrorCode.TOO_LARGE, f"a label has at most {LABEL_CHARS_MAX} characters")
    return label
