"""`Rooms`: finding, making, entering and leaving rooms and direct conversations.

Decides who may enter and what a room's members may know of it. What ops set is `roomsettings`,
what is said in rooms is `messaging`, throwing people out is `moderation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Joined, LeaveHow, Left, RoleChanged, TopicChanged
from wynd_chat.domain.models import (
    Invite,
    InviteKind,
    Membership,
    Notify,
    Room,
    RoomKind,
    RoomRole,
)
from wynd_chat.domain.names import parse_room_name, room_key, user_key
from wynd_chat.domain.permissions import Rank, check_rank, rank_in
from wynd_chat.domain.text import accept_text, clean_line
from wynd_chat.ports.outlet import MembershipEnded, MembershipStarted, ReadRaised
from wynd_chat.services.accounts import hash_of
from wynd_chat.services.bans import hold_silence
from wynd_chat.services.messaging import author_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.domain.models import Ban, User
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.passwords import Passwords
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.services.presence import Presences

__all__ = [
    "Entry",
    "RoomInfo",
    "Rooms",
    "direct_key",
    "enter_room",
    "hand_over",
    "known_room",
    "make_lobby",
]

DAY_MS = 24 * 3600 * 1000
INVITE_MS = 7 * DAY_MS
INVITE_USES = 25
KEY_BYTES_MAX = 128  # of a room's password
CROWD_MIN = 1000  # members; reading who they are takes a millisecond
CROWD_FRESH_S = 1.0
CROWDS_MAX = 32  # of 10,000 members each: some 30 MiB


@dataclass(frozen=True, slots=True)
class Entry:
    """What joining came to."""

    room: Room
    membership: Membership
    is_new_room: bool
    is_new_member: bool


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """A room as a list shows it to a user."""

    room: Room
    membership: Membership | None
    here: int
    """Members who are online."""
    unread: int
    mentions: int
    peer: User | None = None
    """The other side of a direct conversation."""


def known_room(snapshot: Snapshot, user: User, ref: str) -> tuple[Room, Membership | None]:
    """Return the room a reference names, if the user may know of it, and the user's membership.

    Args:
        snapshot: Where to look.
        user: Who asks.
        ref: `#dev`, `dev`, or the id of a direct conversation.

    Raises:
        ChatError: `not_found`.
    """
    if ref.startswith("r_"):
        room = snapshot.room(ref)
    else:
        key = room_key(ref)
        room = None if key is None else snapshot.room_by_key(key)
    if room is None:
        raise _no_room(ref)
    membership = snapshot.membership(room.id, user.id)
    is_open = room.kind is RoomKind.PUBLIC or (user.is_admin and not room.is_direct)
    if membership is None and not is_open:
        raise _no_room(ref)
    return room, membership


def make_lobby(tx: Transaction, tokens: Tokens, name: str, now: int) -> Room:
    """Return the lobby; make it where there is none."""
    key = parse_room_name(name)
    lobby = tx.room_by_key(key)
    if lobby is None:
        lobby = Room(
            id=tokens.new_id("r_"),
            kind=RoomKind.PUBLIC,
            name=key,
            name_key=key,
            created_by=None,
            created_at=now,
        )
        tx.put_room(lobby)
    return lobby


def _no_room(ref: str) -> ChatError:
    shown = clean_line(ref)[:33]
    if not shown.startswith(("#", "@", "r_")):
        shown = f"#{shown}"
    return ChatError(ErrorCode.NOT_FOUND, f"there is no room {shown}")


class Rooms:
    """The rooms of the server."""

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        presences: Presences,
        clock: Clock,
        tokens: Tokens,
        passwords: Passwords,
        limits: ChatLimits,
        lobby_id: str,
        create: str,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._presences = presences
        self._clock = clock
        self._tokens = tokens
        self._passwords = passwords
        self._limits = limits
        self.lobby_id = lobby_id
        self.create_by = create
        """"all", "accounts" or "admins": who may make rooms; may change at any time."""
        self._crowds: dict[str, tuple[float, frozenset[str]]] = {}  # until when, and who

    # Finding

    async def find(self, user: User, ref: str) -> Room:
        """Return the room of a reference that the user may know of; `@name` opens a conversation.

        Raises:
            ChatError: `not_found`.
        """
        if ref.startswith("@"):
            return await self.direct(user, ref)
        room, _ = await self._store.read(lambda snapshot: known_room(snapshot, user, ref))
        return room

    async def find_existing(self, user: User, ref: str) -> Room:
        """Return the room of a reference, as `find`, without opening a conversation.

        Raises:
            ChatError: `not_found`, also for a conversation that was never opened.
        """
        if not ref.startswith("@"):
            return await self.find(user, ref)
        key = user_key(ref)

        def work(snapshot: Snapshot) -> Room | None:
            target = None if key is None else snapshot.user_by_key(key)
            return None if target is None else snapshot.direct_room(direct_key(user.id, target.id))

        room = await self._store.read(work)
        if room is None:
            raise _no_room(ref)
        return room

    async def find_member(self, user: User, ref: str) -> tuple[Room, Membership]:
        """Return a room the user is in.

        Raises:
            ChatError: `not_found`, `not_member`.
        """
        if ref.startswith("@"):
            room = await self.direct(user, ref)
            ref = room.id
        room, membership = await self._store.read(lambda snapshot: known_room(snapshot, user, ref))
        if membership is None:
            raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{room.name}, use /join")
        return room, membership

    async def rank(self, user: User, room: Room) -> Rank:
        """Return a user's rank in a room."""

        def work(snapshot: Snapshot) -> Rank:
            current = snapshot.room(room.id) or room
            return rank_in(user, snapshot.membership(room.id, user.id), current)

        return await self._store.read(work)

    async def membership(self, user: User, room: Room) -> Membership | None:
        """Return a user's membership in a room."""
        return await self._store.read(lambda snapshot: snapshot.membership(room.id, user.id))

    async def shared(self, user: User, other: User) -> list[Room]:
        """Return the rooms (no conversations) that two users are in, by name."""

        def work(snapshot: Snapshot) -> list[Room]:
            mine = {room.id for room, _ in snapshot.rooms_of(user.id)}
            return [room for room, _ in snapshot.rooms_of(other.id) if room.id in mine]

        rooms = [room for room in await self._store.read(work) if not room.is_direct]
        return sorted(rooms, key=lambda room: room.name or "")

    async def count(self) -> int:
        """Return how many public rooms there are that are not archived; strangers may know it."""
        return await self._store.read(lambda snapshot: snapshot.count_rooms())

    async def lobby(self) -> Room:
        """Return the lobby as it is now."""
        room = await self._store.read(lambda snapshot: snapshot.room(self.lobby_id))
        assert room is not None  # made before anything is served, and never dropped
        return room

    async def mine(self, user: User) -> list[tuple[Room, Membership]]:
        """Return the rooms a user is in, direct conversations included."""
        return await self._store.read(lambda snapshot: snapshot.rooms_of(user.id))

    async def direct(self, user: User, ref: str) -> Room:
        """Return the direct conversation with somebody, made where there is none.

        Raises:
            ChatError: `not_found`; `not_online` for a guest who is not here.
        """
        key = user_key(ref)
        now = self._clock.now_ms()
        room_id = self._tokens.new_id("r_")

        def look(snapshot: Snapshot) -> tuple[User | None, Room | None]:
            target = None if key is None else snapshot.user_by_key(key)
            dm_key = "" if target is None else direct_key(user.id, target.id)
            return target, snapshot.direct_room(dm_key) if dm_key else None

        target, room = await self._store.read(look)
        if target is None:
            shown = clean_line(ref.removeprefix("@"))[:32]
            raise ChatError(ErrorCode.NOT_FOUND, f"nobody here is called {shown}")
        self.check_reachable(target)
        if room is not None:
            return room

        def work(tx: Transaction) -> tuple[Room, bool]:
            dm_key = direct_key(user.id, target.id)
            made = tx.direct_room(dm_key)
            if made is not None:
                return made, False
            made = Room(
                id=room_id,
                kind=RoomKind.DM,
                name=None,
                name_key=None,
                dm_key=dm_key,
                created_by=user.id,
                created_at=now,
            )
            tx.put_room(made)
            for member in {user.id, target.id}:
                tx.put_membership(Membership(room_id=made.id, user_id=member, joined_seq=0))
            return made, True

        made, is_new = await self._store.write(work)
        if is_new:
            self._outlet.notice(MembershipStarted(made, user, peer=target))
            if target.id != user.id:
                self._outlet.notice(MembershipStarted(made, target, peer=user))
        return made

    def check_reachable(self, target: User) -> None:
        """Refuse writing to a guest who is not here; accounts read it later.

        Raises:
            ChatError: `not_online`.
        """
        if target.is_guest and not self._presences.is_online(target.id):
            raise ChatError(ErrorCode.NOT_ONLINE, f"{target.name} is not here")

    async def peer(self, user: User, room: Room) -> User:
        """Return the other side of a direct conversation, oneself in one with oneself."""
        other = room.peer_of(user.id)
        found = await self._store.read(lambda snapshot: snapshot.user(other))
        if found is None:
            raise ChatError(ErrorCode.NOT_FOUND, "the other side is gone")
        return found

    async def infos(self, user: User, *, with_open: bool = True) -> list[RoomInfo]:
        """Return the rooms a user is in and, `with_open`, the public ones; directs last."""

        def work(snapshot: Snapshot) -> tuple[list[RoomInfo], dict[str, frozenset[str]]]:
            mine = {room.id: (room, membership) for room, membership in snapshot.rooms_of(user.id)}
            unread = snapshot.count_unread(user.id)
            rooms: list[tuple[Room, Membership | None]] = list(mine.values())
            if with_open:
                rooms += [(room, None) for room in snapshot.list_rooms() if room.id not in mine]
            infos, members = [], {}
            for room, membership in rooms:
                peer = None
                if room.is_direct:
                    other = room.peer_of(user.id)
                    peer = snapshot.user(other)
                members[room.id] = self._member_ids(snapshot, room.id)
                count, mentions = unread.get(room.id, (0, 0))
                infos.append(RoomInfo(room, membership, 0, count, mentions, peer))
            return infos, members

        infos, members = await self._store.read(work)
        online = self._presences.online_ids()
        infos = [replace(info, here=len(members[info.room.id] & online)) for info in infos]
        return sorted(infos, key=lambda info: (info.room.is_direct, info.room.name or ""))

    async def members(self, user: User, room: Room) -> list[tuple[User, Membership, bool]]:
        """Return the members of a room and whether each is online, by name without case.

        Guests who are not here are left out.

        Raises:
            ChatError: `not_member`.
        """

        def work(snapshot: Snapshot) -> list[tuple[User, Membership]]:
            known_room(snapshot, user, room.id)
            return snapshot.members(room.id)

        online = self._presences.online_ids()
        found = [
            (member, membership, member.id in online)
            for member, membership in await self._store.read(work)
            if member.id in online or not member.is_guest
        ]
        return sorted(found, key=lambda one: (one[0].name.casefold(), one[0].name))

    async def here(self, room: Room) -> int:
        """Return how many members of a room are online; of a crowd, as of up to a second ago."""
        ids = await self._store.read(lambda snapshot: self._member_ids(snapshot, room.id))
        return len(ids & self._presences.online_ids())

    def _member_ids(self, snapshot: Snapshot, room_id: str) -> frozenset[str]:
        """Return a room's members for counting.

        Those of a crowd are read once a second, or a crowd that comes at once would read itself
        once for each that comes. Runs on the store's threads; each step on the dict is one.
        """
        now = self._clock.monotonic()
        until, ids = self._crowds.get(room_id, (now, frozenset[str]()))
        if now < until:
            return ids
        ids = snapshot.member_ids(room_id)
        if len(ids) >= CROWD_MIN:
            if len(self._crowds) >= CROWDS_MAX:
                self._crowds.clear()
            self._crowds[room_id] = (now + CROWD_FRESH_S, ids)
        return ids

    # Entering and leaving

    async def join(self, user: User, name: str, key: str | None = None) -> Entry:
        """Enter a room by name; make it where there is none and the user may.

        Raises:
            ChatError: `bad_name`, `not_found` (private), `forbidden` (wrong key, too many rooms, or
                may not make one), `banned`.
        """
        room_name = parse_room_name(name)
        key_hash = await self._store.read(lambda snapshot: _key_hash(snapshot, room_name))
        has_key = key_hash is not None and await self._passwords.verify(key_hash, key or "")
        now = self._clock.now_ms()
        new_id = self._tokens.new_id("r_")

        def work(tx: Transaction) -> Entry:
            room = tx.room_by_key(room_name)
            if room is None:
                room = self._made(tx, user, room_name, new_id, now)
                return Entry(room, enter_room(tx, user, room, RoomRole.OWNER, now), True, True)
            membership = tx.membership(room.id, user.id)
            if membership is not None:
                return Entry(room, membership, False, False)
            _check_may_enter(tx, user, room, has_key, key is not None, now)
            self._check_room_count(tx, user)
            return Entry(room, enter_room(tx, user, room, RoomRole.MEMBER, now), False, True)

        entry = await self._store.write(work)
        if entry.is_new_member:
            self._outlet.notice(MembershipStarted(entry.room, user))
        return entry

    async def create(
        self,
        user: User,
        name: str,
        *,
        topic: str = "",
        is_private: bool = False,
        key: str | None = None,
    ) -> Entry:
        """Make a room with its first settings, all or nothing; the user owns it.

        Raises:
            ChatError: `bad_name`, `conflict` where there is one of this name, `forbidden`,
                `too_large`, `rate_limited`.
        """
        room_name = parse_room_name(name)
        topic = clean_line(accept_text(topic, self._limits.topic_chars_max, "topic"))
        if key is not None and len(key.encode()) > KEY_BYTES_MAX:
            raise ChatError(ErrorCode.TOO_LARGE, f"a key has at most {KEY_BYTES_MAX} bytes")
        key_hash = None if key is None else await self._passwords.hash(key)
        now = self._clock.now_ms()
        new_id = self._tokens.new_id("r_")

        def work(tx: Transaction) -> Entry:
            if tx.room_by_key(room_name) is not None:
                raise ChatError(ErrorCode.CONFLICT, f"there is a room #{room_name} already")
            room = self._made(tx, user, room_name, new_id, now)
            kind = RoomKind.PRIVATE if is_private else RoomKind.PUBLIC
            room = replace(room, kind=kind, topic=topic, key_hash=key_hash)
            tx.put_room(room)
            membership = enter_room(tx, user, room, RoomRole.OWNER, now)
            if topic:
                event = tx.append(room.id, TopicChanged(author_of(user), topic), now)
                tx.raise_read(room.id, user.id, event.seq)
            return Entry(tx.room(room.id) or room, membership, True, True)

        entry = await self._store.write(work)
        self._outlet.notice(MembershipStarted(entry.room, user))
        return entry

    async def leave(self, user: User, room: Room, reason: str = "") -> Room:
        """Leave a room.

        Raises:
            ChatError: `forbidden` for the lobby and for conversations, in which nothing would
                reach the leaver any more; `not_member`.
        """
        reason = clean_line(accept_text(reason, self._limits.reason_chars_max, "reason"))
        if room.is_direct:
            raise ChatError(ErrorCode.FORBIDDEN, "a conversation can't be left, use /mute")
        if room.id == self.lobby_id:
            raise ChatError(ErrorCode.FORBIDDEN, "the lobby can't be left, use /mute")
        now = self._clock.now_ms()
        ban_id = self._tokens.new_id("b_")

        def work(tx: Transaction) -> Room:
            current, membership = known_room(tx, user, room.id)
            if membership is None:
                raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{current.name}")
            tx.drop_membership(room.id, user.id)
            hold_silence(tx, membership, ban_id, now)
            if not user.is_guest:
                tx.append(room.id, Left(author_of(user), LeaveHow.LEAVE, None, reason), now)
            hand_over(tx, current, user, now)
            return current

        left = await self._store.write(work)
        self._outlet.notice(MembershipEnded(left, user.id))
        return left

    async def invite(self, user: User, target: User, room: Room) -> bool:
        """Make somebody a member; return False if they were one.

        Raises:
            ChatError: `not_member`, `forbidden` (in private rooms only ops), `banned`,
                `not_online` for a guest who is not here.
        """
        self.check_reachable(target)
        now = self._clock.now_ms()

        def work(tx: Transaction) -> tuple[Room, bool]:
            current, membership = known_room(tx, user, room.id)
            self._check_may_invite(user, membership, current)
            if tx.membership(current.id, target.id) is not None:
                return current, False
            if _is_banned(tx.bans(current.id), target, now):
                raise ChatError(ErrorCode.BANNED, f"{target.name} is banned from #{current.name}")
            self._check_room_count(tx, target)
            enter_room(tx, target, current, RoomRole.MEMBER, now)
            return current, True

        current, is_new = await self._store.write(work)
        if is_new:
            self._outlet.notice(MembershipStarted(current, target, author_of(user)))
        return is_new

    async def invite_link(self, user: User, room: Room) -> str:
        """Return the code of a new invitation: 7 days, 25 uses.

        People can also make an account with one by an administrator.

        Raises:
            ChatError: as `invite`.
        """
        code = self._tokens.secret()
        invite = Invite(
            code_hash=hash_of(code),
            kind=InviteKind.REGISTER if user.is_admin else InviteKind.ROOM,
            owner_id=user.id,
            target=room.id,
            uses_left=INVITE_USES,
            expires_at=self._clock.now_ms() + INVITE_MS,
        )

        def work(tx: Transaction) -> None:
            current, membership = known_room(tx, user, room.id)
            self._check_may_invite(user, membership, current)
            tx.put_invite(invite)

        await self._store.write(work)
        return code

    async def accept_invite(self, user: User, code: str) -> Entry:
        """Enter the room of an invitation.

        Raises:
            ChatError: `expired`: unknown, used up, or too old; `banned`.
        """
        now = self._clock.now_ms()

        def work(tx: Transaction) -> Entry:
            invite = tx.invite(hash_of(code))
            room = None if invite is None else tx.room(invite.target or self.lobby_id)
            if (
                invite is None
                or room is None
                or invite.kind is InviteKind.CLAIM
                or invite.expires_at <= now
                or invite.uses_left < 1
                or room.archived_at is not None
            ):
                raise ChatError(ErrorCode.EXPIRED, "this invitation has ended, ask for a new one")
            membership = tx.membership(room.id, user.id)
            if membership is not None:
                return Entry(room, membership, False, False)
            if _is_banned(tx.bans(room.id), user, now, is_invited=True):
                raise ChatError(ErrorCode.BANNED, f"you are banned from #{room.name}")
            self._check_room_count(tx, user)
            tx.put_invite(replace(invite, uses_left=invite.uses_left - 1))
            return Entry(room, enter_room(tx, user, room, RoomRole.MEMBER, now), False, True)

        entry = await self._store.write(work)
        if entry.is_new_member:
            self._outlet.notice(MembershipStarted(entry.room, user))
        return entry

    # A member's own marks

    async def mark_read(self, user: User, room: Room, seq: int) -> int:
        """Raise the read marker, never beyond the room's end; return the one in force.

        Raises:
            ChatError: `not_found`, `not_member`, `bad_request` for a seq below 0.
        """
        if seq < 0:
            raise ChatError(ErrorCode.BAD_REQUEST, "seq counts from 1")

        def work(tx: Transaction) -> tuple[Room, int, int]:
            current, membership = known_room(tx, user, room.id)
            if membership is None:
                raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{current.name}")
            raised = tx.raise_read(room.id, user.id, min(seq, current.last_seq))
            return current, membership.read_seq, raised

        current, before, raised = await self._store.write(work)
        if raised > before:
            self._outlet.notice(ReadRaised(user.id, current, raised))
        return raised

    async def mark_all_read(self, user: User, seqs: Mapping[str, int]) -> dict[str, int]:
        """Raise the read markers of several rooms, all or none; return those in force.

        Args:
            user: Whose markers.
            seqs: Seq by room, as references name one; the result has the same keys.

        Raises:
            ChatError: as `mark_read`.
        """

        def work(tx: Transaction) -> list[tuple[str, Room, int, int]]:
            marks = []
            for ref, seq in seqs.items():
                current, membership = known_room(tx, user, ref)
                if membership is None:
                    raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{current.name}")
                raised = tx.raise_read(current.id, user.id, min(seq, current.last_seq))
                marks.append((ref, current, membership.read_seq, raised))
            return marks

        marks = await self._store.write(work)
        for _, room, before, raised in marks:
            if raised > before:
                self._outlet.notice(ReadRaised(user.id, room, raised))
        return {ref: raised for ref, _, _, raised in marks}

    async def set_notify(self, user: User, room: Room, notify: Notify) -> None:
        """Set what of a room a member is told about.

        Raises:
            ChatError: `not_member`.
        """

        def work(tx: Transaction) -> None:
            membership = tx.membership(room.id, user.id)
            if membership is None:
                raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{room.name}")
            tx.put_membership(replace(membership, notify=notify))

        await self._store.write(work)

    # Inside transactions

    def _made(self, tx: Transaction, user: User, name: str, room_id: str, now: int) -> Room:
        if self.create_by == "admins" and not user.is_admin:
            raise _no_room(name)
        if self.create_by == "accounts" and user.is_guest:
            raise ChatError(ErrorCode.FORBIDDEN, "only accounts can make rooms here, use /register")
        made_today = tx.count_rooms_created(user.id, now - DAY_MS)
        if made_today >= self._limits.rooms_created_per_day and not user.is_admin:
            raise ChatError(
                ErrorCode.RATE_LIMITED,
                f"at most {self._limits.rooms_created_per_day} new rooms a day",
                retry_after=3600.0,
            )
        self._check_room_count(tx, user)
        room = Room(
            id=room_id,
            kind=RoomKind.PUBLIC,
            name=name,
            name_key=name,
            created_by=user.id,
            created_at=now,
        )
        tx.put_room(room)
        return room

    def _check_room_count(self, tx: Transaction, user: User) -> None:
        if len(tx.rooms_of(user.id)) >= self._limits.rooms_per_user_max:
            raise ChatError(
                ErrorCode.FORBIDDEN,
                f"at most {self._limits.rooms_per_user_max} rooms, leave one first",
            )

    def _check_may_invite(self, user: User, membership: Membership | None, room: Room) -> None:
        if room.is_direct:
            raise ChatError(ErrorCode.FORBIDDEN, "a conversation of two stays one of two")
        if membership is None and not user.is_admin:
            raise ChatError(ErrorCode.NOT_MEMBER, f"you are not in #{room.name}")
        if room.kind is RoomKind.PRIVATE:
            check_rank(rank_in(user, membership, room), Rank.OP)


def enter_room(tx: Transaction, user: User, room: Room, role: RoomRole, now: int) -> Membership:
    """Make the membership, and for accounts the event; a guest's coming is presence."""
    current = tx.room(room.id) or room
    membership = Membership(
        room_id=room.id,
        user_id=user.id,
        role=role,
        joined_seq=current.last_seq,
        read_seq=current.last_seq,
    )
    tx.put_membership(membership)
    if not user.is_guest:
        event = tx.append(room.id, Joined(author_of(user)), now)
        tx.raise_read(room.id, user.id, event.seq)
    return membership


def direct_key(one: str, other: str) -> str:
    """Return `Room.dm_key` of two users."""
    return " ".join(sorted({one, other}))


def _check_may_enter(
    tx: Snapshot, user: User, room: Room, has_key: bool, key_given: bool, now: int
) -> None:
    """Judge whether a stranger may enter a room: archive, ban, privacy, key.

    Raises:
        ChatError: `forbidden`, `banned`.
    """
    if user.is_admin:
        return
    if room.archived_at is not None:
        raise ChatError(ErrorCode.FORBIDDEN, f"#{room.name} is archived")
    if _is_banned(tx.bans(room.id), user, now):
        raise ChatError(ErrorCode.BANNED, f"you are banned from #{room.name}")
    if room.kind is not RoomKind.PUBLIC:
        raise ChatError(ErrorCode.FORBIDDEN, f"#{room.name} is by invitation only")
    if room.key_hash is not None and not has_key:
        sentence = "wrong key" if key_given else f"#{room.name} needs a key, use /join #ROOM KEY"
        raise ChatError(ErrorCode.FORBIDDEN, sentence)


def _is_banned(bans: list[Ban], user: User, now: int, *, is_invited: bool = False) -> bool:
    active = [ban for ban in bans if ban.until is None or ban.until > now]
    return any(
        ban.user_id == user.id or (ban.user_id is None and ban.ip_net is None and not is_invited)
        for ban in active
    )


def _key_hash(snapshot: Snapshot, name_key: str) -> str | None:
    room = snapshot.room_by_key(name_key)
    return None if room is None else room.key_hash


def hand_over(tx: Transaction, room: Room, leaver: User, now: int) -> None:
    """Give a room whose owner left to the one who is longest in it: ops first."""
    members = [] if room.is_direct else tx.members(room.id)
    if not members or any(one.role is RoomRole.OWNER for _, one in members):
        return
    ops = [pair for pair in members if pair[1].role is RoomRole.OP] or members
    heir, membership = min(ops, key=lambda pair: (pair[1].joined_seq, pair[0].id))
    tx.put_membership(replace(membership, role=RoomRole.OWNER))
    by = author_of(leaver)
    tx.append(room.id, RoleChanged(author_of(heir), RoomRole.OWNER, by), now)
