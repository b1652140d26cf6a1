"""`Moderation`: kicks, bans, timeouts and roles: what happens, who is told, who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.kit import Kit, a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import LeaveHow, Left, Message, RoleChanged
from wynd_chat.domain.models import RoomRole, ServerRole
from wynd_chat.ports.outlet import MembershipEnded, UserRemoved
from wynd_chat.services.messaging import author_of
from wynd_chat.services.moderation import Moderation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import Room, User


class Scene:
    """A room with an owner, an op, two members and a guest; and somebody outside."""

    kit: Kit
    moderation: Moderation
    dev: Room
    owner: User
    op: User
    mia: User
    max: User
    gail: User
    sam: User
    root: User


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """Return the scene."""
    async with a_kit() as kit:
        made = Scene()
        made.kit = kit
        made.moderation = Moderation(
            kit.store, kit.outlet, kit.feed, kit.clock, kit.tokens, kit.limits, kit.lobby.id
        )
        made.owner, made.op, made.mia, made.max, made.sam = [
            await kit.account(name) for name in ("Olga", "Otto", "Mia", "Max", "Sam")
        ]
        made.gail = await kit.guest("Gail")
        made.root = await kit.account("Root", role=ServerRole.ADMIN)
        made.dev = await kit.room(made.owner, "dev", made.op, made.mia, made.max, made.gail)
        await kit.role(made.op, made.dev, RoomRole.OP)
        kit.outlet.notices.clear()
        yield made


async def refused(awaitable: Any) -> ErrorCode:
    """Return the code that something is refused with."""
    with pytest.raises(ChatError) as caught:
        await awaitable
    return caught.value.code


def last(scene: Scene) -> Any:
    """Return the body of the newest event of the room."""
    return [event for room, event in scene.kit.outlet.events if room.id == scene.dev.id][-1].body


async def test_a_kick_ends_the_membership_and_says_so(scene: Scene) -> None:
    await scene.moderation.kick(scene.op, scene.dev, scene.mia, "cool\ndown")
    assert await scene.kit.membership(scene.mia, scene.dev) is None
    by = author_of(scene.op)
    assert last(scene) == Left(author_of(scene.mia), LeaveHow.KICK, by, "cool down")
    (notice,) = scene.kit.outlet.notices
    assert isinstance(notice, MembershipEnded)
    assert (notice.user_id, notice.kicked_by, notice.is_ban) == (scene.mia.id, by, False)
    await scene.kit.rooms.join(scene.mia, "dev")  # may come back


async def test_a_guest_who_is_kicked_is_an_event_too(scene: Scene) -> None:
    await scene.moderation.kick(scene.op, scene.dev, scene.gail)
    assert last(scene) == Left(author_of(scene.gail), LeaveHow.KICK, author_of(scene.op), "")


async def test_who_was_never_in_is_not_kicked(scene: Scene) -> None:
    code = await refused(scene.moderation.kick(scene.op, scene.dev, scene.sam))
    assert code is ErrorCode.NOT_FOUND


async def test_from_the_lobby_connections_end_and_the_membership_stays(scene: Scene) -> None:
    kit = scene.kit
    await scene.moderation.kick(scene.root, kit.lobby, scene.mia, "enough")
    assert await kit.membership(scene.mia, kit.lobby) is not None
    assert kit.outlet.notices == [
        UserRemoved(scene.mia.id, kit.lobby, author_of(scene.root), "enough", False)
    ]
    await scene.moderation.ban(scene.root, kit.lobby, scene.mia, 60)
    assert kit.outlet.notices[-1] == UserRemoved(
        scene.mia.id, kit.lobby, author_of(scene.root), "", True
    )
    token = await kit.accounts.guest_token(scene.mia)
    with pytest.raises(ChatError, match="banned"):
        await kit.accounts.resume(token)


@pytest.mark.parametrize(
    ("actor", "target", "may"),
    [
        ("op", "mia", True),
        ("op", "gail", True),
        ("op", "op", False),
        ("op", "owner", False),
        ("op", "root", False),
        ("owner", "op", True),
        ("owner", "owner", False),
        ("owner", "root", False),
        ("root", "owner", True),
        ("root", "root", False),
        ("mia", "gail", False),
        ("sam", "mia", False),
    ],
)
async def test_acting_on_somebody_needs_a_role_above_theirs(
    scene: Scene, actor: str, target: str, may: bool
) -> None:
    by, whom = getattr(scene, actor), getattr(scene, target)
    if whom is scene.root:
        await scene.kit.rooms.join(scene.root, "dev")
    for act in (scene.moderation.timeout, scene.moderation.kick, scene.moderation.ban):
        if may:
            if act == scene.moderation.ban and await scene.kit.membership(whom, scene.dev) is None:
                await scene.kit.rooms.join(whom, "dev")
            await act(by, scene.dev, whom)
            if act == scene.moderation.kick:  # the silence is kept as a ban
                await scene.moderation.unban(scene.root, scene.dev, whom)
        else:
            assert await refused(act(by, scene.dev, whom)) is ErrorCode.FORBIDDEN


async def test_a_role_taken_meanwhile_counts(scene: Scene) -> None:
    await scene.kit.role(scene.op, scene.dev, RoomRole.MEMBER)
    assert await refused(scene.moderation.kick(scene.op, scene.dev, scene.mia)) is (
        ErrorCode.FORBIDDEN
    )


async def test_conversations_have_no_ops(scene: Scene) -> None:
    direct = await scene.kit.direct(scene.root, scene.mia)
    for act in (scene.moderation.kick, scene.moderation.ban, scene.moderation.timeout):
        assert await refused(act(scene.root, direct, scene.mia)) is ErrorCode.FORBIDDEN
    theirs = await scene.kit.direct(scene.mia, scene.max)
    assert await refused(scene.moderation.kick(scene.root, theirs, scene.mia)) is (
        ErrorCode.NOT_FOUND
    )


async def test_an_owner_who_is_kicked_leaves_an_heir(scene: Scene) -> None:
    await scene.moderation.kick(scene.root, scene.dev, scene.owner)
    membership = await scene.kit.membership(scene.op, scene.dev)
    assert membership is not None
    assert membership.role is RoomRole.OWNER


async def test_a_ban_keeps_out_until_it_ends_or_is_lifted(scene: Scene) -> None:
    kit, ban = scene.kit, scene.moderation.ban
    made = await ban(scene.op, scene.dev, scene.mia, 600, "spam")
    assert (made.until, made.by_id) == (kit.clock.now_ms() + 600_000, scene.op.id)
    assert last(scene) == Left(author_of(scene.mia), LeaveHow.BAN, author_of(scene.op), "spam")
    assert await refused(kit.rooms.join(scene.mia, "dev")) is ErrorCode.BANNED
    assert await refused(kit.rooms.invite(scene.owner, scene.mia, scene.dev)) is ErrorCode.BANNED
    await scene.moderation.unban(scene.op, scene.dev, scene.mia)
    await kit.rooms.join(scene.mia, "dev")
    await ban(scene.op, scene.dev, scene.mia, 600)
    await kit.clock.advance(600)
    await kit.rooms.join(scene.mia, "dev")
    assert await refused(scene.moderation.unban(scene.op, scene.dev, scene.mia)) is (
        ErrorCode.NOT_FOUND
    )


async def test_another_ban_replaces_the_first(scene: Scene) -> None:
    await scene.moderation.ban(scene.op, scene.dev, scene.sam, 60, "first")
    await scene.moderation.ban(scene.op, scene.dev, scene.sam, None, "second")
    (info,) = await scene.moderation.bans(scene.op, scene.dev)
    assert (info.ban.reason, info.ban.until) == ("second", None)
    assert (info.user, info.by) == (scene.sam, scene.op)


async def test_newcomers_are_refused_and_members_stay(scene: Scene) -> None:
    await scene.moderation.ban(scene.op, scene.dev, None, 60)
    assert await refused(scene.kit.rooms.join(scene.sam, "dev")) is ErrorCode.BANNED
    await scene.kit.say(scene.mia, scene.dev, "still here")
    await scene.moderation.unban(scene.op, scene.dev, None)
    await scene.kit.rooms.join(scene.sam, "dev")


async def test_messages_stay_unless_they_are_purged(scene: Scene) -> None:
    kit = scene.kit
    old, _ = await kit.say(scene.mia, scene.dev, "old", "also old")
    await kit.clock.advance(7200)
    new, _ = await kit.say(scene.mia, scene.dev, "new", "also new")
    await kit.say(scene.max, scene.dev, "his")
    assert kit.feed.recent(scene.dev.id, new - 1)
    await scene.moderation.ban(scene.op, scene.dev, scene.mia, purge_s=3600)
    page = await kit.histories.page(scene.max, scene.dev)
    texts = [event.body.text for event in page.messages if isinstance(event.body, Message)]
    assert texts == ["old", "also old", "", "", "his"]
    missed = await kit.histories.missed(scene.max, kit.histories.epoch, {"dev": old - 1}, 500)
    (room,) = [one for one in missed.rooms if one.room.id == scene.dev.id]
    said = [event.body.text for event in room.events or () if isinstance(event.body, Message)]
    assert "new" not in said
    assert "his" in said


async def test_a_timeout_silences_and_ends_by_itself(scene: Scene) -> None:
    kit = scene.kit
    until = await scene.moderation.timeout(scene.op, scene.dev, scene.mia, 60, "loud")
    assert until == kit.clock.now_ms() + 60_000
    by = author_of(scene.op)
    assert last(scene) == RoleChanged(author_of(scene.mia), RoomRole.MEMBER, by, until, "loud")
    with pytest.raises(ChatError, match="you are silenced for 1m") as caught:
        await kit.say(scene.mia, scene.dev, "hello?")
    assert (caught.value.code, caught.value.retry_after) == (ErrorCode.SILENCED, 60.0)
    await kit.clock.advance(60)
    await kit.say(scene.mia, scene.dev, "again")


async def test_a_timeout_can_be_ended_and_ending_none_is_silent(scene: Scene) -> None:
    await scene.moderation.timeout(scene.op, scene.dev, scene.mia)
    assert await scene.moderation.timeout(scene.op, scene.dev, scene.mia, None) is None
    by = author_of(scene.op)
    assert last(scene) == RoleChanged(author_of(scene.mia), RoomRole.MEMBER, by, 0)
    await scene.kit.say(scene.mia, scene.dev, "again")
    events = len(scene.kit.outlet.events)
    await scene.moderation.timeout(scene.op, scene.dev, scene.mia, None)
    assert len(scene.kit.outlet.events) == events


async def test_kicking_ends_no_silence(scene: Scene) -> None:
    await scene.moderation.timeout(scene.op, scene.dev, scene.mia, 600)
    await scene.moderation.kick(scene.op, scene.dev, scene.mia)
    assert await refused(scene.kit.rooms.join(scene.mia, "dev")) is ErrorCode.BANNED


async def test_owners_give_roles_once(scene: Scene) -> None:
    give = scene.moderation.set_role
    assert await give(scene.owner, scene.dev, scene.mia, RoomRole.OP)
    by = author_of(scene.owner)
    assert last(scene) == RoleChanged(author_of(scene.mia), RoomRole.OP, by)
    assert not await give(scene.owner, scene.dev, scene.mia, RoomRole.OP)
    await scene.moderation.kick(scene.mia, scene.dev, scene.max)  # an op now
    assert await give(scene.owner, scene.dev, scene.mia, RoomRole.MEMBER)
    assert await refused(give(scene.op, scene.dev, scene.mia, RoomRole.OP)) is ErrorCode.FORBIDDEN
    assert await refused(give(scene.owner, scene.dev, scene.sam, RoomRole.OP)) is (
        ErrorCode.NOT_FOUND
    )


async def test_reasons_are_bounded_and_nothing_happens_then(scene: Scene) -> None:
    for act in (scene.moderation.kick, scene.moderation.ban):
        code = await refused(act(scene.op, scene.dev, scene.mia, reason="x" * 201))
        assert code is ErrorCode.TOO_LARGE
    assert await scene.kit.membership(scene.mia, scene.dev) is not None
