"""Device login: a code on one side, an approval on the other, once and not for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.services.logins_kit import LoginsKit, a_logins_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import UserStatus
from wynd_chat.services.links import WAITING_MAX, clean_code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import User


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


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("ABCD-2345", "ABCD-2345"),
        (" abcd2345 ", "ABCD-2345"),
        ("abcd 2345", "ABCD-2345"),
        ("a-b-c-d-2-3-4-5", "ABCD-2345"),
        ("ABCD-234", "ABCD-234"),
        ("", ""),
    ],
)
def test_a_code_is_read_however_it_is_typed(typed: str, code: str) -> None:
    assert clean_code(typed) == code


async def test_who_approves_is_who_the_other_side_becomes_once(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    code, secret = await kit.links.begin()
    assert await kit.links.take(code, secret) is None
    await kit.links.approve(alice, code.lower())
    assert await kit.links.take(code, secret) == alice
    assert await code_of(kit.links.take(code, secret)) is ErrorCode.EXPIRED
    assert await code_of(kit.links.approve(alice, code)) is ErrorCode.EXPIRED


async def test_racing_takers_get_it_once(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    code, secret = await kit.links.begin()
    await kit.links.approve(alice, code)
    results = await asyncio.gather(
        *(kit.links.take(code, secret) for _ in range(10)), return_exceptions=True
    )
    assert sum(result == alice for result in results) == 1


async def test_the_code_without_the_secret_makes_nobody_anybody(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    code, secret = await kit.links.begin()
    _, another = await kit.links.begin()
    await kit.links.approve(alice, code)
    for wrong in ("", code, another, secret[:-1], secret.upper()):
        assert await code_of(kit.links.take(code, wrong)) is ErrorCode.EXPIRED
    assert await kit.links.take(code, secret) == alice


async def test_neither_code_nor_secret_is_stored(kit: LoginsKit) -> None:
    code, secret = await kit.links.begin()
    assert await kit.store.read(lambda snapshot: snapshot.link_code(code)) is None
    tables = repr(kit.store._store._tables.link_codes)  # type: ignore[attr-defined]
    assert code not in tables
    assert secret not in tables


async def test_a_code_holds_for_ten_minutes(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    approved, secret = await kit.links.begin()
    late, _ = await kit.links.begin()
    await kit.links.approve(alice, approved)
    await kit.clock.advance(599)
    assert await kit.links.take(approved, secret) == alice
    await kit.clock.advance(1)
    assert await code_of(kit.links.approve(alice, late)) is ErrorCode.EXPIRED


async def test_a_code_is_approved_by_one_user_only(kit: LoginsKit) -> None:
    alice, bob = await kit.registered("Alice"), await kit.registered("Bob")
    code, secret = await kit.links.begin()
    await kit.links.approve(alice, code)
    assert await code_of(kit.links.approve(bob, code)) is ErrorCode.EXPIRED
    assert await kit.links.take(code, secret) == alice


async def test_guests_and_those_who_may_not_log_in_approve_nothing(kit: LoginsKit) -> None:
    gail, alice = await kit.kit.guest("Gail"), await kit.registered("Alice")
    code, _ = await kit.links.begin()
    assert await code_of(kit.links.approve(gail, code)) is ErrorCode.FORBIDDEN
    banned: User = replace(alice, status=UserStatus.BANNED)
    await kit.store.write(lambda tx: tx.put_user(banned))
    assert await code_of(kit.links.approve(alice, code)) is ErrorCode.UNAUTHORIZED


async def test_codes_cannot_be_tried_out(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    codes = [await code_of(kit.links.approve(alice, f"AAAA-{n:04}")) for n in range(12)]
    assert codes == [ErrorCode.EXPIRED] * 10 + [ErrorCode.RATE_LIMITED] * 2


async def test_a_connection_that_waits_is_told_unless_it_went(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    told: list[str] = []
    first, _ = await kit.links.begin()
    second, _ = await kit.links.begin()
    third, _ = await kit.links.begin()
    kit.links.wait(1, first, lambda: told.append("first"))
    kit.links.wait(1, second, lambda: told.append("second"))  # takes the place of the first
    kit.links.wait(2, third, lambda: told.append("third"))
    kit.links.forget(2)
    for code in (first, second, third):
        await kit.links.approve(alice, code)
    assert told == ["second"]


async def test_so_many_connections_wait_and_no_more(kit: LoginsKit) -> None:
    for number in range(WAITING_MAX + 10):
        kit.links.wait(number, f"code {number}", lambda: None)
    assert len(kit.links._waiting) == WAITING_MAX
