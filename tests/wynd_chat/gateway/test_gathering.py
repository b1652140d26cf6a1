"""`Gathering`: counts who came and went for five seconds, then tells it once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.domain.rows import a_room
from tests.wynd_chat.kit import HandClock
from wynd_chat.gateway.gathering import GATHER_S, Gathering

if TYPE_CHECKING:
    from wynd_chat.domain.models import Room

DEV = a_room("dev")


async def test_what_happened_is_told_once_after_its_time() -> None:
    clock, told = HandClock(), []

    def gathered(room: Room, joined: int, left: int) -> None:
        told.append((room, joined, left))

    gathering = Gathering(clock, DEV, gathered)
    for came in (True, True, False):
        gathering.count(came=came)
    await clock.advance(GATHER_S - 0.1)
    assert told == []
    await clock.advance(60)
    assert told == [(DEV, 2, 1)]


async def test_one_that_is_closed_tells_nothing() -> None:
    clock, told = HandClock(), []
    gathering = Gathering(clock, DEV, lambda *what: told.append(what))
    gathering.count(came=True)
    gathering.close()
    await clock.advance(60)
    assert told == []
