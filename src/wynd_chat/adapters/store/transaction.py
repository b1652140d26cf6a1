"""`SqlTransaction`: every change of `ports.store.Transaction` as statements over one connection.

One implementation for SQLite and PostgreSQL. Knows nothing of commits and groups; it collects the
events that will have happened once somebody commits, and remembers a failure of the database, so
that a work that swallows it is not taken for done.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, func, literal_column, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from wynd_chat.adapters.store import schema, upkeep
from wynd_chat.adapters.store.failures import Failed, translate
from wynd_chat.adapters.store.posting import PostBatch
from wynd_chat.adapters.store.reading import SqlSnapshot, bounded, counted
from wynd_chat.adapters.store.rows import (
    ANSWERS,
    BANS,
    INVITES,
    LINK_CODES,
    MEMBERSHIPS,
    ROOMS,
    SESSIONS,
    UPLOAD_TOKENS,
    UPLOADS,
    USERS,
    body_row,
    check_text,
    scrubbed,
)
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Event
from wynd_chat.domain.models import UploadState
from wynd_chat.ports.store import DELETED_USER, Posted, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, CursorResult, Dialect, Executable, Select, Table, UpdateBase

    from wynd_chat.domain.events import EventBody
    from wynd_chat.domain.models import (
        Ban,
        IdempotentAnswer,
        Invite,
        LinkCode,
        Membership,
        Room,
        Session,
        Upload,
        UploadToken,
        User,
    )
    from wynd_chat.ports.store import NewMessage

__all__ = ["SqlTransaction"]

EVENT = schema.events.c
MEMBER = MEMBERSHIPS.table.c
MESSAGE = schema.messages.c
ROOM = ROOMS.table.c

NEXT_SEQ = (
    update(ROOMS.table)
    .where(ROOM.id == bindparam("room"))
    .values(last_seq=ROOM.last_seq + 1)
    .returning(*ROOMS.columns)
)
ADD_EVENT = schema.events.insert()
RAISE_READ = (
    update(MEMBERSHIPS.table)
    .where(MEMBER.room_id == bindparam("room"), MEMBER.user_id == bindparam("user"))
    .values(read_seq=bindparam("marker"))
)
READ_SEQ = (
    select(MEMBER.read_seq, ROOM.last_seq)
    .join(ROOMS.table, ROOM.id == MEMBER.room_id)
    .where(MEMBER.room_id == bindparam("room"), MEMBER.user_id == bindparam("user"))
)
TRIM = delete(schema.events).where(
    EVENT.room_id == bindparam("room"), EVENT.seq < bindparam("below")
)
UNSIGN = (
    update(schema.messages)
    .where(MESSAGE.author_id == bindparam("user"))
    .values(author_id=None, author_name=DELETED_USER)
)
EVENTS_NAMING = select(EVENT.room_id, EVENT.seq, EVENT.body).where(
    literal_column("kind <> 'message'"),
    func.replace(EVENT.body, bindparam("quoted", type_=schema.WORDS), "") != EVENT.body,
)
SCRUB = (
    update(schema.events)
    .where(EVENT.room_id == bindparam("room"), EVENT.seq == bindparam("number"))
    .values(body=bindparam("scrubbed"))
)
_BURIED = and_(
    MESSAGE.author_id == bindparam("author"),
    MESSAGE.deleted_at.is_(None),
    MESSAGE.at >= bindparam("since"),
)
_HERE = MESSAGE.room_id == bindparam("room")
_BURYING = update(schema.messages).values(
    text="", search_text="", mentions=None, deleted_at=bindparam("deleted")
)
BURY = _BURYING.where(_BURIED).returning(MESSAGE.room_id, MESSAGE.seq)
BURY_OF_ROOM = _BURYING.where(_BURIED, _HERE).returning(MESSAGE.room_id, MESSAGE.seq)
_RELEASING = update(UPLOADS.table).values(state=UploadState.GONE.value)
RELEASE_FILES = _RELEASING.where(UPLOADS.table.c.message_id.in_(select(MESSAGE.id).where(_BURIED)))
RELEASE_FILES_OF_ROOM = _RELEASING.where(
    UPLOADS.table.c.message_id.in_(select(MESSAGE.id).where(_BURIED, _HERE))
)
RELEASE_FILES_IN_ROOM = _RELEASING.where(
    or_(
        UPLOADS.table.c.room_id == bindparam("room"),
        UPLOADS.table.c.message_id.in_(select(MESSAGE.id).where(_HERE)),
    )
)
FORGET_ANSWERS = delete(schema.idempotency).where(schema.idempotency.c.at < bindparam("before"))


class SqlTransaction(SqlSnapshot):
    """Changes over a connection that is in a transaction.

    Attributes:
        happened: The events so far, each with the room after it; they count once committed.
        failed: The first error of the database that no caller was told of as a refusal. The work
            it happened in is lost, whatever that work does about it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._is_postgres = connection.dialect.name == "postgresql"
        self.happened: list[tuple[Room, Event]] = []
        self.failed: Failed | None = None

    # users

    def put_user(self, user: User) -> None:
        """Store a user."""
        taken = ChatError(ErrorCode.NAME_TAKEN, f"{user.name} is taken")
        owner = None if user.name_key is None else self.user_by_key(user.name_key)
        if owner is not None and owner.id != user.id:
            raise taken
        self._put_unique(schema.users, USERS.to_row(user), taken)

    def drop_user(self, user_id: str) -> None:
        """Remove a user with everything of theirs; messages stay, without author."""
        self._run(UNSIGN, {"user": user_id})
        for room_id, seq, body in self._rows(EVENTS_NAMING, quoted=f'"{user_id}"'):
            body = scrubbed(body, user_id, DELETED_USER)
            self._run(SCRUB, {"room": room_id, "number": seq, "scrubbed": body})
        self._drop(schema.users, id=user_id)  # and what refers to it, by foreign keys

    # logins

    def put_session(self, session: Session) -> None:
        """Store a login."""
        self._put(schema.sessions, SESSIONS.to_row(session))

    def drop_session(self, token_hash: str) -> None:
        """End a login."""
        self._drop(schema.sessions, token_hash=token_hash)

    # rooms

    def put_room(self, room: Room) -> None:
        """Store a room; an existing one keeps `last_seq` and `min_seq`."""
        row = ROOMS.to_row(room)
        old = self.room(room.id)
        if old is not None and old.is_direct is not room.is_direct:
            raise ValueError("a direct conversation never becomes a room, nor a room one")
        exists = ChatError(ErrorCode.CONFLICT, "that room exists already")
        for other in (
            None if room.name_key is None else self.room_by_key(room.name_key),
            None if room.dm_key is None else self.direct_room(room.dm_key),
        ):
            if other is not None and other.id != room.id:
                raise exists
        self._put_unique(schema.rooms, row, exists, kept=("last_seq", "min_seq"))

    def drop_room(self, room_id: str) -> None:
        """Remove a room with everything in it."""
        self._run(RELEASE_FILES_IN_ROOM, {"room": room_id})
        self._drop(schema.rooms, id=room_id)  # and what refers to it, by foreign keys

    def put_membership(self, membership: Membership) -> None:
        """Store a membership."""
        self._put(schema.memberships, MEMBERSHIPS.to_row(membership))

    def drop_membership(self, room_id: str, user_id: str) -> None:
        """End a membership."""
        self._drop(schema.memberships, room_id=room_id, user_id=user_id)

    def raise_read(self, room_id: str, user_id: str, seq: int) -> int:
        """Raise the read marker of a member, never lower it; return the one in force."""
        rows = self._rows(READ_SEQ, room=room_id, user=user_id)
        if not rows:
            raise ChatError(ErrorCode.NOT_MEMBER, "you are not in that room")
        read_seq, last_seq = rows[0]
        marker = min(seq, last_seq)
        if marker <= read_seq:
            return int(read_seq)
        self._run(RAISE_READ, {"room": room_id, "user": user_id, "marker": marker})
        return int(marker)

    # what happened

    def append(self, room_id: str, body: EventBody, at: int) -> Event:
        """Number and store an event that is no message."""
        row = body_row(body)
        numbered = self._rows(NEXT_SEQ, room=room_id)
        if not numbered:
            raise ChatError(ErrorCode.NOT_FOUND, "no such room")
        room: Room = ROOMS.from_row(numbered[0])
        self._run(ADD_EVENT, {"room_id": room_id, "seq": room.last_seq, "at": at, **row})
        event = Event(room_id, room.last_seq, at, body)
        self.happened.append((room, event))
        return event

    def post(self, message: NewMessage) -> Posted:
        """Judge, number and store a message."""
        (outcome,) = self.post_many([message])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def post_many(self, messages: Sequence[NewMessage]) -> list[Posted | ChatError | ValueError]:
        """Judge, number and store messages, as if one after another.

        Raises:
            StoreFailure: The database cannot do it.
            ValueError: It refuses one of them; nothing tells which.
        """
        outcomes = PostBatch(self, messages).run()
        self.happened += [
            (outcome.room, outcome.event)
            for outcome in outcomes
            if isinstance(outcome, Posted) and not outcome.is_duplicate
        ]
        return outcomes

    def delete_messages(
        self, author_id: str, *, since: int, at: int, room_id: str | None = None
    ) -> list[tuple[str, int]]:
        """Make tombstones of an author's messages."""
        chosen: dict[str, Any] = {"author": author_id, "since": bounded(since)}
        release, delete_them = RELEASE_FILES, BURY
        if room_id is not None:
            chosen["room"] = room_id
            release, delete_them = RELEASE_FILES_OF_ROOM, BURY_OF_ROOM
        self._run(release, chosen)
        rows = self.rows(delete_them, {**chosen, "deleted": bounded(at)})
        return sorted((row[0], row[1]) for row in rows)

    def trim_events(self, room_id: str, below: int) -> None:
        """Forget events below a seq; messages stay."""
        self._run(TRIM, {"room": room_id, "below": bounded(below)})

    def trim_old_events(self, room_id: str, *, before: int, keep: int, limit: int) -> int:
        """Forget a room's oldest events; messages stay."""
        first: int | None = self._run(upkeep.FIRST_EVENT, {"room_id": room_id}).scalar()
        room = self.room(room_id)
        if first is None or room is None:
            return 0
        end = first + counted(limit)
        where = {"room_id": room_id, "end": end, "before": bounded(before)}
        last_old: int | None = self._run(upkeep.LAST_OLD_EVENT, where).scalar()
        below = room.last_seq - keep + 1
        if last_old is not None:
            below = max(below, last_old + 1)
        below = min(below, end)
        return self._run(TRIM, {"room": room_id, "below": below}).rowcount

    def drop_ended(self, before: int, limit: int) -> int:
        """Remove what ended before a time."""
        where = {"before": bounded(before), "limit": counted(limit)}
        return sum(self._run(statement, where).rowcount for statement in upkeep.DROP_ENDED)

    # the rest

    def put_ban(self, ban: Ban) -> None:
        """Store a ban."""
        self._put(schema.bans, BANS.to_row(ban))

    def drop_ban(self, ban_id: str) -> None:
        """Lift a ban."""
        self._drop(schema.bans, id=ban_id)

    def put_invite(self, invite: Invite) -> None:
        """Store an invitation."""
        self._put(schema.invites, INVITES.to_row(invite))

    def drop_invite(self, code_hash: str) -> None:
        """Remove an invitation."""
        self._drop(schema.invites, code_hash=code_hash)

    def put_link_code(self, code: LinkCode) -> None:
        """Store a device login under way."""
        self._put(schema.link_codes, LINK_CODES.to_row(code))

    def drop_link_code(self, code_hash: str) -> None:
        """Remove a device login."""
        self._drop(schema.link_codes, code_hash=code_hash)

    def put_upload_token(self, token: UploadToken) -> None:
        """Store the right to upload one file."""
        self._put(schema.upload_tokens, UPLOAD_TOKENS.to_row(token))

    def drop_upload_token(self, code_hash: str) -> None:
        """Remove it."""
        self._drop(schema.upload_tokens, code_hash=code_hash)

    def put_ignore(self, user_id: str, ignored_id: str) -> None:
        """Make a user ignore another."""
        self._put(schema.ignores, {"user_id": user_id, "ignored_id": ignored_id})

    def drop_ignore(self, user_id: str, ignored_id: str) -> None:
        """End that."""
        self._drop(schema.ignores, user_id=user_id, ignored_id=ignored_id)

    def put_idempotent_answer(self, answer: IdempotentAnswer) -> None:
        """Store an answer."""
        self._put(schema.idempotency, ANSWERS.to_row(answer))

    def drop_idempotent_answers(self, before: int) -> None:
        """Forget answers given before a time."""
        self._run(FORGET_ANSWERS, {"before": bounded(before)})

    def put_upload(self, upload: Upload) -> None:
        """Store an upload."""
        self._put(schema.uploads, UPLOADS.to_row(upload))

    def put_meta(self, key: str, value: str) -> None:
        """Store a value of the database itself."""
        check_text(key)
        check_text(value)
        self._put(schema.meta, {"key": key, "value": value})

    # for batches of posts

    def rows(self, statement: Executable, parameters: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of any statement."""
        return self._run(statement, parameters).all()

    def find(
        self, statement: Select[Any], parameters: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """Return the rows found by a statement without values of its own, as they are stored."""
        text, names = compiled(statement, self._connection.dialect, tuple(parameters))
        values = tuple([parameters[name] for name in names])
        return self._attempt(lambda: self._connection.exec_driver_sql(text, values)).all()

    def change(self, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each row of parameters, all of which have the same names."""
        text, names = compiled(statement, self._connection.dialect, tuple(rows[0]))
        values = [tuple([row[name] for name in names]) for row in rows]
        self._attempt(lambda: self._connection.exec_driver_sql(text, values))

    def events_of(self, rows: Sequence[Sequence[Any]]) -> list[Event]:
        """Return rows of `MESSAGE_COLUMNS` as events with their files."""
        return [event for row in rows for event in self._messages(row[1], [row])]

    # statements

    def _run(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return self._attempt(lambda: self._connection.execute(statement, parameters))

    def _attempt(self, execute: Callable[[], CursorResult[Any]]) -> CursorResult[Any]:
        if self.failed is not None:
            raise self.failed.error
        try:
            return execute()
        except DBAPIError as error:
            self.failed = translate(error)
            raise self.failed.error from error

    def _put(self, table: Table, row: dict[str, Any], kept: tuple[str, ...] = ()) -> None:
        """Insert a row, or replace the one of the same primary key but for the `kept` columns."""
        self._run(upsert(table, self._connection.dialect.name, kept), row)

    def _put_unique(
        self, table: Table, row: dict[str, Any], refusal: ChatError, kept: tuple[str, ...] = ()
    ) -> None:
        """Put a row whose other keys were looked up; another node may have taken them since."""
        if not self._is_postgres:
            self._put(table, row, kept)
            return
        savepoint = self._connection.begin_nested()
        try:
            self._put(table, row, kept)
        except (ValueError, StoreFailure):
            assert self.failed is not None
            if self.failed.is_fatal:
                raise
            savepoint.rollback()
            if not self.failed.is_unique:
                raise
            self.failed = None
            raise refusal from None
        savepoint.commit()

    def _drop(self, table: Table, **key: Any) -> None:
        self._run(drop(table, tuple(key)), {f"old_{name}": value for name, value in key.items()})


@functools.cache
def upsert(table: Table, dialect: str, kept: tuple[str, ...]) -> Executable:
    """Return the statement that inserts a row or replaces it."""
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    names = [c.name for c in table.c if c.name not in keys and c.name not in kept]
    if not names:
        return insert.on_conflict_do_nothing()
    return insert.on_conflict_do_update(
        index_elements=keys, set_={name: insert.excluded[name] for name in names}
    )


@functools.cache
def drop(table: Table, names: tuple[str, ...]) -> Executable:
    """Return the statement that deletes rows by equal columns."""
    return delete(table).where(*(table.c[name] == bindparam(f"old_{name}") for name in names))


@functools.cache
def compiled(
    statement: Select[Any] | UpdateBase, dialect: Dialect, names: tuple[str, ...]
) -> tuple[str, list[str]]:
    """Return a statement as the driver takes it, and the names of its parameters in their order.

    For what a batch of posts runs: SQLAlchemy's own way takes twice as long for a statement, and
    half as long again for a row. All columns are text or integers, so nothing is converted.
    """
    ready = statement.compile(dialect=dialect, column_keys=list(names))
    assert isinstance(ready, SQLCompiler)
    assert ready.positiontup is not None
    return str(ready), ready.positiontup
