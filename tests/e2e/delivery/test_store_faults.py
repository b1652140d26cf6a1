"""Row 47: without a store that can write the chat refuses, goes on reading, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat_client import ChatClient, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.e2e.delivery.servers import ChatServer

READY_WITHIN_S = 5.0
LOCKER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


async def test_with_a_full_disk_sends_are_refused_and_nothing_acknowledged_is_lost(
    server: ChatServer,
) -> None:
    alice, bob = await two_guests(server)
    await say(alice, range(5))
    server.forbid_growth()
    for number in range(5, 8):
        await is_refused(alice, number)
    await reading_goes_on(bob, 5)
    server.allow_growth()
    await writes_again(alice, 5)
    await say(alice, range(6, 10))
    server.kill()
    await server.restart_after_kill()
    assert [row[2] for row in server.stored()] == [f"cid-{number}" for number in range(10)]


async def test_with_a_locked_database_sends_are_refused_and_reading_goes_on(
    server: ChatServer,
) -> None:
    alice, bob = await two_guests(server)
    await say(alice, range(5))
    async with locked(server.database):
        await is_refused(alice, 5)
        await reading_goes_on(bob, 5)
        newcomer = await ChatClient.connect(server.port)
        with pytest.raises(Refused) as caught:
            await newcomer.name("Carol")
        assert caught.value.code == "unavailable"
    await writes_again(alice, 5)
    assert await newcomer.name("Carol")
    assert [row[2] for row in server.stored()] == [f"cid-{number}" for number in range(6)]


async def test_refusals_and_the_next_acknowledged_message_are_in_order_for_readers(
    server: ChatServer,
) -> None:
    seqs: list[int] = []
    alice, bob = await two_guests(server)
    watcher = await ChatClient.connect(
        server.port, lambda frame: seqs.append(frame["seq"]) if "seq" in frame else None
    )
    await watcher.name("Carol")
    await watcher.sync({"lobby": 0})
    await say(alice, range(3))
    for _ in range(3):
        server.forbid_growth()
        await is_refused(alice, 100)
        server.allow_growth()
        await writes_again(bob, len(seqs))
        await watcher.ask("commands")  # a reply comes behind what was shown before it
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) == 6


@pytest.mark.parametrize("fault", ["disk", "lock"])
async def test_readiness_follows_a_fault_and_its_end(server: ChatServer, fault: str) -> None:
    if await server.status_of("/readyz") == 404:
        pytest.skip("/readyz is not served yet")
    await becomes(server, 200)
    if fault == "lock":
        async with locked(server.database):
            await becomes(server, 503)
            assert await server.status_of("/healthz") == 200
    else:
        server.forbid_growth()
        await becomes(server, 503)
        assert await server.status_of("/healthz") == 200
        server.allow_growth()
    await becomes(server, 200)


async def two_guests(server: ChatServer) -> tuple[ChatClient, ChatClient]:
    """Return Alice and Bob, who listen to the lobby."""
    clients = []
    for name in ("Alice", "Bob"):
        client = await ChatClient.connect(server.port)
        await client.name(name)
        await client.sync({"lobby": 0})
        clients.append(client)
    return clients[0], clients[1]


async def say(client: ChatClient, numbers: range) -> None:
    """Send messages, each acknowledged with the next seq."""
    for number in numbers:
        reply = await client.send(f"cid-{number}", f"{number}")
        assert reply["seq"] == number + 1


async def is_refused(client: ChatClient, number: int) -> None:
    """Expect that a send is refused for now, with a sentence that tells nothing of the inside."""
    with pytest.raises(Refused) as caught:
        await client.send(f"cid-{number}", f"{number}")
    error = caught.value.error
    assert (error["code"], error["temporary"]) == ("unavailable", True)
    assert not any(word in error["message"].lower() for word in ("sql", "disk", "lock", "/"))


async def reading_goes_on(client: ChatClient, count: int) -> None:
    """Expect that everything stored can still be read, by sync and by page."""
    room = (await client.sync({"lobby": 0}))["lobby"]
    assert [event["seq"] for event in room["events"]] == list(range(1, count + 1))
    page = await client.command("/history 200")
    assert [message["seq"] for message in page["messages"]] == list(range(1, count + 1))


async def writes_again(client: ChatClient, number: int) -> None:
    """Repeat a send until it is taken; within five seconds."""
    async with asyncio.timeout(READY_WITHIN_S):
        while True:
            with contextlib.suppress(Refused):
                reply = await client.send(f"cid-{number}", f"{number}")
                break
    assert "dup" not in reply
    assert reply["seq"] == number + 1


async def becomes(server: ChatServer, status: int) -> None:
    """Expect that /readyz answers so within five seconds."""
    deadline = time.monotonic() + READY_WITHIN_S
    while await server.status_of("/readyz") != status:  # each try is a request of its own
        assert time.monotonic() < deadline, f"/readyz is not {status}"


@contextlib.asynccontextmanager
async def locked(database: Path) -> AsyncIterator[None]:
    """Let another process hold the database's write lock."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        LOCKER,
        str(database),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(10):
            assert await process.stdout.readline() == b"locked\n"
        yield
    finally:
        process.kill()
        await process.wait()
