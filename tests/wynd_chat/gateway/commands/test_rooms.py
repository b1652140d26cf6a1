"""`/join` to `/slow`, as programs read them: `result` beside the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.desk import StandInCaller, a_desk
from tests.wynd_chat.kit import refusal
from wynd_chat.domain.errors import ErrorCode, UsageError
from wynd_chat.domain.models import RoomRole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = {"limits.commands_burst": 1000, "limits.joins_per_minute": 12}
    async with a_desk(tmp_path, settings) as made:
        yield made


@pytest.fixture
async def alice(desk: Desk) -> StandInCaller:
    return StandInCaller(await desk.guest("Alice"), await desk.services.rooms.lobby())


async def test_joining_returns_the_room_and_what_was_said_there(
    desk: Desk, alice: StandInCaller
) -> None:
    bob = await desk.guest("Bob")
    dev = await desk.room(bob)
    for n in range(12):
        await desk.services.messaging.post(bob, dev, f"line {n}")
    outcome = await desk.router.run(alice, "/join Dev")
    assert outcome.result == {"room": "dev", "kind": "public", "topic": "", "created": False}
    assert outcome.lines[0] == "Now in #dev (0 here)"
    assert outcome.lines[1:] == [f"[{n} 12:04] Bob: line {n - 1}" for n in range(3, 13)]
    assert alice.current is not None
    assert alice.current.id == dev.id
    assert len((await desk.router.run(alice, "/join #dev")).lines) == 1


async def test_several_rooms_at_once_but_not_any_number(desk: Desk, alice: StandInCaller) -> None:
    outcome = await desk.router.run(alice, "/join #a,b,,#c")
    assert [one["room"] for one in outcome.result["rooms"]] == ["a", "b", "c"]
    for wrong in ("/join", "/join ,", "/join @Bob", "/join " + ",".join("abcdefghijk")):
        with pytest.raises(UsageError):
            await desk.router.run(alice, wrong)


async def test_joins_are_limited_switching_is_not(desk: Desk) -> None:
    line = await desk.text("Alice")
    for _ in range(20):
        assert (await line.ask("/join #a")).startswith("Now in #a")
        assert (await line.ask("/join #lobby")).startswith("Now in #lobby")
        await desk.clock.advance(0.5)
    for n in range(9):
        assert (await line.ask(f"/join #room{n}")).startswith("Now in")
        await desk.clock.advance(0.5)


async def test_leaving_by_name_by_place_and_with_a_reason(desk: Desk) -> None:
    _, token = await desk.account("Carol")
    line = await desk.text(token=token)
    await line.read()
    owner = await desk.json("Owner")
    await line.all()
    for name in ("dev", "ops"):
        command = {"type": "command", "id": 1, "room": "lobby", "text": f"/join #{name}"}
        await owner.send(command)
        await owner.all()
        await line.ask(f"/join #{name}")
    await owner.all()
    assert await line.ask("/leave dev had enough") == "You left #dev"
    assert await line.ask("/leave had enough") == "You left #ops"
    reasons = [(one["room"], one["reason"]) for one in await owner.all() if one["type"] == "left"]
    assert reasons == [("dev", "had enough"), ("ops", "had enough")]


async def test_a_conversation_is_left_only_as_the_current_target(desk: Desk) -> None:
    bob = await desk.text("Bob")
    line = await desk.text("Alice")
    await line.ask("/msg Bob")
    assert await line.ask("/leave") == "No longer writing to Bob"
    assert await line.ask("/leave") == ("Error: the lobby can't be left, use /mute [forbidden]")
    await bob.send("/msg Alice still there?")
    assert await line.read() == "[from Bob] still there?"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["dev", "devops", "lobby"]),
        ("dev", ["dev", "devops"]),
        ("#DEV*", ["dev", "devops"]),
        ("d?v", ["dev"]),
        ("[x]", []),
    ],
)
async def test_the_list_takes_a_part_of_a_name_or_a_pattern(
    desk: Desk, alice: StandInCaller, pattern: str, names: list[str]
) -> None:
    bob = await desk.guest("Bob")
    await desk.room(bob, "dev")
    await desk.room(bob, "devops")
    outcome = await desk.router.run(alice, f"/rooms {pattern}")
    assert [one["room"] for one in outcome.result["rooms"]] == names
    if not names:
        assert outcome.lines == ["-- no rooms match"]


@pytest.mark.parametrize(
    ("command", "result", "line"),
    [
        ("/topic hi", {"topic": "hi", "seq": 1}, "Topic of #dev: hi"),
        ("/topic -", {"topic": "", "seq": 1}, "#dev has no topic"),
        (
            "/private ON",
            {"room": "dev", "kind": "private"},
            "-- #dev is private now, only ops invite",
        ),
        ("/private off", {"room": "dev", "kind": "public"}, "-- #dev is public now"),
        ("/key x", {"room": "dev", "key": True}, "-- #dev needs a key now"),
        ("/key -", {"room": "dev", "key": False}, "-- #dev needs no key now"),
        ("/lock on", {"room": "dev", "locked": True}, "-- #dev is locked now, only ops write"),
        ("/slow 90s", {"room": "dev", "slow_s": 90}, "-- #dev is slow now, one message per 2m"),
        ("/slow 0", {"room": "dev", "slow_s": 0}, "-- #dev is without slow mode now"),
    ],
)
async def test_settings_return_what_is_in_force(
    desk: Desk, alice: StandInCaller, command: str, result: dict[str, Any], line: str
) -> None:
    assert alice.user is not None
    dev = await desk.room(alice.user)
    outcome = await desk.router.run(alice, command, room=dev)
    assert (outcome.result, outcome.lines) == (result, [line])


async def test_inviting_adds_or_makes_a_link(desk: Desk, alice: StandInCaller) -> None:
    assert alice.user is not None
    dev = await desk.room(alice.user)
    bob, _ = await desk.account("Bob")
    outcome = await desk.router.run(alice, "/invite @bob dev")
    assert outcome.result == {"room": "dev", "user": bob.id, "added": True}
    assert await desk.role(bob, dev) is RoomRole.MEMBER
    link = (await desk.router.run(alice, "/invite", room=dev)).result["link"]
    prefix = "https://chat.example/join/"
    assert link.startswith(prefix)
    carol = await desk.guest("Carol")
    entry = await desk.services.rooms.accept_invite(carol, link.removeprefix(prefix))
    assert entry.room.id == dev.id
    with refusal(ErrorCode.NOT_FOUND, "nobody here is called Nobody"):
        await desk.router.run(alice, "/invite Nobody", room=dev)
