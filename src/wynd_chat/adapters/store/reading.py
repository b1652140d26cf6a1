"""`SqlSnapshot`: the questions of `ports.store.Snapshot`, asked over one connection.

Works on SQLite and PostgreSQL alike. Which moment is seen is the affair of the transaction that
the connection is in. Lists of ids are padded to powers of two, so that a database sees few
different statements and can keep them prepared.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError

from wynd_chat.adapters.store import statements as ask
from wynd_chat.adapters.store import upkeep
from wynd_chat.adapters.store.failures import translate
from wynd_chat.adapters.store.rows import (
    ANSWERS,
    BANS,
    EVENT_OF_MESSAGE,
    INVITES,
    LINK_CODES,
    MEMBERSHIPS,
    ROOMS,
    SESSIONS,
    UPLOAD_TOKENS,
    UPLOADS,
    USERS,
    Mapper,
    event_from,
    file_from,
    message_from,
)
from wynd_chat.ports.store import ABOVE_ALL, EventsPage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, CursorResult, Executable

    from wynd_chat.domain.events import Event, FileInfo
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

__all__ = ["SqlSnapshot", "bounded", "counted", "padded"]

T = TypeVar("T")

LIMIT_MAX = 2**31 - 1  # a negative limit means none to SQLite; PostgreSQL takes 32 bits
IDS_MAX = 512  # of one statement; longer lists take several


class SqlSnapshot:
    """Reads over a connection that is in a transaction (`ports.store.Snapshot`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # users

    def user(self, user_id: str) -> User | None:
        """Return a user."""
        return self._value(USERS, ask.USER_BY_ID, id=user_id)

    def users(self, user_ids: Collection[str]) -> dict[str, User]:
        """Return those that exist, by id."""
        wanted = list(dict.fromkeys(user_ids))
        found: list[User] = []
        for start in range(0, len(wanted), IDS_MAX):
            ids = padded(wanted[start : start + IDS_MAX])
            found += self._values(USERS, ask.USERS_BY_ID, ids=ids)
        return {user.id: user for user in found}

    def user_by_key(self, name_key: str) -> User | None:
        """Return who has this name."""
        return self._value(USERS, ask.USER_BY_KEY, name_key=name_key)

    def users_by_skeleton(self, skeleton: str) -> list[User]:
        """Return those whose names look alike, by id."""
        return self._values(USERS, ask.USERS_BY_SKELETON, name_skeleton=skeleton)

    def list_users(self, *, prefix_key: str = "", after_key: str = "", limit: int) -> list[User]:
        """Return accounts by name_key."""
        end = prefix_key + "\U0010ffff"
        return self._values(
            USERS, ask.ACCOUNTS, after=after_key, prefix=prefix_key, end=end, limit=counted(limit)
        )

    def count_users(self) -> int:
        """Return the number of accounts."""
        return self._number(ask.ACCOUNT_COUNT)

    def has_admin(self) -> bool:
        """Tell whether any account that may log in administers the server."""
        return bool(self._number(upkeep.HAS_ADMIN))

    def stale_guests(self, before: int, *, after_id: str = "", limit: int) -> list[User]:
        """Return guests without a login, last seen before a time, by id."""
        where = {"before": bounded(before), "after": after_id, "limit": counted(limit)}
        return self._values(USERS, upkeep.STALE_GUESTS, **where)

    def has_messages(self, user_id: str) -> bool:
        """Tell whether any message is by this user."""
        return bool(self._number(upkeep.HAS_MESSAGES, user_id=user_id))

    # logins

    def session(self, token_hash: str) -> Session | None:
        """Return a login."""
        return self._value(SESSIONS, ask.SESSION_BY_HASH, token_hash=token_hash)

    def sessions(self, token_hashes: Collection[str]) -> dict[str, Session]:
        """Return those logins that exist, by hash."""
        wanted = list(dict.fromkeys(token_hashes))
        found: list[Session] = []
        for start in range(0, len(wanted), IDS_MAX):
            hashes = padded(wanted[start : start + IDS_MAX])
            found += self._values(SESSIONS, upkeep.SESSIONS_BY_HASH, hashes=hashes)
        return {session.token_hash: session for session in found}

    def sessions_of(self, user_id: str) -> list[Session]:
        """Return a user's logins, oldest first."""
        return self._values(SESSIONS, ask.SESSIONS_OF, user_id=user_id)

    # rooms

    def room(self, room_id: str) -> Room | None:
        """Return a room."""
        return self._value(ROOMS, ask.ROOM_BY_ID, id=room_id)

    def room_ids(self, *, after_id: str = "", limit: int) -> list[str]:
        """Return the ids of all rooms, in their order."""
        return [row[0] for row in self._rows(upkeep.ROOM_IDS, after=after_id, limit=counted(limit))]

    def room_by_key(self, name_key: str) -> Room | None:
        """Return the room of this name."""
        return self._value(ROOMS, ask.ROOM_BY_KEY, name_key=name_key)

    def direct_room(self, dm_key: str) -> Room | None:
        """Return the direct conversation of two users."""
        return self._value(ROOMS, ask.ROOM_BY_DM, dm_key=dm_key)

    def list_rooms(self, *, after_key: str = "", limit: int = 1000) -> list[Room]:
        """Return public rooms that are not archived, by name_key."""
        return self._values(ROOMS, ask.PUBLIC_ROOMS, after=after_key, limit=counted(limit))

    def rooms_of(self, user_id: str) -> list[tuple[Room, Membership]]:
        """Return the rooms a user is in, by room id."""
        start = len(ROOMS.names)
        return [
            (ROOMS.from_row(row), MEMBERSHIPS.from_row(row, start))
            for row in self._rows(ask.ROOMS_OF, user_id=user_id)
        ]

    def count_rooms(self) -> int:
        """Return the number of public rooms that are not archived."""
        return self._number(ask.ROOM_COUNT)

    def count_rooms_created(self, user_id: str, since: int) -> int:
        """Return how many rooms a user created since a time."""
        return self._number(ask.ROOMS_CREATED, user_id=user_id, since=bounded(since))

    def membership(self, room_id: str, user_id: str) -> Membership | None:
        """Return a membership."""
        return self._value(MEMBERSHIPS, ask.MEMBERSHIP, room_id=room_id, user_id=user_id)

    def members(
        self, room_id: str, *, after_key: str = "", limit: int = 10_000
    ) -> list[tuple[User, Membership]]:
        """Return the members of a room, by the user's id."""
        start = len(USERS.names)
        rows = self._rows(ask.MEMBERS, room_id=room_id, after=after_key, limit=counted(limit))
        return [(USERS.from_row(row), MEMBERSHIPS.from_row(row, start)) for row in rows]

    def member_ids(self, room_id: str) -> frozenset[str]:
        """Return the ids of all members."""
        return frozenset(row[0] for row in self._rows(ask.MEMBER_IDS, room_id=room_id))

    # what happened

    def events_after(self, room_id: str, seq: int, limit: int) -> EventsPage:
        """Return up to `limit` events above `seq`, all of them or marked incomplete."""
        seq = bounded(max(seq, 0))
        last_seq = self._number(ask.LAST_SEQ, room_id=room_id)
        if seq >= last_seq:
            return EventsPage((), is_complete=True)
        # One row is read in any case: it shows whether the next event was trimmed.
        rows = self._rows(ask.EVENTS_AFTER, room_id=room_id, seq=seq, limit=max(counted(limit), 1))
        if not rows or rows[0][0] != seq + 1:
            return EventsPage((), is_complete=False)
        rows = rows[: counted(limit)]
        files = self._files(room_id, [row[0] for row in rows if row[1] == EVENT_OF_MESSAGE])
        events: list[Event] = []
        for row in rows:
            number, kind, body, at = row[:4]
            if kind != EVENT_OF_MESSAGE:
                events.append(event_from(room_id, number, kind, body, at))
            elif row[4] is not None:
                events.append(message_from(row, files, 4))
            else:  # the message itself was trimmed
                return EventsPage((), is_complete=False)
        return EventsPage(tuple(events), is_complete=True)

    def messages(
        self,
        room_id: str,
        *,
        after: int = 0,
        before: int = ABOVE_ALL,
        limit: int,
        newest: bool = True,
        since: int = 0,
    ) -> list[Event]:
        """Return a stretch of messages, ascending."""
        where = {
            "room_id": room_id,
            "after": bounded(after),
            "before": bounded(before),
            "limit": counted(limit),
        }
        if newest:
            rows = self._rows(ask.NEWEST_MESSAGES, **where)[::-1]
        else:
            rows = self._rows(ask.OLDEST_MESSAGES, **where, since=bounded(since))
        events = self._messages(room_id, rows)
        return [event for event in events if event.at >= since] if newest else events

    def message(self, room_id: str, seq: int) -> Event | None:
        """Return the message of this seq."""
        rows = self._rows(ask.MESSAGE_BY_SEQ, room_id=room_id, seq=bounded(seq))
        return self._messages(room_id, rows)[0] if rows else None

    def message_by_cid(self, author_id: str, cid: str) -> Event | None:
        """Return the message an author sent under this cid."""
        rows = self._rows(ask.MESSAGES_BY_CID, listed=json.dumps([(author_id, cid)]))
        return self._messages(rows[0][1], rows)[0] if rows else None

    def last_message_at(self, room_id: str, author_id: str) -> int | None:
        """Return when an author last wrote in a room."""
        last_at: int | None = self._rows(ask.LAST_AT, room_id=room_id, author_id=author_id)[0][0]
        return last_at

    def count_messages(self, room_id: str, *, after: int = 0) -> int:
        """Return the number of undeleted messages above a seq."""
        where = {"room_id": room_id, "after": bounded(after)}
        return self._number(ask.MESSAGE_COUNT, **where) - self._number(ask.DELETED_COUNT, **where)

    def count_unread(self, user_id: str, *, limit: int = 100) -> dict[str, tuple[int, int]]:
        """Return, by room id, how many messages of others, and mentions, are unread."""
        rows = self._rows(ask.UNREAD, user_id=user_id, quoted=f'"{user_id}"', limit=counted(limit))
        return {room_id: (unread, mentions) for room_id, unread, mentions in rows}

    # the rest

    def bans(self, room_id: str | None) -> list[Ban]:
        """Return the bans of a room or of the server, oldest first."""
        if room_id is None:
            return self._values(BANS, ask.BANS_OF_SERVER)
        return self._values(BANS, ask.BANS_OF_ROOM, room_id=room_id)

    def invite(self, code_hash: str) -> Invite | None:
        """Return an invitation."""
        return self._value(INVITES, ask.INVITE, code_hash=code_hash)

    def link_code(self, code_hash: str) -> LinkCode | None:
        """Return a device login under way."""
        return self._value(LINK_CODES, ask.LINK_CODE, code_hash=code_hash)

    def upload_token(self, code_hash: str) -> UploadToken | None:
        """Return the right to upload one file."""
        return self._value(UPLOAD_TOKENS, ask.UPLOAD_TOKEN, code_hash=code_hash)

    def ignored_by(self, user_id: str) -> frozenset[str]:
        """Return the ids of those whom a user ignores."""
        return frozenset(row[0] for row in self._rows(ask.IGNORED_BY, user_id=user_id))

    def idempotent_answer(self, user_id: str, key: str) -> IdempotentAnswer | None:
        """Return what a POST with this key was answered with."""
        return self._value(ANSWERS, ask.ANSWER, user_id=user_id, key=key)

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload."""
        return self._value(UPLOADS, ask.UPLOAD_BY_ID, id=upload_id)

    def uploads_of(self, user_id: str, since: int) -> list[Upload]:
        """Return what a user uploaded since a time, oldest first."""
        return self._values(UPLOADS, ask.UPLOADS_OF, owner_id=user_id, since=bounded(since))

    def stale_uploads(self, before: int) -> list[Upload]:
        """Return pending uploads made before a time, oldest first."""
        return self._values(UPLOADS, ask.STALE_UPLOADS, before=bounded(before))

    def upload_bytes(self) -> int:
        """Return the bytes of all uploads that are not gone."""
        return self._number(ask.UPLOAD_BYTES)

    def seq_of_message(self, message_id: str) -> int | None:
        """Return the seq of a message in its room."""
        rows = self._rows(ask.MESSAGE_SEQ, id=message_id)
        return rows[0][0] if rows else None

    def is_content_used(self, sha256: str) -> bool:
        """Tell whether any upload that is not gone has this content."""
        return bool(self._number(ask.CONTENT_USED, sha256=sha256))

    def meta(self, key: str) -> str | None:
        """Return a value of the database itself."""
        rows = self._rows(ask.META, key=key)
        return rows[0][0] if rows else None

    # statements

    def _run(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a statement.

        Raises:
            StoreFailure: The database cannot do it now.
            ValueError: It refuses what it was given.
        """
        try:
            return self._connection.execute(statement, parameters)
        except DBAPIError as error:
            raise translate(error).error from error

    def _rows(self, statement: Executable, **parameters: Any) -> Sequence[Sequence[Any]]:
        return self._run(statement, parameters).all()

    def _value(self, mapper: Mapper[T], statement: Executable, **parameters: Any) -> T | None:
        """Return the value of the only row, or None."""
        row = self._run(statement, parameters).one_or_none()
        return None if row is None else mapper.from_row(row)

    def _values(self, mapper: Mapper[T], statement: Executable, **parameters: Any) -> list[T]:
        return [mapper.from_row(row) for row in self._run(statement, parameters)]

    def _number(self, statement: Executable, **parameters: Any) -> int:
        return int(self._run(statement, parameters).scalar() or 0)

    def _messages(self, room_id: str, rows: Sequence[Sequence[Any]]) -> list[Event]:
        """Return rows of `MESSAGE_COLUMNS` of one room as events."""
        files = self._files(room_id, [row[2] for row in rows])
        return [message_from(row, files) for row in rows]

    def _files(self, room_id: str, seqs: list[int]) -> Mapping[str, list[FileInfo]]:
        """Return the files of messages between the first and the last seq, by message id."""
        files: dict[str, list[FileInfo]] = {}
        if seqs:
            rows = self._rows(ask.FILES_BETWEEN, room_id=room_id, first=seqs[0], last=seqs[-1])
            for row in rows:
                files.setdefault(row[0], []).append(file_from(row[1:]))
        return files


def padded(values: list[Any]) -> list[Any]:
    """Return a list that is not empty with its last value repeated up to a power of two."""
    return values + values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values))


def bounded(value: int) -> int:
    """Return a number that fits into 64 bits; nothing stored lies beyond."""
    return max(-ABOVE_ALL, min(value, ABOVE_ALL))


def counted(limit: int) -> int:
    """Return a limit that no database takes for something else."""
    return max(0, min(limit, LIMIT_MAX))
