"""Commands over HTTP: the registry, and lines run as on every face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.commands import COMMANDS, find
from wynd_chat.gateway.commands import HANDLERS
from wynd_chat.wire.json_face import command_object

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_the_registry_is_that_of_all_faces(chat: RunningChat) -> None:
    got = (await chat.stranger().get("/commands")).json()["commands"]
    assert got == [command_object(spec) for spec in COMMANDS if spec.name in HANDLERS]
    assert "topic" in [one["name"] for one in got]


async def test_a_command_runs_in_the_room_of_its_address(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    done = await alice.post("/rooms/dev/commands", {"text": "  /TOPIC  Release 1.2 "})
    assert done.status_code == 200
    assert done.json() == {
        "result": {"topic": "Release 1.2", "seq": 2},
        "lines": ["Topic of #dev: Release 1.2"],
    }
    assert (await alice.get("/rooms/dev")).json()["topic"] == "Release 1.2"


async def test_refusals_are_those_of_the_command(chat: RunningChat) -> None:
    alice, bob, gail = await chat.account("Alice"), await chat.account("Bob"), await chat.guest("G")
    await chat.room(alice, "dev", bob, gail)
    join = find("join")
    syntax = None if join is None else join.syntax
    for visitor, line, code, detail in (
        (alice, "/join", "bad_request", f"Usage: {syntax}"),
        (alice, "/join a!b", "bad_name", None),
        (bob, "/lock on", "forbidden", "only ops can do that"),
        (bob, "/lock maybe", "forbidden", None),
        (alice, "/lock maybe", "bad_request", None),
        (alice, "/msg @Nobody hi", "not_found", "nobody here is called Nobody"),
        (alice, "/nonsense", "not_found", None),
        (alice, "//topic", "not_found", None),
        (alice, "/", "not_found", None),
        (alice, "hello", "bad_request", "a command begins with a slash"),
        (alice, "", "bad_request", "a command begins with a slash"),
    ):
        answer = await visitor.post("/rooms/dev/commands", {"text": line})
        assert_refused(answer, code, detail)


async def test_a_command_with_a_key_is_run_once(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    body, key = {"text": "/msg @Bob once"}, {"idempotency-key": "k"}
    first = await alice.post("/rooms/dev/commands", body, headers=key)
    again = await alice.post("/rooms/dev/commands", body, headers=key)
    assert first.status_code == 200
    assert (again.status_code, again.content) == (200, first.content)
    other = await alice.post("/rooms/dev/commands", {"text": "/me waves"}, headers=key)
    assert_refused(other, "conflict")
    messages = (await bob.get("/rooms/@Alice/messages")).json()["messages"]
    assert [one["text"] for one in messages] == ["once"]


async def test_what_belongs_to_a_connection_does_no_harm_here(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    done = await alice.post("/rooms/lobby/commands", {"text": "/quit bye"})
    assert done.json()["lines"] == ["Goodbye!"]
    named = await alice.post("/rooms/lobby/commands", {"text": "/name Alicia"})
    assert named.json()["result"]["user"]["name"] == "Alicia"
    assert (await alice.get("/users/me")).json()["name"] == "Alicia"
    joined = await alice.post("/rooms/lobby/commands", {"text": "/join #new"})
    assert joined.json()["result"]["room"] == "new"
    helped = await alice.post("/rooms/new/commands", {"text": "/help lock"})
    assert helped.json()["result"]["name"] == "lock"
