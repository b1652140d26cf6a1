"""A server whose native engine panics on request: `python -m tests.native.faulty SCENARIO POINT`.

Runs with a build of the module that has `_inject_fault`, in a process of its own, and prints one
JSON object: what the server told, what the clients saw, and whether it served on. `test_faults.py`
starts it and judges.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from wynd import Prepared, Wynd, _engine
from wynd.http import App

if TYPE_CHECKING:
    from wynd import CloseEvent, Connection, ConnectionHandle, TextMessage

DEADLINE_S = 10.0
inject: Any = getattr(_engine, "_inject_fault", None)


class Log(logging.Handler):
    """Keeps what is logged, exceptions included."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.texts.append(f"{record.levelname} {record.name}: {record.getMessage()} {error!r}")


async def serve(point: str, told: dict[str, Any]) -> None:
    """Let a point panic while a client talks, then serve another client."""
    app = Wynd(engine="native")
    closed: list[int] = []
    raised: list[str] = []

    @app.on_connection
    def connected(conn: Connection) -> None:
        @conn.on_text
        async def echo(message: TextMessage, handle: ConnectionHandle) -> None:
            if message.data == "fault":
                inject(point)
            try:
                await handle.send_text(message.data)
            except Exception as error:
                raised.append(f"{type(error).__name__}: {error}")
                raise

        @conn.on_close
        def ended(event: CloseEvent) -> None:
            closed.append(event.code)

    async with app.serving(0, host="127.0.0.1"):
        port = app.addresses[0][1]
        async with connect(f"ws://127.0.0.1:{port}") as first:
            await first.send("a")
            assert await first.recv() == "a"
            await first.send("fault")
            try:
                while True:
                    await first.send("more")  # each one is a turn, in which the point is reached
                    told.setdefault("echoed", []).append(await first.recv())
                    if len(told["echoed"]) > 50:
                        break
            except ConnectionClosed:
                told["first"] = "closed"
        async with connect(f"ws://127.0.0.1:{port}") as second:
            await second.send("b")
            told["second"] = await second.recv()
    told.update(closed=closed, raised=raised)


async def lose(point: str, told: dict[str, Any]) -> None:
    """Let the turn panic, and what ends the connections after it too."""
    app = Wynd(engine="native")
    await lose_of(app, app, point, told)


async def lose_hosted(point: str, told: dict[str, Any]) -> None:
    """Do the same to a `Wynd` that an HTTP application holds."""
    app, host = Wynd(), App()
    host.use_wynd("/", app.handler())
    await lose_of(app, host, point, told)


async def lose_of(app: Wynd, host: Any, point: str, told: dict[str, Any]) -> None:
    """Lose the engine of `host`, which serves `app`."""

    @app.on_connection
    def connected(conn: Connection) -> None:
        @conn.on_text
        async def heard(message: TextMessage, handle: ConnectionHandle) -> None:
            inject(point)
            inject("recover")

        @conn.on_close
        def ended(event: CloseEvent) -> None:
            told.setdefault("closed", []).append(event.code)

    listening = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        host.listen(0, lambda: listening.set_result(host.addresses[0][1]), host="127.0.0.1")
    )
    async with connect(f"ws://127.0.0.1:{await listening}") as client:
        await client.send("fault")
        try:
            await client.recv()
        except ConnectionClosed:
            told["first"] = "closed"
    try:
        await serving
        told["listen"] = "returned"
    except Exception as error:
        told["listen"] = f"{type(error).__name__}: {error}"


def alone(point: str, told: dict[str, Any]) -> None:
    """Let a method of an object that stands alone panic, then use it again."""
    receive: Any = (
        _engine.ServerProtocol().receive_data
        if point == "client"
        else _engine.ServerSession(message_bytes_max=1000).receive
    )
    inject(point)
    try:
        receive(b"")
    except BaseException as error:
        told["raised"] = f"{type(error).__name__}: {error}"
    told["after"] = repr(receive(b""))


async def drop(point: str, told: dict[str, Any]) -> None:
    """Let the end of an object panic."""
    app = Wynd(engine="native")
    async with app.serving(0, host="127.0.0.1"):
        port = app.addresses[0][1]
        unraisable: list[str] = []
        sys.unraisablehook = lambda what: unraisable.append(f"{what.exc_value!r}")
        message = Prepared("hi")
        async with connect(f"ws://127.0.0.1:{port}") as client:
            await app.broadcast.text(message)
            told["first"] = await client.recv()
            inject(point)
            del message
            gc.collect()
            await app.broadcast.text("still")
            told["second"] = await client.recv()
    told["unraisable"] = unraisable


async def main() -> None:
    """Run one scenario; print what it told."""
    scenario, point = sys.argv[1:]
    log = Log()
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    told: dict[str, Any] = {}
    async with asyncio.timeout(DEADLINE_S):
        if scenario == "alone":
            alone(point, told)
        else:
            scenarios = {"serve": serve, "lose": lose, "lose_hosted": lose_hosted, "drop": drop}
            await scenarios[scenario](point, told)
    told["log"] = log.texts
    print(json.dumps(told))  # noqa: T201 - it is how it answers


asyncio.run(main())
