"""What holds for every answer: header fields, HEAD, connections that stay."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect

if TYPE_CHECKING:
    import httpx

    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_answers_are_not_kept_and_not_sniffed(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    answers = [
        await alice.get("/users/me"),
        await alice.get("/nothing"),
        await alice.post("/rooms", {"name": "dev"}),
        await chat.stranger().get("/api/status"),
        await chat.stranger().get("/users/me"),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_is_get_without_a_body(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    await alice.say("dev", "a", "b")
    for path in ("/api/status", "/rooms/dev/messages?before=3", "/users/me", "/api/docs", "/none"):
        got = await alice.get(path)
        head = await alice.call("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        for name in ("content-type", "content-length", "etag", "link", "cache-control"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)


async def test_many_requests_at_once_are_answered_each_with_its_own(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")

    async def post_and_read(number: int) -> str:
        seqs = await alice.say("dev", f"message {number}")
        read: httpx.Response = await alice.get(f"/rooms/dev/messages/{seqs[0]}")
        text: str = read.json()["text"]
        return text

    got = await asyncio.gather(*(post_and_read(number) for number in range(100)))
    assert list(got) == [f"message {number}" for number in range(100)]
    page = (await alice.get("/rooms/dev/messages?limit=200")).json()
    assert [one["seq"] for one in page["messages"]] == list(range(2, 102))


async def test_what_is_posted_here_is_heard_on_the_websocket(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    url = chat.chat.local_url.replace("http", "ws", 1) + "/ws"
    headers = {"authorization": f"Bearer {bob.token}"}
    async with connect(url, subprotocols=["chat.v1.json"], additional_headers=headers) as socket:  # type: ignore[list-item]
        hello = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert hello["user"]["name"] == "Bob"
        sync = {"id": 1, "type": "sync", "epoch": hello["epoch"], "rooms": {"lobby": 0}}
        await socket.send(json.dumps(sync))
        await asyncio.wait_for(socket.recv(), 10)
        (seq,) = await alice.say("lobby", "over HTTP")
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
            if frame.get("type") == "message":
                break
        read = (await bob.get(f"/rooms/lobby/messages/{seq}")).json()
        assert frame == read
