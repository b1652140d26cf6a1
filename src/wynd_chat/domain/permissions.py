"""Who may do what: the rules over users, rooms and memberships, as plain functions.

Everything is judged from rows that the caller read in the same transaction. Knows nothing of
faces; the sentences are what users read.
"""

from __future__ import annotations

from enum import IntEnum

from wynd_chat.domain.durations import short_duration
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Membership, Room, RoomRole, User, UserKind

__all__ = ["Rank", "check_above", "check_post", "check_rank", "rank_in"]

ONLY = {
    "OWNER": "only owners can do that",
    "OP": "only ops can do that",
    "ADMIN": "only admins can do that",
}


class Rank(IntEnum):
    """Roles in their order: owner > op > member > guest; an administrator counts as owner."""

    NONE = 0
    GUEST = 1
    MEMBER = 2
    OP = 3
    OWNER = 4
    ADMIN = 5


def rank_in(user: User, membership: Membership | None, room: Room) -> Rank:
    """Return a user's rank in a room; administrators have theirs, except in direct conversations.

    Both sides of a direct conversation are members.
    """
    if user.is_admin and not room.is_direct:
        return Rank.ADMIN
    if membership is None:
        return Rank.NONE
    if room.is_direct:
        return Rank.MEMBER
    if membership.role is RoomRole.OWNER:
        return Rank.OWNER
    if membership.role is RoomRole.OP:
        return Rank.OP
    return Rank.GUEST if user.kind is UserKind.GUEST else Rank.MEMBER


def check_rank(rank: Rank, wanted: Rank) -> None:
    """Refuse a rank below the wanted one.

    Raises:
        ChatError: `forbidden`.
    """
    if rank < wanted:
        raise ChatError(ErrorCode.FORBIDDEN, ONLY.get(wanted.name, "members only"))


def check_above(actor: Rank, target: Rank) -> None:
    """Refuse acting on somebody whose rank is not below the actor's.

    Raises:
        ChatError: `forbidden`.
    """
    if actor <= target:
        raise ChatError(ErrorCode.FORBIDDEN, "you can only do that to people below your role")


def check_post(
    room: Room | None,
    membership: Membership | None,
    *,
    is_privileged: bool,
    now: int,
    last_at: int | None = None,
) -> None:
    """Judge whether a member may write now: membership, silence, lock, slow mode, in this order.

    Args:
        room: The room, None where there is none.
        membership: The author's, None for strangers.
        is_privileged: An administrator, outside direct conversations: locks and slow mode do not
            hold.
        now: Milliseconds UTC.
        last_at: When the author last wrote there; needed only where `room.slow_s` is set.

    Raises:
        ChatError: `not_found`, `not_member`, `silenced`, `forbidden`, `rate_limited`.
    """
    if room is None:
        raise ChatError(ErrorCode.NOT_FOUND, "no such room")
    if membership is None:
        raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in {room_label(room)}")
    if room.archived_at is not None:
        raise ChatError(ErrorCode.FORBIDDEN, f"{room_label(room)} is archived")
    if membership.silenced_until is not None and membership.silenced_until > now:
        left_s = (membership.silenced_until - now + 999) // 1000
        raise ChatError(
            ErrorCode.SILENCED,
            f"you are silenced for {short_duration(left_s)}",
            retry_after=float(left_s),
        )
    if is_privileged or membership.role is not RoomRole.MEMBER:
        return
    if room.locked:
        raise ChatError(ErrorCode.FORBIDDEN, "only ops can write here")
    if room.slow_s and last_at is not None and now < last_at + room.slow_s * 1000:
        left = (last_at + room.slow_s * 1000 - now) / 1000
        raise ChatError(
            ErrorCode.RATE_LIMITED,
            f"slow mode: one message per {short_duration(room.slow_s)}",
            retry_after=round(left, 1),
        )


def room_label(room: Room) -> str:
    """Return how sentences name a room."""
    return f"#{room.name}" if room.name is not None else "this conversation"
