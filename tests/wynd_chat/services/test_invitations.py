"""Invitations: what a link is good for before it is used; using one is in `test_logins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.services.logins_kit import LoginsKit, a_logins_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import ServerRole
from wynd_chat.services.invitations import CLAIM_MS, Invitation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def kit() -> AsyncIterator[LoginsKit]:
    """Give a kit."""
    async with a_logins_kit() as kit:
        yield kit


async def code_of(work: Any) -> ErrorCode:
    """Return the code a use case is refused with."""
    with pytest.raises(ChatError) as refused:
        await work
    return refused.value.code


async def test_a_members_link_leads_to_its_room_and_an_admins_also_makes_accounts(
    kit: LoginsKit,
) -> None:
    alice = await kit.kit.account("Alice")
    root = await kit.kit.account("Root", role=ServerRole.ADMIN)
    room = await kit.kit.room(alice, "dev", root)
    for user, registers in ((alice, False), (root, True)):
        code = await kit.kit.rooms.invite_link(user, room)
        found = await kit.invitations.look(code)
        assert found.room is not None
        assert (found.room.id, found.registers) == (room.id, registers)
        assert isinstance(found, Invitation)
        await kit.clock.advance(7 * 24 * 3600)
        assert await code_of(kit.invitations.look(code)) is ErrorCode.EXPIRED


async def test_looking_uses_nothing_up(kit: LoginsKit) -> None:
    alice, bob = await kit.kit.account("Alice"), await kit.kit.account("Bob")
    room = await kit.kit.private_room(alice)
    code = await kit.kit.rooms.invite_link(alice, room)
    for _ in range(100):
        await kit.invitations.look(code)
    assert (await kit.kit.rooms.accept_invite(bob, code)).is_new_member


async def test_an_admins_link_lets_existing_users_in_too(kit: LoginsKit) -> None:
    root = await kit.kit.account("Root", role=ServerRole.ADMIN)
    bob = await kit.kit.account("Bob")
    room = await kit.kit.private_room(root)
    code = await kit.kit.rooms.invite_link(root, room)
    entry = await kit.kit.rooms.accept_invite(bob, code)
    assert (entry.room.id, entry.is_new_member) == (room.id, True)
    assert not (await kit.kit.rooms.accept_invite(bob, code)).is_new_member


async def test_what_is_no_invitation_is_shown_as_one_that_ended(kit: LoginsKit) -> None:
    alice = await kit.kit.account("Alice")
    room = await kit.kit.room(alice, "dev")
    code = await kit.kit.rooms.invite_link(alice, room)
    await kit.kit.change(room, archived_at=1)
    claim = await kit.invitations.claim_code()
    assert claim is not None
    for wrong in (code, claim, "", "nonsense"):
        assert await code_of(kit.invitations.look(wrong)) is ErrorCode.EXPIRED


async def test_a_claim_link_holds_for_a_day_and_only_the_newest(kit: LoginsKit) -> None:
    first = await kit.invitations.claim_code()
    second = await kit.invitations.claim_code()
    assert first is not None
    assert second is not None
    assert await code_of(kit.invitations.look_at_claim(first)) is ErrorCode.EXPIRED
    await kit.invitations.look_at_claim(second)
    await kit.clock.advance(CLAIM_MS / 1000)
    assert await code_of(kit.invitations.look_at_claim(second)) is ErrorCode.EXPIRED


async def test_a_server_with_an_admin_has_no_claim_link(kit: LoginsKit) -> None:
    code = await kit.invitations.claim_code()
    assert code is not None
    await kit.kit.account("Root", role=ServerRole.ADMIN)
    assert await code_of(kit.invitations.look_at_claim(code)) is ErrorCode.EXPIRED
    assert await kit.invitations.claim_code() is None
