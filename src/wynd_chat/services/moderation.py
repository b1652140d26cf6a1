"""`Moderation`: what ops and owners do to others in rooms: kicks, bans, timeouts, roles.

1. Everything is judged in the transaction that does it; acting on somebody needs a rank above
   theirs.
2. What is done to a member of a room is an event of the room that is kept, guests included: unlike
   coming and going, it is an act of somebody else.
3. Nobody leaves the lobby. Kicked from it, a user's connections end; banned from it, the user is
   kept out of the chat while the ban lasts, as `bans` says.

How bans are asked about is `bans`, what administrators do is `serverbans`. Knows no face.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import LeaveHow, Left, RoleChanged
from wynd_chat.domain.models import RoomRole
from wynd_chat.domain.permissions import Rank, check_above, check_rank, rank_in
from wynd_chat.domain.text import accept_text, clean_line
from wynd_chat.ports.outlet import MembershipEnded, UserRemoved
from wynd_chat.services.bans import (
    active_bans,
    ban_infos,
    hold_silence,
    lift_ban,
    new_ban,
    purge,
    replace_ban,
)
from wynd_chat.services.messaging import author_of
from wynd_chat.services.rooms import hand_over, known_room

if TYPE_CHECKING:
    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.domain.models import Ban, Membership, Room, User
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.services.bans import BanInfo
    from wynd_chat.services.feed import Feed

__all__ = ["Moderation"]

TIMEOUT_S = 600  # `/timeout USER` alone (chat.md 3.4)


class Moderation:
    """Acts on other people."""

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        feed: Feed,
        clock: Clock,
        tokens: Tokens,
        limits: ChatLimits,
        lobby_id: str,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._feed = feed
        self._clock = clock
        self._tokens = tokens
        self._limits = limits
        self._lobby_id = lobby_id

    # Rooms

    async def kick(self, user: User, room: Room, target: User, reason: str = "") -> Room:
        """Put somebody out of a room, or out of the chat where that is the lobby.

        Raises:
            ChatError: `not_found`: the room, or no member; `forbidden`, `too_large`.
        """
        reason = self._reason(reason)
        now = self._clock.now_ms()
        ban_id = self._tokens.new_id("b_")

        def work(tx: Transaction) -> Room:
            current, membership = self._judged(tx, user, room, target)
            if membership is None:
                raise _no_member(target, current)
            self._put_out(tx, user, current, target, membership, LeaveHow.KICK, reason, now)
            hold_silence(tx, membership, ban_id, now)
            return current

        left = await self._store.write(work)
        self._tell(left, target, user, reason, is_ban=False)
        return left

    async def ban(
        self,
        user: User,
        room: Room,
        target: User | None,
        seconds: int | None = None,
        reason: str = "",
        *,
        purge_s: int | None = None,
    ) -> Ban:
        """Put somebody out of a room and keep them out; None refuses all newcomers.

        Args:
            user: Who bans.
            room: From where.
            target: Who is banned; need not be in the room. Another ban of theirs is replaced.
            seconds: For how long; None: until it is lifted.
            reason: What people read.
            purge_s: Delete what they wrote there in the last seconds.

        Raises:
            ChatError: `not_found`, `forbidden`, `too_large`.
        """
        reason = self._reason(reason)
        now = self._clock.now_ms()
        ban = new_ban(
            self._tokens.new_id("b_"), room.id, user, target, reason=reason, at=now, seconds=seconds
        )

        def work(tx: Transaction) -> tuple[Room, bool, set[str]]:
            if target is None:
                current = self._judged_room(tx, user, room)
                replace_ban(tx, ban, now)
                return current, False, set()
            current, membership = self._judged(tx, user, room, target)
            replace_ban(tx, ban, now)
            if membership is not None:
                self._put_out(tx, user, current, target, membership, LeaveHow.BAN, reason, now)
            purged = purge(tx, target, purge_s, now, current.id)
            return current, membership is not None, purged

        current, was_member, purged = await self._store.write(work)
        self._forget(purged)
        if target is not None and was_member:
            self._tell(current, target, user, reason, is_ban=True)
        return ban

    async def unban(self, user: User, room: Room, target: User | None) -> None:
        """Lift a ban from a room; None: that of all newcomers.

        Raises:
            ChatError: `not_found`: the room, or there is none; `forbidden`.
        """
        now = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            current = self._judged_room(tx, user, room)
            user_id = None if target is None else target.id
            lift_ban(tx, current.id, user_id, None, now)

        await self._store.write(work)

    async def bans(self, user: User, room: Room) -> list[BanInfo]:
        """Return the bans of a room that have not ended, oldest first; for its ops.

        Raises:
            ChatError: `not_found`, `forbidden`.
        """
        now = self._clock.now_ms()

        def work(snapshot: Snapshot) -> list[BanInfo]:
            current = self._judged_room(snapshot, user, room)
            return ban_infos(snapshot, active_bans(snapshot, current.id, now))

        return await self._store.read(work)

    async def timeout(
        self,
        user: User,
        room: Room,
        target: User,
        seconds: int | None = TIMEOUT_S,
        reason: str = "",
    ) -> int | None:
        """Let a member read and not write for a while; None: again.

        Returns:
            Until when, milliseconds UTC; None: no longer.

        Raises:
            ChatError: `not_found`: the room, or no member; `forbidden`, `too_large`.
        """
        reason = self._reason(reason)
        now = self._clock.now_ms()
        until = None if seconds is None else now + seconds * 1000

        def work(tx: Transaction) -> None:
            current, membership = self._judged(tx, user, room, target)
            if membership is None:
                raise _no_member(target, current)
            was_silenced = (membership.silenced_until or 0) > now
            tx.put_membership(replace(membership, silenced_until=until))
            if until is None and not was_silenced:
                return  # nothing has changed that anybody would have to know
            event = RoleChanged(
                author_of(target), membership.role, author_of(user), until or 0, reason
            )
            tx.append(current.id, event, now)

        await self._store.write(work)
        return until

    async def set_role(self, user: User, room: Room, target: User, role: RoomRole) -> bool:
        """Give a member a role; return False if it was theirs. Only owners may.

        Raises:
            ChatError: `not_found`: the room, or no member; `forbidden`.
        """
        now = self._clock.now_ms()

        def work(tx: Transaction) -> bool:
            current, membership = self._judged(tx, user, room, target, Rank.OWNER)
            if membership is None:
                raise _no_member(target, current)
            if membership.role is role:
                return False
            tx.put_membership(replace(membership, role=role))
            tx.append(current.id, RoleChanged(author_of(target), role, author_of(user)), now)
            return True

        return await self._store.write(work)

    # Inside transactions

    def _judged_room(
        self, snapshot: Snapshot, user: User, room: Room, wanted: Rank = Rank.OP
    ) -> Room:
        """Return a room as it is, where the user has the wanted rank."""
        current, membership = known_room(snapshot, user, room.id)
        if current.is_direct:
            raise ChatError(ErrorCode.FORBIDDEN, "that is for rooms, this is a conversation")
        check_rank(rank_in(snapshot.user(user.id) or user, membership, current), wanted)
        return current

    def _judged(
        self,
        snapshot: Snapshot,
        user: User,
        room: Room,
        target: User,
        wanted: Rank = Rank.OP,
    ) -> tuple[Room, Membership | None]:
        """Return a room as it is and the target's membership, where the user may act on them."""
        current = self._judged_room(snapshot, user, room, wanted)
        actor = rank_in(
            snapshot.user(user.id) or user, snapshot.membership(current.id, user.id), current
        )
        membership = snapshot.membership(current.id, target.id)
        check_above(actor, rank_in(snapshot.user(target.id) or target, membership, current))
        return current, membership

    def _put_out(
        self,
        tx: Transaction,
        user: User,
        room: Room,
        target: User,
        membership: Membership,
        how: LeaveHow,
        reason: str,
        now: int,
    ) -> None:
        if room.id == self._lobby_id:
            return  # everybody is in the lobby; the connections end instead
        tx.drop_membership(room.id, target.id)
        tx.append(room.id, Left(author_of(target), how, author_of(user), reason), now)
        if membership.role is RoomRole.OWNER:
            hand_over(tx, room, target, now)

    # Around them

    def _reason(self, text: str) -> str:
        return clean_line(accept_text(text, self._limits.reason_chars_max, "reason"))

    def _tell(self, room: Room, target: User, user: User, reason: str, *, is_ban: bool) -> None:
        by = author_of(user)
        if room.id == self._lobby_id:
            self._outlet.notice(UserRemoved(target.id, room, by, reason, is_ban))
        else:
            self._outlet.notice(MembershipEnded(room, target.id, by, reason, is_ban))

    def _forget(self, room_ids: set[str]) -> None:
        for room_id in room_ids:
            self._feed.forget(room_id)


def _no_member(target: User, room: Room) -> ChatError:
    return ChatError(ErrorCode.NOT_FOUND, f"{target.name} is not in #{room.name}")
