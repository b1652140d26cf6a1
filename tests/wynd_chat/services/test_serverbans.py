"""`ServerBans`: users, addresses and newcomers kept out of the chat; logins end at once."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.kit import Kit, a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Message
from wynd_chat.domain.models import ServerRole
from wynd_chat.ports.outlet import AddressBanned, UserRemoved
from wynd_chat.services.bans import AddressBans
from wynd_chat.services.messaging import author_of
from wynd_chat.services.serverbans import ServerBans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import User


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    """Return services over memory."""
    async with a_kit() as made:
        yield made


@pytest.fixture
def bans(kit: Kit) -> ServerBans:
    """Return what is tested."""
    addresses = AddressBans(kit.store, kit.clock)
    return ServerBans(kit.store, kit.outlet, kit.feed, kit.clock, kit.tokens, kit.limits, addresses)


@pytest.fixture
async def root(kit: Kit) -> User:
    """Return an administrator."""
    return await kit.account("Root", role=ServerRole.ADMIN)


async def refused(awaitable: Any) -> ErrorCode:
    """Return the code that something is refused with."""
    with pytest.raises(ChatError) as caught:
        await awaitable
    return caught.value.code


async def test_all_logins_end_and_none_can_be_used_again(
    kit: Kit, bans: ServerBans, root: User
) -> None:
    bob = await kit.account("Bob")
    tokens = [await kit.accounts.guest_token(bob) for _ in range(3)]
    await bans.ban(root, bob, 60, "spam\x1b[2J")
    assert await kit.store.read(lambda s: s.sessions_of(bob.id)) == []
    assert kit.outlet.notices[-1] == UserRemoved(bob.id, None, author_of(root), "spam", True)
    for token in tokens:
        assert await refused(kit.accounts.resume(token)) is ErrorCode.UNAUTHORIZED
    await kit.clock.advance(60)  # a ban that has ended gives no login back
    assert await refused(kit.accounts.resume(tokens[0])) is ErrorCode.UNAUTHORIZED


async def test_what_was_written_everywhere_goes_with_a_purge(
    kit: Kit, bans: ServerBans, root: User
) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    dev = await kit.room(alice, "dev", bob)
    direct = await kit.direct(bob, alice)
    for room in (dev, kit.lobby, direct):
        await kit.say(bob, room, "spam")
    await bans.ban(root, bob, purge_s=3600)
    for room in (dev, kit.lobby, direct):
        page = await kit.histories.page(alice, room)
        (body,) = [event.body for event in page.messages]
        assert isinstance(body, Message)
        assert (body.text, body.is_deleted) == ("", True)


async def test_only_administrators_may_and_not_to_each_other(
    kit: Kit, bans: ServerBans, root: User
) -> None:
    bob, other = await kit.account("Bob"), await kit.account("Rosa", role=ServerRole.ADMIN)
    for act in (
        bans.ban(bob, other),
        bans.ban_address(bob, "192.0.2.1"),
        bans.unban(bob, other),
        bans.bans(bob),
        bans.ban(root, other),
        bans.ban(root, root),
    ):
        assert await refused(act) is ErrorCode.FORBIDDEN
    assert await bans.bans(root) == []


async def test_an_address_is_refused_at_once_and_connections_are_told(
    kit: Kit, bans: ServerBans, root: User
) -> None:
    await bans.check_address("192.0.2.9")
    made = await bans.ban_address(root, "192.0.2.7/24", 60, "proxies", own_address="127.0.0.1")
    assert made.ip_net == "192.0.2.0/24"
    assert await refused(bans.check_address("192.0.2.9")) is ErrorCode.BANNED
    notice = kit.outlet.notices[-1]
    assert notice == AddressBanned("192.0.2.0/24", author_of(root), "proxies")
    assert notice.holds(ip_address("192.0.2.200"))
    assert not notice.holds(ip_address("192.0.3.1"))
    assert not notice.holds(ip_address("::1"))
    assert not notice.holds(None)
    await bans.unban(root, None, "192.0.2.0/24")
    await bans.check_address("192.0.2.9")


async def test_nobody_bans_the_own_address_or_nonsense(bans: ServerBans, root: User) -> None:
    for network in ("127.0.0.0/8", "0.0.0.0/0"):
        code = await refused(bans.ban_address(root, network, own_address="127.0.0.1"))
        assert code is ErrorCode.BAD_REQUEST
    for network in ("nonsense", "", "192.0.2.0/33"):
        assert await refused(bans.ban_address(root, network)) is ErrorCode.BAD_REQUEST


async def test_bans_are_listed_with_their_people(kit: Kit, bans: ServerBans, root: User) -> None:
    bob = await kit.account("Bob")
    await bans.ban(root, bob, None, "spam")
    await bans.ban(root, None, 60)
    await bans.ban_address(root, "192.0.2.1")
    infos = await bans.bans(root)
    assert [(one.user, one.ban.ip_net, one.by) for one in infos] == [
        (bob, None, root),
        (None, None, root),
        (None, "192.0.2.1/32", root),
    ]
    await kit.clock.advance(60)
    assert len(await bans.bans(root)) == 2
    assert await refused(bans.unban(root, None)) is ErrorCode.NOT_FOUND
    await bans.unban(root, bob)
    assert len(await bans.bans(root)) == 1
