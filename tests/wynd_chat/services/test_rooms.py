"""`Rooms`: who may find, make, enter and leave rooms, and what happens to them then."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.kit import a_kit, refusal
from wynd_chat.adapters.store.memory_tables import MemorySnapshot
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.events import Joined, LeaveHow, Left, RoleChanged
from wynd_chat.domain.models import Ban, Notify, RoomRole, ServerRole, User
from wynd_chat.domain.permissions import Rank
from wynd_chat.ports.outlet import MembershipEnded, MembershipStarted, ReadRaised
from wynd_chat.services import rooms
from wynd_chat.services.messaging import author_of
from wynd_chat.services.rooms import direct_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wynd_chat.kit import Kit
    from wynd_chat.domain.models import Room


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    async with a_kit(rooms_created_per_day=3, rooms_per_user_max=4) as made:
        yield made


async def ban(kit: Kit, room: Room, user: User | None, until: int | None = None) -> None:
    """Ban somebody from a room, or everybody new."""
    entry = Ban(
        id=kit.tokens.new_id("b_"),
        room_id=room.id,
        user_id=None if user is None else user.id,
        ip_net=None,
        reason="",
        by_id=None,
        at=kit.clock.now_ms(),
        until=until,
    )
    await kit.store.write(lambda tx: tx.put_ban(entry))


# Making and entering


async def test_a_new_name_makes_a_room_that_its_maker_owns(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    entry = await kit.rooms.join(alice, " #Dev ")
    assert (entry.room.name, entry.is_new_room, entry.is_new_member) == ("dev", True, True)
    assert entry.membership.role is RoomRole.OWNER
    assert kit.outlet.notices == [MembershipStarted(entry.room, alice)]
    assert kit.outlet.events == []  # a guest's joining is presence


async def test_an_accounts_joining_is_an_event_a_guests_is_none(kit: Kit) -> None:
    carol, bob = await kit.account("Carol"), await kit.guest("Bob")
    room = await kit.room(carol, "dev", bob)
    assert [event.body for _, event in kit.outlet.events] == [Joined(author_of(carol))]
    membership = await kit.membership(carol, room)
    assert membership is not None
    assert membership.read_seq == 1


async def test_joining_twice_is_joining_once(kit: Kit) -> None:
    carol = await kit.account("Carol")
    await kit.rooms.join(carol, "dev")
    entry = await kit.rooms.join(carol, "dev", "whatever key")
    assert not entry.is_new_member
    assert len(kit.outlet.events) == 1
    assert len(kit.outlet.notices) == 1


async def test_two_who_make_one_room_at_once_are_both_in_it(kit: Kit) -> None:
    users = [await kit.guest(name) for name in ("Alice", "Bob", "Carol")]
    entries = await asyncio.gather(*(kit.rooms.join(user, "dev") for user in users))
    assert sorted(entry.is_new_room for entry in entries) == [False, False, True]
    assert len({entry.room.id for entry in entries}) == 1
    assert [entry.membership.role for entry in entries].count(RoomRole.OWNER) == 1


@pytest.mark.parametrize(
    ("create", "kind", "code"),
    [
        ("all", "guest", None),
        ("accounts", "guest", ErrorCode.FORBIDDEN),
        ("accounts", "account", None),
        ("admins", "account", ErrorCode.NOT_FOUND),
        ("admins", "admin", None),
    ],
)
async def test_who_may_make_rooms_is_a_setting(
    create: str, kind: str, code: ErrorCode | None
) -> None:
    async with a_kit(create=create) as kit:
        role = ServerRole.ADMIN if kind == "admin" else ServerRole.USER
        user = await (kit.guest("Al") if kind == "guest" else kit.account("Al", role=role))
        if code is None:
            assert (await kit.rooms.join(user, "dev")).is_new_room
        else:
            with refusal(code):
                await kit.rooms.join(user, "dev")


async def test_rooms_made_in_a_day_are_bounded_but_not_for_admins(kit: Kit) -> None:
    alice = await kit.account("Alice")
    for name in "abc":
        await kit.rooms.join(alice, name)
    with refusal(ErrorCode.RATE_LIMITED, "at most 3 new rooms a day"):
        await kit.rooms.join(alice, "d")
    for name in "abc":
        await kit.rooms.leave(alice, await kit.rooms.find(alice, name))
    await kit.clock.advance(24 * 3600 + 1)
    await kit.rooms.join(alice, "d")


async def test_rooms_of_a_user_are_bounded(kit: Kit) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    for name in "abc":
        await kit.rooms.join(bob, name)
    for name in "abc":
        await kit.rooms.join(alice, name)  # with the lobby these are four
    await kit.clock.advance(24 * 3600 + 1)
    carol = await kit.account("Carol")
    await kit.rooms.join(carol, "d")
    with refusal(ErrorCode.FORBIDDEN, "at most 4 rooms, leave one first"):
        await kit.rooms.join(alice, "d")


@pytest.mark.parametrize("name", ["", "#", "r_1", "no!", "a" * 33])
async def test_what_is_no_name_makes_no_room(kit: Kit, name: str) -> None:
    with refusal(ErrorCode.BAD_NAME):
        await kit.rooms.join(await kit.guest("Alice"), name)


async def test_a_key_opens_a_room(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    await kit.settings.set_key(alice, await kit.room(alice), "sesame")
    with refusal(ErrorCode.FORBIDDEN, "#dev needs a key, use /join #ROOM KEY"):
        await kit.rooms.join(bob, "dev")
    with refusal(ErrorCode.FORBIDDEN, "wrong key"):
        await kit.rooms.join(bob, "dev", "Sesame")
    assert (await kit.rooms.join(bob, "dev", "sesame")).is_new_member


async def test_private_archived_and_banned_rooms_let_nobody_in_but_admins(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    root = await kit.account("Root", role=ServerRole.ADMIN)
    private = await kit.private_room(alice)
    with refusal(ErrorCode.FORBIDDEN, "#ops is by invitation only"):
        await kit.rooms.join(bob, "ops")
    assert (await kit.rooms.join(root, "ops")).is_new_member
    await kit.change(private, archived_at=1)
    with refusal(ErrorCode.FORBIDDEN, "#ops is archived"):
        await kit.rooms.join(bob, "ops")
    dev = await kit.room(alice)
    await ban(kit, dev, bob, until=kit.clock.now_ms() + 1000)
    with refusal(ErrorCode.BANNED, "you are banned from #dev"):
        await kit.rooms.join(bob, "dev")
    await kit.clock.advance(1)
    assert (await kit.rooms.join(bob, "dev")).is_new_member
    await ban(kit, dev, None)  # everybody new
    with refusal(ErrorCode.BANNED):
        await kit.rooms.join(await kit.guest("Carol"), "dev")


# Leaving


async def test_leaving_is_told_and_an_account_leaves_an_event(kit: Kit) -> None:
    alice, carol = await kit.guest("Alice"), await kit.account("Carol")
    dev = await kit.room(alice, "dev", carol)
    left = await kit.rooms.leave(carol, dev, "back\non Monday")
    assert kit.outlet.events[-1][1].body == Left(
        author_of(carol), LeaveHow.LEAVE, None, "back on Monday"
    )
    assert kit.outlet.notices[-1] == MembershipEnded(left, carol.id)
    with refusal(ErrorCode.NOT_MEMBER, "you are not in #dev"):
        await kit.rooms.leave(carol, dev)
    assert (await kit.rooms.join(carol, "dev")).is_new_member


async def test_neither_the_lobby_nor_a_conversation_can_be_left(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    with refusal(ErrorCode.FORBIDDEN, "the lobby can't be left, use /mute"):
        await kit.rooms.leave(alice, kit.lobby)
    direct = await kit.direct(alice, bob)
    with refusal(ErrorCode.FORBIDDEN, "a conversation can't be left, use /mute"):
        await kit.rooms.leave(alice, direct)
    with refusal(ErrorCode.TOO_LARGE, "reason too long"):
        await kit.rooms.leave(alice, await kit.room(alice), "a" * 201)


async def test_the_last_owner_hands_over_to_an_op_then_to_the_longest_member(kit: Kit) -> None:
    alice, bob, carol = [await kit.guest(name) for name in ("Alice", "Bob", "Carol")]
    dev = await kit.room(alice, "dev", bob)
    await kit.say(alice, dev, "so that Carol comes later")
    await kit.rooms.join(carol, "dev")
    await kit.role(carol, dev, RoomRole.OP)
    await kit.rooms.leave(alice, dev)
    assert kit.outlet.events[-1][1].body == RoleChanged(
        author_of(carol), RoomRole.OWNER, author_of(alice)
    )
    await kit.rooms.join(alice, "dev")
    await kit.rooms.leave(carol, dev)
    assert await kit.rooms.rank(bob, dev) is Rank.OWNER
    await kit.rooms.leave(alice, dev)
    assert await kit.rooms.rank(bob, dev) is Rank.OWNER
    await kit.rooms.leave(bob, dev)  # nobody is left, and nothing breaks
    assert await kit.rooms.here(dev) == 0


# Inviting


async def test_members_invite_into_public_rooms_ops_into_private_ones(kit: Kit) -> None:
    alice, bob, carol = [await kit.guest(name) for name in ("Alice", "Bob", "Carol")]
    dev = await kit.room(alice, "dev", bob)
    assert await kit.rooms.invite(bob, carol, dev)
    assert kit.outlet.notices[-1] == MembershipStarted(dev, carol, author_of(bob))
    assert not await kit.rooms.invite(bob, carol, dev)
    ops = await kit.private_room(alice)
    await kit.rooms.invite(alice, bob, ops)
    with refusal(ErrorCode.FORBIDDEN, "only ops can do that"):
        await kit.rooms.invite(bob, carol, ops)
    with refusal(ErrorCode.NOT_FOUND):
        await kit.rooms.invite(carol, carol, ops)


async def test_strangers_invite_nobody_and_nobody_invites_into_a_conversation(kit: Kit) -> None:
    alice, bob, carol = [await kit.guest(name) for name in ("Alice", "Bob", "Carol")]
    with refusal(ErrorCode.NOT_MEMBER):
        await kit.rooms.invite(bob, carol, await kit.room(alice))
    with refusal(ErrorCode.FORBIDDEN, "a conversation of two stays one of two"):
        await kit.rooms.invite(alice, carol, await kit.direct(alice, bob))


async def test_the_banned_and_the_absent_cannot_be_invited(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    gone = await kit.guest("Gone", face=None)
    dev = await kit.room(alice)
    with refusal(ErrorCode.NOT_ONLINE, "Gone is not here"):
        await kit.rooms.invite(alice, gone, dev)
    await ban(kit, dev, bob)
    with refusal(ErrorCode.BANNED, "Bob is banned from #dev"):
        await kit.rooms.invite(alice, bob, dev)


async def test_a_link_lets_in_so_many_for_so_long(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.account("Bob")
    ops = await kit.private_room(alice)
    code = await kit.rooms.invite_link(alice, ops)
    entry = await kit.rooms.accept_invite(bob, code)
    assert (entry.room.id, entry.is_new_member) == (ops.id, True)
    assert not (await kit.rooms.accept_invite(bob, code)).is_new_member
    for n in range(24):
        assert (await kit.rooms.accept_invite(await kit.account(f"user{n}x"), code)).is_new_member
    carol = await kit.account("Carol")
    with refusal(ErrorCode.EXPIRED, "this invitation has ended, ask for a new one"):
        await kit.rooms.accept_invite(carol, code)
    code = await kit.rooms.invite_link(alice, ops)
    await kit.clock.advance(7 * 24 * 3600)
    with refusal(ErrorCode.EXPIRED):
        await kit.rooms.accept_invite(carol, code)
    with refusal(ErrorCode.EXPIRED):
        await kit.rooms.accept_invite(carol, "unknown")


async def test_a_link_opens_a_room_that_refuses_newcomers_but_not_to_the_banned(kit: Kit) -> None:
    alice, bob, carol = [await kit.account(name) for name in ("Alice", "Bob", "Carol")]
    dev = await kit.room(alice)
    code = await kit.rooms.invite_link(alice, dev)
    await ban(kit, dev, None)
    await ban(kit, dev, carol)
    assert (await kit.rooms.accept_invite(bob, code)).is_new_member
    with refusal(ErrorCode.BANNED):
        await kit.rooms.accept_invite(carol, code)


# Conversations


async def test_a_conversation_is_made_once_and_both_are_told_with_the_other_side(kit: Kit) -> None:
    alice, carol = await kit.guest("Alice"), await kit.account("Carol")
    rooms = await asyncio.gather(
        *(kit.rooms.direct(*pair) for pair in ((alice, "@Carol"), (carol, "alice")) * 4)
    )
    assert len({room.id for room in rooms}) == 1
    assert rooms[0].dm_key == direct_key(carol.id, alice.id)
    assert [
        (notice.user, notice.peer)
        for notice in kit.outlet.notices
        if isinstance(notice, MembershipStarted)
    ] == [(alice, carol), (carol, alice)]
    assert await kit.rooms.peer(alice, rooms[0]) == carol


async def test_a_conversation_with_oneself_has_one_side(kit: Kit) -> None:
    alice = await kit.account("Alice")
    room = await kit.rooms.direct(alice, "@Alice")
    assert await kit.rooms.peer(alice, room) == alice
    assert len(kit.outlet.notices) == 1


async def test_guests_who_have_gone_cannot_be_written_to_accounts_can(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.guest("Gone", face=None)
    await kit.account("Carol")
    with refusal(ErrorCode.NOT_ONLINE, "Gone is not here"):
        await kit.rooms.direct(alice, "@Gone")
    with refusal(ErrorCode.NOT_FOUND, "nobody here is called Nobody"):
        await kit.rooms.direct(alice, "@Nobody")
    assert (await kit.rooms.direct(alice, "@Carol")).is_direct


async def test_nobody_finds_a_conversation_of_others(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    root = await kit.account("Root", role=ServerRole.ADMIN)
    direct = await kit.direct(alice, bob)
    with refusal(ErrorCode.NOT_FOUND):
        await kit.rooms.find(root, direct.id)
    assert await kit.rooms.find(bob, direct.id) == direct
    assert await kit.rooms.rank(root, direct) is Rank.NONE


# Looking


async def test_private_rooms_are_found_by_members_and_admins_only(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    root = await kit.account("Root", role=ServerRole.ADMIN)
    ops = await kit.private_room(alice)
    for user in (alice, root):
        assert (await kit.rooms.find(user, "#OPS")).id == ops.id
    for ref in ("ops", "#ops", ops.id, "nowhere", ""):
        with refusal(ErrorCode.NOT_FOUND, "there is no room"):
            await kit.rooms.find(bob, ref)
    with refusal(ErrorCode.NOT_MEMBER, "you are not in #ops, use /join"):
        await kit.rooms.find_member(root, "ops")


async def test_the_list_has_ones_own_rooms_and_the_public_ones(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    dev = await kit.room(alice, "dev")
    await kit.private_room(alice)
    await kit.direct(alice, bob)
    await kit.say(alice, kit.lobby, "hi @Bob", "there")
    infos = await kit.rooms.infos(bob)
    assert [(info.room.name, info.membership is not None) for info in infos] == [
        ("dev", False),
        ("lobby", True),
        (None, True),
    ]
    lobby = infos[1]
    assert (lobby.here, lobby.unread, lobby.mentions) == (2, 2, 1)
    assert infos[2].peer == alice
    assert [info.room.name for info in await kit.rooms.infos(bob, with_open=False)] == [
        "lobby",
        None,
    ]
    assert await kit.rooms.here(dev) == 1


async def test_a_crowd_is_read_once_a_second_however_many_come(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "CROWD_MIN", 3)
    read: list[str] = []
    member_ids = MemorySnapshot.member_ids

    def noted(snapshot: MemorySnapshot, room_id: str) -> frozenset[str]:
        read.append(room_id)
        return member_ids(snapshot, room_id)

    monkeypatch.setattr(MemorySnapshot, "member_ids", noted)
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    assert [await kit.rooms.here(kit.lobby) for _ in range(3)] == [2, 2, 2]
    assert len(read) == 3, "two are no crowd"
    await kit.guest("Carol")
    assert [await kit.rooms.here(kit.lobby) for _ in range(9)] == [3] * 9
    (lobby,) = [one for one in await kit.rooms.infos(bob) if one.room.id == kit.lobby.id]
    assert (lobby.here, len(read)) == (3, 4)
    await kit.guest("Dave")
    kit.presences.gone(min(kit.presences.connections_of(alice.id)))
    assert await kit.rooms.here(kit.lobby) == 2, "who is online is always known"
    assert len(read) == 4
    await kit.clock.advance(1.0)
    assert await kit.rooms.here(kit.lobby) == 3
    assert len(read) == 5
    assert read == [kit.lobby.id] * 5


async def test_members_are_listed_by_name_without_guests_who_have_gone(kit: Kit) -> None:
    zoe, alice = await kit.account("zoe"), await kit.guest("Alice")
    await kit.guest("Gone", face=None)
    listed = await kit.rooms.members(alice, kit.lobby)
    assert [(user.name, is_online) for user, _, is_online in listed] == [
        ("Alice", True),
        ("zoe", False),
    ]
    assert zoe.id in {user.id for user, _, _ in listed}


# Marks


async def test_the_read_marker_only_rises_and_is_told(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    await kit.say(alice, kit.lobby, *"abc")
    assert await kit.rooms.mark_read(bob, kit.lobby, 2) == 2
    assert await kit.rooms.mark_read(bob, kit.lobby, 1) == 2
    assert await kit.rooms.mark_read(bob, kit.lobby, 99) == 3
    told = [notice for notice in kit.outlet.notices if isinstance(notice, ReadRaised)]
    assert [notice.seq for notice in told] == [2, 3]
    dev = await kit.room(alice)
    with refusal(ErrorCode.NOT_MEMBER):
        await kit.rooms.mark_read(bob, dev, 1)
    with refusal(ErrorCode.BAD_REQUEST):
        await kit.rooms.mark_read(bob, kit.lobby, -1)


async def test_what_one_is_told_about_is_kept(kit: Kit) -> None:
    alice, bob = await kit.guest("Alice"), await kit.guest("Bob")
    await kit.rooms.set_notify(alice, kit.lobby, Notify.MENTIONS)
    membership = await kit.membership(alice, kit.lobby)
    assert membership is not None
    assert membership == replace(membership, notify=Notify.MENTIONS)
    with refusal(ErrorCode.NOT_MEMBER):
        await kit.rooms.set_notify(bob, await kit.room(alice), Notify.NOTHING)


async def test_the_lobby_is_there(kit: Kit) -> None:
    assert (await kit.rooms.lobby()).id == kit.lobby.id


async def test_rooms_are_counted_without_reading_them(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    await kit.private_room(alice)
    old = await kit.room(alice, "old")
    await kit.change(old, archived_at=1)
    await kit.direct(alice, bob)
    await kit.room(bob, "new")
    monkeypatch.delattr(MemorySnapshot, "list_rooms")
    assert await kit.rooms.count() == 2, "the lobby and #new"
