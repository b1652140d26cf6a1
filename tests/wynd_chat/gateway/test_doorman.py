"""`Doorman`: guests, tokens, entering while things change, floods, failures, the unnamed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import eventually
from tests.wynd_chat.gateway.desk import a_desk
from tests.wynd_chat.kit import refusal
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.ratelimits import TooFast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(tmp_path) as made:
        yield made


def a_client(number: int = 7) -> Any:
    """Return what of a client the doorman looks at; `closed` is how it was closed."""
    client = SimpleNamespace(number=number, address="10.0.0.9", user=None, opened_at=0.0, closed=[])
    client.handle = SimpleNamespace(close=lambda code, reason: client.closed.append((code, reason)))
    return client


async def test_guests_may_be_off(tmp_path: Path) -> None:
    async with a_desk(tmp_path, {"auth.guests": "off"}) as desk:
        with refusal(ErrorCode.UNAUTHORIZED, "guests are off here, use /login"):
            desk.doorman.check_guests()
        line = await desk.text()
        answer = await line.ask("/name Alice")
        assert answer == "Error: guests are off here, use /login [unauthorized]"
        _, token = await desk.account("Carol")
        carol = await desk.connect(token=token)
        await carol.read()
        assert await carol.read() == "You are now known as Carol"


async def test_refusals_within_a_second_are_one_strike_the_third_closes(desk: Desk) -> None:
    client = a_client()
    for _ in range(20):
        desk.doorman.note_refusal(client, TooFast(1.0))
    await desk.clock.advance(1)
    desk.doorman.note_refusal(client, TooFast(1.0))
    assert client.closed == []
    await desk.clock.advance(1)
    desk.doorman.note_refusal(client, TooFast(1.0))
    assert client.closed == [(4029, "flooding; retry_after=30")]
    assert desk.doorman.flood_wait("10.0.0.9") == 30.0
    await desk.clock.advance(30)
    assert desk.doorman.flood_wait("10.0.0.9") is None


async def test_a_flood_is_read_on_when_its_second_is_over(desk: Desk) -> None:
    """The server has time for others: what it does not read waits in the socket."""
    line = await desk.json("Alice")
    for number in range(200):
        await line.send({"type": "send", "id": number, "room": "lobby", "text": "x"})
    refused = 0
    while refused < 50:
        frame = await line.read()
        refused += frame.get("ok") is False
    neighbour = await desk.json("Bob")
    said = {"type": "send", "id": "b", "room": "lobby", "text": "hi"}
    await neighbour.send(said)
    while (frame := await line.read()).get("text") != "hi":
        assert frame.get("ok") is not False, "no answer to the flood before Bob is heard"
    await desk.clock.advance(1)
    while (await line.read()).get("ok") is not False:
        pass


@pytest.mark.parametrize("code", [ErrorCode.RATE_LIMITED, ErrorCode.FORBIDDEN, ErrorCode.BANNED])
async def test_other_refusals_are_no_strikes_nor_is_slow_mode(desk: Desk, code: ErrorCode) -> None:
    client = a_client()
    for _ in range(5):
        desk.doorman.note_refusal(client, ChatError(code, "slow mode"))
        await desk.clock.advance(2)
    assert client.closed == []


async def test_a_failure_is_told_by_its_id_and_logged_with_it(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        raise RuntimeError("secret path /etc/x")
    except RuntimeError as error:
        told = desk.doorman.failure_of(error, "client 7")
    assert told.code is ErrorCode.INTERNAL
    assert "secret" not in told.sentence
    error_id = told.sentence.partition("(")[2].rstrip(")")
    assert error_id.startswith("e_")
    assert error_id in caplog.text
    assert "secret path" in caplog.text


async def test_a_store_that_fails_is_unavailable_for_a_while(desk: Desk) -> None:
    told = desk.doorman.failure_of(StoreFailure("disk full"), "client 7")
    assert (told.code, told.retry_after) == (ErrorCode.UNAVAILABLE, 1.0)
    assert "disk" not in told.sentence


async def test_an_unnamed_connection_ends_after_ten_minutes(desk: Desk) -> None:
    client = a_client()
    desk.doorman.judge(client, 600.0)
    assert client.closed == []
    desk.doorman.judge(client, 600.1)
    assert client.closed == [(4010, "no name for 10 minutes")]


async def test_who_leaves_while_entering_is_not_online_afterwards(desk: Desk) -> None:
    for n in range(20):
        line = await desk.text()
        await line.send(f"/name racer{n}x")
        line.socket.transport.abort()
    await eventually(lambda: not desk.hub.clients)
    assert desk.services.presences.online() == []
    assert desk.hub._casts == {}


async def test_of_two_who_take_one_name_at_once_one_gets_it(desk: Desk) -> None:
    for n in range(10):
        one, two = await desk.text(), await desk.text()
        await asyncio.gather(one.send(f"/name same{n}x"), two.send(f"/name same{n}x"))
        answers = {await one.read(), await two.read()}
        assert answers == {
            f"You are now known as same{n}x",
            f"Error: same{n}x is taken, try /name same{n}x2 [name_taken]",
        }
        await one.socket.close()
        await two.socket.close()


async def test_a_membership_that_ends_while_entering_is_not_subscribed(desk: Desk) -> None:
    owner = await desk.guest("Owner")
    user, _ = await desk.account("Carol")
    dev = await desk.room(owner, "dev", user)
    line = await desk.text()
    (client,) = desk.hub.clients.values()
    gate = desk.store.gate = asyncio.Event()
    entering = asyncio.create_task(desk.doorman.enter(client, user, None))
    await eventually(lambda: desk.store.late)
    desk.store.gate = None
    await desk.services.rooms.leave(user, dev)
    gate.set()
    await entering
    assert dev.id not in client.rooms
    await desk.services.messaging.post(owner, dev, "secret")
    assert not any("secret" in frame for frame in await line.all())
