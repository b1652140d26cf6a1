"""Upkeep: what has had its time goes, what has not stays, a run does a bounded amount."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.observability.clocks import settle
from tests.wynd_chat.services.logins_kit import LoginsKit, a_logins_kit
from wynd_chat.domain.events import RoleChanged
from wynd_chat.domain.models import IdempotentAnswer, RoomRole, SessionKind
from wynd_chat.services import housekeeping
from wynd_chat.services.housekeeping import Housekeeping, Tidied

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import User
    from wynd_chat.ports.store import Transaction

DAY_S = 24 * 3600.0


@pytest.fixture
async def kit() -> AsyncIterator[LoginsKit]:
    """Give a kit."""
    async with a_logins_kit() as kit:
        yield kit


@pytest.fixture
async def upkeep(kit: LoginsKit) -> AsyncIterator[Housekeeping]:
    """Give its upkeep, which a test runs by hand."""
    upkeep = Housekeeping(kit.store, kit.kit.presences, kit.clock)
    yield upkeep
    await upkeep.close()


async def is_there(kit: LoginsKit, user: User) -> bool:
    """Tell whether a user's row is there."""
    return await kit.stored(user) is not None


async def test_what_has_ended_goes(kit: LoginsKit, upkeep: Housekeeping) -> None:
    alice = await kit.registered("Alice")
    room = await kit.kit.room(alice, "dev")
    await kit.sessions.begin(alice, SessionKind.DEVICE)
    await kit.sessions.begin(alice, SessionKind.WEB)
    await kit.links.begin()
    await kit.kit.rooms.invite_link(alice, room)
    assert await upkeep.run() == Tidied()
    await kit.clock.advance(2 * DAY_S)
    assert await upkeep.run() == Tidied(ended=2)
    await kit.clock.advance(6 * DAY_S)
    assert await upkeep.run() == Tidied(ended=1)
    assert [one.kind for one in await kit.sessions.list_of(alice)] == [SessionKind.WEB]


async def test_a_guest_goes_a_day_after_the_last_visit(
    kit: LoginsKit, upkeep: Housekeeping
) -> None:
    gail = await kit.kit.guest("Gail", face=None)
    await kit.clock.advance(DAY_S)
    assert (await upkeep.run()).guests == 0
    await kit.clock.advance(1)
    assert (await upkeep.run()).guests == 1
    assert not await is_there(kit, gail)


async def test_a_guest_who_is_here_or_may_resume_stays(
    kit: LoginsKit, upkeep: Housekeeping
) -> None:
    here = await kit.kit.guest("Henry")
    resumes = await kit.kit.guest("Resumes", face=None)
    await kit.clock.advance(DAY_S / 2)
    token = await kit.accounts.guest_token(resumes)
    await kit.clock.advance(DAY_S / 2 + 1)
    assert (await upkeep.run()).guests == 0
    assert (await kit.accounts.resume(token))[0].name == "Resumes"
    assert await is_there(kit, here)
    await kit.clock.advance(2 * DAY_S)  # the token ends too
    assert (await upkeep.run()).guests == 1
    assert not await is_there(kit, resumes)


async def test_of_a_guest_who_wrote_the_row_stays_and_the_name_is_free(
    kit: LoginsKit, upkeep: Housekeeping
) -> None:
    alice = await kit.registered("Alice")
    gail = await kit.kit.guest("Gail", face=None)
    room = await kit.kit.room(alice, "dev", gail)
    await kit.kit.say(gail, room, "hi")
    await kit.clock.advance(DAY_S + 1)
    assert (await upkeep.run()).guests == 1
    stored = await kit.stored(gail)
    assert stored is not None
    assert (stored.name, stored.name_key) == ("Gail", None)
    assert await kit.kit.membership(gail, room) is None
    assert await kit.kit.membership(gail, kit.kit.lobby) is None
    (message,) = await kit.store.read(lambda snapshot: snapshot.messages(room.id, limit=9))
    assert message.body.author.id == gail.id
    assert (await upkeep.run()).guests == 0
    assert (await kit.registered("Gail")).id != gail.id


async def test_a_room_of_a_guest_who_goes_has_another_owner(
    kit: LoginsKit, upkeep: Housekeeping
) -> None:
    alice = await kit.registered("Alice")
    gail = await kit.kit.guest("Gail", face=None)
    room = await kit.kit.room(gail, "dev", alice)
    await kit.clock.advance(DAY_S + 1)
    await upkeep.run()
    membership = await kit.kit.membership(alice, room)
    assert membership is not None
    assert membership.role is RoomRole.OWNER
    assert isinstance(kit.outlet.events[-1][1].body, RoleChanged)


async def test_accounts_are_never_touched(kit: LoginsKit, upkeep: Housekeeping) -> None:
    alice = await kit.registered("Alice")
    await kit.clock.advance(1000 * DAY_S)
    assert await upkeep.run() == Tidied()
    assert await kit.stored(alice) == alice


async def test_answers_are_kept_for_a_day(kit: LoginsKit, upkeep: Housekeeping) -> None:
    alice = await kit.registered("Alice")

    def put(tx: Transaction) -> None:
        tx.put_idempotent_answer(
            IdempotentAnswer(
                user_id=alice.id,
                key="key",
                request_hash="x",
                status=201,
                body="{}",
                at=kit.clock.now_ms(),
            )
        )

    async def is_kept() -> bool:
        found = await kit.store.read(lambda snapshot: snapshot.idempotent_answer(alice.id, "key"))
        return found is not None

    await kit.store.write(put)
    await kit.clock.advance(DAY_S)
    await upkeep.run()
    assert await is_kept()
    await kit.clock.advance(1)
    await upkeep.run()
    assert not await is_kept()


async def test_events_go_after_thirty_days_and_messages_stay(
    kit: LoginsKit, upkeep: Housekeeping
) -> None:
    alice = await kit.registered("Alice")
    room = await kit.kit.room(alice, "dev")
    await kit.kit.say(alice, room, "one", "two")
    await kit.clock.advance(30 * DAY_S)
    await kit.kit.say(alice, room, "three")
    assert (await upkeep.run()).events == 0
    await kit.clock.advance(1)
    assert (await upkeep.run()).events == 3  # her joining, and two messages'
    page = await kit.store.read(lambda snapshot: snapshot.events_after(room.id, 3, 9))
    assert page.is_complete
    assert len(page.events) == 1
    assert not (
        await kit.store.read(lambda snapshot: snapshot.events_after(room.id, 2, 9))
    ).is_complete
    found = await kit.store.read(lambda snapshot: snapshot.messages(room.id, limit=9))
    assert len(found) == 3


async def test_the_newest_events_stay_however_many_there_are(
    kit: LoginsKit, upkeep: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "EVENTS_MAX", 5)
    monkeypatch.setattr(housekeeping, "TRIMMED_PER_STEP", 4)
    alice = await kit.registered("Alice")
    room = await kit.kit.room(alice, "dev")
    await kit.kit.say(alice, room, *(f"line {n}" for n in range(12)))
    runs = [await upkeep.run() for _ in range(4)]
    assert [one.events for one in runs] == [4, 4, 0, 0]
    assert [one.is_done for one in runs] == [False, False, True, True]


async def test_a_run_looks_at_some_rooms_and_the_next_at_those_behind(
    kit: LoginsKit, upkeep: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "ROOMS_PER_RUN", 2)
    alice = await kit.registered("Alice")
    rooms = [await kit.kit.room(alice, f"room{n}") for n in range(4)]
    await kit.clock.advance(31 * DAY_S)
    trimmed = sum([(await upkeep.run()).events for _ in range(4)])
    assert trimmed == len(rooms)


async def test_many_guests_go_in_several_runs(
    kit: LoginsKit, upkeep: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "GUESTS_PER_RUN", 3)
    for number in range(7):
        await kit.kit.guest(f"Guest-{number}", face=None)
    await kit.clock.advance(DAY_S + 1)
    runs = [await upkeep.run() for _ in range(4)]
    assert [one.guests for one in runs] == [3, 3, 1, 0]
    assert [one.is_done for one in runs] == [False, False, True, True]


async def test_it_runs_by_the_clock_and_soon_again_where_something_is_left(
    kit: LoginsKit, upkeep: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "GUESTS_PER_RUN", 2)
    guests = [await kit.kit.guest(f"Guest-{n}", face=None) for n in range(3)]
    await kit.clock.advance(DAY_S + 1)

    async def left() -> int:
        return sum([await is_there(kit, guest) for guest in guests])

    upkeep.start()
    await settle()
    assert await left() == 1
    await kit.clock.advance(1)
    assert await left() == 0
    late = await kit.kit.guest("Late", face=None)
    await kit.store.write(lambda tx: tx.put_user(replace(late, last_seen_at=0)))
    await kit.clock.advance(299)
    assert await is_there(kit, late)
    await kit.clock.advance(2)
    assert not await is_there(kit, late)


async def test_it_goes_on_after_the_store_failed(
    kit: LoginsKit, upkeep: Housekeeping, caplog: pytest.LogCaptureFixture
) -> None:
    gail = await kit.kit.guest("Gail", face=None)
    await kit.clock.advance(DAY_S + 1)
    kit.store.fail()
    with caplog.at_level(logging.WARNING, "wynd_chat.housekeeping"):
        upkeep.start()
        await settle()
    assert "upkeep has to wait" in caplog.text
    kit.store.failure = None
    await kit.clock.advance(301)
    assert not await is_there(kit, gail)
