"""Row 25: a message that is sent again is stored once, and every sender of it is told so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.chat_client import ChatClient

if TYPE_CHECKING:
    from tests.e2e.chat_client import Frame
    from tests.e2e.delivery.servers import ChatServer

SEQUENTIAL, RACING, CONNECTIONS = 50, 64, 8


async def test_fifty_repeats_one_after_another_are_one_message(server: ChatServer) -> None:
    alice = await ChatClient.connect(server.port)
    await alice.name("Alice")
    replies = [await alice.send("the-cid", "hello") for _ in range(SEQUENTIAL)]
    assert [told(reply) for reply in replies] == [False] + [True] * (SEQUENTIAL - 1)
    assert len({place(reply) for reply in replies}) == 1
    assert [row[2:] for row in server.stored()] == [("the-cid", 1)]
    await alice.close()


async def test_racing_repeats_from_several_connections_are_one_message(server: ChatServer) -> None:
    alice = await ChatClient.connect(server.port)
    token = await alice.name("Alice")
    heard: list[Frame] = []
    bob = await ChatClient.connect(server.port, heard.append)
    await bob.name("Bob")
    await bob.sync({"lobby": 0})
    others = await asyncio.gather(*(resumed(server, token) for _ in range(CONNECTIONS - 1)))
    clients = [alice, *others]
    racing = [
        clients[number % CONNECTIONS].send("the-cid", f"hello {number}") for number in range(RACING)
    ]
    replies = await asyncio.gather(*racing)
    assert sorted(told(reply) for reply in replies) == [False] + [True] * (RACING - 1)
    assert len({place(reply) for reply in replies}) == 1
    await alice.send("the-last", "done")
    async with asyncio.timeout(10):
        while not any(frame.get("text") == "done" for frame in heard):
            await bob.ask("commands")  # a reply comes behind what was shown before it
    shown = [frame["seq"] for frame in heard if frame.get("type") == "message"]
    assert shown == [1, 2], "a repeat was shown again"
    assert [row[2:] for row in server.stored()] == [("the-cid", 1), ("the-last", 2)]


@pytest.mark.timeout(90)  # three starts of a server
async def test_a_repeat_after_a_kill_and_a_restart_is_the_first_message(server: ChatServer) -> None:
    alice = await ChatClient.connect(server.port)
    token = await alice.name("Alice")
    first = await alice.send("the-cid", "hello")
    for _ in range(2):
        server.kill()
        await server.restart_after_kill()
        clients = await asyncio.gather(*(resumed(server, token) for _ in range(4)))
        replies = await asyncio.gather(*(one.send("the-cid", "hello") for one in clients))
        assert all(told(reply) for reply in replies)
        assert {place(reply) for reply in replies} == {place(first)}
    assert [row[2:] for row in server.stored()] == [("the-cid", 1)]


async def test_the_same_cid_of_another_author_is_another_message(server: ChatServer) -> None:
    alice, bob = [await ChatClient.connect(server.port) for _ in range(2)]
    await alice.name("Alice")
    await bob.name("Bob")
    replies = [await one.send("the-cid", "hello") for one in (alice, bob)]
    assert [(told(reply), reply["seq"]) for reply in replies] == [(False, 1), (False, 2)]


async def test_a_repeat_into_another_room_is_answered_with_the_first_place(
    server: ChatServer,
) -> None:
    alice = await ChatClient.connect(server.port)
    await alice.name("Alice")
    await alice.command("/join #dev")
    first = await alice.send("the-cid", "hello", room="lobby")
    second = await alice.send("the-cid", "hello", room="dev")
    assert (told(second), place(second)) == (True, place(first))
    assert second["room"] == "lobby"
    assert server.stored("dev") == []


async def test_the_idempotency_key_of_rest_is_the_cid(server: ChatServer) -> None:
    alice = await ChatClient.connect(server.port)
    token = await alice.name("Alice")
    url = f"http://127.0.0.1:{server.port}/api/v1/rooms/lobby/messages"
    async with httpx.AsyncClient(trust_env=False, headers=bearer(token)) as http:

        async def post(key: str) -> httpx.Response:
            return await http.post(url, json={"text": "hi"}, headers={"idempotency-key": key})

        first = await post("by-rest")
        if first.status_code == 404:
            pytest.skip("messages cannot be posted over REST yet")
        assert first.is_success, first.text
        racing = await asyncio.gather(*(post("by-rest") for _ in range(RACING // 4)))
        assert all(one.is_success for one in racing), [one.text for one in racing]
        assert {one.json()["seq"] for one in (first, *racing)} == {1}
        over_the_socket = await alice.send("by-rest", "hi")
        assert (told(over_the_socket), over_the_socket["seq"]) == (True, 1)
        await alice.send("by-socket", "hi")
        assert (await post("by-socket")).json()["seq"] == 2
        server.kill()
        await server.restart_after_kill()
        assert (await post("by-rest")).json()["seq"] == 1
    assert [row[2:] for row in server.stored()] == [("by-rest", 1), ("by-socket", 2)]


async def resumed(server: ChatServer, token: str) -> ChatClient:
    """Return another connection of a guest."""
    client = await ChatClient.connect(server.port)
    await client.auth(token)
    return client


def told(reply: Frame) -> bool:
    """Tell whether an acknowledgement says that it is a repeat."""
    return bool(reply.get("dup", False))


def place(reply: Frame) -> tuple[str, int, str]:
    """Return where and when an acknowledgement says the message is."""
    return reply["room"], reply["seq"], reply["at"]


def bearer(token: str) -> dict[str, str]:
    """Return the header of a login."""
    return {"authorization": f"Bearer {token}"}
