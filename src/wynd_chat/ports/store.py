"""`Store`: the truth. What is committed here exists; nothing else does.

A use case is a plain function over a `Transaction`, run by the store: all of it is committed, or
nothing. Reads are functions over a `Snapshot`. Neither awaits anything, so that a writer thread can
run many of them between two commits. Posting, the frequent case, has a form of its own that the
store carries out in batches.

Guarantees, which the contract suite holds every store to:

1. When `write` or `post` returns, the change is on disk (synchronous commit); when it raises,
   nothing of it is there.
2. `append` and `post` number a room's events contiguously from 1, in the order of commits.
3. `Transaction` sees its own writes; a `Snapshot` sees one moment, never half a transaction.
4. (author, cid) is unique among messages for as long as the row exists, also under races: the
   second post stores nothing and returns the first.
5. An operation that is cancelled is carried out whole or not at all.
6. Operations are carried out in the order of their calls (PostgreSQL: per room).
7. Every event that `write` or `post` committed is told to the `on_commit` callback, on the loop, in
   the order of seq per room, before the operation returns: also when its caller was cancelled.
   Duplicates are not told again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from wynd_chat.domain.events import Author, Event, EventBody, MessageKind
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

__all__ = [
    "ABOVE_ALL",
    "DELETED_USER",
    "EventsPage",
    "NewMessage",
    "Posted",
    "Snapshot",
    "Store",
    "StoreFailure",
    "StoreUnusable",
    "Transaction",
]

T = TypeVar("T")

ABOVE_ALL = 2**63 - 1  # above every seq and every time; both are 64-bit integers
DELETED_USER = "Deleted user"  # the name of an author, or anybody in an event, who was dropped


class StoreFailure(Exception):
    """The store cannot do it now: full disk, locked, unreachable. Nothing was changed.

    The text is for the log.
    """


class StoreUnusable(Exception):
    """The store cannot be opened at all; the text says what is wrong and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be stored. Who may post is judged inside the transaction (`check_post`)."""

    id: str
    room_id: str
    author: Author
    kind: MessageKind
    text: str
    mentions: tuple[str, ...] = ()
    """Ids of the users mentioned."""
    file_ids: tuple[str, ...] = ()
    """Pending uploads of the author; they become attached."""
    reply_to: int | None = None
    cid: str | None = None
    at: int
    is_privileged: bool = False
    """Posted by an administrator, or by the server itself: locks and slow mode do not hold."""
    is_announcement: bool = False
    """The server's own: needs no membership."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A message as it was stored."""

    room: Room
    """The room after the post."""
    event: Event
    """Its body is a `Message`."""
    is_duplicate: bool
    """The author had sent this cid before; nothing was stored, `event` is the first one."""


@dataclass(frozen=True, slots=True)
class EventsPage:
    """A stretch of a room's events."""

    events: tuple[Event, ...]
    """Ascending."""
    is_complete: bool
    """False: some were trimmed, so there is no whole answer; `events` is empty."""


class Snapshot(Protocol):
    """One moment of the store, for reading. Missing rows are None, lists are empty."""

    # users

    def user(self, user_id: str) -> User | None:
        """Return a user."""

    def users(self, user_ids: Collection[str]) -> dict[str, User]:
        """Return those that exist, by id."""

    def user_by_key(self, name_key: str) -> User | None:
        """Return who has this name; names of those who have gone are free."""

    def users_by_skeleton(self, skeleton: str) -> list[User]:
        """Return those whose names look alike."""

    def list_users(self, *, prefix_key: str = "", after_key: str = "", limit: int) -> list[User]:
        """Return accounts (no guests), by name_key, above `after_key`."""

    def count_users(self) -> int:
        """Return the number of accounts (no guests)."""

    def has_admin(self) -> bool:
        """Tell whether any account that may log in administers the server."""

    def stale_guests(self, before: int, *, after_id: str = "", limit: int) -> list[User]:
        """Return guests without any login who were last seen before a time, by id.

        Those above `after_id` who still have their name or are in a room; guests of whom nothing
        but messages is left are not among them.
        """

    def has_messages(self, user_id: str) -> bool:
        """Tell whether any message is by this user."""

    # logins

    def session(self, token_hash: str) -> Session | None:
        """Return a login, also an expired one."""

    def sessions(self, token_hashes: Collection[str]) -> dict[str, Session]:
        """Return those logins that exist, by hash, also expired ones."""

    def sessions_of(self, user_id: str) -> list[Session]:
        """Return a user's logins, oldest first."""

    # rooms

    def room(self, room_id: str) -> Room | None:
        """Return a room."""

    def room_ids(self, *, after_id: str = "", limit: int) -> list[str]:
        """Return the ids of all rooms and conversations, in their order, above `after_id`."""

    def room_by_key(self, name_key: str) -> Room | None:
        """Return the room of this name."""

    def direct_room(self, dm_key: str) -> Room | None:
        """Return the direct conversation of two users (`Room.dm_key`)."""

    def list_rooms(self, *, after_key: str = "", limit: int = 1000) -> list[Room]:
        """Return public rooms that are not archived, by name_key, above `after_key`."""

    def rooms_of(self, user_id: str) -> list[tuple[Room, Membership]]:
        """Return the rooms a user is in, direct conversations included, by room id."""

    def count_rooms(self) -> int:
        """Return the number of public rooms that are not archived."""

    def count_rooms_created(self, user_id: str, since: int) -> int:
        """Return how many rooms (no direct conversations) a user created since a time."""

    def membership(self, room_id: str, user_id: str) -> Membership | None:
        """Return a membership."""

    def members(
        self, room_id: str, *, after_key: str = "", limit: int = 10_000
    ) -> list[tuple[User, Membership]]:
        """Return the members of a room, by the user's id."""

    def member_ids(self, room_id: str) -> frozenset[str]:
        """Return the ids of all members."""

    # what happened

    def events_after(self, room_id: str, seq: int, limit: int) -> EventsPage:
        """Return up to `limit` events above `seq`, all of them or marked incomplete.

        `is_complete` is False if an event above `seq` was trimmed. Messages deleted meanwhile
        come as deleted.
        """

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
        """Return messages with after < seq < before and at >= since, ascending.

        The oldest `limit` of them (`newest=False`), or those of the newest `limit` messages that
        are not older than `since`: both are the same where time rises with seq.
        """

    def message(self, room_id: str, seq: int) -> Event | None:
        """Return the message of this seq; None where the seq is of another event."""

    def message_by_cid(self, author_id: str, cid: str) -> Event | None:
        """Return the message an author sent under this cid."""

    def last_message_at(self, room_id: str, author_id: str) -> int | None:
        """Return when an author last wrote in a room, milliseconds UTC."""

    def count_messages(self, room_id: str, *, after: int = 0) -> int:
        """Return the number of undeleted messages above a seq."""

    def count_unread(self, user_id: str, *, limit: int = 100) -> dict[str, tuple[int, int]]:
        """Return, by room id, others' undeleted messages above the user's read_seq.

        One pair for each room the user is in, of (all, those that mention the user), each
        counted up to `limit`.
        """

    # the rest

    def bans(self, room_id: str | None) -> list[Ban]:
        """Return the bans of a room, or of the server (None), also those that ended."""

    def invite(self, code_hash: str) -> Invite | None:
        """Return an invitation."""

    def link_code(self, code_hash: str) -> LinkCode | None:
        """Return a device login under way."""

    def upload_token(self, code_hash: str) -> UploadToken | None:
        """Return the right to upload one file."""

    def ignored_by(self, user_id: str) -> frozenset[str]:
        """Return the ids of those whom a user ignores."""

    def idempotent_answer(self, user_id: str, key: str) -> IdempotentAnswer | None:
        """Return what a POST with this key was answered with."""

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload."""

    def uploads_of(self, user_id: str, since: int) -> list[Upload]:
        """Return what a user uploaded since a time."""

    def stale_uploads(self, before: int) -> list[Upload]:
        """Return pending uploads made before a time."""

    def upload_bytes(self) -> int:
        """Return the bytes of all uploads that are not gone, equal content counted each time."""

    def seq_of_message(self, message_id: str) -> int | None:
        """Return the seq of a message in its room."""

    def is_content_used(self, sha256: str) -> bool:
        """Tell whether any upload that is not gone has this content."""

    def meta(self, key: str) -> str | None:
        """Return a value of the database itself, such as "epoch"."""


class Transaction(Snapshot, Protocol):
    """A snapshot that can be changed. `put_x` inserts or replaces the row of the same key.

    Mistakes of the caller raise ValueError and undo the whole work: a row that refers to one that
    is not there, a text with U+0000 or a lone surrogate, a room that becomes a direct conversation.
    """

    def put_user(self, user: User) -> None:
        """Store a user.

        Raises:
            ChatError: `name_taken`: somebody else has this name_key.
        """

    def drop_user(self, user_id: str) -> None:
        """Remove a user with logins, memberships, ignores, bans of and links by the user.

        Messages and events stay, without id and under the name `DELETED_USER`. No user is no
        error.
        """

    def put_session(self, session: Session) -> None:
        """Store a login."""

    def drop_session(self, token_hash: str) -> None:
        """End a login; none is no error."""

    def put_room(self, room: Room) -> None:
        """Store a room. `last_seq` and `min_seq` of an existing one stay as they are.

        Raises:
            ChatError: `conflict`: another room has this name_key or dm_key.
        """

    def drop_room(self, room_id: str) -> None:
        """Remove a room with its messages, events, memberships, bans, invitations and links.

        Its uploads are gone, and belong to no room and no message any more. The cids of its
        messages are free. No room is no error.
        """

    def put_membership(self, membership: Membership) -> None:
        """Store a membership."""

    def drop_membership(self, room_id: str, user_id: str) -> None:
        """End a membership; none is no error."""

    def raise_read(self, room_id: str, user_id: str, seq: int) -> int:
        """Raise the read marker of a member, never lower it; return the one in force.

        It never passes the room's last seq.

        Raises:
            ChatError: `not_member`.
        """

    def append(self, room_id: str, body: EventBody, at: int) -> Event:
        """Number and store an event that is no message.

        Raises:
            ChatError: `not_found`: there is no such room.
        """

    def post(self, message: NewMessage) -> Posted:
        """Number and store a message, as `Store.post`, within this transaction."""

    def delete_messages(
        self, author_id: str, *, since: int, at: int, room_id: str | None = None
    ) -> list[tuple[str, int]]:
        """Make tombstones of an author's messages not older than `since`; return (room id, seq).

        Text, mentions and what they are found by go, files are gone; row, seq and cid stay.
        Those deleted before are not touched and not returned.

        Args:
            author_id: Whose messages.
            since: Milliseconds UTC.
            at: When they were deleted.
            room_id: Only of this room; None: of all, conversations included.
        """

    def trim_events(self, room_id: str, below: int) -> None:
        """Forget events (not messages) below a seq."""

    def trim_old_events(self, room_id: str, *, before: int, keep: int, limit: int) -> int:
        """Forget a room's oldest events (not messages), at most `limit`; return how many.

        Those are forgotten that happened before a time, and those beyond the newest `keep`.
        """

    def drop_ended(self, before: int, limit: int) -> int:
        """Remove what ended before a time, at most `limit` rows of each kind; return how many.

        Logins, invitations, device logins and rights to upload; of the last three also those that
        are used up.
        """

    def put_ban(self, ban: Ban) -> None:
        """Store a ban."""

    def drop_ban(self, ban_id: str) -> None:
        """Lift a ban."""

    def put_invite(self, invite: Invite) -> None:
        """Store an invitation."""

    def drop_invite(self, code_hash: str) -> None:
        """Remove an invitation."""

    def put_link_code(self, code: LinkCode) -> None:
        """Store a device login under way."""

    def drop_link_code(self, code_hash: str) -> None:
        """Remove a device login."""

    def put_upload_token(self, token: UploadToken) -> None:
        """Store the right to upload one file."""

    def drop_upload_token(self, code_hash: str) -> None:
        """Remove it."""

    def put_ignore(self, user_id: str, ignored_id: str) -> None:
        """Make a user ignore another; twice is once."""

    def drop_ignore(self, user_id: str, ignored_id: str) -> None:
        """End that."""

    def put_idempotent_answer(self, answer: IdempotentAnswer) -> None:
        """Store an answer."""

    def drop_idempotent_answers(self, before: int) -> None:
        """Forget answers given before a time."""

    def put_upload(self, upload: Upload) -> None:
        """Store an upload."""

    def put_meta(self, key: str, value: str) -> None:
        """Store a value of the database itself."""


class Store(Protocol):
    """A database of one chat. Opened by `open`, ended by `close`."""

    async def open(self) -> None:
        """Connect, migrate, and make the epoch where there is none.

        Raises:
            StoreUnusable: damaged, newer than this program, too old a SQLite, no connection.
        """

    async def close(self) -> None:
        """Finish what was accepted, then disconnect; twice is once."""

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and commit; what it raises undoes it and comes out here.

        Raises:
            StoreFailure: it could not be committed; nothing of it is there.
        """

    async def read(self, work: Callable[[Snapshot], T]) -> T:
        """Run `work` over one moment of what is committed.

        Raises:
            StoreFailure: it could not be read.
        """

    async def post(self, message: NewMessage) -> Posted:
        """Store a message: judge (`domain.permissions.check_post`), number, commit.

        Posts that arrive while a commit runs share the next one. The author's read marker rises
        to the message. Slow mode looks at the author's newest message in the room.

        Raises:
            ChatError: `not_found`, `not_member`, `silenced`, `forbidden`, `rate_limited` (slow
                mode) as `check_post` says; `bad_request` for a `reply_to` or a file that is not
                there.
            StoreFailure: it could not be committed; nothing of it is there.
        """

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """Call `callback` with each event committed by this store object (guarantee 7).

        The room is as it was after the event, its `last_seq` included. The callback must not
        block or raise; there is one, a later call replaces it.
        """

    def on_foreign_change(self, callback: Callable[[], None]) -> bool:
        """Call `callback`, on the loop, after another program changed the data.

        Within about a second; several changes may be told as one. It says nothing of what changed.
        Returns whether this store notices at all; where it does not, ask it every few seconds.
        """

    async def is_writable(self) -> bool:
        """Try a write that changes nothing; never raises."""

    def statistics(self) -> Mapping[str, float]:
        """Return counters since the start: commits, posts, groups, seconds spent committing."""
