"""Whoever blocks the event loop is named in the log, and nobody else is."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import eventually
from wynd import ConnectionHandle, TextMessage, Wynd
from wynd.testing import serve
from wynd.watching import LoopWatch, name_blocker, watch_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


def work(until: list[bool], deadline_s: float = 10.0) -> None:
    """Hold the thread until `until` says something, as a long calculation does."""
    end = time.monotonic() + deadline_s
    while not until and time.monotonic() < end:
        time.sleep(0.001)


class Named(logging.Handler):
    """Collects the warnings, and ends whoever waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.told: list[bool] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.told.append(True)


@pytest.fixture
def named() -> Iterator[Named]:
    """What is logged about the loop."""
    handler = Named()
    logging.getLogger("wynd.loop").addHandler(handler)
    yield handler
    logging.getLogger("wynd.loop").removeHandler(handler)


async def test_a_handler_that_blocks_the_loop_is_named(named: Named) -> None:
    wynd = Wynd()

    @wynd.on_text
    def slow_report(message: TextMessage, handle: ConnectionHandle) -> None:
        work(named.told)
        handle.send_text("done")

    async with serve(wynd) as server:
        ws = await server.connect()
        await ws.send_text("go")
        assert await ws.receive_text() == "done"
    assert "slow_report (" in named.texts[0]
    assert f"{__file__}:" in named.texts[0]
    assert "has blocked the event loop for over 100 ms" in named.texts[0]


async def test_a_coroutine_that_blocks_after_it_suspended_is_named(named: Named) -> None:
    async def resumed() -> None:
        await asyncio.sleep(0)
        work(named.told)

    watch = LoopWatch(asyncio.get_running_loop(), blocked_s=0.02)
    try:
        await resumed_in_task(resumed)
    finally:
        watch.stop()
    assert "resumed (" in named.texts[0]


async def resumed_in_task(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run in a task of its own, as the resident task does."""
    await asyncio.create_task(function())


async def test_the_same_function_is_named_once_in_a_while(named: Named) -> None:
    now = [0.0]
    watch = LoopWatch(asyncio.get_running_loop(), blocked_s=0.02, clock=lambda: now[0])

    async def block(until: list[bool], deadline_s: float) -> None:
        work(until, deadline_s)

    try:
        await resumed_in_task(lambda: block(named.told, 10))
        await resumed_in_task(lambda: block([], 0.3))  # long enough to be noticed three times
        assert len(named.texts) == 1
        now[0] = 11.0
        named.told.clear()
        await resumed_in_task(lambda: block(named.told, 10))
        assert len(named.texts) == 2
    finally:
        watch.stop()


def test_opening_a_listener_blocks_nobody_however_long_its_modules_take() -> None:
    program = """if True:
        import asyncio, sys, time, wynd

        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "uvicorn":
                    time.sleep(0.5)

        async def main():
            async with wynd.Wynd(engine="portable").serving(0):
                pass

        sys.meta_path.insert(0, Slow())
        asyncio.run(main())
        assert "uvicorn" in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


async def test_applications_on_one_loop_name_a_blocker_once(named: Named) -> None:
    loop = asyncio.get_running_loop()
    watches = [watch_loop(loop), watch_loop(loop)]

    async def block() -> None:
        work(named.told, 10)

    try:
        watches.pop().stop()
        await resumed_in_task(block)  # the other one goes on
        assert len(named.texts) == 1
        assert watch_loop(loop) is watches[0]
        watches.append(watches[0])
    finally:
        for watch in watches:
            watch.stop()
    fresh = watch_loop(loop)
    assert fresh is not watch
    fresh.stop()


async def test_a_loop_that_waits_is_blocked_by_nobody() -> None:
    seen: list[object] = []
    assert name_blocker(sys._getframe()) is not None

    def look() -> None:
        main = threading.main_thread().ident
        assert main is not None
        seen.append(name_blocker(sys._current_frames()[main]))

    for _ in range(20):
        await asyncio.to_thread(look)
        if seen[-1] is None:
            break
    assert seen[-1] is None


async def test_the_watch_ends_with_the_server() -> None:
    def watches() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "wynd-loop-watch"]

    wynd = Wynd()
    async with serve(wynd):
        assert len(watches()) == 1
    await eventually(lambda: not watches())
