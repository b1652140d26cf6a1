"""`Histories`: what was said before: pages of messages, and what a reconnecting client missed.

Decides what of a room's past a member may read, and that recovery is complete or refused. Knows no
face; how much fits into a reply is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import History
from wynd_chat.ports.store import ABOVE_ALL
from wynd_chat.services.rooms import known_room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Membership, Room, User
    from wynd_chat.ports.store import Snapshot, Store
    from wynd_chat.services.feed import Feed, Stretch

__all__ = ["Histories", "Missed", "MissedRoom", "Page"]

PAGE_MAX = 200


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a room's messages."""

    room: Room
    messages: tuple[Event, ...]
    """Ascending."""
    has_before: bool
    has_after: bool
    head: int
    """The room's newest seq."""
    total: int
    """How many messages the reader may read in all; 0 where it was not asked for."""


@dataclass(frozen=True, slots=True)
class MissedRoom:
    """What a client missed in one of the user's rooms."""

    room: Room
    membership: Membership
    head: int
    """Live events begin above it."""
    events: tuple[Event, ...] | None
    """Everything between the client's position and the head; None: not recovered (`gap`)."""
    peer: User | None
    """The other side of a direct conversation."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a client missed."""

    rooms: tuple[MissedRoom, ...]
    strangers: tuple[str, ...]
    """Rooms it asked for and the user is not in, as it named them."""


class Histories:
    """Reads the past of rooms."""

    def __init__(self, store: Store, feed: Feed, epoch: str) -> None:
        self._store = store
        self._feed = feed
        self.epoch = epoch

    async def page(
        self,
        user: User,
        room: Room,
        *,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        since: int = 0,
        limit: int = 50,
        with_total: bool = False,
    ) -> Page:
        """Return a page of messages: the newest, or those before, after or around a seq.

        Args:
            user: Who reads.
            room: Which room; read again here.
            before: Seq below which to read.
            after: Seq above which to read.
            around: Seq in whose middle to read.
            since: Milliseconds UTC; nothing older.
            limit: At most this many, 1 to 200.
            with_total: Whether to count everything the user may read.

        Raises:
            ChatError: `bad_request`, `not_found`, `not_member`.
        """
        if sum(one is not None for one in (before, after, around)) > 1:
            raise ChatError(ErrorCode.BAD_REQUEST, "use one of before, after and around")
        if not 1 <= limit <= PAGE_MAX:
            raise ChatError(ErrorCode.BAD_REQUEST, f"limit is 1 to {PAGE_MAX}")

        def work(snapshot: Snapshot) -> Page:
            current, membership = known_room(snapshot, user, room.id)
            if membership is None and not user.is_admin:
                raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{current.name}, use /join")
            floor = visible_from(current, membership) - 1
            messages = _messages(snapshot, current.id, floor, before, after, around, since, limit)
            low = messages[0].seq if messages else ABOVE_ALL if before is None else before
            end = ABOVE_ALL if before is None else max(0, before - 1)
            high = messages[-1].seq if messages else end
            older = snapshot.messages(current.id, after=floor, before=low, limit=1, since=since)
            newer = snapshot.messages(current.id, after=max(floor, high), limit=1)
            total = snapshot.count_messages(current.id, after=floor) if with_total else 0
            has_before = bool(older)
            return Page(current, tuple(messages), has_before, bool(newer), current.last_seq, total)

        return await self._store.read(work)

    async def message(self, user: User, room: Room, seq: int) -> Event:
        """Return one message.

        Raises:
            ChatError: `not_found`, `not_member`.
        """

        def work(snapshot: Snapshot) -> Event | None:
            current, membership = known_room(snapshot, user, room.id)
            if membership is None and not user.is_admin:
                raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{current.name}, use /join")
            if seq < visible_from(current, membership):
                return None
            return snapshot.message(current.id, seq)

        event = await self._store.read(work)
        if event is None:
            raise ChatError(ErrorCode.NOT_FOUND, f"there is no message {seq}")
        return event

    async def missed(
        self, user: User, epoch: str, positions: Mapping[str, int], limit: int
    ) -> Missed:
        """Return what a client missed since its positions, in all rooms of the user.

        When this returns, the caller may listen from the heads on and loses nothing, if it begins
        before it awaits anything else: the last step awaits nothing.

        Args:
            user: Who reconnects.
            epoch: The database's identity as the client knows it; another one is a gap everywhere.
            positions: Last seq seen, by the room's name or id.
            limit: At most so many events per room; more is a gap.
        """

        def work(snapshot: Snapshot) -> list[tuple[Room, Membership, User | None]]:
            found = []
            for room, membership in snapshot.rooms_of(user.id):
                peer = None
                if room.is_direct:
                    peer = snapshot.user(room.peer_of(user.id))
                found.append((room, membership, peer))
            return found

        mine = await self._store.read(work)
        wanted: dict[str, int] = {}
        names = {room.shown: room for room, _, _ in mine}
        names |= {f"#{room.name}": room for room, _, _ in mine if room.name is not None}
        strangers = [name for name in positions if name not in names]
        if epoch == self.epoch:
            for name, last in positions.items():
                if name in names:
                    wanted[names[name].id] = last
        read: dict[str, Stretch] = {}
        for room, membership, _ in mine:
            self._feed.head(room.id, room.last_seq)  # from now on it is followed
            position = wanted.get(room.id)
            if position is not None and position >= room.min_seq - 1:  # else some were removed
                after = max(position, visible_from(room, membership) - 1)
                read[room.id] = await self._feed.read(room.id, after, limit)
        return Missed(
            tuple(
                MissedRoom(
                    room,
                    membership,
                    self._feed.head(room.id, room.last_seq),
                    self._recovered(room.id, read.get(room.id), limit),
                    peer,
                )
                for room, membership, peer in mine
            ),
            tuple(strangers),
        )

    def _recovered(
        self, room_id: str, read: Stretch | None, limit: int
    ) -> tuple[Event, ...] | None:
        events = None if read is None else self._feed.join(room_id, read)
        return None if events is None or len(events) > limit else tuple(events)


def visible_from(room: Room, membership: Membership | None) -> int:
    """Return the lowest seq a member may read."""
    if room.history is History.SINCE_JOIN and membership is not None:
        return max(room.min_seq, membership.joined_seq + 1)
    return room.min_seq


def _messages(
    snapshot: Snapshot,
    room_id: str,
    floor: int,
    before: int | None,
    after: int | None,
    around: int | None,
    since: int,
    limit: int,
) -> list[Event]:
    if around is not None:
        half = limit // 2
        older = (
            snapshot.messages(room_id, after=floor, before=around, limit=half, since=since)
            if half
            else []
        )
        low = max(floor, around - 1)
        newer = snapshot.messages(
            room_id, after=low, limit=limit - len(older), newest=False, since=since
        )
        return older + newer
    if after is not None:
        low = max(floor, after)
        return snapshot.messages(room_id, after=low, limit=limit, newest=False, since=since)
    below = ABOVE_ALL if before is None else before
    return snapshot.messages(room_id, after=floor, before=below, limit=limit, since=since)
