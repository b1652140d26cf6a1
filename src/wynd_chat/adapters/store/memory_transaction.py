"""`MemoryTransaction`: what changes the tables in memory, row by row, and how a post is judged.

Independent of the SQL stores on purpose. Knows nothing of commits: whoever holds the tables keeps
or undoes what was changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wynd_chat.adapters.store.memory_tables import MemorySnapshot, Tables
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Author, Event, Joined, Left, Message, RoleChanged, TopicChanged
from wynd_chat.domain.models import Membership, RoomRole, UploadState
from wynd_chat.domain.permissions import check_post
from wynd_chat.ports.store import DELETED_USER, Posted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wynd_chat.domain.events import EventBody
    from wynd_chat.domain.models import (
        Ban,
        IdempotentAnswer,
        Invite,
        LinkCode,
        Room,
        Session,
        Upload,
        UploadToken,
        User,
    )
    from wynd_chat.ports.store import NewMessage

__all__ = ["MemoryTransaction"]


class MemoryTransaction(MemorySnapshot):
    """Changes the tables (`ports.store.Transaction`); whoever made it keeps or undoes them.

    Attributes:
        happened: The events of the changes that are neither kept nor undone yet, each with the
            room after it.
    """

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.happened: list[tuple[Room, Event]] = []

    # users

    def put_user(self, user: User) -> None:
        """Store a user."""
        tables = self._tables
        check_text(user.id, user.name, user.name_key, user.away)
        owner_id = None if user.name_key is None else tables.user_ids_by_key.get(user.name_key)
        if owner_id not in {None, user.id}:
            raise ChatError(ErrorCode.NAME_TAKEN, f"{user.name} is taken")
        self._need(tables.uploads, user.avatar_id)
        old = tables.users.get(user.id)
        if old is not None and old.name_key is not None:
            tables.pop(tables.user_ids_by_key, old.name_key)
        if user.name_key is not None:
            tables.put(tables.user_ids_by_key, user.name_key, user.id)
        tables.put(tables.users, user.id, replace(user, prefs=dict(user.prefs)))

    def drop_user(self, user_id: str) -> None:
        """Remove a user with logins, memberships and ignores; messages stay, without author."""
        tables = self._tables
        user = tables.pop(tables.users, user_id)
        if user is None:
            return
        if user.name_key is not None:
            tables.pop(tables.user_ids_by_key, user.name_key)
        for room_id in list(tables.room_ids_of.get(user_id, ())):
            self.drop_membership(room_id, user_id)
        self._drop_owned(tables.sessions, "user_id", user_id)
        self._drop_owned(tables.invites, "owner_id", user_id)
        self._drop_owned(tables.link_codes, "owner_id", user_id)
        self._drop_owned(tables.upload_tokens, "owner_id", user_id)
        self._drop_owned(tables.answers, "user_id", user_id)
        self._drop_owned(tables.bans, "user_id", user_id)
        for pair in [pair for pair in tables.ignores if user_id in pair]:
            tables.pop(tables.ignores, pair)
        self._forget_owner(user_id)
        self._forget_author(user_id)

    def _drop_owned(self, table: dict[Any, Any], owner: str, owner_id: str) -> None:
        """Remove the rows whose field `owner` is this user or room."""
        for key in [key for key, row in table.items() if getattr(row, owner) == owner_id]:
            self._tables.pop(table, key)

    def _forget_owner(self, user_id: str) -> None:
        tables = self._tables
        for ban in [ban for ban in tables.bans.values() if ban.by_id == user_id]:
            tables.put(tables.bans, ban.id, replace(ban, by_id=None))
        for room in [room for room in tables.rooms.values() if room.created_by == user_id]:
            tables.put(tables.rooms, room.id, replace(room, created_by=None))
        for upload in [row for row in tables.uploads.values() if row.owner_id == user_id]:
            tables.put(tables.uploads, upload.id, replace(upload, owner_id=None))

    def _forget_author(self, user_id: str) -> None:
        tables = self._tables
        everything: list[dict[int, Any]] = [*tables.messages.values(), *tables.events.values()]
        for kept in everything:
            for seq, event in list(kept.items()):
                if event is not None and (body := without(event.body, user_id)) is not event.body:
                    tables.put(kept, seq, replace(event, body=body))
        for pair in [pair for pair in tables.places_by_cid if pair[0] == user_id]:
            tables.pop(tables.places_by_cid, pair)
        for place in [place for place in tables.last_at if place[1] == user_id]:
            tables.pop(tables.last_at, place)

    # logins

    def put_session(self, session: Session) -> None:
        """Store a login."""
        self._need(self._tables.users, session.user_id)
        self._tables.put(self._tables.sessions, session.token_hash, session)

    def drop_session(self, token_hash: str) -> None:
        """End a login."""
        self._tables.pop(self._tables.sessions, token_hash)

    # rooms

    def put_room(self, room: Room) -> None:
        """Store a room; an existing one keeps `last_seq` and `min_seq`."""
        tables = self._tables
        check_text(room.id, room.name, room.name_key, room.topic)
        old = tables.rooms.get(room.id)
        if old is not None:
            if old.is_direct is not room.is_direct:
                raise ValueError("a direct conversation never becomes a room, nor a room one")
            room = replace(room, last_seq=old.last_seq, min_seq=old.min_seq)
        for index, key in (
            (tables.room_ids_by_key, room.name_key),
            (tables.room_ids_by_dm, room.dm_key),
        ):
            if key is not None and index.get(key, room.id) != room.id:
                raise ChatError(ErrorCode.CONFLICT, "that room exists already")
        self._need(tables.users, room.created_by)
        if old is not None and old.name_key is not None:
            tables.pop(tables.room_ids_by_key, old.name_key)
        if old is not None and old.dm_key is not None:
            tables.pop(tables.room_ids_by_dm, old.dm_key)
        if room.name_key is not None:
            tables.put(tables.room_ids_by_key, room.name_key, room.id)
        if room.dm_key is not None:
            tables.put(tables.room_ids_by_dm, room.dm_key, room.id)
        tables.put(tables.rooms, room.id, room)

    def drop_room(self, room_id: str) -> None:
        """Remove a room with everything in it."""
        tables = self._tables
        room = tables.pop(tables.rooms, room_id)
        if room is None:
            return
        if room.name_key is not None:
            tables.pop(tables.room_ids_by_key, room.name_key)
        if room.dm_key is not None:
            tables.pop(tables.room_ids_by_dm, room.dm_key)
        for user_id in list(tables.memberships.get(room_id, ())):
            self.drop_membership(room_id, user_id)
        self._drop_owned(tables.bans, "room_id", room_id)
        self._drop_owned(tables.invites, "target", room_id)
        self._drop_owned(tables.upload_tokens, "target", room_id)
        self._drop_said(room_id)

    def _drop_said(self, room_id: str) -> None:
        """Remove what was said and what happened in a room, and release its files."""
        tables = self._tables
        events = tables.pop(tables.messages, room_id) or {}
        tables.pop(tables.events, room_id)
        message_ids = {
            event.body.id for event in events.values() if isinstance(event.body, Message)
        }
        for upload in list(tables.uploads.values()):
            if upload.room_id == room_id or upload.message_id in message_ids:
                gone = replace(
                    upload,
                    state=UploadState.GONE,
                    room_id=None if upload.room_id == room_id else upload.room_id,
                    message_id=None if upload.message_id in message_ids else upload.message_id,
                )
                tables.put(tables.uploads, upload.id, gone)
        for message_id in message_ids:
            tables.pop(tables.message_ids, message_id)
            tables.pop(tables.upload_ids_of, message_id)
        for cid in [cid for cid, place in tables.places_by_cid.items() if place[0] == room_id]:
            tables.pop(tables.places_by_cid, cid)
        for place in [place for place in tables.last_at if place[0] == room_id]:
            tables.pop(tables.last_at, place)

    def put_membership(self, membership: Membership) -> None:
        """Store a membership."""
        tables = self._tables
        self._need(tables.rooms, membership.room_id)
        self._need(tables.users, membership.user_id)
        members = tables.inner(tables.memberships, membership.room_id)
        tables.put(members, membership.user_id, membership)
        rooms = tables.inner(tables.room_ids_of, membership.user_id)
        tables.put(rooms, membership.room_id, None)

    def drop_membership(self, room_id: str, user_id: str) -> None:
        """End a membership."""
        tables = self._tables
        tables.pop(tables.inner(tables.memberships, room_id), user_id)
        tables.pop(tables.inner(tables.room_ids_of, user_id), room_id)

    def raise_read(self, room_id: str, user_id: str, seq: int) -> int:
        """Raise the read marker of a member, never lower it; return the one in force."""
        membership = self.membership(room_id, user_id)
        if membership is None:
            raise ChatError(ErrorCode.NOT_MEMBER, "you are not in that room")
        seq = min(seq, self._tables.rooms[room_id].last_seq)
        if seq <= membership.read_seq:
            return membership.read_seq
        self.put_membership(replace(membership, read_seq=seq))
        return seq

    # what happened

    def append(self, room_id: str, body: EventBody, at: int) -> Event:
        """Number and store an event that is no message."""
        if isinstance(body, Message):
            raise ValueError("messages are posted, not appended")
        event = Event(room_id, self._next_seq(room_id), at, body)
        self._need(self._tables.users, actor_of(body).id)
        self._tables.put(self._tables.inner(self._tables.events, room_id), event.seq, event)
        self.happened.append((self._tables.rooms[room_id], event))
        return event

    def post(self, message: NewMessage) -> Posted:
        """Judge, number and store a message."""
        tables = self._tables
        check_text(message.id, message.text, message.cid)
        author_id = message.author.id
        if message.cid is not None and author_id is not None:
            place = tables.places_by_cid.get((author_id, message.cid))
            if place is not None:
                first = self._message(tables.messages[place[0]][place[1]])
                return Posted(tables.rooms[place[0]], first, is_duplicate=True)
        self._judge(message)
        if message.id in tables.message_ids:
            raise ValueError("a message's id is used once")
        self._need(tables.users, author_id)
        event = self._number(message)
        tables.put(tables.message_ids, message.id, None)
        tables.put(tables.inner(tables.events, message.room_id), event.seq, None)
        tables.put(tables.inner(tables.messages, message.room_id), event.seq, event)
        for upload_id in message.file_ids:
            self.put_upload(
                replace(
                    tables.uploads[upload_id],
                    state=UploadState.ATTACHED,
                    message_id=message.id,
                    room_id=message.room_id,
                )
            )
        if author_id is not None:
            self._note_author(message, author_id, event.seq)
        posted = Posted(tables.rooms[message.room_id], self._message(event), is_duplicate=False)
        self.happened.append((posted.room, posted.event))
        return posted

    def _judge(self, message: NewMessage) -> None:
        tables = self._tables
        author_id = message.author.id or ""
        membership = self.membership(message.room_id, author_id)
        if message.is_announcement:
            membership = Membership(
                room_id=message.room_id, user_id=author_id, role=RoomRole.OWNER, joined_seq=0
            )
        check_post(
            tables.rooms.get(message.room_id),
            membership,
            is_privileged=message.is_privileged or message.is_announcement,
            now=message.at,
            last_at=tables.last_at.get((message.room_id, author_id)),
        )
        seqs = tables.messages.get(message.room_id, {})
        if message.reply_to is not None and message.reply_to not in seqs:
            raise ChatError(ErrorCode.BAD_REQUEST, "there is no such message to reply to")
        files = [tables.uploads.get(upload_id) for upload_id in message.file_ids]
        is_free = all(
            row is not None
            and row.state is UploadState.PENDING
            and row.owner_id is not None
            and row.owner_id == message.author.id
            for row in files
        )
        if not is_free or len(set(message.file_ids)) != len(files):
            raise ChatError(ErrorCode.BAD_REQUEST, "there is no such file to attach")

    def _number(self, message: NewMessage) -> Event:
        body = Message(
            id=message.id,
            author=message.author,
            kind=message.kind,
            text=message.text,
            mentions=message.mentions,
            reply_to=message.reply_to,
            cid=message.cid,
        )
        return Event(message.room_id, self._next_seq(message.room_id), message.at, body)

    def _note_author(self, message: NewMessage, author_id: str, seq: int) -> None:
        tables = self._tables
        if message.cid is not None:
            tables.put(tables.places_by_cid, (author_id, message.cid), (message.room_id, seq))
        place = (message.room_id, author_id)
        tables.put(tables.last_at, place, max(message.at, tables.last_at.get(place, message.at)))
        if self.membership(message.room_id, author_id) is not None:
            self.raise_read(message.room_id, author_id, seq)

    def _next_seq(self, room_id: str) -> int:
        room = self._tables.rooms.get(room_id)
        if room is None:
            raise ChatError(ErrorCode.NOT_FOUND, "no such room")
        seq = room.last_seq + 1
        self._tables.put(self._tables.rooms, room_id, replace(room, last_seq=seq))
        return seq

    def delete_messages(
        self, author_id: str, *, since: int, at: int, room_id: str | None = None
    ) -> list[tuple[str, int]]:
        """Make tombstones of an author's messages."""
        tables = self._tables
        deleted = []
        for where, kept in tables.messages.items():
            if room_id is not None and where != room_id:
                continue
            for seq, event in list(kept.items()):
                body = event.body
                assert isinstance(body, Message)
                if body.author.id != author_id or body.is_deleted or event.at < since:
                    continue
                body = replace(body, text="", mentions=(), is_deleted=True)
                tables.put(kept, seq, replace(event, body=body))
                for upload_id in tables.upload_ids_of.get(body.id, ()):
                    gone = replace(tables.uploads[upload_id], state=UploadState.GONE)
                    tables.put(tables.uploads, upload_id, gone)
                deleted.append((where, seq))
        return sorted(deleted)

    def trim_events(self, room_id: str, below: int) -> None:
        """Forget events below a seq; messages stay."""
        kept = self._tables.events.get(room_id, {})
        for seq in [seq for seq in kept if seq < below]:
            self._tables.pop(kept, seq)

    def trim_old_events(self, room_id: str, *, before: int, keep: int, limit: int) -> int:
        """Forget a room's oldest events; messages stay."""
        kept = self._tables.events.get(room_id, {})
        oldest = sorted(kept)[: max(limit, 0)]
        below = max(kept, default=0) - keep + 1
        for seq in oldest:
            if self._event(room_id, seq).at < before:
                below = max(below, seq + 1)
        gone = [seq for seq in oldest if seq < below]
        for seq in gone:
            self._tables.pop(kept, seq)
        return len(gone)

    def drop_ended(self, before: int, limit: int) -> int:
        """Remove what ended before a time."""
        tables = self._tables
        every: list[dict[str, Any]] = [
            tables.sessions,
            tables.invites,
            tables.link_codes,
            tables.upload_tokens,
        ]
        count = 0
        for table in every:
            ended = [
                key
                for key, row in table.items()
                if (row.expires_at is not None and row.expires_at < before)
                or getattr(row, "uses_left", 1) < 1
            ][: max(limit, 0)]
            for key in ended:
                tables.pop(table, key)
            count += len(ended)
        return count

    # the rest

    def put_ban(self, ban: Ban) -> None:
        """Store a ban."""
        self._need(self._tables.rooms, ban.room_id)
        self._need(self._tables.users, ban.user_id)
        self._need(self._tables.users, ban.by_id)
        self._tables.put(self._tables.bans, ban.id, ban)

    def drop_ban(self, ban_id: str) -> None:
        """Lift a ban."""
        self._tables.pop(self._tables.bans, ban_id)

    def put_invite(self, invite: Invite) -> None:
        """Store an invitation."""
        self._need(self._tables.users, invite.owner_id)
        self._need(self._tables.rooms, invite.target)
        self._tables.put(self._tables.invites, invite.code_hash, invite)

    def drop_invite(self, code_hash: str) -> None:
        """Remove an invitation."""
        self._tables.pop(self._tables.invites, code_hash)

    def put_link_code(self, code: LinkCode) -> None:
        """Store a device login under way."""
        self._need(self._tables.users, code.owner_id)
        self._tables.put(self._tables.link_codes, code.code_hash, code)

    def drop_link_code(self, code_hash: str) -> None:
        """Remove a device login."""
        self._tables.pop(self._tables.link_codes, code_hash)

    def put_upload_token(self, token: UploadToken) -> None:
        """Store the right to upload one file."""
        self._need(self._tables.users, token.owner_id)
        self._need(self._tables.rooms, token.target)
        self._tables.put(self._tables.upload_tokens, token.code_hash, token)

    def drop_upload_token(self, code_hash: str) -> None:
        """Remove it."""
        self._tables.pop(self._tables.upload_tokens, code_hash)

    def put_ignore(self, user_id: str, ignored_id: str) -> None:
        """Make a user ignore another."""
        self._need(self._tables.users, user_id)
        self._need(self._tables.users, ignored_id)
        self._tables.put(self._tables.ignores, (user_id, ignored_id), None)

    def drop_ignore(self, user_id: str, ignored_id: str) -> None:
        """End that."""
        self._tables.pop(self._tables.ignores, (user_id, ignored_id))

    def put_idempotent_answer(self, answer: IdempotentAnswer) -> None:
        """Store an answer."""
        check_text(answer.key, answer.body)
        self._need(self._tables.users, answer.user_id)
        self._tables.put(self._tables.answers, (answer.user_id, answer.key), answer)

    def drop_idempotent_answers(self, before: int) -> None:
        """Forget answers given before a time."""
        answers = self._tables.answers
        for key in [key for key, answer in answers.items() if answer.at < before]:
            self._tables.pop(answers, key)

    def put_upload(self, upload: Upload) -> None:
        """Store an upload."""
        tables = self._tables
        check_text(upload.name, upload.mime)
        self._need(tables.users, upload.owner_id)
        self._need(tables.rooms, upload.room_id)
        self._need(tables.message_ids, upload.message_id)
        old = tables.uploads.get(upload.id)
        if old is not None and old.message_id is not None:
            tables.pop(tables.inner(tables.upload_ids_of, old.message_id), upload.id)
        if upload.message_id is not None:
            tables.put(tables.inner(tables.upload_ids_of, upload.message_id), upload.id, None)
        tables.put(tables.uploads, upload.id, upload)

    def put_meta(self, key: str, value: str) -> None:
        """Store a value of the database itself."""
        check_text(key, value)
        self._tables.put(self._tables.meta, key, value)

    def _need(self, table: Mapping[str, object], key: str | None) -> None:
        """Refuse a reference to a row that is not there."""
        if key is not None and key not in table:
            raise ValueError("a row refers to one that is not there")


def check_text(*texts: str | None) -> None:
    """Refuse what no database keeps: U+0000 and lone surrogates."""
    for text in texts:
        if text is not None and ("\0" in text or (not text.isascii() and not is_encodable(text))):
            raise ValueError("texts cannot hold U+0000 or lone surrogates")


def is_encodable(text: str) -> bool:
    """Tell whether a text has a form in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def actor_of(body: EventBody) -> Author:
    """Return who did it."""
    match body:
        case Message(author=author):
            return author
        case Joined(user):
            return user
        case Left():
            return body.by or body.user
        case TopicChanged(by) | RoleChanged(by=by):
            return by


def without(body: EventBody, user_id: str) -> EventBody:
    """Return a body in which the user is nobody any more; the same object if it does not occur."""
    match body:
        case Message():
            author = nobody(body.author, user_id)
            return body if author is body.author else replace(body, author=author)
        case TopicChanged():
            by = nobody(body.by, user_id)
            return body if by is body.by else replace(body, by=by)
        case Joined():
            user = nobody(body.user, user_id)
            return body if user is body.user else replace(body, user=user)
        case RoleChanged():
            user, by = nobody(body.user, user_id), nobody(body.by, user_id)
            return body if (user, by) == (body.user, body.by) else replace(body, user=user, by=by)
        case Left():
            user = nobody(body.user, user_id)
            kicker = None if body.by is None else nobody(body.by, user_id)
            if (user, kicker) == (body.user, body.by):
                return body
            return replace(body, user=user, by=kicker)


def nobody(author: Author, user_id: str) -> Author:
    """Return what is left of an author who was dropped, or somebody else as they are."""
    return Author(None, DELETED_USER, author.kind) if author.id == user_id else author
