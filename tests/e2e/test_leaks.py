"""Connecting and closing leaves nothing behind: descriptors, tasks, objects, rooms."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.peers import RawPeer, frame, port_of
from tests.waiting import PATIENCE_S, eventually
from wynd import ConnectionHandle, Wynd

if TYPE_CHECKING:
    from wynd import Connection

AT_A_TIME = 50


def counted() -> dict[str, int]:
    """Return what must not grow."""
    gc.collect()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "handles": sum(isinstance(item, ConnectionHandle) for item in gc.get_objects()),
        "lanes": sum(type(item).__name__ == "ConnectionLane" for item in gc.get_objects()),
    }


async def one_life(port: int, number: int) -> None:
    """Connect, talk, and end in one of four ways."""
    peer = await RawPeer.open(port)
    await peer.send(frame(1, b"hello"))
    while (got := await peer.read_frame()) != (1, b"hello"):
        assert got == (9, b"")  # a keepalive ping: its first one comes after a random time
    if number % 4 == 0:
        peer.reset()
    elif number % 4 == 1:
        peer.close()
    else:
        await peer.send(frame(8, b"\x03\xe8") if number % 4 == 2 else frame(1, b"close me"))
        while (await peer.read_frame())[0] != 8:
            pass
        if number % 4 == 3:
            await peer.send(frame(8, b"\x03\xe8"))
        peer.close()


async def run_lives(app: Wynd, port: int, count: int, tasks: int) -> None:
    """Run many lives, some at a time, and wait until the server is through with every end."""
    for start in range(0, count, AT_A_TIME):
        await asyncio.gather(*(one_life(port, start + i) for i in range(AT_A_TIME)))
    assert app._dispatcher is not None
    await eventually(lambda: not app.statistics().connections_open and not app.clients())
    async with asyncio.timeout(PATIENCE_S):
        await app._dispatcher.wait_quiet()
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def leaks(engine: Any, cycles: int) -> None:
    """Warm up, count, run, count again."""
    app = Wynd(engine=engine)

    @app.on_connection
    async def connected(conn: Connection) -> None:
        # The usual shape of an application: conn → handler → closure → conn.
        conn.handle.join("room")

        @conn.on_text
        async def text(message: Any) -> None:
            await asyncio.sleep(0)
            if message.data == "close me":
                await conn.handle.close()
            else:
                await conn.handle.send_text(message.data)

        @conn.on_close
        async def closed(event: Any) -> None:
            conn.handle.data["closed"] = event.code

    async with app.serving(0):
        port = port_of(app)
        tasks = len(asyncio.all_tasks())
        await run_lives(app, port, 4 * AT_A_TIME, tasks)
        before = counted()
        await run_lives(app, port, cycles, tasks)
        after = counted()
        assert after == before
        assert app.statistics().rooms == 0
        assert app.statistics().handler_errors == 0


async def test_a_thousand_connections_leave_nothing_behind(engine: Any) -> None:
    await leaks(engine, 1000)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
async def test_two_hundred_thousand_connections_leave_nothing_behind(engine: Any) -> None:
    await leaks(engine, 200_000 if engine == "native" else 20_000)
