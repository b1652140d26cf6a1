"""`/name` to `/history`, as programs read them: `result` beside the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.desk import StandInCaller, a_desk
from tests.wynd_chat.kit import refusal
from wynd_chat.domain.errors import ErrorCode, UsageError
from wynd_chat.domain.models import ServerRole
from wynd_chat.gateway.calls import Mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk

HISTORY = "/history [N|DURATION] [#ROOM|@USER] or /history before REF [N]"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(tmp_path, {"limits.commands_burst": 1000}) as made:
        yield made


@pytest.fixture
async def alice(desk: Desk) -> StandInCaller:
    return StandInCaller(await desk.guest("Alice"), await desk.services.rooms.lobby())


async def test_a_name_is_taken_on_the_text_face_only(desk: Desk) -> None:
    caller = StandInCaller(None)
    with refusal(ErrorCode.UNAUTHORIZED, "say who you are first"):
        await desk.router.run(caller, "/name Alice")
    caller.mode = Mode.TEXT
    outcome = await desk.router.run(caller, "/name Alice")
    assert caller.user is not None
    assert (caller.user.name, outcome.lines) == ("Alice", [])


async def test_renaming_returns_the_user(desk: Desk, alice: StandInCaller) -> None:
    outcome = await desk.router.run(alice, "/nick Ally")
    assert outcome.lines == ["You are now known as Ally"]
    assert outcome.result["user"]["name"] == "Ally"


async def test_help_without_and_with_a_command(desk: Desk, alice: StandInCaller) -> None:
    outcome = await desk.router.run(alice, "/help")
    assert len(outcome.lines) == 2
    assert {"topic", "join"} <= {one["name"] for one in outcome.result["commands"]}
    outcome = await desk.router.run(alice, "/help /JOIN")
    assert outcome.result["example"] == "/join #dev"
    with refusal(ErrorCode.NOT_FOUND, "Unknown command"):
        await desk.router.run(alice, "/help nothing")


async def test_quitting_keeps_the_last_word(desk: Desk, alice: StandInCaller) -> None:
    outcome = await desk.router.run(alice, "/quit see\tyou")
    assert (outcome.is_goodbye, alice.farewell) == (True, "see you")
    with refusal(ErrorCode.TOO_LARGE, "message too long"):
        await desk.router.run(alice, "/quit " + "a" * 201)


async def test_who_is_here_and_who_somebody_is(desk: Desk, alice: StandInCaller) -> None:
    line = await desk.text("Bob")
    outcome = await desk.router.run(alice, "/who #lobby")
    assert [one["name"] for one in outcome.result["members"]] == ["Bob"]
    await desk.clock.advance(90)
    outcome = await desk.router.run(alice, "/who @bob")
    assert (outcome.result["online"], outcome.result["idle_s"]) == (True, 90)
    assert "127.0.0.1" not in outcome.lines[0]
    root, _ = await desk.account("Root", role=ServerRole.ADMIN)
    admin = StandInCaller(root, alice.current)
    assert "127.0.0.1" in (await desk.router.run(admin, "/whois Bob")).lines[0]
    await line.socket.close()
    outcome = await desk.router.run(alice, "/whois")
    assert outcome.result["online"] is False


async def test_a_private_room_is_unknown_to_strangers(desk: Desk, alice: StandInCaller) -> None:
    bob = await desk.guest("Bob")
    dev = await desk.room(bob)
    await desk.services.room_settings.set_private(bob, dev, True)
    for command in ("/who #dev", "/history #dev", "/msg #dev hi", "/mute #dev"):
        with refusal(ErrorCode.NOT_FOUND, "there is no room #dev"):
            await desk.router.run(alice, command)


async def test_messages_return_their_number(desk: Desk, alice: StandInCaller) -> None:
    await desk.account("Carol")
    outcome = await desk.router.run(alice, "/msg Carol   hi  there ")
    assert outcome.lines == ["[to Carol] hi  there "]
    assert outcome.result["seq"] == 1
    outcome = await desk.router.run(alice, "/me waves")
    assert (outcome.lines, outcome.result["room"]) == ([], "lobby")
    outcome = await desk.router.run(alice, "/msg Carol")
    assert outcome.lines == ["Now writing to Carol"]
    assert alice.current is not None
    assert alice.current.is_direct


async def test_nobody_to_answer(desk: Desk, alice: StandInCaller) -> None:
    with refusal(ErrorCode.NOT_FOUND, "nobody has written to you yet"):
        await desk.router.run(alice, "/r hi")


@pytest.mark.parametrize(
    ("arguments", "seqs"),
    [
        ("", [1, 2, 3]),
        ("2", [2, 3]),
        ("30s", [3]),
        ("lobby 1", [3]),
        ("1 #lobby", [3]),
        ("before 3", [1, 2]),
        ("before 3 1", [2]),
        ("before ^", [1, 2]),
        ("before 1", []),
    ],
)
async def test_history_in_all_its_forms(
    desk: Desk, alice: StandInCaller, arguments: str, seqs: list[int]
) -> None:
    assert alice.user is not None
    assert alice.current is not None
    for text in ("one", "two"):
        await desk.services.messaging.post(alice.user, alice.current, text)
    await desk.clock.advance(60)
    await desk.services.messaging.post(alice.user, alice.current, "three")
    outcome = await desk.router.run(alice, f"/history {arguments}")
    assert [one["seq"] for one in outcome.result["messages"]] == seqs
    assert outcome.result["head"] == 3


@pytest.mark.parametrize(
    "arguments", ["0", "201", "off", "before", "before x", "before 1 2 3", "before 1 0", "1 2 3"]
)
async def test_what_is_no_history(desk: Desk, alice: StandInCaller, arguments: str) -> None:
    with pytest.raises(UsageError) as refused:
        await desk.router.run(alice, f"/history {arguments}")
    assert refused.value.sentence == f"Usage: {HISTORY}"
