"""Commands of administrators: announcing, numbers, settings, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat
from wynd_chat.domain.events import Message, MessageKind
from wynd_chat.ports.rereading import Reread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Return a chat in memory."""
    async with a_chat(tmp_path) as running:
        yield running


async def run(visitor: Visitor, text: str) -> dict[str, Any]:
    """Run a command in the lobby; return the answer."""
    answer: dict[str, Any] = (await visitor.post("/rooms/lobby/commands", {"text": text})).json()
    return answer


async def test_an_announcement_is_the_servers(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    lobby = await chat.services.rooms.lobby()
    await chat.change(lobby, locked=True)
    answer = await run(root, "/announce Maintenance at 18:00")
    seq = answer["result"]["seq"]
    event = await chat.store.read(lambda s: s.message(lobby.id, seq))
    assert isinstance(event.body, Message)
    assert (event.body.text, event.body.kind) == ("Maintenance at 18:00", MessageKind.SYSTEM)
    assert (event.body.author.id, event.body.author.name) == (None, "Server")


async def test_numbers_are_those_of_now(chat: RunningChat) -> None:
    root, gail = await chat.account("Root", is_admin=True), await chat.guest("Gail")
    await chat.room(gail, "dev")
    await root.call("PUT", "/uploads/a", content=b"hello")
    answer = await run(root, "/stats")
    numbers = answer["result"]
    assert (numbers["users_online"], numbers["accounts"]) == (1, 1)
    assert (numbers["rooms"], numbers["upload_bytes"]) == (2, 5)
    assert numbers["connections"] == {"text": 0, "json": 0}
    (frame,) = answer["lines"]
    assert all(line.startswith("-- ") for line in frame.split("\n"))
    assert "1 accounts, 2 rooms" in frame


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        (Reread(), "-- nothing has changed"),
        (Reread(("auth.guests",)), "-- changed auth.guests"),
        (
            Reread(("auth.guests", "rooms.create"), ("server.port",)),
            "-- changed auth.guests, rooms.create\n-- a restart is needed for server.port",
        ),
    ],
)
async def test_settings_are_read_again(chat: RunningChat, result: Reread, lines: str) -> None:
    root = await chat.account("Root", is_admin=True)
    chat.chat.reread = lambda: result
    answer = await run(root, "/reload")
    assert answer["lines"] == [lines]
    assert answer["result"] == {
        "changed": list(result.applied),
        "waiting": list(result.waiting),
    }


async def test_settings_that_are_wrong_change_nothing(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    chat.chat.reread = lambda: Reread(problems=("server.port must be a port",))
    answer = await run(root, "/reload")
    assert answer["code"] == "bad_request"
    assert answer["detail"] == "nothing was changed: server.port must be a port"


async def test_a_new_setting_holds_at_once(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    settings = chat.chat.settings
    rooms = settings.rooms.model_copy(update={"create": "admins"})
    chat.chat.settings = settings.model_copy(update={"rooms": rooms})
    refused = await alice.post("/rooms/lobby/commands", {"text": "/join #new"})
    assert refused.json()["code"] == "not_found"


async def test_a_stop_is_told_and_comes(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    answer = await run(root, "/shutdown 0 bye")
    assert answer["result"] == {"stops_in_s": 0}
    await chat.chat.stopping.wait()
    assert chat.chat.stop_code == 1001
    page = (await root.get("/rooms/lobby/messages")).json()
    assert page["messages"][-1]["text"] == "The server stops now: bye"


async def test_a_stop_can_be_called_off(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    assert (await run(root, "/shutdown 1h later"))["result"] == {"stops_in_s": 3600}
    assert (await run(root, "/shutdown off no"))["result"] == {"stops_in_s": None}
    assert (await run(root, "/shutdown off no"))["code"] == "not_found"
    assert not chat.chat.stopping.is_set()


@pytest.mark.parametrize("text", ["/shutdown", "/shutdown 10m", "/shutdown soon x", "/announce"])
async def test_what_does_not_fit_is_told(chat: RunningChat, text: str) -> None:
    root = await chat.account("Root", is_admin=True)
    assert (await run(root, text))["code"] == "bad_request"


async def test_a_stop_is_at_most_a_week_ahead(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    answer = await run(root, "/shutdown 8d far away")
    assert answer["detail"] == "that is more than a week ahead"
