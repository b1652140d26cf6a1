"""Row 26: racing senders make one order for all readers, and joining meanwhile loses nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat_client import ChatClient, Follower
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.chat_client import Frame
    from tests.e2e.delivery.servers import ChatServer

pytestmark = pytest.mark.timeout(1800)  # of the nightly form; the small one takes seconds

SENDERS, READERS = 8, 6
MESSAGES, MESSAGES_NIGHTLY = 100, 2_000  # by each sender
JOINS, JOINS_NIGHTLY = 60, 10_000
JOINING = 40  # at once; with fewer the test waits for the writer most of the time
AHEAD = 8  # sends of one sender that wait for their answer
PATIENCE_S = 300.0


async def test_eight_racing_senders_make_one_order(server: ChatServer, is_nightly: bool) -> None:
    count = MESSAGES_NIGHTLY if is_nightly else MESSAGES
    heard: list[list[str]] = [[] for _ in range(READERS)]

    def reader_of(number: int) -> Follower:
        def note(event: Frame) -> None:
            heard[number].append(event["text"])

        return Follower(server.port, f"reader{number}", note)

    readers = [reader_of(number) for number in range(READERS)]
    for reader in readers:
        await reader.come()
    acknowledged: dict[int, str] = {}
    async with asyncio.TaskGroup() as group:
        for number in range(SENDERS):
            group.create_task(send_many(server.port, f"sender{number}", count, acknowledged))
    total = SENDERS * count
    await eventually(lambda: all(reader.last == total for reader in readers), PATIENCE_S)
    assert [fault for reader in readers for fault in reader.faults] == []
    order = [text for _, text in sorted(acknowledged.items())]
    assert all(texts == order for texts in heard)
    by_sender: defaultdict[str, list[int]] = defaultdict(list)
    for text in order:
        name, _, count_so_far = text.partition(" ")
        by_sender[name].append(int(count_so_far))
    assert len(by_sender) == SENDERS
    assert all(numbers == list(range(count)) for numbers in by_sender.values())
    for reader in readers:
        reader.leave()


async def test_joining_while_others_write_loses_nothing_at_the_boundary(
    server: ChatServer, is_nightly: bool
) -> None:
    """Each newcomer joins #dev, syncs, and loses its line twice while messages flow there."""
    joins = JOINS_NIGHTLY if is_nightly else JOINS
    writer = await ChatClient.connect(server.port)
    await writer.name("Writer")
    await writer.command("/join #dev")
    is_over = asyncio.Event()

    async def write() -> int:
        number = 0
        while not is_over.is_set():
            reply = await writer.send(f"{number}", f"{number}", room="dev")
            number += 1
        return int(reply["seq"])

    async def join(number: int) -> None:
        # Every tenth reads the whole room up to where it joined, the others begin at the head.
        newcomer = Follower(
            server.port,
            f"newcomer{number}",
            lambda event: None,
            room="dev",
            reads_history=number % 10 == 0 and number < JOINS,
        )
        await newcomer.come(join=True)
        for _ in range(2):
            entered = newcomer.last
            await eventually(lambda entered=entered: newcomer.last >= entered + 5)  # type: ignore[misc]
            newcomer.cut("reset")
            await newcomer.come_until_there()
        assert newcomer.faults == []
        assert newcomer.last > 10
        newcomer.leave()

    numbers = iter(range(joins))

    async def join_on() -> None:
        for number in numbers:  # whoever has left makes room for the next, at once
            await join(number)

    writing = asyncio.create_task(write())
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(JOINING):
                group.create_task(join_on())
    finally:
        is_over.set()
    assert await writing == len(server.stored("dev"))
    await writer.close()


async def send_many(port: int, name: str, count: int, acknowledged: dict[int, str]) -> None:
    """Send messages with several of them under way; note seq → text as acknowledged."""
    client = await ChatClient.connect(port)
    await client.name(name)
    for first in range(0, count, AHEAD):
        texts = [f"{name} {number}" for number in range(first, min(count, first + AHEAD))]
        replies = [
            client.begin("send", room="lobby", cid=text.replace(" ", "-"), text=text)
            for text in texts
        ]
        for text, reply in zip(texts, await asyncio.gather(*replies), strict=True):
            acknowledged[reply["seq"]] = text
    await client.close()
