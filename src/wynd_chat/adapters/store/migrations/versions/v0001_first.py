"""0001: every table of the first release, for SQLite and PostgreSQL.

Frozen: later changes are migrations of their own. `schema.py` has the tables as they are now, with
the reasons.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision: str | None = None

TABLES = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

WORDS = Text()
# PostgreSQL would sort by the rules of a language; SQLite and Python sort by code point.
KEY = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
NUMBER = Integer().with_variant(BigInteger(), "postgresql")


def table(name: str, *items: Column[Any] | Index | UniqueConstraint, rowid: bool = True) -> Table:
    """Make a STRICT table; without `rowid` its rows lie in the order of the primary key."""
    return Table(name, TABLES, *items, sqlite_strict=True, sqlite_with_rowid=rowid)


def key(name: str, *references: ForeignKey, **options: Any) -> Column[Any]:
    """Return a column of ids or keys; not null unless told."""
    return Column(name, KEY, *references, **{"nullable": False, **options})


def words(name: str, **options: Any) -> Column[Any]:
    """Return a column of text that people read; not null unless told."""
    return Column(name, WORDS, **{"nullable": False, **options})


def number(name: str, **options: Any) -> Column[Any]:
    """Return a column of integers; not null unless told."""
    return Column(name, NUMBER, **{"nullable": False, **options})


def refers(target: str, on_delete: str = "CASCADE") -> ForeignKey:
    """Return a reference; its row goes with the target, or loses the reference ("SET NULL")."""
    return ForeignKey(target, ondelete=on_delete)


table(
    "users",
    key("id", primary_key=True),
    words("name"),
    key("name_key", nullable=True),
    key("name_skeleton", nullable=True),
    key("kind"),
    key("password_hash", nullable=True),
    key("role"),
    key("status"),
    words("away", nullable=True),
    key(
        "avatar_id",
        ForeignKey("uploads.id", ondelete="SET NULL", use_alter=True),
        nullable=True,
    ),
    words("prefs", server_default="{}"),
    number("created_at"),
    number("last_seen_at"),
    UniqueConstraint("name_key"),
    Index(None, "name_skeleton"),
    Index(None, "avatar_id"),
)

table(
    "rooms",
    key("id", primary_key=True),
    key("kind"),
    words("name", nullable=True),
    key("name_key", nullable=True),
    key("dm_key", nullable=True),
    words("topic", server_default=""),
    number("last_seq", server_default=text("0")),
    number("min_seq", server_default=text("1")),
    key("history"),
    key("key_hash", nullable=True),
    number("locked", server_default=text("0")),
    number("slow_s", server_default=text("0")),
    number("retention_days", nullable=True),
    number("archive_public", server_default=text("0")),
    key("created_by", refers("users.id", "SET NULL"), nullable=True),
    number("created_at"),
    number("archived_at", nullable=True),
    UniqueConstraint("name_key"),
    UniqueConstraint("dm_key"),
    Index(None, "created_by", "created_at"),
)

table(
    "memberships",
    key("room_id", refers("rooms.id"), primary_key=True),
    key("user_id", refers("users.id"), primary_key=True),
    key("role"),
    number("joined_seq"),
    number("read_seq", server_default=text("0")),
    key("notify"),
    number("silenced_until", nullable=True),
    Index(None, "user_id"),
    rowid=False,
)

table(
    "events",
    key("room_id", refers("rooms.id"), primary_key=True),
    number("seq", primary_key=True, autoincrement=False),
    key("kind"),
    key("author_id", refers("users.id", "SET NULL"), nullable=True),
    number("target_seq", nullable=True),
    words("body", nullable=True),
    number("at"),
    Index(
        None,
        "author_id",
        sqlite_where=text("author_id IS NOT NULL"),
        postgresql_where=text("author_id IS NOT NULL"),
    ),
    Index(
        "ix_events_others",
        "room_id",
        "seq",
        sqlite_where=text("kind <> 'message'"),
        postgresql_where=text("kind <> 'message'"),
    ),
    rowid=False,
)

table(
    "messages",
    key("id", primary_key=True),
    key("room_id", refers("rooms.id")),
    number("seq"),
    key("author_id", refers("users.id", "SET NULL"), nullable=True),
    words("author_name"),
    key("author_kind"),
    key("cid", nullable=True),
    key("kind"),
    words("text"),
    words("search_text"),
    number("reply_to", nullable=True),
    words("mentions", nullable=True),
    number("rev", server_default=text("0")),
    number("edited_at", nullable=True),
    number("deleted_at", nullable=True),
    number("at"),
    UniqueConstraint("room_id", "seq"),
    Index(
        "uq_messages_author_id_cid",
        "author_id",
        "cid",
        unique=True,
        sqlite_where=text("cid IS NOT NULL"),
        postgresql_where=text("cid IS NOT NULL"),
    ),
    Index(None, "author_id", "room_id", "at"),
    Index(
        "ix_messages_mentions",
        "room_id",
        "seq",
        sqlite_where=text("mentions IS NOT NULL"),
        postgresql_where=text("mentions IS NOT NULL"),
    ),
    Index(
        "ix_messages_deleted",
        "room_id",
        "seq",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
)

table(
    "uploads",
    key("id", primary_key=True),
    key("sha256"),
    number("size"),
    key("mime"),
    words("name"),
    number("w", nullable=True),
    number("h", nullable=True),
    key("owner_id", refers("users.id", "SET NULL"), nullable=True),
    key("room_id", refers("rooms.id", "SET NULL"), nullable=True),
    key("message_id", refers("messages.id", "SET NULL"), nullable=True),
    key("state"),
    number("created_at"),
    Index(None, "sha256"),
    Index(None, "state", "created_at"),
    Index(None, "owner_id", "created_at"),
    Index(None, "message_id"),
)

table(
    "sessions",
    key("token_hash", primary_key=True),
    key("user_id", refers("users.id")),
    key("kind"),
    words("label", server_default=""),
    key("scopes", server_default=""),
    key("ip", server_default=""),
    words("user_agent", server_default=""),
    number("created_at"),
    number("last_seen_at"),
    number("expires_at", nullable=True),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

table(
    "invites",
    key("code_hash", primary_key=True),
    key("kind"),
    key("owner_id", refers("users.id"), nullable=True),
    key("target", refers("rooms.id"), nullable=True),
    number("uses_left"),
    number("expires_at"),
)

table(
    "link_codes",
    key("code_hash", primary_key=True),
    key("owner_id", refers("users.id"), nullable=True),
    key("target"),
    number("uses_left"),
    number("expires_at"),
)

table(
    "upload_tokens",
    key("code_hash", primary_key=True),
    key("owner_id", refers("users.id")),
    key("target", refers("rooms.id")),
    number("uses_left"),
    number("expires_at"),
)

table(
    "bans",
    key("id", primary_key=True),
    key("room_id", refers("rooms.id"), nullable=True),
    key("user_id", refers("users.id"), nullable=True),
    key("ip_net", nullable=True),
    words("reason"),
    key("by_id", refers("users.id", "SET NULL"), nullable=True),
    number("at"),
    number("until", nullable=True),
    Index(None, "room_id"),
    Index(None, "user_id"),
)

table(
    "ignores",
    key("user_id", refers("users.id"), primary_key=True),
    key("ignored_id", refers("users.id"), primary_key=True),
    Index(None, "ignored_id"),
    rowid=False,
)

table(
    "idempotency",
    key("user_id", refers("users.id"), primary_key=True),
    key("key", primary_key=True),
    key("request_hash"),
    number("status"),
    words("body"),
    number("at"),
    Index(None, "at"),
)

table("meta", key("key", primary_key=True), words("value"), rowid=False)


def upgrade() -> None:
    """Make the tables."""
    TABLES.create_all(op.get_bind(), checkfirst=False)
