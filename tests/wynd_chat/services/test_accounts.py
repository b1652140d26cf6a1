"""`Accounts`: names and who has them, guests who come back, what users set for themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.kit import a_kit, refusal
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import UserStatus
from wynd_chat.domain.presence import Face
from wynd_chat.ports.outlet import AwayChanged, IgnoresChanged, UserChanged, UserRenamed
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.accounts import hash_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from tests.wynd_chat.kit import Kit


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    async with a_kit() as made:
        yield made


async def test_a_guest_is_in_the_lobby_from_its_head_on(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, "hi")
    bob = await kit.guest("Bob")
    membership = await kit.membership(bob, kit.lobby)
    assert membership is not None
    assert (membership.joined_seq, membership.read_seq) == (1, 1)


async def test_a_taken_name_is_refused_with_one_that_is_free(kit: Kit) -> None:
    await kit.guest("Alice")
    await kit.guest("Alice2")
    with refusal(ErrorCode.NAME_TAKEN, "Alice is taken, try /name Alice3"):
        await kit.accounts.name_guest("Alice")
    with refusal(ErrorCode.NAME_TAKEN, "ALICE is taken, try /name ALICE3"):
        await kit.accounts.name_guest("ALICE")


async def test_a_name_that_looks_like_a_taken_one_is_taken(kit: Kit) -> None:
    await kit.guest("ABC")
    with refusal(ErrorCode.NAME_TAKEN, "АВС is taken, try /name АВС2"):  # noqa: RUF001
        await kit.accounts.name_guest("АВС")  # noqa: RUF001


async def test_a_registered_name_is_refused_also_while_its_owner_is_away(kit: Kit) -> None:
    await kit.account("Zoe")
    with refusal(ErrorCode.NAME_REGISTERED, "Zoe is registered, use /login Zoe"):
        await kit.accounts.name_guest("zoe")


async def test_the_name_of_a_guest_who_has_gone_is_free(kit: Kit) -> None:
    first = await kit.guest("Alice", face=None)
    await kit.clock.advance(10)
    second = await kit.guest("Alice")
    assert second.id != first.id
    gone = await kit.accounts.user(first.id)
    assert gone is not None
    assert (gone.name, gone.name_key) == ("Alice", None)


@pytest.mark.parametrize("racers", [2, 20])
async def test_of_many_who_take_one_name_at_once_one_gets_it(kit: Kit, racers: int) -> None:
    results = await asyncio.gather(
        *(kit.accounts.name_guest("Alice") for _ in range(racers)), return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, ChatError)]
    assert len(refused) == racers - 1
    assert {error.code for error in refused} == {ErrorCode.NAME_TAKEN}


async def test_a_name_just_given_is_not_taken_before_its_connection_is_known(kit: Kit) -> None:
    await kit.accounts.name_guest("Alice")  # connected a moment later
    with refusal(ErrorCode.NAME_TAKEN, "Alice is taken, try /name Alice2"):
        await kit.accounts.name_guest("Alice")


async def test_renaming_is_told_with_the_old_name(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    renamed = await kit.accounts.rename(alice, "Ally")
    assert kit.outlet.notices == [UserRenamed(renamed, "Alice")]
    assert kit.presences.user(alice.id) == renamed
    assert (await kit.accounts.find("@ally")).id == alice.id
    await kit.guest("Alice")


async def test_an_unchanged_name_changes_nothing_another_case_does(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    assert await kit.accounts.rename(alice, " @Alice ") is alice
    assert kit.outlet.notices == []
    assert (await kit.accounts.rename(alice, "ALICE")).name == "ALICE"


async def test_who_was_dropped_cannot_be_renamed(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.store.write(lambda tx: tx.drop_user(alice.id))
    with refusal(ErrorCode.UNAUTHORIZED, "you are not known any more, log in again"):
        await kit.accounts.rename(alice, "Ally")


# Resuming


async def test_a_guest_resumes_as_the_same_user_for_a_day(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    token = await kit.accounts.guest_token(alice)
    user, session = await kit.accounts.resume(token)
    assert user == alice
    assert session.token_hash == hash_of(token)
    await kit.clock.advance(24 * 3600)
    with refusal(ErrorCode.UNAUTHORIZED, "this token is not valid, log in again"):
        await kit.accounts.resume(token)


@pytest.mark.parametrize("token", ["", "wrong", "secret-1 "])
async def test_an_unknown_token_is_refused(kit: Kit, token: str) -> None:
    with refusal(ErrorCode.UNAUTHORIZED, "this token is not valid, log in again"):
        await kit.accounts.resume(token)


async def test_a_guest_resumes_while_nothing_can_be_written(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends no reading."""
    alice, bob = [await kit.guest(name, face=None) for name in ("Alice", "Bob")]
    tokens = [await kit.accounts.guest_token(user) for user in (alice, bob)]
    await kit.clock.advance(20)
    await kit.guest("Bob", face=None)  # who takes the name

    async def full(_work: object) -> None:
        raise StoreFailure("no space left on device")

    monkeypatch.setattr(kit.store, "write", full)
    assert (await kit.accounts.resume(tokens[0]))[0] == alice
    with pytest.raises(StoreFailure):  # a name of his own has to be written first
        await kit.accounts.resume(tokens[1])


async def test_a_deactivated_user_may_not_resume(kit: Kit) -> None:
    alice = await kit.account("Alice", status=UserStatus.DEACTIVATED)
    token = await kit.accounts.guest_token(alice)
    with refusal(ErrorCode.UNAUTHORIZED, "this token is not valid, log in again"):
        await kit.accounts.resume(token)


async def test_a_guest_whose_name_was_taken_resumes_under_a_free_one(kit: Kit) -> None:
    alice = await kit.guest("Alice", face=None)
    token = await kit.accounts.guest_token(alice)
    await kit.clock.advance(10)
    await kit.guest("Alice")
    user, _ = await kit.accounts.resume(token)
    assert (user.id, user.name) == (alice.id, "Alice2")


async def test_a_guest_whose_name_is_free_again_gets_it_back(kit: Kit) -> None:
    alice = await kit.guest("Alice", face=None)
    token = await kit.accounts.guest_token(alice)
    await kit.clock.advance(10)
    await kit.guest("Alice", face=None)
    await kit.clock.advance(10)
    user, _ = await kit.accounts.resume(token)
    assert (user.id, user.name) == (alice.id, "Alice")


async def test_who_resumes_and_who_takes_the_name_never_share_it(kit: Kit) -> None:
    for n in range(20):
        name = f"Racer{chr(97 + n)}"
        guest = await kit.guest(name, face=None)
        token = await kit.accounts.guest_token(guest)
        await kit.clock.advance(10)
        calls = [kit.accounts.resume(token), kit.accounts.name_guest(name)]
        if n % 2:
            calls.reverse()
        results = await asyncio.gather(*calls, return_exceptions=True)
        names = [
            one[0].name if isinstance(one, tuple) else getattr(one, "name", None)
            for one in results
            if not isinstance(one, ChatError)
        ]
        assert len(names) == len(set(names)), names


async def test_a_second_connection_of_a_guest_keeps_the_name(kit: Kit) -> None:
    alice = await kit.guest("Alice", face=Face.JSON)
    token = await kit.accounts.guest_token(alice)
    user, _ = await kit.accounts.resume(token)
    assert user == alice


# What users set


async def test_being_away_is_told_and_known(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    away = await kit.accounts.set_away(alice, " at\tlunch ")
    assert away.away == "at lunch"
    assert kit.presences.user(alice.id) == away
    back = await kit.accounts.set_away(away, None)
    assert kit.outlet.notices == [AwayChanged(away), AwayChanged(back)]
    with refusal(ErrorCode.TOO_LARGE, "away text too long: 201 characters, at most 200"):
        await kit.accounts.set_away(alice, "a" * 201)


async def test_preferences_are_kept_and_unknown_ones_refused(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    changed = await kit.accounts.set_preference(alice, "bell", True)
    changed = await kit.accounts.set_preference(changed, "joins", False)
    assert changed.prefs == {"bell": True, "joins": False}
    assert kit.outlet.notices[-1] == UserChanged(changed)
    with pytest.raises(ChatError, match="there is no such preference"):
        await kit.accounts.set_preference(alice, "volume", True)


async def test_ignoring_is_told_with_the_whole_set(kit: Kit) -> None:
    alice, bob, carol = [await kit.guest(name) for name in ("Alice", "bob", "Carol")]
    await kit.accounts.ignore(alice, "Carol")
    await kit.accounts.ignore(alice, "@Bob")
    assert kit.outlet.notices[-1] == IgnoresChanged(alice.id, frozenset({bob.id, carol.id}))
    assert [user.name for user in await kit.accounts.ignored(alice)] == ["bob", "Carol"]
    await kit.accounts.unignore(alice, "bob")
    await kit.accounts.unignore(alice, "bob")
    assert kit.outlet.notices[-1] == IgnoresChanged(alice.id, frozenset({carol.id}))
    with refusal(ErrorCode.BAD_REQUEST, "you can't ignore yourself"):
        await kit.accounts.ignore(alice, "alice")
    with refusal(ErrorCode.NOT_FOUND, "nobody here is called Eve"):
        await kit.accounts.ignore(alice, "@Eve")


async def test_nobody_is_found_by_what_is_no_name(kit: Kit) -> None:
    for ref in ("", "@", "a b", "#dev", "\x1b[31mEve"):
        with pytest.raises(ChatError) as refused:
            await kit.accounts.find(ref)
        assert refused.value.code is ErrorCode.NOT_FOUND


def test_a_farewell_is_one_clean_line(kit: Kit) -> None:
    assert kit.accounts.farewell("see\nyou\x1b[31m") == "see you"
    with pytest.raises(ChatError, match="message too long"):
        kit.accounts.farewell("a" * 201)


async def test_accounts_are_listed_by_name_guests_are_not(kit: Kit) -> None:
    for name in ("bob", "Alice", "Bea"):
        await kit.account(name)
    await kit.guest("Bert")
    assert [user.name for user in await kit.accounts.list_users("b", "", 10)] == ["Bea", "bob"]
    assert [user.name for user in await kit.accounts.list_users("", "alice", 1)] == ["Bea"]


async def test_when_somebody_was_seen_is_noted(kit: Kit) -> None:
    alice = await kit.account("Alice")
    await kit.clock.advance(60)
    await kit.accounts.note_seen(alice)
    seen = await kit.accounts.user(alice.id)
    assert seen is not None
    assert seen.last_seen_at == kit.clock.now_ms()


async def test_several_changes_are_one_and_told_one_after_another(kit: Kit) -> None:
    alice = await kit.account("Alice")
    await kit.accounts.set_preference(alice, "ids", True)
    kit.outlet.notices.clear()
    written = kit.store.writes
    changed = await kit.accounts.change(  # `alice` is what a caller knew before
        alice, name="Ally", sets_away=True, away="lunch", prefs={"bell": False}
    )
    assert kit.store.writes == written + 1
    assert (changed.name, changed.away) == ("Ally", "lunch")
    assert changed.prefs == {"ids": True, "bell": False}
    assert await kit.accounts.user(alice.id) == changed
    assert kit.outlet.notices == [
        UserRenamed(changed, "Alice"),
        AwayChanged(changed),
        UserChanged(changed),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "Bob"}, ErrorCode.NAME_REGISTERED),
        ({"name": "no spaces"}, ErrorCode.BAD_NAME),
        ({"away": "x" * 201}, ErrorCode.TOO_LARGE),
        ({"prefs": {"sound": True}}, ErrorCode.BAD_REQUEST),
    ],
)
async def test_several_changes_of_which_one_is_refused_change_nothing(
    kit: Kit, change: dict[str, Any], code: ErrorCode
) -> None:
    alice = await kit.account("Alice")
    await kit.account("Bob")
    good: dict[str, Any] = {"name": "Ally", "away": "lunch", "prefs": {"ids": True}}
    with pytest.raises(ChatError) as refused:
        await kit.accounts.change(alice, sets_away=True, **(good | change))
    assert refused.value.code is code
    assert await kit.accounts.user(alice.id) == alice
    assert kit.outlet.notices == []
