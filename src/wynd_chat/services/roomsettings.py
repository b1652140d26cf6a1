"""`RoomSettings`: what a room's members and ops set: topic, privacy, key, lock, slow mode.

Decides who may. Entering and leaving is `rooms`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import TopicChanged
from wynd_chat.domain.models import RoomKind
from wynd_chat.domain.permissions import Rank, check_rank, rank_in
from wynd_chat.domain.text import accept_text, clean_line
from wynd_chat.ports.outlet import RoomChanged
from wynd_chat.services.messaging import author_of
from wynd_chat.services.rooms import known_room

if TYPE_CHECKING:
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.domain.models import Membership, Room, User
    from wynd_chat.ports.clock import Clock
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.passwords import Passwords
    from wynd_chat.ports.store import Store, Transaction

__all__ = ["RoomPatch", "RoomSettings"]

SLOW_S_MAX = 6 * 3600  # more is a lock
KEY_BYTES_MAX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPatch:
    """Several changes of a room at once; None leaves a setting as it is."""

    topic: str | None = None
    is_private: bool | None = None
    is_locked: bool | None = None
    slow_s: int | None = None
    """0: no slow mode."""
    key: str | None = None
    """"": no key any more."""

    @property
    def needs_op(self) -> bool:
        """Whether it changes more than the topic."""
        rest = (self.is_private, self.is_locked, self.slow_s, self.key)
        return any(one is not None for one in rest)


class RoomSettings:
    """Changes rooms."""

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        clock: Clock,
        passwords: Passwords,
        limits: ChatLimits,
        lobby_id: str,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._clock = clock
        self._passwords = passwords
        self._limits = limits
        self._lobby_id = lobby_id

    async def set_topic(self, user: User, room: Room, topic: str) -> tuple[Room, Event]:
        """Set the topic, or clear it (""). In public rooms members may, unless it is locked.

        Raises:
            ChatError: `too_large`, `not_member`, `forbidden`.
        """
        topic = clean_line(accept_text(topic, self._limits.topic_chars_max, "topic"))
        now = self._clock.now_ms()

        def work(tx: Transaction) -> tuple[Room, Event]:
            current, membership = known_room(tx, user, room.id)
            _check_may_set_topic(user, membership, current)
            tx.put_room(replace(current, topic=topic))
            event = tx.append(room.id, TopicChanged(author_of(user), topic), now)
            return replace(current, topic=topic, last_seq=event.seq), event

        changed, event = await self._store.write(work)
        self._outlet.notice(RoomChanged(changed))
        return changed, event

    async def update(self, user: User, room: Room, patch: RoomPatch) -> Room:
        """Make several changes, all or none.

        Raises:
            ChatError: as the methods for each of them.
        """
        now = self._clock.now_ms()
        changes: dict[str, Any] = {}
        if (patch.is_private or patch.key) and room.id == self._lobby_id:
            raise ChatError(ErrorCode.FORBIDDEN, "the lobby is open to everybody")
        if patch.topic is not None:
            topic = clean_line(accept_text(patch.topic, self._limits.topic_chars_max, "topic"))
            changes["topic"] = topic
        if patch.is_private is not None:
            changes["kind"] = RoomKind.PRIVATE if patch.is_private else RoomKind.PUBLIC
        if patch.is_locked is not None:
            changes["locked"] = patch.is_locked
        if patch.slow_s is not None:
            changes["slow_s"] = _slow(patch.slow_s)
        if patch.key is not None:
            changes["key_hash"] = await self._key_hash(patch.key) if patch.key else None

        def work(tx: Transaction) -> Room:
            current, membership = known_room(tx, user, room.id)
            if patch.needs_op:
                _check_may_set(user, membership, current, Rank.OP)
            if patch.topic is not None:
                _check_may_set_topic(user, membership, current)
            changed = replace(current, **changes)
            tx.put_room(changed)
            if patch.topic is None:
                return changed
            event = tx.append(room.id, TopicChanged(author_of(user), changed.topic), now)
            return replace(changed, last_seq=event.seq)

        changed = await self._store.write(work)
        self._outlet.notice(RoomChanged(changed))
        return changed

    async def set_private(self, user: User, room: Room, is_private: bool) -> Room:
        """Make a room invite-only, or public again.

        Raises:
            ChatError: `forbidden`: no op, or the lobby.
        """
        if room.id == self._lobby_id:
            raise ChatError(ErrorCode.FORBIDDEN, "the lobby is open to everybody")
        kind = RoomKind.PRIVATE if is_private else RoomKind.PUBLIC
        return await self._change(user, room, kind=kind)

    async def set_key(self, user: User, room: Room, key: str | None) -> Room:
        """Set the password for entering, None: none.

        Raises:
            ChatError: `forbidden`: no op, or the lobby; `too_large`.
        """
        if room.id == self._lobby_id:
            raise ChatError(ErrorCode.FORBIDDEN, "the lobby is open to everybody")
        key_hash = None if key is None else await self._key_hash(key)
        return await self._change(user, room, key_hash=key_hash)

    async def set_locked(self, user: User, room: Room, is_locked: bool) -> Room:
        """Let only ops write, or everybody again.

        Raises:
            ChatError: `forbidden`: no op.
        """
        return await self._change(user, room, locked=is_locked)

    async def set_slow(self, user: User, room: Room, seconds: int | None) -> Room:
        """Allow one message per `seconds` and member; None: as many as they like.

        Raises:
            ChatError: `forbidden`: no op; `bad_request` above 6 hours.
        """
        return await self._change(user, room, slow_s=_slow(seconds or 0))

    async def archive(self, user: User, room: Room) -> Room:
        """Make a room read-only for ever; only its owner may.

        Raises:
            ChatError: `forbidden`.
        """
        if room.id == self._lobby_id:
            raise ChatError(ErrorCode.FORBIDDEN, "the lobby can't be archived")
        now = self._clock.now_ms()
        return await self._change(user, room, wanted=Rank.OWNER, archived_at=now)

    async def _change(self, user: User, room: Room, wanted: Rank = Rank.OP, **changes: Any) -> Room:
        def work(tx: Transaction) -> Room:
            current, membership = known_room(tx, user, room.id)
            _check_may_set(user, membership, current, wanted)
            changed = replace(current, **changes)
            tx.put_room(changed)
            return changed

        changed = await self._store.write(work)
        self._outlet.notice(RoomChanged(changed))
        return changed

    async def _key_hash(self, key: str) -> str:
        if len(key.encode()) > KEY_BYTES_MAX:
            raise ChatError(ErrorCode.TOO_LARGE, f"a key has at most {KEY_BYTES_MAX} bytes")
        return await self._passwords.hash(key)


def _slow(seconds: int) -> int:
    if seconds > SLOW_S_MAX:
        raise ChatError(ErrorCode.BAD_REQUEST, "slow mode is at most 6h")
    return seconds


def _check_may_set(user: User, membership: Membership | None, room: Room, wanted: Rank) -> None:
    if room.is_direct:
        raise ChatError(ErrorCode.FORBIDDEN, "that is for rooms, this is a conversation")
    rank = rank_in(user, membership, room)
    if rank is Rank.NONE:
        raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{room.name}")
    check_rank(rank, wanted)


def _check_may_set_topic(user: User, membership: Membership | None, room: Room) -> None:
    if room.is_direct:
        raise ChatError(ErrorCode.FORBIDDEN, "a conversation has no topic")
    rank = rank_in(user, membership, room)
    if rank is Rank.NONE:
        raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{room.name}")
    if room.locked or room.kind is RoomKind.PRIVATE:
        check_rank(rank, Rank.OP)
