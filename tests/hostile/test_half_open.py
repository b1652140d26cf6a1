"""Peers that are gone without a word: found in time, and nobody who still sends is taken for one.

The times are the defaults, so these run nightly; with a virtual clock they stand in
tests/contracts/test_limits.py and in crates/wynd-engine/tests/endings.rs. A frozen process is as
silent as a lost machine, though its kernel still takes what is sent until its buffers are full.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.wire import BINARY, Frame, Server, Wire, frame, head, opened
from tests.contracts.peers import serving
from tests.waiting import eventually
from wynd import ConnectionClosed, Wynd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from wynd import CloseEvent, ConnectionHandle

FOUND_S = 36.0  # 25 + 10 + 1
DRIP_S = 2.0
PATIENCE_S = 60.0
CLIENT = """
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], ping_interval=None, proxy=None) as client:
        print("open", flush=True)
        async for message in client:
            pass
asyncio.run(main())
"""

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(120)]


@asynccontextmanager
async def frozen(port: int, path: str) -> AsyncIterator[None]:
    """A client process that was connected, and is stopped."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, f"ws://127.0.0.1:{port}{path}"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"open\n"
        os.kill(process.pid, signal.SIGSTOP)
        yield
    finally:
        process.kill()
        await process.wait()


async def drip(wire: Wire, until: asyncio.Event) -> None:
    """Send one large frame byte by byte, slowly, and answer no ping."""
    data = frame(BINARY, b"d" * 1000)
    wire.send(head(path="/slow"))
    assert (await wire.answer())[0] == 101
    for at in range(len(data)):
        wire.send(data[at : at + 1])
        try:
            async with asyncio.timeout(DRIP_S):
                await until.wait()
        except TimeoutError:
            continue
        wire.send(data[at + 1 :])
        break
    while (found := await wire.frame()) is not None:
        if found.opcode == BINARY:
            assert found == Frame(BINARY, b"d" * 1000)
            return
    raise AssertionError("the slow sender was cut")


async def test_frozen_peers_are_found_and_slow_senders_are_not_cut(
    engine: Any, record_property: Callable[[str, object], None]
) -> None:
    wynd = Wynd(engine=engine)
    ended: dict[str, list[tuple[float, int, bool]]] = {}
    raised: list[float] = []
    began = time.monotonic()
    wynd.on_binary(lambda message, handle: handle.send_binary(message.data))

    async def talk(handle: ConnectionHandle) -> None:
        try:
            while True:
                await handle.send_text("x" * 100_000)
        except ConnectionClosed:
            raised.append(time.monotonic() - began)

    @wynd.on_open
    async def note(handle: ConnectionHandle) -> None:
        handle.join("room")
        if handle.request.path == "/told":
            handle.data["talking"] = asyncio.ensure_future(talk(handle))

    @wynd.on_disconnect
    def closed(event: CloseEvent, handle: ConnectionHandle) -> None:
        after = time.monotonic() - began
        is_member = handle in wynd.clients()
        ended.setdefault(handle.request.path, []).append((after, event.code, is_member))

    async with serving(wynd) as port, frozen(port, "/silent"), frozen(port, "/told"):
        began = time.monotonic()
        over = asyncio.Event()
        async with opened(Server("127.0.0.1", port)) as wire:
            # On the portable engine life is what the host takes for it: a pong, and nothing else.
            slow = asyncio.ensure_future(drip(wire, over)) if engine == "native" else None
            await eventually(lambda: len(ended) == 2, PATIENCE_S)
            await eventually(lambda: raised, PATIENCE_S)
            over.set()
            if slow is not None:
                await slow
        for path in ("/silent", "/told"):
            ((after, code, is_member),) = ended[path]
            record_property(f"{engine}: {path} found after, s", round(after, 1))
            assert code == 1006
            assert not is_member
            assert after <= FOUND_S
        assert raised[0] <= FOUND_S
