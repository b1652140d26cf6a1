"""`Presences`: who came and went, with what they said, and whose name is held."""

from __future__ import annotations

import pytest

from tests.wynd_chat.domain.rows import a_user
from tests.wynd_chat.kit import HandClock, Recorder
from wynd_chat.domain.presence import Face, Presence
from wynd_chat.services.presence import Presences

ALICE, BOB = a_user("Alice"), a_user("bob")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def presences(clock: HandClock, told: Recorder) -> Presences:
    made = Presences(Presence(), clock)
    made.attach(told)
    return made


def test_a_user_comes_once_and_goes_once(presences: Presences, told: Recorder) -> None:
    presences.connected(1, ALICE, Face.TEXT)
    presences.connected(2, ALICE, Face.TEXT)
    presences.gone(1)
    assert told.comings == ["Alice came"]
    presences.gone(2, "bye")
    assert told.comings == ["Alice came", "Alice went: bye"]
    presences.gone(2)
    assert len(told.comings) == 2


def test_what_was_said_on_leaving_is_of_this_leaving(presences: Presences, told: Recorder) -> None:
    presences.connected(1, ALICE, Face.TEXT)
    presences.connected(2, ALICE, Face.TEXT)
    presences.gone(1, "from the first")
    presences.gone(2)
    presences.connected(3, ALICE, Face.TEXT)
    presences.gone(3)
    assert told.comings[1] == "Alice went: from the first"
    assert told.comings[3] == "Alice went"


async def test_a_page_that_reloads_is_silent(
    presences: Presences, told: Recorder, clock: HandClock
) -> None:
    presences.connected(1, ALICE, Face.JSON)
    presences.gone(1)
    await clock.advance(9.9)
    presences.connected(2, ALICE, Face.JSON)
    await clock.advance(60)
    assert told.comings == ["Alice came"]
    presences.gone(2)
    await clock.advance(10)
    assert told.comings == ["Alice came", "Alice went"]


async def test_each_lingers_for_its_own_time(
    presences: Presences, told: Recorder, clock: HandClock
) -> None:
    presences.connected(1, ALICE, Face.JSON)
    presences.connected(2, BOB, Face.JSON)
    presences.gone(2)
    await clock.advance(5)
    presences.gone(1)
    await clock.advance(5)
    assert told.comings[2:] == ["bob went"]
    await clock.advance(5)
    assert told.comings[2:] == ["bob went", "Alice went"]


async def test_a_connection_that_changes_hands_lets_the_former_go(
    presences: Presences, told: Recorder
) -> None:
    presences.connected(1, ALICE, Face.TEXT)
    presences.connected(1, BOB, Face.TEXT)
    assert sorted(told.comings) == ["Alice came", "Alice went", "bob came"]


async def test_a_name_is_held_while_online_and_ten_seconds_longer(
    presences: Presences, clock: HandClock
) -> None:
    presences.connected(1, ALICE, Face.JSON)
    assert presences.is_held(ALICE.id)
    presences.gone(1)
    await clock.advance(9.9)
    assert presences.is_held(ALICE.id)
    await clock.advance(0.1)
    assert not presences.is_held(ALICE.id)


async def test_a_name_is_held_for_who_is_about_to_be_connected(
    presences: Presences, clock: HandClock
) -> None:
    presences.expect(ALICE.id)
    assert presences.is_held(ALICE.id)
    assert not presences.is_online(ALICE.id)
    await clock.advance(9)
    presences.expect(BOB.id)
    await clock.advance(1)
    assert not presences.is_held(ALICE.id)
    assert presences.is_held(BOB.id)
    presences.connected(1, BOB, Face.TEXT)
    presences.gone(1)
    assert not presences.is_held(BOB.id)


def test_everybody_online_is_listed_once_by_name_without_case(presences: Presences) -> None:
    for number, user in enumerate((BOB, ALICE, a_user("Zoe"), BOB)):
        presences.connected(number, user, Face.TEXT)
    assert [user.name for user in presences.online()] == ["Alice", "bob", "Zoe"]
    assert presences.count() == 3
    assert presences.connections_of(BOB.id) == {0, 3}


def test_a_changed_row_is_taken_for_those_who_are_here(presences: Presences) -> None:
    presences.connected(1, ALICE, Face.TEXT)
    renamed = a_user("Ally", id=ALICE.id)
    presences.update(renamed)
    presences.update(BOB)
    assert presences.user(ALICE.id) == renamed
    assert presences.user(BOB.id) is None
