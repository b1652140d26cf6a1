"""Row 42: who sends 10,000 messages a second is put out, and delays the others little."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chat_client import ChatClient
from tests.e2e.delivery.servers import running
from tests.e2e.security.people import People, p99_ms
from tests.hostile.attacking import Victim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.e2e.delivery.servers import ChatServer

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[3]
FLOODER = Path(__file__).with_name("flooder.py")
RATE = 10_000
PEOPLE, EACH_PER_S = 20, 1.5  # below what people may send in the long run
TALK_S, ROUND_S, ROUNDS = 5.0, 20.0, 3
FLOODING = "4029"  # the close code
DEFAULTS: dict[str, str] = {}  # the limits that everybody has


class Flood:
    """What the attacker said at its end."""

    def __init__(self) -> None:
        self.offered = 0
        self.written = 0
        self.codes: dict[str, int] = {}


@asynccontextmanager
async def flood(server: ChatServer) -> AsyncIterator[Flood]:
    """Let the attacker flood until the block ends; give what it says then."""
    said = Flood()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(FLOODER), str(server.port), str(RATE)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        assert await process.stdout.readline() == b"flooding\n"
        yield said
        process.stdin.close()
        async with asyncio.timeout(15):
            told: dict[str, Any] = json.loads(await process.stdout.readline())
            await process.wait()
        said.offered, said.written, said.codes = (told[k] for k in ("offered", "written", "codes"))
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def flooded_texts(server: ChatServer) -> list[str]:
    """Return who wrote what is stored."""
    return [name for _, name, _, _ in server.stored() if name.startswith("flooder-")]


async def test_a_flooder_is_put_out_and_the_others_talk_on(
    native_engine: None, tmp_path: Path
) -> None:
    async with running(tmp_path / "chat", limits=DEFAULTS) as server:
        people = await People.come(server, PEOPLE)
        async with flood(server) as attacker:
            latencies = await people.talk(TALK_S, EACH_PER_S)
        assert len(latencies) == PEOPLE * EACH_PER_S * TALK_S, "each message was acknowledged"
        assert attacker.codes.get(FLOODING, 0) >= 1, attacker.codes
        assert attacker.written > 1_000
        stays = await ChatClient.connect(server.port)
        await stays.name("Newcomer")
        await stays.close()
        await people.leave()
        # Ten at once and two a second, of every name that it came under.
        names = attacker.codes[FLOODING] + 1
        got_in = await flooded_texts(server)
        assert len(got_in) <= names * (10 + 2 * (TALK_S + 2)), attacker.codes
        await server.stop()


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="reads the server's CPU time")
async def test_a_flooder_costs_others_little(
    native_engine: None, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With and without the attacker in turns: other work on the machine meets both alike."""
    async with running(tmp_path / "chat", limits=DEFAULTS) as server:
        people = await People.come(server, PEOPLE)
        victim = Victim(server.pid, server.port)
        await people.talk(3.0, EACH_PER_S)  # warms up
        without, beside, offered, written, cpu_s = [], [], 0, 0, 0.0
        for _ in range(ROUNDS):
            without.append(p99_ms(await people.talk(ROUND_S, EACH_PER_S)))
            async with flood(server) as attacker:
                began_s = victim.cpu_s()
                beside.append(p99_ms(await people.talk(ROUND_S, EACH_PER_S)))
                cpu_s += victim.cpu_s() - began_s
            offered += attacker.offered
            written += attacker.written
            assert attacker.codes.get(FLOODING, 0) >= 1
        rate = offered / (ROUNDS * ROUND_S)
        plain, busy = statistics.median(without), statistics.median(beside)
        record_property("messages a second offered", round(rate))
        record_property("messages a second written", round(written / (ROUNDS * ROUND_S)))
        record_property("server's CPU meanwhile", round(cpu_s / (ROUNDS * ROUND_S), 2))
        record_property("p99 without, ms", round(plain, 1))
        record_property("p99 beside the attacker, ms", round(busy, 1))
        record_property("p99 beside / without", round(busy / plain, 2))
        assert rate >= 0.7 * RATE, "it waits between connections; else this machine is too busy"
        assert busy / plain <= 1.2, (without, beside)
        await people.leave()
