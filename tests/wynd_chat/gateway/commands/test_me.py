"""`/mute` to `/set`, as programs read them: `result` beside the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.desk import StandInCaller, a_desk
from tests.wynd_chat.kit import refusal
from wynd_chat.domain.errors import ErrorCode, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(tmp_path) as made:
        yield made


@pytest.fixture
async def alice(desk: Desk) -> StandInCaller:
    return StandInCaller(await desk.guest("Alice"), await desk.services.rooms.lobby())


async def test_muting_is_of_a_room_or_a_person(desk: Desk, alice: StandInCaller) -> None:
    await desk.account("Bob")
    outcome = await desk.router.run(alice, "/mute")
    assert outcome.result == {"room": "lobby", "notify": "nothing"}
    outcome = await desk.router.run(alice, "/unmute lobby")
    assert outcome.result == {"room": "lobby", "notify": "all"}
    outcome = await desk.router.run(alice, "/mute @bob")
    assert outcome.lines == ["-- @Bob is muted"]
    await desk.room(await desk.guest("Carol"))
    with refusal(ErrorCode.NOT_MEMBER, "you are not in #dev"):
        await desk.router.run(alice, "/mute #dev")


async def test_ignoring_lists_and_ends(desk: Desk, alice: StandInCaller) -> None:
    bob, _ = await desk.account("Bob")
    assert (await desk.router.run(alice, "/ignore bob")).result["ignored"] is True
    outcome = await desk.router.run(alice, "/ignore")
    assert [user["id"] for user in outcome.result["users"]] == [bob.id]
    assert outcome.lines == ["-- you ignore Bob"]
    assert (await desk.router.run(alice, "/unignore @Bob")).result["ignored"] is False
    assert (await desk.router.run(alice, "/ignore")).lines == ["-- you ignore nobody"]


async def test_away_alone_toggles(desk: Desk, alice: StandInCaller) -> None:
    for command, state, line in (
        ("/away", "", "-- you are away"),
        ("/away", None, "-- you are back"),
        ("/away lunch  time", "lunch  time", "-- you are away: lunch  time"),
        ("/away tea", "tea", "-- you are away: tea"),
        ("/back", None, "-- you are back"),
        ("/back", None, "-- you are back"),
    ):
        outcome = await desk.router.run(alice, command)
        assert (outcome.result["away"], outcome.lines) == (state, [line])
        assert alice.user is not None
        assert alice.user.away == state


async def test_preferences_add_up(desk: Desk, alice: StandInCaller) -> None:
    await desk.router.run(alice, "/set IDS On")
    outcome = await desk.router.run(alice, "/set joins off")
    assert outcome.lines == ["-- joins is off"]
    assert outcome.result["prefs"]["joins"] is False
    for wrong in ("/set", "/set ids", "/set ids maybe", "/set ids on off"):
        with pytest.raises(UsageError):
            await desk.router.run(alice, wrong)
    with refusal(ErrorCode.BAD_REQUEST, "there is no such preference"):
        await desk.router.run(alice, "/set volume on")


async def test_preferences_of_two_commands_are_both_kept(desk: Desk) -> None:
    line = await desk.text("Carol")
    await line.ask("/set ids on")
    await line.ask("/set timestamps on")
    bob = await desk.text("Bob")
    await bob.send("hi")
    assert await line.all() == ["Bob joined the chat", "[1 12:04] Bob: hi"]
