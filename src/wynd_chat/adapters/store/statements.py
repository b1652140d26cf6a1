"""The statements that read, as values: made once at import, the same for both databases.

Decides which rows answer which question. Runs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Integer,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from wynd_chat.adapters.store import schema
from wynd_chat.adapters.store.rows import (
    ANSWERS,
    BANS,
    FILE_COLUMNS,
    INVITES,
    LINK_CODES,
    MEMBERSHIPS,
    MESSAGE_COLUMNS,
    ROOMS,
    SESSIONS,
    UPLOAD_TOKENS,
    UPLOADS,
    USERS,
    Mapper,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.sql.compiler import SQLCompiler

__all__ = [
    "ACCOUNTS",
    "ACCOUNT_COUNT",
    "ANSWER",
    "BANS_OF_ROOM",
    "BANS_OF_SERVER",
    "CONTENT_USED",
    "DELETED_COUNT",
    "EVENTS_AFTER",
    "FILES_BETWEEN",
    "IGNORED_BY",
    "INVITE",
    "LAST_AT",
    "LAST_SEQ",
    "LINK_CODE",
    "MEMBERS",
    "MEMBERSHIP",
    "MEMBER_IDS",
    "MESSAGES_BY_CID",
    "MESSAGE_BY_SEQ",
    "MESSAGE_COUNT",
    "MESSAGE_SEQ",
    "META",
    "NEWEST_MESSAGES",
    "OLDEST_MESSAGES",
    "PUBLIC_ROOMS",
    "ROOMS_CREATED",
    "ROOMS_OF",
    "ROOM_BY_DM",
    "ROOM_BY_ID",
    "ROOM_BY_KEY",
    "ROOM_COUNT",
    "SESSIONS_OF",
    "SESSION_BY_HASH",
    "STALE_UPLOADS",
    "UNREAD",
    "UPLOADS_OF",
    "UPLOAD_BYTES",
    "UPLOAD_BY_ID",
    "UPLOAD_TOKEN",
    "USERS_BY_ID",
    "USERS_BY_SKELETON",
    "USER_BY_ID",
    "USER_BY_KEY",
    "of_list",
    "of_pairs",
    "some",
]

USER = USERS.table.c
ROOM = ROOMS.table.c
MEMBER = MEMBERSHIPS.table.c
EVENT = schema.events.c
MESSAGE = schema.messages.c
UPLOAD = UPLOADS.table.c


class Listed(FunctionElement[Any]):
    """A list, given as one JSON text, as a table: of values, or of pairs of values.

    SQLite searches no index for `(a, b) IN (VALUES ...)`; joined with this table, both databases
    do. One parameter also means one statement to prepare, however long the list. The columns are
    `first` and `second`; of plain values only `first`.
    """

    name = "listed"
    inherit_cache = True


class ListedPairs(Listed):
    """A list of pairs."""

    name = "listed_pairs"
    inherit_cache = True


@compiles(Listed, "sqlite")
def listed_by_sqlite(element: Listed, compiler: SQLCompiler, **options: Any) -> str:
    """Return the table as SQLite makes it."""
    given = compiler.process(element.clauses, **options)
    return f"(SELECT value AS first FROM json_each({given}))"


@compiles(Listed, "postgresql")
def listed_by_postgres(element: Listed, compiler: SQLCompiler, **options: Any) -> str:
    """Return the table as PostgreSQL makes it."""
    given = compiler.process(element.clauses, **options)
    return f"(SELECT value AS first FROM jsonb_array_elements_text(CAST({given} AS jsonb)))"


@compiles(ListedPairs, "sqlite")
def pairs_by_sqlite(element: ListedPairs, compiler: SQLCompiler, **options: Any) -> str:
    """Return the table as SQLite makes it; `->>` would need 3.38."""
    given = compiler.process(element.clauses, **options)
    return (
        "(SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS second "
        f"FROM json_each({given}))"
    )


@compiles(ListedPairs, "postgresql")
def pairs_by_postgres(element: ListedPairs, compiler: SQLCompiler, **options: Any) -> str:
    """Return the table as PostgreSQL makes it."""
    given = compiler.process(element.clauses, **options)
    return (
        "(SELECT value->>0 AS first, value->>1 AS second "
        f"FROM jsonb_array_elements(CAST({given} AS jsonb)))"
    )


def of_list(statement: Select[Any], wanted: ColumnElement[Any]) -> Select[Any]:
    """Narrow a statement to rows in which a column is one of the values of `:listed`."""
    given = bindparam("listed", type_=schema.WORDS)
    listed = Listed(given).table_valued(column("first", schema.KEY), name="listed")
    return statement.join_from(listed, wanted.table, wanted == listed.c.first)


def of_pairs(statement: Select[Any], first: ColumnElement[Any], second: Any) -> Select[Any]:
    """Narrow a statement to rows in which two columns are one of the pairs of `:listed`."""
    given = bindparam("listed", type_=schema.WORDS)
    listed = ListedPairs(given).table_valued(
        column("first", schema.KEY), column("second", schema.KEY), name="listed"
    )
    is_number = isinstance(second.type, Integer)
    other = cast(listed.c.second, schema.NUMBER) if is_number else listed.c.second
    return statement.join_from(listed, first.table, and_(first == listed.c.first, second == other))


def some(name: str) -> Any:
    """Return a parameter that takes a list."""
    return bindparam(name, expanding=True)


def by(mapper: Mapper[Any], *names: str) -> Select[Any]:
    """Return a statement that finds rows by equal columns."""
    conditions = [mapper.table.c[name] == bindparam(name) for name in names]
    return select(*mapper.columns).where(*conditions)


USER_BY_ID = by(USERS, "id")
USERS_BY_ID = select(*USERS.columns).where(USER.id.in_(some("ids")))
USER_BY_KEY = by(USERS, "name_key")
USERS_BY_SKELETON = by(USERS, "name_skeleton").order_by(USER.id)
IS_ACCOUNT = USER.kind.not_in(["guest", "system"])
ACCOUNTS = (
    select(*USERS.columns)
    .where(
        USER.name_key > bindparam("after"),
        USER.name_key >= bindparam("prefix"),
        USER.name_key < bindparam("end"),
        IS_ACCOUNT,
    )
    .order_by(USER.name_key)
    .limit(bindparam("limit"))
)
ACCOUNT_COUNT = select(func.count()).select_from(USERS.table).where(IS_ACCOUNT)

SESSION_BY_HASH = by(SESSIONS, "token_hash")
SESSIONS_OF = by(SESSIONS, "user_id").order_by(
    SESSIONS.table.c.created_at, SESSIONS.table.c.token_hash
)

ROOM_BY_ID = by(ROOMS, "id")
ROOM_BY_KEY = by(ROOMS, "name_key")
ROOM_BY_DM = by(ROOMS, "dm_key")
PUBLIC_ROOMS = (
    select(*ROOMS.columns)
    .where(ROOM.name_key > bindparam("after"), ROOM.kind == "public", ROOM.archived_at.is_(None))
    .order_by(ROOM.name_key)
    .limit(bindparam("limit"))
)
ROOM_COUNT = (
    select(func.count())
    .select_from(ROOMS.table)
    .where(ROOM.name_key > "", ROOM.kind == "public", ROOM.archived_at.is_(None))  # by the index
)
ROOMS_OF = (
    select(*ROOMS.columns, *MEMBERSHIPS.columns)
    .join(MEMBERSHIPS.table, MEMBER.room_id == ROOM.id)
    .where(MEMBER.user_id == bindparam("user_id"))
    .order_by(ROOM.id)
)
ROOMS_CREATED = (
    select(func.count())
    .select_from(ROOMS.table)
    .where(
        ROOM.created_by == bindparam("user_id"),
        ROOM.created_at >= bindparam("since"),
        ROOM.kind != "dm",
    )
)
MEMBERSHIP = by(MEMBERSHIPS, "room_id", "user_id")
MEMBERS = (
    select(*USERS.columns, *MEMBERSHIPS.columns)
    .join(MEMBERSHIPS.table, MEMBER.user_id == USER.id)
    .where(MEMBER.room_id == bindparam("room_id"), MEMBER.user_id > bindparam("after"))
    .order_by(MEMBER.user_id)
    .limit(bindparam("limit"))
)
MEMBER_IDS = select(MEMBER.user_id).where(MEMBER.room_id == bindparam("room_id"))

LAST_SEQ = select(ROOM.last_seq).where(ROOM.id == bindparam("room_id"))
EVENTS_AFTER = (
    select(EVENT.seq, EVENT.kind, EVENT.body, EVENT.at, *MESSAGE_COLUMNS)
    .outerjoin_from(
        schema.events,
        schema.messages,
        and_(MESSAGE.room_id == EVENT.room_id, MESSAGE.seq == EVENT.seq),
    )
    .where(EVENT.room_id == bindparam("room_id"), EVENT.seq > bindparam("seq"))
    .order_by(EVENT.seq)
    .limit(bindparam("limit"))
)
STRETCH = select(*MESSAGE_COLUMNS).where(
    MESSAGE.room_id == bindparam("room_id"),
    MESSAGE.seq > bindparam("after"),
    MESSAGE.seq < bindparam("before"),
)
NEWEST_MESSAGES = STRETCH.order_by(MESSAGE.seq.desc()).limit(bindparam("limit"))
OLDEST_MESSAGES = (
    STRETCH.where(MESSAGE.at >= bindparam("since")).order_by(MESSAGE.seq).limit(bindparam("limit"))
)
MESSAGE_BY_SEQ = select(*MESSAGE_COLUMNS).where(
    MESSAGE.room_id == bindparam("room_id"), MESSAGE.seq == bindparam("seq")
)
MESSAGES_BY_CID = of_pairs(select(*MESSAGE_COLUMNS), MESSAGE.author_id, MESSAGE.cid)
LAST_AT = select(func.max(MESSAGE.at)).where(
    MESSAGE.author_id == bindparam("author_id"), MESSAGE.room_id == bindparam("room_id")
)
MESSAGE_COUNT = (
    select(func.count())
    .select_from(schema.messages)
    .where(MESSAGE.room_id == bindparam("room_id"), MESSAGE.seq > bindparam("after"))
)
DELETED_COUNT = MESSAGE_COUNT.where(literal_column("deleted_at IS NOT NULL"))
FILES_BETWEEN = (
    select(UPLOAD.message_id, *FILE_COLUMNS)
    .join(schema.messages, MESSAGE.id == UPLOAD.message_id)
    .where(
        MESSAGE.room_id == bindparam("room_id"),
        MESSAGE.seq.between(bindparam("first"), bindparam("last")),
        UPLOAD.state == "attached",
    )
    .order_by(UPLOAD.id)
)


def unread_statement() -> Select[Any]:
    """Return the statement behind `count_unread`: each count stops reading at the limit."""
    unread: Select[Any] = (
        select(literal_column("1"))
        .select_from(schema.messages)
        .where(
            MESSAGE.room_id == MEMBER.room_id,
            MESSAGE.seq > MEMBER.read_seq,
            MESSAGE.author_id.is_distinct_from(bindparam("user_id")),
            MESSAGE.deleted_at.is_(None),
        )
        .correlate(MEMBERSHIPS.table)
    )
    # `replace` compares exactly on both databases; LIKE would take `_` for any character.
    mentioned = unread.where(
        literal_column("mentions IS NOT NULL"),
        func.replace(MESSAGE.mentions, bindparam("quoted", type_=schema.WORDS), "")
        != MESSAGE.mentions,
    )
    counts = [
        select(func.count())
        .select_from(some_unread.limit(bindparam("limit")).subquery())
        .scalar_subquery()
        for some_unread in (unread, mentioned)
    ]
    return select(MEMBER.room_id, *counts).where(MEMBER.user_id == bindparam("user_id"))


UNREAD = unread_statement()

BANS_OF_ROOM = by(BANS, "room_id").order_by(BANS.table.c.at, BANS.table.c.id)
BANS_OF_SERVER = (
    select(*BANS.columns)
    .where(BANS.table.c.room_id.is_(None))
    .order_by(BANS.table.c.at, BANS.table.c.id)
)
INVITE = by(INVITES, "code_hash")
LINK_CODE = by(LINK_CODES, "code_hash")
UPLOAD_TOKEN = by(UPLOAD_TOKENS, "code_hash")
IGNORED_BY = select(schema.ignores.c.ignored_id).where(
    schema.ignores.c.user_id == bindparam("user_id")
)
ANSWER = by(ANSWERS, "user_id", "key")
UPLOAD_BY_ID = by(UPLOADS, "id")
UPLOADS_OF = (
    by(UPLOADS, "owner_id")
    .where(UPLOAD.created_at >= bindparam("since"))
    .order_by(UPLOAD.created_at, UPLOAD.id)
)
STALE_UPLOADS = (
    select(*UPLOADS.columns)
    .where(UPLOAD.state == "pending", UPLOAD.created_at < bindparam("before"))
    .order_by(UPLOAD.created_at, UPLOAD.id)
)
CONTENT_USED = select(exists().where(UPLOAD.sha256 == bindparam("sha256"), UPLOAD.state != "gone"))
MESSAGE_SEQ = select(MESSAGE.seq).where(MESSAGE.id == bindparam("id"))
UPLOAD_BYTES = select(func.coalesce(func.sum(UPLOAD.size), 0)).where(UPLOAD.state != "gone")
META = select(schema.meta.c.value).where(schema.meta.c.key == bindparam("key"))
