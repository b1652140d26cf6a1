"""The chat's tables as dictionaries with an undo log, and a snapshot that reads them.

Independent of the SQL stores on purpose: the two are compared call by call. Decides nothing about
who may do what. Changes go through `put` and `pop` only, so that `undo` can take them back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from wynd_chat.domain.events import Event, FileInfo, Message
from wynd_chat.domain.models import RoomKind, UploadState, UserKind, UserStatus
from wynd_chat.ports.store import ABOVE_ALL, EventsPage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

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

__all__ = ["MemorySnapshot", "Tables"]

K = TypeVar("K")
V = TypeVar("V")

MISSING: Any = object()
NOT_ACCOUNTS = frozenset({UserKind.GUEST, UserKind.SYSTEM})


@dataclass(slots=True)
class Tables:
    """All rows, by their keys, and the indexes over them."""

    users: dict[str, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    memberships: dict[str, dict[str, Membership]] = field(default_factory=dict)
    """By room, then by user."""
    events: dict[str, dict[int, Event | None]] = field(default_factory=dict)
    """By room, then by seq; None stands for a message, which is in `messages`."""
    messages: dict[str, dict[int, Event]] = field(default_factory=dict)
    """By room, then by seq; without files, which are looked up when read."""
    uploads: dict[str, Upload] = field(default_factory=dict)
    bans: dict[str, Ban] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)
    link_codes: dict[str, LinkCode] = field(default_factory=dict)
    upload_tokens: dict[str, UploadToken] = field(default_factory=dict)
    ignores: dict[tuple[str, str], None] = field(default_factory=dict)
    answers: dict[tuple[str, str], IdempotentAnswer] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)

    user_ids_by_key: dict[str, str] = field(default_factory=dict)
    room_ids_by_key: dict[str, str] = field(default_factory=dict)
    room_ids_by_dm: dict[str, str] = field(default_factory=dict)
    room_ids_of: dict[str, dict[str, None]] = field(default_factory=dict)
    """By user: the rooms the user is in."""
    places_by_cid: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    """(author, cid) → (room, seq)."""
    last_at: dict[tuple[str, str], int] = field(default_factory=dict)
    """(room, author) → when the author's latest message there was sent."""
    message_ids: dict[str, None] = field(default_factory=dict)
    upload_ids_of: dict[str, dict[str, None]] = field(default_factory=dict)
    """By message."""

    log: list[tuple[dict[Any, Any], Any, Any]] = field(default_factory=list)

    def put(self, table: dict[K, V], key: K, value: V) -> None:
        """Set a row, undoably."""
        self.log.append((table, key, table.get(key, MISSING)))
        table[key] = value

    def pop(self, table: dict[K, V], key: K) -> V | None:
        """Remove a row, undoably; return it, or None where there is none."""
        if key not in table:
            return None
        row = table.pop(key)
        self.log.append((table, key, row))
        return row

    def inner(self, table: dict[K, dict[Any, V]], key: K) -> dict[Any, V]:
        """Return the dictionary of a key; an empty one that stays behind is harmless."""
        return table.setdefault(key, {})

    def keep(self) -> None:
        """Forget how to undo: the changes hold."""
        self.log.clear()

    def undo(self) -> None:
        """Take all changes back since `keep`."""
        while self.log:
            table, key, old = self.log.pop()
            if old is MISSING:
                table.pop(key, None)
            else:
                table[key] = old


class MemorySnapshot:
    """Reads the tables (`ports.store.Snapshot`)."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # users

    def user(self, user_id: str) -> User | None:
        """Return a user."""
        return self._tables.users.get(user_id)

    def users(self, user_ids: Collection[str]) -> dict[str, User]:
        """Return those that exist, by id."""
        users = self._tables.users
        return {user_id: users[user_id] for user_id in user_ids if user_id in users}

    def user_by_key(self, name_key: str) -> User | None:
        """Return who has this name."""
        user_id = self._tables.user_ids_by_key.get(name_key)
        return None if user_id is None else self._tables.users[user_id]

    def users_by_skeleton(self, skeleton: str) -> list[User]:
        """Return those whose names look alike, by id."""
        alike = (user for user in self._tables.users.values() if user.name_skeleton == skeleton)
        return sorted(alike, key=lambda user: user.id)

    def list_users(self, *, prefix_key: str = "", after_key: str = "", limit: int) -> list[User]:
        """Return accounts by name_key."""
        found = [
            (key, self._tables.users[user_id])
            for key, user_id in self._tables.user_ids_by_key.items()
            if key.startswith(prefix_key) and key > after_key
        ]
        accounts = [row for row in found if row[1].kind not in NOT_ACCOUNTS]
        accounts.sort(key=lambda row: row[0])
        return [user for _, user in accounts[: max(limit, 0)]]

    def count_users(self) -> int:
        """Return the number of accounts."""
        return sum(user.kind not in NOT_ACCOUNTS for user in self._tables.users.values())

    def has_admin(self) -> bool:
        """Tell whether any account that may log in administers the server."""
        return any(
            user.is_admin and user.kind not in NOT_ACCOUNTS and user.status is UserStatus.ACTIVE
            for user in self._tables.users.values()
        )

    def stale_guests(self, before: int, *, after_id: str = "", limit: int) -> list[User]:
        """Return guests without a login, last seen before a time, by id."""
        tables = self._tables
        logged_in = {session.user_id for session in tables.sessions.values()}
        found = (
            user
            for user_id, user in sorted(tables.users.items())
            if user_id > after_id
            and user.is_guest
            and user.last_seen_at < before
            and user_id not in logged_in
            and (user.name_key is not None or tables.room_ids_of.get(user_id))
        )
        return list(islice(found, max(limit, 0)))

    def has_messages(self, user_id: str) -> bool:
        """Tell whether any message is by this user."""
        return any(author_id == user_id for _, author_id in self._tables.last_at)

    # logins

    def session(self, token_hash: str) -> Session | None:
        """Return a login."""
        return self._tables.sessions.get(token_hash)

    def sessions(self, token_hashes: Collection[str]) -> dict[str, Session]:
        """Return those logins that exist, by hash."""
        sessions = self._tables.sessions
        return {one: sessions[one] for one in token_hashes if one in sessions}

    def sessions_of(self, user_id: str) -> list[Session]:
        """Return a user's logins, oldest first."""
        own = (row for row in self._tables.sessions.values() if row.user_id == user_id)
        return sorted(own, key=lambda row: (row.created_at, row.token_hash))

    # rooms

    def room(self, room_id: str) -> Room | None:
        """Return a room."""
        return self._tables.rooms.get(room_id)

    def room_ids(self, *, after_id: str = "", limit: int) -> list[str]:
        """Return the ids of all rooms, in their order."""
        return sorted(one for one in self._tables.rooms if one > after_id)[: max(limit, 0)]

    def room_by_key(self, name_key: str) -> Room | None:
        """Return the room of this name."""
        room_id = self._tables.room_ids_by_key.get(name_key)
        return None if room_id is None else self._tables.rooms[room_id]

    def direct_room(self, dm_key: str) -> Room | None:
        """Return the direct conversation of two users."""
        room_id = self._tables.room_ids_by_dm.get(dm_key)
        return None if room_id is None else self._tables.rooms[room_id]

    def list_rooms(self, *, after_key: str = "", limit: int = 1000) -> list[Room]:
        """Return public rooms that are not archived, by name_key."""
        keys = sorted(key for key in self._tables.room_ids_by_key if key > after_key)
        rooms = (self._tables.rooms[self._tables.room_ids_by_key[key]] for key in keys)
        public = [row for row in rooms if row.kind is RoomKind.PUBLIC and row.archived_at is None]
        return public[: max(limit, 0)]

    def rooms_of(self, user_id: str) -> list[tuple[Room, Membership]]:
        """Return the rooms a user is in, by room id."""
        return [
            (self._tables.rooms[room_id], self._tables.memberships[room_id][user_id])
            for room_id in sorted(self._tables.room_ids_of.get(user_id, ()))
        ]

    def count_rooms(self) -> int:
        """Return the number of public rooms that are not archived."""
        rooms = self._tables.rooms.values()
        return sum(room.kind is RoomKind.PUBLIC and room.archived_at is None for room in rooms)

    def count_rooms_created(self, user_id: str, since: int) -> int:
        """Return how many rooms a user created since a time."""
        return sum(
            room.created_by == user_id and room.created_at >= since and not room.is_direct
            for room in self._tables.rooms.values()
        )

    def membership(self, room_id: str, user_id: str) -> Membership | None:
        """Return a membership."""
        return self._tables.memberships.get(room_id, {}).get(user_id)

    def members(
        self, room_id: str, *, after_key: str = "", limit: int = 10_000
    ) -> list[tuple[User, Membership]]:
        """Return the members of a room, by the user's id."""
        rows = self._tables.memberships.get(room_id, {})
        user_ids = sorted(user_id for user_id in rows if user_id > after_key)
        users = self._tables.users
        return [(users[user_id], rows[user_id]) for user_id in user_ids[: max(limit, 0)]]

    def member_ids(self, room_id: str) -> frozenset[str]:
        """Return the ids of all members."""
        return frozenset(self._tables.memberships.get(room_id, ()))

    # what happened

    def events_after(self, room_id: str, seq: int, limit: int) -> EventsPage:
        """Return up to `limit` events above `seq`, all of them or marked incomplete."""
        room = self._tables.rooms.get(room_id)
        seq = max(seq, 0)
        if room is None or seq >= room.last_seq:
            return EventsPage((), is_complete=True)
        kept = self._tables.events.get(room_id, {})
        if seq + 1 not in kept:
            return EventsPage((), is_complete=False)
        numbers = range(seq + 1, min(room.last_seq, seq + max(limit, 0)) + 1)
        events = tuple(self._event(room_id, number) for number in numbers)
        return EventsPage(events, is_complete=True)

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
        kept = self._tables.messages.get(room_id, {})
        # In the order of seq, since they are stored so and never taken out.
        chosen: list[Event] = []
        for seq, event in reversed(kept.items()) if newest else kept.items():
            if len(chosen) >= limit:
                break
            if after < seq < before and (newest or event.at >= since):
                chosen.append(event)
            elif seq <= after and newest:
                break
        if newest:
            chosen = [event for event in reversed(chosen) if event.at >= since]
        return [self._message(event) for event in chosen]

    def message(self, room_id: str, seq: int) -> Event | None:
        """Return the message of this seq."""
        event = self._tables.messages.get(room_id, {}).get(seq)
        return None if event is None else self._message(event)

    def message_by_cid(self, author_id: str, cid: str) -> Event | None:
        """Return the message an author sent under this cid."""
        place = self._tables.places_by_cid.get((author_id, cid))
        return None if place is None else self.message(*place)

    def last_message_at(self, room_id: str, author_id: str) -> int | None:
        """Return when an author last wrote in a room."""
        return self._tables.last_at.get((room_id, author_id))

    def count_messages(self, room_id: str, *, after: int = 0) -> int:
        """Return the number of undeleted messages above a seq."""
        return sum(1 for _ in self._undeleted(room_id, after))

    def count_unread(self, user_id: str, *, limit: int = 100) -> dict[str, tuple[int, int]]:
        """Return, by room id, how many messages of others, and mentions, are unread."""
        counts = {}
        for room, membership in self.rooms_of(user_id):
            others = [
                message
                for message in self._undeleted(room.id, membership.read_seq)
                if message.author.id != user_id
            ]
            mentions = sum(user_id in message.mentions for message in others)
            counts[room.id] = (min(len(others), limit), min(mentions, limit))
        return counts

    # the rest

    def bans(self, room_id: str | None) -> list[Ban]:
        """Return the bans of a room or of the server, oldest first."""
        here = (ban for ban in self._tables.bans.values() if ban.room_id == room_id)
        return sorted(here, key=lambda ban: (ban.at, ban.id))

    def invite(self, code_hash: str) -> Invite | None:
        """Return an invitation."""
        return self._tables.invites.get(code_hash)

    def link_code(self, code_hash: str) -> LinkCode | None:
        """Return a device login under way."""
        return self._tables.link_codes.get(code_hash)

    def upload_token(self, code_hash: str) -> UploadToken | None:
        """Return the right to upload one file."""
        return self._tables.upload_tokens.get(code_hash)

    def ignored_by(self, user_id: str) -> frozenset[str]:
        """Return the ids of those whom a user ignores."""
        return frozenset(other for mine, other in self._tables.ignores if mine == user_id)

    def idempotent_answer(self, user_id: str, key: str) -> IdempotentAnswer | None:
        """Return what a POST with this key was answered with."""
        return self._tables.answers.get((user_id, key))

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload."""
        return self._tables.uploads.get(upload_id)

    def uploads_of(self, user_id: str, since: int) -> list[Upload]:
        """Return what a user uploaded since a time, oldest first."""
        rows = self._tables.uploads.values()
        return oldest_first(r for r in rows if r.owner_id == user_id and r.created_at >= since)

    def stale_uploads(self, before: int) -> list[Upload]:
        """Return pending uploads made before a time, oldest first."""
        return oldest_first(
            row
            for row in self._tables.uploads.values()
            if row.state is UploadState.PENDING and row.created_at < before
        )

    def upload_bytes(self) -> int:
        """Return the bytes of all uploads that are not gone."""
        rows = self._tables.uploads.values()
        return sum(row.size for row in rows if row.state is not UploadState.GONE)

    def seq_of_message(self, message_id: str) -> int | None:
        """Return the seq of a message in its room."""
        for kept in self._tables.messages.values():
            for seq, event in kept.items():
                if isinstance(event.body, Message) and event.body.id == message_id:
                    return seq
        return None

    def is_content_used(self, sha256: str) -> bool:
        """Tell whether any upload that is not gone has this content."""
        return any(
            row.sha256 == sha256 and row.state is not UploadState.GONE
            for row in self._tables.uploads.values()
        )

    def meta(self, key: str) -> str | None:
        """Return a value of the database itself."""
        return self._tables.meta.get(key)

    def _event(self, room_id: str, seq: int) -> Event:
        event = self._tables.events[room_id][seq]
        return event if event is not None else self._message(self._tables.messages[room_id][seq])

    def _message(self, event: Event) -> Event:
        """Return a message's event with its files."""
        assert isinstance(event.body, Message)
        upload_ids = self._tables.upload_ids_of.get(event.body.id)
        if not upload_ids:
            return event
        rows = [self._tables.uploads[upload_id] for upload_id in sorted(upload_ids)]
        files = tuple(file_info(row) for row in rows if row.state is UploadState.ATTACHED)
        return replace(event, body=replace(event.body, files=files))

    def _undeleted(self, room_id: str, after: int) -> Iterable[Message]:
        for seq, event in reversed(self._tables.messages.get(room_id, {}).items()):
            if seq <= after:
                return
            if isinstance(event.body, Message) and not event.body.is_deleted:
                yield event.body


def file_info(upload: Upload) -> FileInfo:
    """Return an upload as messages show it."""
    return FileInfo(
        id=upload.id,
        name=upload.name,
        mime=upload.mime,
        size=upload.size,
        w=upload.w,
        h=upload.h,
    )


def oldest_first(uploads: Iterable[Upload]) -> list[Upload]:
    """Return uploads by time, then by id."""
    return sorted(uploads, key=lambda upload: (upload.created_at, upload.id))
