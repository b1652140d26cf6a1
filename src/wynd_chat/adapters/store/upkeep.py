"""The statements of upkeep, as values: what has ended, what is trimmed, which guests have gone.

Decides which rows those are, and that one run takes a bounded number of them. Runs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, func, or_, select

from wynd_chat.adapters.store import schema
from wynd_chat.adapters.store.rows import SESSIONS, USERS

if TYPE_CHECKING:
    from sqlalchemy import Delete, Table

__all__ = [
    "DROP_ENDED",
    "FIRST_EVENT",
    "HAS_ADMIN",
    "HAS_MESSAGES",
    "LAST_OLD_EVENT",
    "ROOM_IDS",
    "SESSIONS_BY_HASH",
    "STALE_GUESTS",
]

USER = USERS.table.c
EVENT = schema.events.c

HAS_ADMIN = select(
    exists().where(
        USER.role == "admin", USER.status == "active", USER.kind.not_in(["guest", "system"])
    )
)
HAS_MESSAGES = select(exists().where(schema.messages.c.author_id == bindparam("user_id")))
STALE_GUESTS = (
    select(*USERS.columns)
    .where(
        USER.id > bindparam("after"),
        USER.kind == "guest",
        USER.last_seen_at < bindparam("before"),
        ~exists().where(schema.sessions.c.user_id == USER.id),
        or_(
            USER.name_key.is_not(None),
            exists().where(schema.memberships.c.user_id == USER.id),
        ),
    )
    .order_by(USER.id)
    .limit(bindparam("limit"))
)
SESSIONS_BY_HASH = select(*SESSIONS.columns).where(
    SESSIONS.table.c.token_hash.in_(bindparam("hashes", expanding=True))
)
ROOM_IDS = (
    select(schema.rooms.c.id)
    .where(schema.rooms.c.id > bindparam("after"))
    .order_by(schema.rooms.c.id)
    .limit(bindparam("limit"))
)
FIRST_EVENT = select(func.min(EVENT.seq)).where(EVENT.room_id == bindparam("room_id"))
LAST_OLD_EVENT = select(func.max(EVENT.seq)).where(
    EVENT.room_id == bindparam("room_id"),
    EVENT.seq < bindparam("end"),
    EVENT.at < bindparam("before"),
)


def _ended(table: Table, key: str, *, is_counted: bool) -> Delete:
    """Return the statement that removes rows of a table that have ended, at most `:limit`."""
    is_over = table.c.expires_at < bindparam("before")
    if is_counted:
        is_over = or_(is_over, table.c.uses_left < 1)
    some = select(table.c[key]).where(is_over).order_by(table.c[key]).limit(bindparam("limit"))
    return delete(table).where(table.c[key].in_(some))


DROP_ENDED = (
    _ended(schema.sessions, "token_hash", is_counted=False),
    _ended(schema.invites, "code_hash", is_counted=True),
    _ended(schema.link_codes, "code_hash", is_counted=True),
    _ended(schema.upload_tokens, "code_hash", is_counted=True),
)
