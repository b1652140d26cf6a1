"""`JsonClient`: requests in order, what is shown before and after `sync`, and how it ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import eventually
from tests.wynd_chat.gateway.desk import a_desk
from wynd_chat.ports.outlet import MembershipEnded, MembershipStarted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk, Line


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = {"limits.frames_burst": 10_000, "limits.messages_burst": 10_000}
    async with a_desk(tmp_path, settings) as made:
        yield made


def sync(epoch: str, **rooms: int) -> dict[str, Any]:
    """Return a request."""
    return {"type": "sync", "id": "s", "epoch": epoch, "rooms": rooms}


@asynccontextmanager
async def sync_under_way(desk: Desk, line: Line) -> AsyncIterator[None]:
    """Let a sync read the memberships, and hand them to it only after the block."""
    gate = desk.store.gate = asyncio.Event()
    await line.send(sync(desk.services.histories.epoch))
    await eventually(lambda: desk.store.late)
    desk.store.gate = None
    yield
    gate.set()


async def reply(line: Line, request_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a reply, and the events that came before it."""
    before = []
    while (frame := await line.read()).get("re") != request_id:
        before.append(frame)
    return frame, before


async def test_requests_are_answered_in_their_order(desk: Desk) -> None:
    line = await desk.json("Alice")
    for n in range(50):
        kind = {"type": "send", "room": "lobby", "text": "x"} if n % 2 else {"type": "commands"}
        await line.send({"id": n, **kind})
    answers = [frame["re"] for frame in await line.all() if "re" in frame]
    assert answers == list(range(50))


async def test_live_events_wait_behind_the_reply_of_a_sync(desk: Desk) -> None:
    epoch = desk.services.histories.epoch
    author = await desk.guest("Author")
    lobby = await desk.services.rooms.lobby()
    line = await desk.json("Alice")
    last = 0
    for _ in range(20):
        await line.send(sync(epoch, lobby=last))
        await asyncio.gather(*(desk.services.messaging.post(author, lobby, "x") for _ in range(5)))
        answer, before = await reply(line, "s")
        events = [*before, *answer["rooms"][0]["events"]]
        seqs = [event["seq"] for event in events if event.get("type") == "message"]
        later = [frame["seq"] for frame in await line.all() if frame.get("type") == "message"]
        assert (
            later == list(range(answer["rooms"][0]["head"] + 1, later[-1] + 1)) if later else True
        )
        assert sorted({*seqs, *later}) == list(range(last + 1, last + 6))
        last += 5


async def test_a_membership_that_ends_while_syncing_is_not_subscribed(desk: Desk) -> None:
    owner = await desk.guest("Owner")
    dev = await desk.room(owner)
    user, token = await desk.account("Carol")
    await desk.services.rooms.join(user, "dev")
    line = await desk.json(token=token)
    async with sync_under_way(desk, line):
        await desk.services.rooms.leave(user, dev)
    answer, _ = await reply(line, "s")
    assert [one["room"] for one in answer["rooms"]] == ["lobby"]
    await desk.services.messaging.post(owner, dev, "secret")
    assert [frame for frame in await line.all() if frame.get("type") == "message"] == []


async def test_a_membership_that_begins_while_syncing_is_not_missed(desk: Desk) -> None:
    owner = await desk.guest("Owner")
    dev = await desk.room(owner)
    user, token = await desk.account("Carol")
    line = await desk.json(token=token)
    async with sync_under_way(desk, line):
        await desk.services.rooms.join(user, "dev")
    answer, _ = await reply(line, "s")
    assert sorted(one["room"] for one in answer["rooms"]) == ["dev", "lobby"]
    await desk.services.messaging.post(owner, dev, "hi")
    shown = [frame["text"] for frame in await line.all() if frame.get("type") == "message"]
    assert shown == ["hi"]


async def test_a_purged_room_is_exited_and_not_found(desk: Desk) -> None:
    user, token = await desk.account("Carol")
    room = await desk.room(user)
    line = await desk.json(token=token)
    await desk.store.write(lambda tx: tx.drop_room(room.id))
    await desk.services.feed.refresh()
    assert await line.read() == {"type": "exited", "room": "dev"}
    await line.send({"type": "send", "id": "1", "room": "dev", "text": "hello"})
    answer, _ = await reply(line, "1")
    assert answer["error"]["code"] == "not_found"
    await desk.services.feed.refresh()  # told once
    assert await line.all() == []


async def test_who_becomes_somebody_else_has_to_sync_anew(desk: Desk) -> None:
    line = await desk.json("Alice")
    _, token = await desk.account("Carol")
    answer = await line.ask({"type": "auth", "id": "a", "token": token})
    assert answer["user"]["name"] == "Carol"
    lobby = await desk.services.rooms.lobby()
    await desk.services.messaging.post(await desk.guest("Bob"), lobby, "hi")
    assert [frame for frame in await line.all() if frame.get("type") == "message"] == []


async def test_the_third_bad_token_closes_a_good_one_between_them_does_not_help(
    desk: Desk,
) -> None:
    line = await desk.json()
    for n in range(3):
        answer = await line.ask({"type": "auth", "id": n, "token": f"wrong{n}"})
        assert answer["error"]["code"] == "unauthorized"
    assert await line.ended() == (4501, "authentication failed")


async def test_malformed_frames_close_only_where_they_are_close_together(desk: Desk) -> None:
    line = await desk.json()
    for _ in range(4):
        await line.ask("no json")
        await desk.clock.advance(31)
    for _ in range(2):
        await line.ask("no json")
    assert await line.ended() == (4500, "too many malformed frames")


async def test_quitting_is_answered_before_the_end(desk: Desk) -> None:
    line = await desk.json("Alice")
    request = {"type": "command", "id": 1, "room": "lobby", "text": "/quit"}
    assert (await line.ask(request))["lines"] == ["Goodbye!"]
    assert (await line.ended())[0] == 1000


async def test_who_is_brought_into_a_room_is_told_where_live_events_begin(desk: Desk) -> None:
    """Others may have written between the joining and its notice."""
    line = await desk.json("Alice")
    alice = await desk.services.accounts.find("Alice")
    bob = await desk.guest("Bob")
    dev = await desk.room(bob, "dev")
    await desk.services.messaging.post(bob, dev, "one")
    await desk.services.messaging.post(bob, dev, "two")
    desk.hub.notice(MembershipStarted(dev, alice))  # as it was before the two
    assert await line.read() == {"type": "entered", "room": "dev", "kind": "public", "head": 2}
    await desk.services.messaging.post(bob, dev, "three")
    assert (await line.read())["seq"] == 3


async def test_a_leaving_whose_event_was_not_shown_is_told_by_a_frame(desk: Desk) -> None:
    carol, token = await desk.account("Carol")
    bob, _ = await desk.account("Bob")
    dev = await desk.room(bob, "dev", carol)
    line = await desk.json(token=token)
    desk.hub.notice(MembershipEnded(dev, carol.id))
    assert await line.read() == {"type": "exited", "room": "dev"}


async def test_who_enters_is_called_as_the_user_is_by_then(desk: Desk) -> None:
    """Another tab may have renamed the user since the login was looked at."""
    await desk.json("Alice")
    client = next(iter(desk.hub.clients.values()))
    before = client.user
    assert before is not None
    await desk.services.accounts.rename(before, "Ally")
    await desk.doorman.enter(client, before, None)
    assert [user.name for user in desk.services.presences.online()] == ["Ally"]
    assert client.user == desk.services.presences.user(before.id)
