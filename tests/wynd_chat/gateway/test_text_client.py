"""`TextClient`: the current room, and what its user's changes do to what it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.desk import a_desk
from wynd_chat.gateway.text_client import TextClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk
    from wynd_chat.ports.store import Transaction


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(tmp_path) as made:
        yield made


def only_client(desk: Desk) -> TextClient:
    """Return the only client."""
    (client,) = desk.hub.clients.values()
    assert isinstance(client, TextClient)
    return client


async def purge(desk: Desk, name: str) -> None:
    """Remove a room as another program does, and let the chat look."""

    def work(tx: Transaction) -> None:
        room = tx.room_by_key(name)
        assert room is not None
        tx.drop_room(room.id)

    await desk.store.write(work)
    await desk.services.feed.refresh()


async def test_the_way_back_leads_through_the_rooms_that_are_left(desk: Desk) -> None:
    line = await desk.text("Alice")
    for name in ("a", "b", "c", "b"):
        await line.ask(f"/join #{name}")
    client = only_client(desk)
    visited = []
    for _ in range(4):
        assert client.current is not None
        visited.append(client.current.name)
        await line.ask("/leave")
    assert visited == ["b", "c", "a", "lobby"]


async def test_a_room_that_ends_elsewhere_is_no_longer_current(desk: Desk) -> None:
    _, token = await desk.account("Carol")
    one, two = await desk.text(token=token), await desk.text(token=token)
    for line in (one, two):
        assert await line.read() == "You are now known as Carol"
    await one.ask("/join #dev")
    assert await two.ask("/join #dev") == "Carol joined #dev"
    await two.read()
    await one.ask("/leave")
    assert await two.all() == ["Carol left #dev"]
    assert await two.ask("/topic") == "#lobby has no topic"


async def test_a_purged_room_is_told_of_and_left(desk: Desk) -> None:
    one, two = await desk.text("Alice"), await desk.text("Bob")
    await one.ask("/join #dev")
    await two.ask("/join #dev")
    await two.ask("/join #lobby")
    await one.all()
    await two.all()
    await purge(desk, "dev")
    assert await one.all() == ["#dev was deleted"]
    assert await two.all() == ["#dev was deleted"]
    assert await one.ask("/topic") == "#lobby has no topic"
    assert await two.ask("/say #dev hello") != "hello"


async def test_preferences_hold_for_every_connection_and_the_next(desk: Desk) -> None:
    _, token = await desk.account("Carol")
    one, two = await desk.text(token=token), await desk.text(token=token)
    for line in (one, two):
        await line.read()
    await one.ask("/set ids on")
    bob = await desk.text("Bob")
    await bob.send("hi")
    assert await two.all() == ["Bob joined the chat", "[1] Bob: hi"]
    three = await desk.text(token=token)
    await three.read()
    await bob.send("again")
    await bob.all()
    assert await three.all() == ["[2] Bob: again"]


async def test_a_store_that_fails_is_told_and_the_connection_lives(desk: Desk) -> None:
    line = await desk.text("Alice")
    desk.store.fail()
    answer = await line.ask("hi")
    assert answer == (
        "Error: the server can't store anything right now, try again soon [unavailable]"
    )
    desk.store.failure = None
    await line.send("hi")
    assert await line.all() == []
    assert await line.ask("/history") == "[1 12:04] Alice: hi"


async def test_a_mistake_of_ours_is_told_by_an_id_only(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    line = await desk.text("Alice")
    desk.store.failure = RuntimeError("secret")
    answer = await line.ask("hi")
    assert answer.startswith("Error: something went wrong here (e_")
    assert answer.endswith("[internal]")
    assert "secret" in caplog.text
