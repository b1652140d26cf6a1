"""Bans as they are asked about: users, newcomers, addresses, and silences that outlast leaving."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.kit import Kit, a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Ban, ServerRole
from wynd_chat.services.bans import (
    AddressBans,
    check_newcomer,
    check_not_banned,
    parse_address,
    parse_network,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import User


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    """Return services over memory."""
    async with a_kit() as made:
        yield made


async def ban(kit: Kit, **fields: Any) -> None:
    """Store a ban from the server, unless told otherwise."""
    now = kit.clock.now_ms()
    values: dict[str, Any] = dict.fromkeys(("room_id", "user_id", "ip_net", "by_id", "until"))
    made = Ban(id=kit.tokens.new_id("b_"), at=now, **{**values, "reason": "", **fields})
    await kit.store.write(lambda tx: tx.put_ban(made))


@pytest.mark.parametrize("where", ["server", "lobby"])
async def test_a_banned_user_is_kept_out_until_the_ban_ends(kit: Kit, where: str) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    room_id = None if where == "server" else kit.lobby.id
    until = kit.clock.now_ms() + 60_000
    await ban(kit, room_id=room_id, user_id=bob.id, until=until)

    async def check(user: User) -> None:
        now = kit.clock.now_ms()
        await kit.store.read(lambda s: check_not_banned(s, user, kit.lobby.id, now))

    await check(alice)
    with pytest.raises(ChatError, match="you are banned here for 1m") as refused:
        await check(bob)
    assert refused.value.code is ErrorCode.BANNED
    token = await kit.accounts.guest_token(bob)
    with pytest.raises(ChatError, match="banned"):
        await kit.accounts.resume(token)
    await kit.clock.advance(60)
    await check(bob)
    assert (await kit.accounts.resume(token))[0].id == bob.id


async def test_a_ban_from_another_room_keeps_nobody_out(kit: Kit) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    dev = await kit.room(alice)
    await ban(kit, room_id=dev.id, user_id=bob.id)
    now = kit.clock.now_ms()
    await kit.store.read(lambda s: check_not_banned(s, bob, kit.lobby.id, now))


async def test_administrators_are_not_locked_out_by_a_row(kit: Kit) -> None:
    root = await kit.account("Root", role=ServerRole.ADMIN)
    await ban(kit, user_id=root.id)
    now = kit.clock.now_ms()
    await kit.store.read(lambda s: check_not_banned(s, root, kit.lobby.id, now))


@pytest.mark.parametrize("where", ["server", "lobby"])
async def test_nobody_new_comes_in_while_newcomers_are_banned(kit: Kit, where: str) -> None:
    await ban(kit, room_id=None if where == "server" else kit.lobby.id)
    with pytest.raises(ChatError, match="nobody new may come in") as refused:
        await kit.guest("Late")
    assert refused.value.code is ErrorCode.BANNED
    now = kit.clock.now_ms()
    with pytest.raises(ChatError):
        await kit.store.read(lambda s: check_newcomer(s, kit.lobby.id, now))


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("2001:db8::1/64", "2001:db8::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.0.2.256", None),
        ("192.0.2.0/33", None),
        ("192.0.2", None),
        ("example.org", None),
        ("", None),
    ],
)
def test_networks_are_read(text: str, stored: str | None) -> None:
    assert parse_network(text) == stored


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unix:", None),
    ],
)
def test_addresses_are_read(text: str, address: str | None) -> None:
    found = parse_address(text)
    assert (None if found is None else str(found)) == address


async def test_a_banned_address_is_refused(kit: Kit) -> None:
    bans = AddressBans(kit.store, kit.clock)
    await ban(kit, ip_net="192.0.2.0/24", until=kit.clock.now_ms() + 60_000)
    await ban(kit, ip_net="2001:db8::/32")
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1::1"):
        with pytest.raises(ChatError, match="this address is banned here"):
            await bans.check(address)
    for address in ("192.0.3.1", "127.0.0.1", "::1", "", "nonsense"):
        await bans.check(address)
    await kit.clock.advance(60)
    await bans.check("192.0.2.1")


async def test_bans_are_kept_at_hand_and_read_again_in_time(kit: Kit) -> None:
    bans = AddressBans(kit.store, kit.clock)
    await bans.check("192.0.2.1")
    reads = kit.store.reads
    for _ in range(100):
        await bans.check("192.0.2.1")
    assert kit.store.reads == reads
    await ban(kit, ip_net="192.0.2.1/32")  # by another process
    await bans.check("192.0.2.1")
    await kit.clock.advance(5)
    with pytest.raises(ChatError):
        await bans.check("192.0.2.1")
    await kit.store.write(lambda tx: tx.drop_ban(tx.bans(None)[0].id))
    bans.forget()  # as after a change by this one
    await bans.check("192.0.2.1")


async def test_a_silenced_member_who_leaves_stays_out_as_long(kit: Kit) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    dev = await kit.room(alice, "dev", bob)
    until = kit.clock.now_ms() + 600_000

    membership = await kit.membership(bob, dev)
    assert membership is not None
    silenced = replace(membership, silenced_until=until)
    await kit.store.write(lambda tx: tx.put_membership(silenced))
    await kit.rooms.leave(bob, dev)
    with pytest.raises(ChatError, match="banned"):
        await kit.rooms.join(bob, "dev")
    (held,) = await kit.store.read(lambda s: s.bans(dev.id))
    assert (held.user_id, held.until, held.reason) == (bob.id, until, "left while silenced")
    await kit.clock.advance(600)
    await kit.rooms.join(bob, "dev")


async def test_a_member_who_may_write_leaves_freely(kit: Kit) -> None:
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    dev = await kit.room(alice, "dev", bob)
    await kit.rooms.leave(bob, dev)
    assert await kit.store.read(lambda s: s.bans(dev.id)) == []
