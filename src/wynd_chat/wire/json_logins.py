"""Logins as programs read them, on every face: `GET /sessions`, `GET /tokens`, `/sessions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wynd_chat.domain.sessions import public_id
from wynd_chat.wire.times import time_text

if TYPE_CHECKING:
    from wynd_chat.domain.models import Session

__all__ = ["login_object"]


def login_object(session: Session, current: str | None) -> dict[str, Any]:
    """Return a login; never its token, nor the hash of it.

    Args:
        session: The login.
        current: The hash of the one that asks.
    """
    ends = session.expires_at
    return {
        "id": public_id(session),
        "kind": session.kind.value,
        "label": session.label,
        "ip": session.ip,
        "user_agent": session.user_agent,
        "created_at": time_text(session.created_at),
        "last_seen_at": time_text(session.last_seen_at),
        "expires_at": None if ends is None else time_text(ends),
        "current": session.token_hash == current,
    }
