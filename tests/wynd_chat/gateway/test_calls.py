"""`Router`: who may run which command, in which order that is judged, what is known of rooms."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.desk import StandInCaller, a_desk
from tests.wynd_chat.kit import refusal
from wynd_chat.domain.errors import ErrorCode, UsageError
from wynd_chat.domain.models import ServerRole
from wynd_chat.gateway import calls
from wynd_chat.gateway.calls import Mode
from wynd_chat.gateway.commands import HANDLERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk
    from wynd_chat.ports.store import Transaction


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(tmp_path) as made:
        yield made


async def test_only_commands_that_do_something_are_listed(desk: Desk) -> None:
    assert {spec.name for spec in desk.router.commands} == set(HANDLERS)
    assert [one["name"] for one in desk.router.command_objects()][:4] == [
        "name",
        "users",
        "help",
        "quit",
    ]


async def test_an_unknown_command_is_told_so_before_anything_else(desk: Desk) -> None:
    caller = StandInCaller(None)
    for line in ("/nosuchthing", "/", "/ users", "/../etc"):
        with refusal(ErrorCode.NOT_FOUND, "Unknown command"):
            await desk.router.run(caller, line)
    caller.mode = Mode.TEXT
    outcome = await desk.router.run(caller, "/usres")
    assert outcome.lines[1] == "Did you mean /users?"


async def test_name_then_role_then_arguments(desk: Desk) -> None:
    with refusal(ErrorCode.UNAUTHORIZED, "Please set your name first"):
        await desk.router.run(StandInCaller(None), "/lock nonsense")
    lobby = await desk.services.rooms.lobby()
    caller = StandInCaller(await desk.guest("Alice"), lobby)
    with refusal(ErrorCode.FORBIDDEN, "only ops can do that"):
        await desk.router.run(caller, "/lock nonsense")
    root, _ = await desk.account("Root", role=ServerRole.ADMIN)
    for line in ("/lock nonsense", "/lock"):
        with pytest.raises(UsageError, match=r"Usage: /lock on\|off"):
            await desk.router.run(StandInCaller(root, lobby), line)


async def test_only_accounts_and_only_admins(desk: Desk) -> None:
    lobby = await desk.services.rooms.lobby()
    guest = StandInCaller(await desk.guest("Alice"), lobby)
    with refusal(ErrorCode.FORBIDDEN, "only accounts can do that, use /register"):
        await desk.router.run(guest, "/sessions")
    with refusal(ErrorCode.FORBIDDEN, "only admins can do that"):
        await desk.router.run(guest, "/announce hi")


async def test_without_a_room_a_command_for_rooms_says_so(desk: Desk) -> None:
    caller = StandInCaller(await desk.guest("Alice"))
    with refusal(ErrorCode.BAD_REQUEST, "name a room"):
        await desk.router.run(caller, "/topic hi")
    outcome = await desk.router.run(caller, "/topic", room=await desk.services.rooms.lobby())
    assert outcome.result == {"topic": ""}


async def test_help_lists_what_one_may_run_where_one_is(desk: Desk) -> None:
    nobody = {spec.name for spec in await desk.router.allowed(StandInCaller(None))}
    assert {"name", "users", "help", "quit"} <= nobody
    assert "topic" not in nobody
    alice = await desk.guest("Alice")
    dev = await desk.room(alice)
    lobby = await desk.services.rooms.lobby()
    in_lobby = {spec.name for spec in await desk.router.allowed(StandInCaller(alice, lobby))}
    in_dev = {spec.name for spec in await desk.router.allowed(StandInCaller(alice, dev))}
    assert "lock" not in in_lobby
    assert "lock" in in_dev
    assert "announce" not in in_dev


async def test_commands_have_a_limit_for_each_user(tmp_path: Path) -> None:
    async with a_desk(tmp_path, {"limits.commands_burst": 2}) as desk:
        caller = StandInCaller(await desk.guest("Alice"))
        for _ in range(2):
            await desk.router.run(caller, "/users")
        with refusal(ErrorCode.RATE_LIMITED, "Slow down"):
            await desk.router.run(caller, "/users")
        await desk.router.run(StandInCaller(await desk.guest("Bob")), "/users")


async def test_a_room_is_found_by_name_sign_id_or_person(desk: Desk) -> None:
    alice, bob = await desk.guest("Alice"), await desk.account("Bob")
    dev = await desk.room(alice)
    caller = StandInCaller(alice)
    for ref in ("dev", "#dev", "DEV", "#Dev", dev.id):
        assert (await desk.router.room(caller, alice, ref)).id == dev.id
    direct = await desk.router.room(caller, alice, "@Bob")
    assert (await desk.router.room(caller, alice, direct.id)).id == direct.id
    with refusal(ErrorCode.NOT_FOUND, "there is no room"):
        await desk.router.room(StandInCaller(bob[0]), bob[0], "nowhere")
    stranger = await desk.guest("Eve")
    with refusal(ErrorCode.NOT_FOUND, "there is no room"):
        await desk.router.room(StandInCaller(stranger), stranger, direct.id)


async def test_new_people_may_be_written_to_so_often(tmp_path: Path) -> None:
    async with a_desk(tmp_path, {"limits.new_directs_per_hour": 1}) as desk:
        alice = await desk.guest("Alice")
        one, _ = await desk.account("One")
        two, _ = await desk.account("Two")
        caller = StandInCaller(alice)
        first = await desk.services.rooms.direct(alice, f"@{one.name}")
        second = await desk.services.rooms.direct(alice, f"@{two.name}")
        for _ in range(3):  # only the first of them is to somebody new
            await desk.router.say(caller, alice, first, "hi")
        with refusal(ErrorCode.RATE_LIMITED):
            await desk.router.say(caller, alice, second, "hi")


async def test_that_the_other_side_is_away_is_said_at_times(desk: Desk) -> None:
    alice, (bob, _) = await desk.guest("Alice"), await desk.account("Bob")
    await desk.services.accounts.set_away(bob, "lunch")
    direct = await desk.services.rooms.direct(alice, "@Bob")
    caller = StandInCaller(alice)
    posted = await desk.router.say(caller, alice, direct, "hi")
    assert await desk.router.away_lines(alice, posted) == ["Bob is away: lunch"]
    assert await desk.router.away_lines(alice, posted) == []
    in_lobby = await desk.router.say(caller, alice, await desk.services.rooms.lobby(), "hi")
    assert await desk.router.away_lines(alice, in_lobby) == []


@pytest.mark.parametrize("line", ["/kick Bob", "/msg Bob hello"])
async def test_what_is_committed_is_told_though_the_caller_is_gone_by_then(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """A slow disk, and a connection that ended: the library cancels its handler."""
    owner, _ = await desk.account("Owner")
    bob_line = await desk.json("Bob")
    bob = await desk.services.accounts.find("Bob")
    dev = await desk.room(owner, "dev", bob)
    await bob_line.all()
    committed, gate = asyncio.Event(), asyncio.Event()
    write = desk.store.write

    async def slow(work: Callable[[Transaction], Any]) -> Any:
        result = await write(work)
        committed.set()
        await gate.wait()
        return result

    monkeypatch.setattr(desk.store, "write", slow)
    running = asyncio.create_task(desk.router.run(StandInCaller(owner, dev), line))
    await committed.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.set()
    await desk.router.close()
    told = [frame["type"] for frame in await bob_line.all()]
    assert told == (["left", "exited"] if line == "/kick Bob" else ["entered", "message"])


async def test_what_does_not_come_to_an_end_is_cancelled_at_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CLOSE_S", 0.01)
    running = asyncio.create_task(desk.router.whole(asyncio.Event().wait()))
    await asyncio.sleep(0)
    await desk.router.close()
    with pytest.raises(asyncio.CancelledError):
        await running
