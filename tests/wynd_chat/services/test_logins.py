"""Accounts with passwords: who may make one, whose password is right, what a new one ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.services.logins_kit import GOOD, LoginsKit, a_logins_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import (
    Ban,
    Invite,
    InviteKind,
    RoomKind,
    ServerRole,
    SessionKind,
    User,
    UserKind,
    UserStatus,
)
from wynd_chat.ports.outlet import ConnectionsEnded, MembershipStarted, UserChanged
from wynd_chat.services.accounts import hash_of
from wynd_chat.services.logins import WRONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.ports.store import Transaction


@pytest.fixture
async def kit() -> AsyncIterator[LoginsKit]:
    """Give a kit whose limits nobody meets by chance."""
    async with a_logins_kit(logins_per_3_minutes=1000) as kit:
        yield kit


async def refusal(work: Any) -> ChatError:
    """Return what a use case is refused with."""
    with pytest.raises(ChatError) as refused:
        await work
    return refused.value


async def an_invite(kit: LoginsKit, code: str, **more: Any) -> None:
    """Store an invitation to register."""
    values: dict[str, Any] = {
        "kind": InviteKind.REGISTER,
        "owner_id": None,
        "target": None,
        "uses_left": 1,
        "expires_at": kit.clock.now_ms() + 60_000,
    }
    invite = Invite(code_hash=hash_of(code), **(values | more))
    await kit.store.write(lambda tx: tx.put_invite(invite))


async def a_ban(kit: LoginsKit, user: User | None) -> None:
    """Ban somebody from the server, or all newcomers."""
    ban = Ban(
        id="b_1",
        room_id=None,
        user_id=None if user is None else user.id,
        ip_net=None,
        reason="",
        by_id=None,
        at=kit.clock.now_ms(),
        until=None,
    )
    await kit.store.write(lambda tx: tx.put_ban(ban))


# Logging in


async def test_a_name_and_its_password_are_recognised(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    for name in ("Alice", "@alice", " ALICE "):
        assert await kit.logins.check(name, GOOD, None) == alice
    assert kit.logins.results == {"ok": 3}


async def test_everything_that_is_wrong_is_answered_alike(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    gone = await kit.registered("Gone")
    inactive = replace(gone, status=UserStatus.DEACTIVATED)
    await kit.store.write(lambda tx: tx.put_user(inactive))
    await kit.kit.guest("Gail")
    await kit.kit.account("Bot", kind=UserKind.BOT)
    for name, password in (
        ("Alice", "wrong horse battery staple"),
        ("Alice", ""),
        ("Alice", GOOD.upper()),
        ("Nobody", GOOD),
        ("Gail", GOOD),
        ("Bot", GOOD),
        ("Gone", GOOD),
        ("two words", GOOD),
        ("", ""),
        (alice.id, GOOD),
        (str(alice.password_hash), GOOD),
    ):
        error = await refusal(kit.logins.check(name, password, None))
        assert (error.code, error.sentence) == (ErrorCode.UNAUTHORIZED, WRONG), name
    assert kit.logins.results == {"failed": 11}


async def test_a_hash_is_checked_whoever_is_asked_about(kit: LoginsKit) -> None:
    await kit.registered("Alice")
    asked: list[str | None] = []
    verify = kit.kit.passwords.verify

    async def noting(password_hash: str | None, password: str) -> bool:
        asked.append(password_hash)
        return await verify(password_hash, password)

    kit.kit.passwords.verify = noting  # type: ignore[method-assign]
    for name in ("Alice", "Nobody", "not a name"):
        await refusal(kit.logins.check(name, "wrong", None))
    assert asked == [f"hash of {GOOD}", None, None]


async def test_who_is_banned_is_told_so_only_with_the_right_password(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    await a_ban(kit, alice)
    assert (await refusal(kit.logins.check("Alice", "wrong", None))).sentence == WRONG
    assert (await refusal(kit.logins.check("Alice", GOOD, None))).code is ErrorCode.BANNED
    assert kit.logins.results == {"failed": 2}


async def test_an_old_hash_is_made_anew_when_its_password_comes(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    old = replace(alice, password_hash=f"hash of {GOOD}")
    kit.kit.passwords.needs_rehash = lambda password_hash: True  # type: ignore[method-assign]

    async def dearer(password: str) -> str:
        return f"dearer hash of {password}"

    kit.kit.passwords.hash = dearer  # type: ignore[method-assign]
    assert await kit.logins.check("Alice", GOOD, None) == old
    stored = await kit.stored(alice)
    assert stored is not None
    assert stored.password_hash == f"dearer hash of {GOOD}"


# Guessing


async def test_guesses_at_an_account_come_ever_later_from_wherever() -> None:
    async with a_logins_kit() as kit:
        await kit.registered("Alice")
        tried = 0
        for second in range(60):
            for number in range(20):  # a thousand addresses and more
                address = f"10.{second}.{number}.1"
                error = await refusal(kit.logins.check("Alice", f"guess {number}", address))
                if error.code is ErrorCode.UNAUTHORIZED:
                    tried += 1
                else:
                    assert error.code is ErrorCode.RATE_LIMITED
                    assert error.retry_after
            await kit.clock.advance(1)
        assert 3 <= tried <= 10
        assert kit.logins.results["limited"] == 60 * 20 - tried


async def test_racing_guesses_are_bounded_too() -> None:
    async with a_logins_kit() as kit:
        await kit.registered("Alice")
        tries = [kit.logins.check("Alice", f"guess {n}", f"10.0.{n}.1") for n in range(200)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        codes = [error.code for error in results if isinstance(error, ChatError)]
        assert codes.count(ErrorCode.UNAUTHORIZED) <= 10
        assert codes.count(ErrorCode.RATE_LIMITED) >= 190


async def test_names_that_nobody_has_are_limited_alike_and_push_nobody_out() -> None:
    async with a_logins_kit() as kit:
        await kit.registered("Alice")
        for name in ("Alice", "Nobody"):
            codes = [
                (await refusal(kit.logins.check(name, "wrong", f"10.0.{n}.1"))).code
                for n in range(5)
            ]
            assert codes == [ErrorCode.UNAUTHORIZED] * 3 + [ErrorCode.RATE_LIMITED] * 2


async def test_an_address_is_limited_whatever_it_asks_for_and_costs_the_account_nothing() -> None:
    async with a_logins_kit() as kit:
        await kit.registered("Alice")
        for number in range(10):
            await refusal(kit.logins.check(f"name{number}", "wrong", "10.0.0.1"))
        for _ in range(20):
            error = await refusal(kit.logins.check("Alice", GOOD, "10.0.0.1"))
            assert error.code is ErrorCode.RATE_LIMITED
        assert (await kit.logins.check("Alice", GOOD, "10.0.0.2")).name == "Alice"
        await kit.clock.advance(180)
        assert (await kit.logins.check("Alice", GOOD, "10.0.0.1")).name == "Alice"


async def test_a_right_password_ends_the_delay() -> None:
    async with a_logins_kit() as kit:
        await kit.registered("Alice")
        for _ in range(2):
            for number in range(2):
                await refusal(kit.logins.check("Alice", "wrong", f"10.0.{number}.1"))
            assert (await kit.logins.check("Alice", GOOD, "10.0.9.1")).name == "Alice"


async def test_guesses_of_others_leave_who_is_in_alone() -> None:
    async with a_logins_kit() as kit:
        alice = await kit.registered("Alice")
        token, session = await kit.sessions.begin(alice, SessionKind.WEB)
        for number in range(100):
            await refusal(kit.logins.check("Alice", "wrong", f"10.0.{number}.1"))
        assert (await kit.accounts.resume(token))[0] == alice
        changed = await kit.logins.change_password(
            alice, GOOD, "another long password", session.token_hash
        )
        assert changed == 0


# Registering


async def test_a_new_account_is_a_member_of_the_lobby(kit: LoginsKit) -> None:
    made = await kit.logins.register("@Alice", GOOD, None)
    assert (made.user.name, made.user.kind, made.room) == ("Alice", UserKind.HUMAN, None)
    assert not made.user.is_admin
    assert GOOD not in repr(await kit.stored(made.user)).replace(f"hash of {GOOD}", "")
    assert await kit.kit.membership(made.user, kit.kit.lobby) is not None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("two words", ErrorCode.BAD_NAME),
        ("", ErrorCode.BAD_NAME),
        ("Server", ErrorCode.BAD_NAME),
        ("alice", ErrorCode.NAME_REGISTERED),
        ("\u0410lice", ErrorCode.BAD_NAME),  # a Cyrillic A among Latin letters
        ("A1ice", ErrorCode.NAME_TAKEN),  # looks like Alice
        ("Gail", ErrorCode.NAME_TAKEN),  # a guest who is here
    ],
)
async def test_names_that_may_not_be_registered(kit: LoginsKit, name: str, code: ErrorCode) -> None:
    await kit.registered("Alice")
    await kit.kit.guest("Gail")
    assert (await refusal(kit.logins.register(name, GOOD, None))).code is code


async def test_one_name_is_registered_once_by_whoever_is_first(kit: LoginsKit) -> None:
    tries = [kit.logins.register("Alice", f"{GOOD} {number}", None) for number in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in results) == 1
    codes = {one.code for one in results if isinstance(one, ChatError)}
    assert codes == {ErrorCode.NAME_REGISTERED}


async def test_an_address_registers_so_many_an_hour() -> None:
    async with a_logins_kit(registrations_per_hour=3) as kit:
        for number in range(3):
            await kit.logins.register(f"user-{number}", GOOD, "10.0.0.1")
        error = await refusal(kit.logins.register("user-9", GOOD, "10.0.0.1"))
        assert error.code is ErrorCode.RATE_LIMITED
        await an_invite(kit, "code")
        await kit.logins.register("invited", GOOD, "10.0.0.1", "code")  # none counted
        await kit.logins.register("local", GOOD, None)  # loopback
        await kit.logins.register("elsewhere", GOOD, "10.0.0.2")
        await kit.clock.advance(3600)
        await kit.logins.register("user-9", GOOD, "10.0.0.1")


async def test_mistakes_are_not_counted_as_registrations() -> None:
    async with a_logins_kit(registrations_per_hour=1) as kit:
        await kit.registered("Alice")
        for name in ("two words", "Alice"):
            await refusal(kit.logins.register(name, GOOD, "10.0.0.1"))
        await kit.logins.register("Bob", GOOD, "10.0.0.1")


async def test_who_may_register_is_a_setting(kit: LoginsKit) -> None:
    kit.registration = "closed"
    await an_invite(kit, "code", uses_left=9)
    for invite in (None, "code"):
        error = await refusal(kit.logins.register("Alice", GOOD, None, invite))
        assert error.code is ErrorCode.FORBIDDEN
    kit.registration = "invite"
    error = await refusal(kit.logins.register("Alice", GOOD, None))
    assert error.code is ErrorCode.FORBIDDEN
    assert (await kit.logins.register("Alice", GOOD, None, "code")).user.name == "Alice"


@pytest.mark.parametrize(
    ("invite", "code"),
    [
        ({"uses_left": 0}, ErrorCode.EXPIRED),
        ({"expires_at": 0}, ErrorCode.EXPIRED),
        ({"kind": InviteKind.ROOM}, ErrorCode.FORBIDDEN),
        ({"kind": InviteKind.CLAIM}, ErrorCode.FORBIDDEN),
        (None, ErrorCode.EXPIRED),
    ],
)
async def test_an_invitation_that_does_not_hold_makes_no_account(
    kit: LoginsKit, invite: dict[str, Any] | None, code: ErrorCode
) -> None:
    if invite is not None:
        await an_invite(kit, "code", **invite)
    error = await refusal(kit.logins.register("Alice", GOOD, None, "code"))
    assert error.code is code
    assert await kit.store.read(lambda snapshot: snapshot.user_by_key("alice")) is None


async def test_an_invitation_works_as_often_as_it_says_also_for_racers(kit: LoginsKit) -> None:
    await an_invite(kit, "code", uses_left=3)
    tries = [kit.logins.register(f"user-{n}", GOOD, None, "code") for n in range(9)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    codes = [one.code for one in results if isinstance(one, ChatError)]
    assert codes == [ErrorCode.EXPIRED] * 6


async def test_a_refused_name_does_not_use_an_invitation_up(kit: LoginsKit) -> None:
    await kit.registered("Alice")
    await an_invite(kit, "code")
    await refusal(kit.logins.register("Alice", GOOD, None, "code"))
    assert (await kit.logins.register("Bob", GOOD, None, "code")).user.name == "Bob"


async def test_an_invitation_leads_into_its_room(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    room = await kit.kit.private_room(alice)
    await an_invite(kit, "code", target=room.id)
    made = await kit.logins.register("Bob", GOOD, None, "code")
    assert made.room is not None
    assert made.room.id == room.id
    assert await kit.kit.membership(made.user, room) is not None
    started = [one for one in kit.outlet.notices if isinstance(one, MembershipStarted)]
    assert [(one.room.id, one.user.id) for one in started][-1] == (room.id, made.user.id)


async def test_an_account_counts_where_the_room_is_archived(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    room = await kit.kit.room(alice, "old")
    await kit.kit.change(room, archived_at=1)
    await an_invite(kit, "code", target=room.id)
    made = await kit.logins.register("Bob", GOOD, None, "code")
    assert made.room is None
    assert await kit.kit.membership(made.user, room) is None


async def test_newcomers_who_are_banned_need_an_invitation(kit: LoginsKit) -> None:
    await a_ban(kit, None)
    error = await refusal(kit.logins.register("Alice", GOOD, None))
    assert error.code is ErrorCode.BANNED
    await an_invite(kit, "code")
    assert (await kit.logins.register("Alice", GOOD, None, "code")).user.name == "Alice"


# A guest's name becomes an account


async def test_a_guest_keeps_id_name_and_rooms(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    gail = await kit.kit.guest("Gail")
    room = await kit.kit.room(alice, "dev", gail)
    await kit.kit.say(gail, room, "hi")
    user = await kit.logins.register_guest(gail, GOOD, None)
    assert (user.id, user.name, user.kind) == (gail.id, "Gail", UserKind.HUMAN)
    assert await kit.kit.membership(user, room) is not None
    assert UserChanged(user) in kit.outlet.notices
    assert await kit.logins.check("Gail", GOOD, None) == user


async def test_a_guests_tokens_end_and_one_login_takes_their_place(kit: LoginsKit) -> None:
    gail = await kit.kit.guest("Gail")
    token = await kit.accounts.guest_token(gail)
    fresh, session = kit.sessions.made(gail.id, SessionKind.DEVICE)
    user = await kit.logins.register_guest(gail, GOOD, None, session=session, besides=3)
    with pytest.raises(ChatError):
        await kit.accounts.resume(token)
    assert (await kit.accounts.resume(fresh))[0] == user
    (told,) = [one for one in kit.outlet.notices if isinstance(one, ConnectionsEnded)]
    assert (told.token_hashes, told.besides) == (frozenset({hash_of(token)}), 3)


async def test_an_account_is_not_registered_again(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    error = await refusal(kit.logins.register_guest(alice, "another long password", None))
    assert error.code is ErrorCode.BAD_REQUEST
    gail = await kit.kit.guest("Gail")
    tries = [kit.logins.register_guest(gail, f"{GOOD} {n}", None) for n in range(5)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, User) for one in results) == 1
    assert {one.code for one in results if isinstance(one, ChatError)} == {ErrorCode.CONFLICT}


async def test_a_guest_is_held_to_the_same_rules(kit: LoginsKit) -> None:
    gail = await kit.kit.guest("Gail")
    kit.registration = "invite"
    error = await refusal(kit.logins.register_guest(gail, GOOD, None))
    assert error.code is ErrorCode.FORBIDDEN
    alice = await kit.kit.account("Alice")
    room = await kit.kit.change(await kit.kit.room(alice, "ops"), kind=RoomKind.PRIVATE)
    await an_invite(kit, "code", target=room.id)
    user = await kit.logins.register_guest(gail, GOOD, None, "code")
    assert await kit.kit.membership(user, room) is not None


# Changing the password


async def test_a_new_password_ends_everything_but_the_login_that_asks(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    mine, session = await kit.sessions.begin(alice, SessionKind.WEB)
    other, _ = await kit.sessions.begin(alice, SessionKind.WEB)
    token, _ = await kit.sessions.new_token(alice, "script")
    count = await kit.logins.change_password(
        alice, GOOD, "another long password", session.token_hash
    )
    assert count == 2
    (told,) = [one for one in kit.outlet.notices if isinstance(one, ConnectionsEnded)]
    assert told.token_hashes == frozenset({hash_of(other), hash_of(token)})
    assert (await kit.accounts.resume(mine))[0].id == alice.id
    await refusal(kit.logins.check("Alice", GOOD, None))
    assert (await kit.logins.check("Alice", "another long password", None)).id == alice.id


async def test_a_wrong_old_password_changes_and_ends_nothing(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    await kit.sessions.begin(alice, SessionKind.WEB)
    error = await refusal(kit.logins.change_password(alice, "wrong", "another long one", None))
    assert error.code is ErrorCode.UNAUTHORIZED
    assert len(await kit.sessions.list_of(alice)) == 1
    assert (await kit.logins.check("Alice", GOOD, None)).id == alice.id


async def test_who_has_no_password_has_none_to_change(kit: LoginsKit) -> None:
    gail = await kit.kit.guest("Gail")
    error = await refusal(kit.logins.change_password(gail, "", GOOD, None))
    assert error.code is ErrorCode.FORBIDDEN


async def test_of_two_racing_changes_one_counts(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    tries = [
        kit.logins.change_password(alice, GOOD, f"another long password {n}", None)
        for n in range(2)
    ]
    results = await asyncio.gather(*tries, return_exceptions=True)
    codes = [one.code for one in results if isinstance(one, ChatError)]
    assert codes == [ErrorCode.CONFLICT]


# The first administrator


async def test_the_first_admin_claims_the_server_once(kit: LoginsKit) -> None:
    alice, bob = await kit.registered("Alice"), await kit.registered("Bob")
    code = await kit.invitations.claim_code()
    assert code is not None
    admin = await kit.logins.claim(alice, code)
    assert admin.is_admin
    assert UserChanged(admin) in kit.outlet.notices
    for user in (alice, bob):
        assert (await refusal(kit.logins.claim(user, code))).code is ErrorCode.EXPIRED
    assert await kit.invitations.claim_code() is None


async def test_a_claim_makes_an_account_whoever_else_may_register(kit: LoginsKit) -> None:
    kit.registration = "closed"
    code = await kit.invitations.claim_code()
    assert code is not None
    admin = await kit.logins.claim_new("Alice", GOOD, code)
    assert admin.role is ServerRole.ADMIN
    error = await refusal(kit.logins.claim_new("Bob", GOOD, code))
    assert error.code is ErrorCode.EXPIRED
    assert await kit.store.read(lambda snapshot: snapshot.user_by_key("bob")) is None


async def test_a_claim_link_ends_after_a_day_and_with_the_next_one(kit: LoginsKit) -> None:
    alice = await kit.registered("Alice")
    first = await kit.invitations.claim_code()
    second = await kit.invitations.claim_code()
    assert first is not None
    assert second is not None
    assert (await refusal(kit.logins.claim(alice, first))).code is ErrorCode.EXPIRED
    await kit.clock.advance(24 * 3600)
    assert (await refusal(kit.logins.claim(alice, second))).code is ErrorCode.EXPIRED


async def test_guests_bots_and_wrong_codes_claim_nothing(kit: LoginsKit) -> None:
    alice, gail = await kit.registered("Alice"), await kit.kit.guest("Gail")
    bot = await kit.kit.account("Bot", kind=UserKind.BOT)
    code = await kit.invitations.claim_code()
    assert code is not None
    for user in (gail, bot):
        assert (await refusal(kit.logins.claim(user, code))).code is ErrorCode.FORBIDDEN
    await an_invite(kit, "invitation")
    for wrong in ("", "nonsense", code[:-1], "invitation"):
        assert (await refusal(kit.logins.claim(alice, wrong))).code is ErrorCode.EXPIRED


async def test_where_there_is_an_admin_a_claim_link_is_worth_nothing(kit: LoginsKit) -> None:
    alice, bob = await kit.registered("Alice"), await kit.registered("Bob")
    code = await kit.invitations.claim_code()
    assert code is not None

    def promote(tx: Transaction) -> None:
        tx.put_user(replace(bob, role=ServerRole.ADMIN))

    await kit.store.write(promote)  # by the command line, say
    assert (await refusal(kit.logins.claim(alice, code))).code is ErrorCode.EXPIRED
