"""Posts in batches: judge each, number them, and store all of them with a handful of statements.

The outcome is that of posting one after another. What a judgement needs is read once for the whole
batch; rooms are locked first, in the order of their ids, so that numbers follow commits and
batches of several nodes cannot wait for each other in a circle.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import and_, bindparam, insert, select, update

from wynd_chat.adapters.store import schema
from wynd_chat.adapters.store.rows import (
    EVENT_OF_MESSAGE,
    MEMBERSHIPS,
    ROOMS,
    UPLOADS,
    check_text,
    message_event,
    message_row,
)
from wynd_chat.adapters.store.statements import LAST_AT, MESSAGES_BY_CID, of_list, of_pairs
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import FileInfo, Message
from wynd_chat.domain.models import Membership, Room, RoomRole, Upload, UploadState
from wynd_chat.domain.permissions import check_post
from wynd_chat.domain.text import search_text
from wynd_chat.ports.store import Posted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Select, UpdateBase

    from wynd_chat.domain.events import Event
    from wynd_chat.ports.store import NewMessage

    Row = Sequence[Any]

__all__ = ["PostBatch", "Runner"]

MEMBER = MEMBERSHIPS.table.c
MESSAGE = schema.messages.c
UPLOAD = UPLOADS.table.c

# FOR NO KEY UPDATE on PostgreSQL: references to the room may still be made meanwhile. SQLite has
# one writer and needs no lock.
LOCKED_ROOMS = (
    of_list(select(*ROOMS.columns), ROOMS.table.c.id)
    .order_by(ROOMS.table.c.id)
    .with_for_update(of=ROOMS.table, key_share=True)
)
SOME_ROOMS = of_list(select(*ROOMS.columns), ROOMS.table.c.id)
MEMBERSHIPS_OF = of_pairs(select(*MEMBERSHIPS.columns), MEMBER.room_id, MEMBER.user_id)
SEQS = of_pairs(select(MESSAGE.room_id, MESSAGE.seq), MESSAGE.room_id, MESSAGE.seq)
FILES = of_list(select(*UPLOADS.columns), UPLOAD.id)

COUNT_UP = (
    update(ROOMS.table)
    .where(ROOMS.table.c.id == bindparam("room"))
    .values(last_seq=ROOMS.table.c.last_seq + bindparam("count", type_=schema.NUMBER))
)
ADD_EVENTS = insert(schema.events)
ADD_MESSAGES = insert(schema.messages)
RAISE_READ = (
    update(MEMBERSHIPS.table)
    .where(
        and_(
            MEMBER.room_id == bindparam("room"),
            MEMBER.user_id == bindparam("user"),
            MEMBER.read_seq < bindparam("seq"),
        )
    )
    .values(read_seq=bindparam("seq"))
)
ATTACH = (
    update(UPLOADS.table)
    .where(UPLOAD.id == bindparam("upload"))
    .values(
        state=bindparam("new_state"),
        message_id=bindparam("message"),
        room_id=bindparam("room"),
    )
)


class Runner(Protocol):
    """What a batch reads and writes with: a transaction."""

    def find(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Return the rows found by a statement without values of its own, as they are stored."""

    def change(self, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each row of parameters, all of which have the same names."""

    def events_of(self, rows: Sequence[Row]) -> list[Event]:
        """Return rows of `MESSAGE_COLUMNS` as events with their files."""


class PostBatch:
    """One batch of posts within one transaction.

    Args:
        runner: The transaction.
        messages: In the order of their calls.
    """

    def __init__(self, runner: Runner, messages: Sequence[NewMessage]) -> None:
        self._runner = runner
        self._messages = messages
        self._rooms: dict[str, Room] = {}
        self._memberships: dict[tuple[str, str], Membership] = {}
        self._firsts: dict[tuple[str, str], Posted] = {}
        """(author, cid) → what was stored under it."""
        self._last_at: dict[tuple[str, str], int] = {}
        """(room, author) → time of the latest message, where slow mode asks for it."""
        self._seqs: set[tuple[str, int]] = set()
        """(room, seq) of messages that replies name."""
        self._uploads: dict[str, Upload] = {}
        self._new_events: list[dict[str, Any]] = []
        self._new_messages: list[dict[str, Any]] = []
        self._attached: list[dict[str, Any]] = []
        self._counts: dict[str, int] = {}
        """New messages, by room."""
        self._read_up_to: dict[tuple[str, str], int] = {}
        """(room, author) → the author's last message of the batch."""

    def run(self) -> list[Posted | ChatError | ValueError]:
        """Judge, number and store.

        Returns:
            For each message what was stored (or the first one under its cid), or why it was not.

        Raises:
            StoreFailure: Nothing more can be done in the transaction.
            ValueError: The database refuses a row; which one is not known.
        """
        self._read()
        outcomes = [self._outcome(message) for message in self._messages]
        self._write()
        return outcomes

    # reading what the judgements need

    def _read(self) -> None:
        messages = self._messages
        for row in self._find(LOCKED_ROOMS, {message.room_id for message in messages}):
            room = ROOMS.from_row(row)
            self._rooms[room.id] = room
        self._read_firsts()
        for row in self._find(MEMBERSHIPS_OF, {place(message) for message in messages}):
            membership = MEMBERSHIPS.from_row(row)
            self._memberships[membership.room_id, membership.user_id] = membership
        self._read_last_at()
        replies = {(m.room_id, m.reply_to) for m in messages if self._may_exist(m)}
        self._seqs = {(row[0], row[1]) for row in self._find(SEQS, replies)}
        file_ids = {file_id for message in messages for file_id in message.file_ids}
        for row in self._find(FILES, file_ids):
            upload = UPLOADS.from_row(row)
            self._uploads[upload.id] = upload

    def _read_firsts(self) -> None:
        """Read what was stored under the batch's cids; a first one may be in another room."""
        keys = {key for message in self._messages if (key := cid_key(message)) is not None}
        firsts = self._runner.events_of(self._find(MESSAGES_BY_CID, keys))
        elsewhere = {event.room_id for event in firsts} - self._rooms.keys()
        rooms = [ROOMS.from_row(row) for row in self._find(SOME_ROOMS, elsewhere)]
        known = self._rooms | {room.id: room for room in rooms}
        for event in firsts:
            if isinstance(event.body, Message) and event.body.author.id and event.body.cid:
                key = (event.body.author.id, event.body.cid)
                self._firsts[key] = Posted(known[event.room_id], event, is_duplicate=True)

    def _read_last_at(self) -> None:
        """Read, for rooms in slow mode, when the authors last wrote there."""
        for message in self._messages:
            room = self._rooms.get(message.room_id)
            if room is None or not room.slow_s or place(message) in self._last_at:
                continue
            room_id, author_id = place(message)
            where = {"room_id": room_id, "author_id": author_id}
            last_at = self._runner.find(LAST_AT, where)[0][0]
            if last_at is not None:
                self._last_at[room_id, author_id] = last_at

    def _may_exist(self, message: NewMessage) -> bool:
        """Tell whether the message replied to can be in the database, and its seq into a query."""
        if message.reply_to is None:
            return False
        room = self._rooms.get(message.room_id)
        return room is not None and 0 < message.reply_to <= room.last_seq

    def _find(self, statement: Select[Any], wanted: Iterable[Any]) -> Sequence[Row]:
        """Return the rows found for a list of ids or of pairs; for an empty one without asking."""
        values = list(wanted)
        return self._runner.find(statement, {"listed": json.dumps(values)}) if values else ()

    # judging

    def _outcome(self, message: NewMessage) -> Posted | ChatError | ValueError:
        try:
            check_text(message.id)
            check_text(message.author.name)
            check_text(message.text)
            check_text(message.cid or "")
            key = cid_key(message)
            first = None if key is None else self._firsts.get(key)
            if first is not None:
                room = self._rooms.get(first.room.id, first.room)
                return Posted(room, first.event, is_duplicate=True)
            posted = self._number(message, self._judge(message))
        except (ChatError, ValueError) as error:
            return error
        if key is not None:
            self._firsts[key] = posted
        return posted

    def _judge(self, message: NewMessage) -> tuple[Room, tuple[FileInfo, ...]]:
        """Return the room to post into and the files to attach."""
        room = self._rooms.get(message.room_id)
        membership = self._memberships.get(place(message))
        if message.is_announcement:
            membership = Membership(
                room_id=message.room_id,
                user_id=message.author.id or "",
                role=RoomRole.OWNER,
                joined_seq=0,
            )
        check_post(
            room,
            membership,
            is_privileged=message.is_privileged or message.is_announcement,
            now=message.at,
            last_at=self._last_at.get(place(message)),
        )
        assert room is not None
        if message.reply_to is not None and (room.id, message.reply_to) not in self._seqs:
            raise ChatError(ErrorCode.BAD_REQUEST, "there is no such message to reply to")
        return room, self._files(message)

    def _files(self, message: NewMessage) -> tuple[FileInfo, ...]:
        files = []
        for file_id in sorted(message.file_ids):
            upload = self._uploads.get(file_id)
            if (
                upload is None
                or upload.state is not UploadState.PENDING
                or upload.owner_id is None
                or upload.owner_id != message.author.id
            ):
                raise ChatError(ErrorCode.BAD_REQUEST, "there is no such file to attach")
            files.append(
                FileInfo(upload.id, upload.name, upload.mime, upload.size, upload.w, upload.h)
            )
        if len(set(message.file_ids)) != len(files):
            raise ChatError(ErrorCode.BAD_REQUEST, "there is no such file to attach")
        return tuple(files)

    def _number(self, message: NewMessage, judged: tuple[Room, tuple[FileInfo, ...]]) -> Posted:
        """Give a message its seq, and note what the next judgements have to know of it."""
        room, files = judged
        seq = room.last_seq + 1
        room = replace(room, last_seq=seq)
        self._rooms[room.id] = room
        self._counts[room.id] = self._counts.get(room.id, 0) + 1
        at = place(message)
        self._last_at[at] = max(message.at, self._last_at.get(at, message.at))
        self._seqs.add((room.id, seq))
        for file_id in message.file_ids:
            # No longer pending, so that no second message gets it.
            self._uploads[file_id] = replace(self._uploads[file_id], state=UploadState.ATTACHED)
            self._attached.append(
                {
                    "upload": file_id,
                    "message": message.id,
                    "room": room.id,
                    "new_state": UploadState.ATTACHED.value,
                }
            )
        self._new_events.append(
            {"room_id": room.id, "seq": seq, "kind": EVENT_OF_MESSAGE, "at": message.at}
        )
        self._new_messages.append(message_row(message, seq, search_text(message.text)))
        if message.author.id is not None:
            self._read_up_to[at] = seq
        return Posted(room, message_event(message, seq, files), is_duplicate=False)

    # writing

    def _write(self) -> None:
        change = self._runner.change
        if not self._new_messages:
            return
        rooms = sorted(self._counts.items())
        change(COUNT_UP, [{"room": room_id, "count": count} for room_id, count in rooms])
        change(ADD_EVENTS, self._new_events)
        change(ADD_MESSAGES, self._new_messages)
        markers = [
            {"room": room_id, "user": user_id, "seq": seq}
            for (room_id, user_id), seq in self._read_up_to.items()
        ]
        if markers:
            change(RAISE_READ, markers)
        if self._attached:
            change(ATTACH, self._attached)


def place(message: NewMessage) -> tuple[str, str]:
    """Return the key of the author's membership."""
    return message.room_id, message.author.id or ""


def cid_key(message: NewMessage) -> tuple[str, str] | None:
    """Return what is unique among messages, None for a message without cid or author."""
    if message.cid is None or message.author.id is None:
        return None
    return message.author.id, message.cid
