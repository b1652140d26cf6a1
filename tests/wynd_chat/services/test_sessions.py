"""Logins: what is stored of them, how they end, who is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.services.logins_kit import LoginsKit, a_logins_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import SessionKind, UserKind, UserStatus
from wynd_chat.domain.sessions import public_id
from wynd_chat.ports.outlet import ConnectionsEnded
from wynd_chat.services.accounts import hash_of
from wynd_chat.services.sessions import (
    BANNED_CODE,
    BANNED_REASON,
    ENDED_CODE,
    LOGINS_MAX,
    TOKENS_MAX,
    Origin,
)
from wynd_chat.wire.close_codes import CloseCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR_S = 3600.0


@pytest.fixture
async def kit() -> AsyncIterator[LoginsKit]:
    """Give a kit."""
    async with a_logins_kit() as kit:
        yield kit


def ends(kit: LoginsKit) -> list[ConnectionsEnded]:
    """Return which connections were told to go."""
    return [one for one in kit.outlet.notices if isinstance(one, ConnectionsEnded)]


def test_the_codes_are_those_of_the_wire() -> None:
    assert CloseCode.UNAUTHORIZED == ENDED_CODE
    assert CloseCode.REMOVED == BANNED_CODE
    assert CloseCode.REMOVED.reason == BANNED_REASON


async def test_only_the_hash_of_a_token_is_stored(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    origin = Origin("10.0.0.1", "Firefox\x1b[31m on Linux")
    token, session = await kit.sessions.begin(alice, SessionKind.WEB, label="mine", origin=origin)
    assert session.token_hash == hash_of(token)
    assert token not in repr(session)
    assert (session.ip, session.user_agent, session.label) == (
        "10.0.0.1",
        "Firefox on Linux",
        "mine",
    )
    assert await kit.accounts.resume(token) == (alice, session)


async def test_every_login_has_another_token(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    tokens = [(await kit.sessions.begin(alice, SessionKind.WEB))[0] for _ in range(20)]
    assert len(set(tokens)) == 20


async def test_who_may_not_log_in_gets_no_login(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    banned = replace(alice, status=UserStatus.BANNED)
    await kit.store.write(lambda tx: tx.put_user(banned))
    with pytest.raises(ChatError) as refused:
        await kit.sessions.begin(alice, SessionKind.WEB)
    assert refused.value.code is ErrorCode.UNAUTHORIZED
    with pytest.raises(ChatError):
        await kit.sessions.new_token(alice, "x")
    assert await kit.sessions.list_of(alice) == []


async def test_the_logins_unused_longest_make_room(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    await kit.sessions.new_token(alice, "kept")
    made = []
    for _ in range(LOGINS_MAX + 2):
        made.append((await kit.sessions.begin(alice, SessionKind.WEB))[1])
        await kit.clock.advance(1)
    kept = await kit.sessions.list_of(alice)
    assert [one.token_hash for one in kept if one.kind is SessionKind.WEB] == [
        one.token_hash for one in made[2:]
    ]
    assert [one.label for one in kept if one.kind is SessionKind.API] == ["kept"]
    gone = [one.token_hashes for one in ends(kit)]
    assert gone == [frozenset({made[0].token_hash}), frozenset({made[1].token_hash})]


async def test_ending_a_login_tells_its_connections_and_only_those(kit: LoginsKit) -> None:
    alice, bob = await kit.registered("Alice"), await kit.registered("Bob")
    token, session = await kit.sessions.begin(alice, SessionKind.WEB)
    other, _ = await kit.sessions.begin(alice, SessionKind.WEB)
    with pytest.raises(ChatError) as refused:
        await kit.sessions.end(bob, public_id(session))
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert ends(kit) == []
    await kit.sessions.end(alice, public_id(session), besides=7)
    assert ends(kit) == [
        ConnectionsEnded(
            alice.id, frozenset({session.token_hash}), 4501, "this login has ended", besides=7
        )
    ]
    with pytest.raises(ChatError):
        await kit.accounts.resume(token)
    assert (await kit.accounts.resume(other))[0] == alice


@pytest.mark.parametrize("ref", ["", "nonsense", "0" * 16, "%", "' OR 1=1"])
async def test_there_is_no_login_of_another_name(kit: LoginsKit, ref: str) -> None:
    alice = await kit.registered("Alice")
    await kit.sessions.begin(alice, SessionKind.WEB)
    with pytest.raises(ChatError) as refused:
        await kit.sessions.end(alice, ref)
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert len(await kit.sessions.list_of(alice)) == 1


async def test_tokens_are_made_labelled_listed_and_revoked(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    token, session = await kit.sessions.new_token(alice, " backup\nscript ")
    again, second = await kit.sessions.new_token(alice, "backup script", days=2)
    unnamed, _ = await kit.sessions.new_token(alice, "")
    web, _ = await kit.sessions.begin(alice, SessionKind.WEB, label="backup script")
    assert session.label == "backup script"
    assert session.expires_at is None
    assert second.expires_at == second.created_at + 2 * 24 * 3600 * 1000
    assert await kit.sessions.revoke(alice, "backup script") == 2
    for gone in (token, again):
        with pytest.raises(ChatError):
            await kit.accounts.resume(gone)
    for there in (unnamed, web):
        assert (await kit.accounts.resume(there))[0] == alice
    for label in ("backup script", "", " "):
        with pytest.raises(ChatError) as refused:
            await kit.sessions.revoke(alice, label)
        assert refused.value.code is ErrorCode.NOT_FOUND
    assert await kit.sessions.revoke(alice, "token") == 1  # the label of one without


async def test_a_user_has_so_many_tokens_and_no_more(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    for number in range(TOKENS_MAX):
        await kit.sessions.new_token(alice, f"t{number}")
    with pytest.raises(ChatError) as refused:
        await kit.sessions.new_token(alice, "one more")
    assert refused.value.code is ErrorCode.CONFLICT


async def test_a_bot_has_tokens_of_its_own_kind(kit: LoginsKit) -> None:
    bot = await kit.kit.account("Bot", kind=UserKind.BOT)
    _, session = await kit.sessions.new_token(bot, "")
    assert session.kind is SessionKind.BOT


async def test_use_renews_a_login_once_an_hour(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    token, _ = await kit.sessions.begin(alice, SessionKind.WEB)
    for _ in range(3 * 24):
        await kit.clock.advance(10 * HOUR_S)  # 30 days together
        await kit.accounts.resume(token)
    await kit.clock.advance(30 * 24 * HOUR_S)
    with pytest.raises(ChatError):
        await kit.accounts.resume(token)


async def test_a_login_goes_on_while_nothing_can_be_written(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    token, _ = await kit.sessions.begin(alice, SessionKind.WEB)
    await kit.clock.advance(2 * HOUR_S)
    kit.store.fail()
    reading = kit.store.read

    async def read_only(work: object) -> object:
        failure, kit.store.failure = kit.store.failure, None
        try:
            return await reading(work)  # type: ignore[arg-type]
        finally:
            kit.store.failure = failure

    kit.store.read = read_only  # type: ignore[method-assign]
    assert (await kit.accounts.resume(token))[0] == alice


async def test_renewing_brings_no_ended_login_back(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    _, session = await kit.sessions.begin(alice, SessionKind.WEB)
    await kit.clock.advance(2 * HOUR_S)
    await kit.sessions.end(alice, session.token_hash)
    await kit.sessions.renew([session])
    assert await kit.sessions.list_of(alice) == []


async def test_standings_tell_what_holds_now(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    _, lasting = await kit.sessions.begin(alice, SessionKind.WEB)
    _, short = await kit.sessions.begin(alice, SessionKind.DEVICE)
    await kit.clock.advance(25 * HOUR_S)
    hashes = {lasting.token_hash, short.token_hash, "unknown"}
    sessions, users = await kit.sessions.standings(hashes, {alice.id, "u_nobody"})
    assert set(sessions) == {lasting.token_hash}
    assert set(users) == {alice.id}


async def test_who_is_cancelled_while_ending_a_login_ends_it_all_the_same(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    _, session = await kit.sessions.begin(alice, SessionKind.WEB)
    writing, may_write = asyncio.Event(), asyncio.Event()
    write = kit.store.write

    async def slow(work: object) -> object:
        writing.set()
        await may_write.wait()
        return await write(work)  # type: ignore[arg-type]

    kit.store.write = slow  # type: ignore[method-assign]
    task = asyncio.create_task(kit.sessions.end(alice, session.token_hash))
    await writing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_write.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert [one.token_hashes for one in ends(kit)] == [frozenset({session.token_hash})]
