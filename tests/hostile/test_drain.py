"""SIGTERM while clients are busy: each gets its close frame, and the process ends in time."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bench.measure import raise_descriptor_limit
from tests.conformance.wire import CLOSE, TEXT, Frame, Server, Wire, frame, head, opened
from tests.conftest import NATIVE_IS_BUILT
from tests.hostile.attacking import PROGRAM
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = [
    pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built"),
    pytest.mark.timeout(120),
]

OPENING = 100  # handshakes at a time
DRAIN_S = 30.0
FORCED_S = 3.0  # far below `close_timeout_s`, for which an ordinary stop waits for handlers


@asynccontextmanager
async def process(**options: Any) -> AsyncIterator[tuple[asyncio.subprocess.Process, Server]]:
    """A server process; gone at the end."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), json.dumps(options)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        yield running, Server("127.0.0.1", int(await running.stdout.readline()))
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


class Busy:
    """A client that says something and waits for its echo, again and again."""

    def __init__(self) -> None:
        self.echoes = 0
        self.closed: tuple[int, bytes, float] | None = None

    async def talk(self, server: Server, ready: asyncio.Semaphore) -> None:
        """Talk until the server's close frame, and answer it."""
        await ready.acquire()
        async with opened(server) as wire:
            wire.send(head())
            status, _, _ = await wire.answer()
            ready.release()
            assert status == 101
            while True:
                wire.send(frame(TEXT, b"%d" % self.echoes))
                seen = await wire.frame()
                assert seen is not None, "ended without a close frame"
                if seen.opcode == CLOSE:
                    break
                assert seen == Frame(TEXT, b"%d" % self.echoes)
                self.echoes += 1
            (code,) = struct.unpack("!H", seen.payload[:2])
            self.closed = code, seen.payload[2:], time.monotonic()
            wire.send(frame(CLOSE, seen.payload[:2]))
            assert await wire.is_ended()


async def refuses(server: Server) -> bool:
    """Tell whether nobody listens any more."""
    try:
        async with opened(server):
            return False
    except ConnectionRefusedError:
        return True


def told(reason: bytes) -> int:
    """Return the seconds that a client is asked to stay away."""
    sentence, _, seconds = reason.partition(b" retry_after=")
    assert sentence == b"Server is restarting."
    return int(seconds)


async def drain(count: int, *, restarts: bool = False) -> tuple[float, float]:
    """Return how long the stop took, and over how many seconds the close frames were spread.

    Args:
        restarts: whether the application restarts with 1012, instead of SIGTERM.
    """
    async with process() as (running, server):
        ready = asyncio.Semaphore(OPENING)
        clients = [Busy() for _ in range(count)]
        talking = asyncio.gather(*(client.talk(server, ready) for client in clients))
        while not all(client.echoes for client in clients):
            assert not talking.done(), await talking
            await asyncio.sleep(0.01)
        began = time.monotonic()
        if restarts:
            async with opened(server) as wire:
                wire.send(head() + frame(TEXT, b"/restart"))
                assert (await wire.answer())[0] == 101
                await eventually(lambda: any(client.closed for client in clients))
        else:
            running.send_signal(signal.SIGTERM)
            await eventually(lambda: any(client.closed for client in clients))
        assert await refuses(server)
        await talking
        async with asyncio.timeout(DRAIN_S):
            assert await running.wait() == 0
        took = time.monotonic() - began
        assert took <= DRAIN_S
    ends = [client.closed for client in clients if client.closed is not None]
    assert len(ends) == count
    if restarts:
        assert {code for code, _, _ in ends} == {1012}
        seconds = {told(reason) for _, reason, _ in ends}
        assert len(seconds) > 3  # each client's own, so that they do not come back together
        assert min(seconds) >= 1
        assert max(seconds) <= 10
    else:
        assert {(code, reason) for code, reason, _ in ends} == {(1001, b"Server is stopping.")}
    times = [at for _, _, at in ends]
    assert max(times) - min(times) <= 5.0 + 1.0  # the window, and a busy client's turn
    return took, max(times) - min(times)


async def test_busy_clients_are_told_and_the_process_ends() -> None:
    await drain(200)


async def test_busy_clients_are_told_when_to_come_back_after_a_restart() -> None:
    await drain(200, restarts=True)


@pytest.mark.nightly
@pytest.mark.parametrize("restarts", [False, True], ids=["stop", "restart"])
async def test_five_thousand_busy_clients(
    restarts: bool, record_property: Callable[[str, object], None]
) -> None:
    raise_descriptor_limit()
    took, spread = await drain(5000, restarts=restarts)
    record_property("the stop took, s", round(took, 1))
    record_property("close frames over, s", round(spread, 1))


async def hanging(server: Server) -> Wire:
    """Return a connection whose handler never ends."""
    streams = await asyncio.open_connection(server.host, server.port)
    wire = Wire(*streams)
    wire.send(head() + frame(TEXT, b"before") + frame(TEXT, b"/hang"))
    assert (await wire.answer())[0] == 101
    assert await wire.frame() == Frame(TEXT, b"before")
    return wire


async def test_a_handler_that_hangs_is_cancelled_and_the_process_ends() -> None:
    async with process(limits={"close_timeout_s": 0.5}) as (running, server):
        wire = await hanging(server)
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DRAIN_S):
            assert await running.wait() == 0
        assert running.stdout is not None
        assert await running.stdout.readline() == b"cancelled\n"
        wire.abort()


async def test_a_second_signal_does_not_wait_for_handlers() -> None:
    async with process() as (running, server):
        wire = await hanging(server)
        running.send_signal(signal.SIGTERM)
        seen = await wire.frame()  # the stop has begun
        assert seen is not None
        assert seen.opcode == CLOSE
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(FORCED_S):
            assert await running.wait() == 0
        wire.abort()
