"""Row 36: logins delay nobody who talks, and take bounded memory, however many there are."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.delivery.servers import ROOMY, running
from tests.e2e.security.people import People, p99_ms
from tests.hostile.attacking import MIB, Victim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.e2e.delivery.servers import ChatServer

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc of the server"),
    pytest.mark.timeout(120),
]

PASSWORD = "correct horse battery staple"
ACCOUNTS, ACCOUNTS_NIGHTLY = 10, 40  # nobody logs in twice within two seconds
PEOPLE = 20
OFTEN = ROOMY | {"LOGINS_PER_3_MINUTES": "1000000", "REGISTRATIONS_PER_HOUR": "1000000"}
LOGINS_PER_S, LOGINS_PER_S_NIGHTLY = 5, 20
TALK_S, ROUND_S, ROUNDS = 3.0, 20.0, 3
MORE_MS = 20.0
BURST = 200  # 66 are computed or wait, the others are refused
# Two hashes of 19 MiB, the requests themselves, and connections of 200 visitors.
MEMORY_MAX = 2 * 19 * MIB + 24 * MIB


class Door:
    """Where accounts log in."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._accounts = 0
        self.statuses: Counter[int] = Counter()
        self.waits: list[str] = []

    async def register(self, accounts: int) -> None:
        """Make accounts, which log in rightly and in turn, so that no delay of guesses matters."""
        self._accounts = accounts
        for number in range(accounts):
            body = {"name": f"account-{number}", "password": PASSWORD}
            assert (await self._http.post("/api/v1/users", json=body)).status_code == 201

    async def log_in(self, name: str) -> None:
        """Try to log in."""
        body = {"name": name, "password": PASSWORD, "cookie": False}
        answer = await self._http.post("/api/v1/sessions", json=body)
        self.statuses[answer.status_code] += 1
        if answer.status_code == 503:
            assert answer.json()["code"] == "unavailable", answer.text
            self.waits.append(answer.headers["retry-after"])

    async def keep_logging_in(self, per_second: float, is_over: asyncio.Event) -> None:
        """Log in at a steady pace, whatever the answers, until it is over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            number = 0
            while not is_over.is_set():
                group.create_task(self.log_in(f"account-{number % self._accounts}"))
                number += 1
                wait = began + number / per_second - time.monotonic()
                await asyncio.sleep(max(0.0, wait))


@asynccontextmanager
async def open_door(server: ChatServer, accounts: int) -> AsyncIterator[Door]:
    """Give a door to so many accounts."""
    limits = httpx.Limits(max_connections=BURST, max_keepalive_connections=BURST)
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, limits=limits) as http:
        door = Door(http)
        await door.register(accounts)
        yield door


async def beside(people: People, door: Door, per_second: float, seconds: float) -> list[float]:
    """Return how long messages take while others log in."""
    is_over = asyncio.Event()
    logging_in = asyncio.create_task(door.keep_logging_in(per_second, is_over))
    try:
        return await people.talk(seconds, 2.0)
    finally:
        is_over.set()
        await logging_in


async def test_people_talk_while_others_log_in(native_engine: None, tmp_path: Path) -> None:
    async with (
        running(tmp_path / "chat", limits=OFTEN) as server,
        open_door(server, ACCOUNTS) as door,
    ):
        people = await People.come(server, PEOPLE)
        latencies = await beside(people, door, LOGINS_PER_S, TALK_S)
        assert len(latencies) == PEOPLE * 2.0 * TALK_S, "each message was acknowledged"
        assert set(door.statuses) == {201}
        assert door.statuses[201] >= LOGINS_PER_S * TALK_S
        await people.leave()


async def test_a_burst_is_refused_beyond_what_may_wait_and_memory_is_bounded(
    native_engine: None, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with running(tmp_path / "chat", limits=OFTEN) as server, open_door(server, 1) as door:
        people = await People.come(server, 5)
        victim = Victim(server.pid, server.port)
        with victim.peak() as grown:
            async with asyncio.TaskGroup() as group:
                for number in range(BURST):
                    group.create_task(door.log_in(f"nobody-{number}"))
                talking = group.create_task(people.talk(1.0, 2.0))
        record_property("memory grew by at most, MiB", round(grown[0] / MIB, 1))
        assert len(talking.result()) == 10, "each message was acknowledged"
        assert set(door.statuses) == {401, 503}
        assert door.statuses[401] >= 66, "two are computed and 64 wait"
        assert set(door.waits) == {"1"}
        assert grown[0] <= MEMORY_MAX
        await door.log_in("account-0")
        assert door.statuses[201] == 1, "places come back"
        await people.leave()


@pytest.mark.nightly
@pytest.mark.timeout(600)
async def test_twenty_logins_a_second_delay_the_chat_by_little(
    native_engine: None, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With and without logins in turns, so that other work on the machine meets both alike."""
    async with (
        running(tmp_path / "chat", limits=OFTEN) as server,
        open_door(server, ACCOUNTS_NIGHTLY) as door,
    ):
        people = await People.come(server, PEOPLE)
        victim = Victim(server.pid, server.port)
        await beside(people, door, LOGINS_PER_S_NIGHTLY, 3.0)  # warms up
        before = door.statuses.total()
        without, among = [], []
        with victim.peak() as grown:
            for _ in range(ROUNDS):
                without.append(p99_ms(await people.talk(ROUND_S, 2.0)))
                latencies = await beside(people, door, LOGINS_PER_S_NIGHTLY, ROUND_S)
                among.append(p99_ms(latencies))

        rate = (door.statuses.total() - before) / (ROUNDS * ROUND_S)
        plain, busy = statistics.median(without), statistics.median(among)
        record_property("logins a second", round(rate, 1))
        record_property("p99 without, ms", round(plain, 1))
        record_property("p99 beside logins, ms", round(busy, 1))
        record_property("memory grew by at most, MiB", round(grown[0] / MIB, 1))

        assert set(door.statuses) == {201}
        assert rate >= 0.9 * LOGINS_PER_S_NIGHTLY, "this machine is too slow, or busy"
        assert busy - plain <= MORE_MS, (without, among)
        assert grown[0] <= MEMORY_MAX
        await people.leave()
