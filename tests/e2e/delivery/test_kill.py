"""Rows 29 and 30: `kill -9` loses nothing that was acknowledged, doubles nothing, leaves no gap."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat_client import ChatClient, Follower, LineLost
from tests.e2e.delivery.server import FATAL
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.chat_client import Frame
    from tests.e2e.delivery.servers import ChatServer

pytestmark = pytest.mark.timeout(1800)  # of the nightly form; the small one takes seconds

SENDERS = 6
ROUNDS, ROUNDS_NIGHTLY = 10, 200
DELIVERED_S = 2.0  # after a restart


class Ledger:
    """What was acknowledged, on disk before the next send; nothing the server does reaches it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.count = 0

    def note(self, name: str, cid: str, seq: int) -> None:
        """Write a line and wait until it is on disk."""
        os.write(self._descriptor, f"{name} {cid} {seq}\n".encode())
        os.fdatasync(self._descriptor)
        self.count += 1

    def read(self) -> list[tuple[str, str, int]]:
        """Return all lines."""
        os.close(self._descriptor)
        rows = [line.split() for line in self._path.read_text().splitlines()]
        return [(name, cid, int(seq)) for name, cid, seq in rows]


class Sender:
    """A guest who sends one message after another and repeats the one that got no answer."""

    def __init__(self, server: ChatServer, name: str, ledger: Ledger) -> None:
        self.name = name
        self.sent = 0
        self._server = server
        self._ledger = ledger
        self._token: str | None = None

    async def run(self) -> None:
        """Resume, then send until the line is lost."""
        try:
            client = await ChatClient.connect(self._server.port)
            if self._token is None:
                self._token = await client.name(self.name)
            else:
                user = await client.auth(self._token)
                assert user["name"] == self.name
            while True:
                cid = f"{self.name}-{self.sent}"
                reply = await client.send(cid, "x")
                self._ledger.note(self.name, cid, reply["seq"])
                self.sent += 1  # only now: without an answer the same cid is sent again
        except ConnectionError:
            return


async def test_kill_nine_loses_and_doubles_nothing(
    server: ChatServer, tmp_path: Path, is_nightly: bool
) -> None:
    rng = random.Random(29)
    ledger = Ledger(tmp_path / "ledger")
    senders = [Sender(server, f"sender{number}", ledger) for number in range(SENDERS)]
    heard: list[Frame] = []
    follower = Follower(server.port, "follower", heard.append)
    await follower.come()
    for _ in range(ROUNDS_NIGHTLY if is_nightly else ROUNDS):
        running = [asyncio.create_task(sender.run()) for sender in senders]
        wanted = ledger.count + rng.randrange(1, 250)
        await eventually(lambda wanted=wanted: ledger.count >= wanted)  # type: ignore[misc]
        server.kill()
        await asyncio.gather(*running)
        await server.restart_after_kill()
        began = time.monotonic()
        await follower.come_until_there()
        assert time.monotonic() - began < DELIVERED_S
        assert follower.last == len(server.stored())
    follower.leave()
    await server.stop()
    assert follower.faults == []
    acknowledged, rows = ledger.read(), server.stored()
    stored = {(name, cid, seq) for _, name, cid, seq in rows}
    lost = [row for row in acknowledged if row not in stored]
    assert lost == []
    assert len({(author, cid) for author, _, cid, _ in rows}) == len(rows), "stored twice"
    assert len({author for author, *_ in rows}) == SENDERS, "a guest came back as another"
    for sender in senders:  # in order, and nothing but what was sent
        cids = [cid for _, name, cid, _ in rows if name == sender.name]
        sent = [f"{sender.name}-{number}" for number in range(sender.sent + 1)]
        assert cids in (sent[:-1], sent)
    assert [(event["from"]["name"], event["seq"]) for event in heard] == [
        (name, seq) for _, name, _, seq in rows
    ]


async def test_what_was_committed_but_not_shown_is_delivered_after_the_restart(
    mortal_server: ChatServer,
) -> None:
    server = mortal_server
    heard: list[Frame] = []
    readers = [Follower(server.port, f"reader{number}", heard.append) for number in range(3)]
    for reader in readers:
        await reader.come()
    alice = await ChatClient.connect(server.port)
    token = await alice.name("Alice")
    await alice.send("before", "before")
    # More sends may share the commit with the fatal one; none of them can be told.
    others = [alice.begin("send", room="lobby", cid=f"{n}", text=f"{n}") for n in range(5)]
    fatal = alice.begin("send", room="lobby", cid="fatal", text=FATAL)
    with pytest.raises(LineLost):
        await fatal
    await asyncio.gather(*others, return_exceptions=True)
    assert all(event["text"] != FATAL for event in heard), "it was shown: nothing is tested"
    await server.restart_after_kill()
    began = time.monotonic()
    await asyncio.gather(*(reader.come_until_there() for reader in readers))
    assert time.monotonic() - began < DELIVERED_S
    rows = server.stored()
    assert rows[-1][2] == "fatal"
    assert {reader.last for reader in readers} == {len(rows)}
    assert [fault for reader in readers for fault in reader.faults] == []
    again = await ChatClient.connect(server.port)
    await again.auth(token)
    reply = await again.send("fatal", FATAL)
    assert (reply["dup"], reply["seq"]) == (True, len(rows))
    for reader in readers:
        reader.leave()
