"""Handlers called by the engine's own step and by its plain twin: they must not tell which.

The native engine calls the handlers of idle connections by itself. Each test runs once with that
and once without; over the portable engine both are the plain way.
"""

from __future__ import annotations

import asyncio
import traceback
from contextvars import ContextVar
from typing import Any

import pytest

from tests.contracts.peers import EngineName, Log, connect, eventually, serving
from wynd import Connection, ConnectionHandle, HandlerError, TextMessage, Wynd, dispatch

mark: ContextVar[str] = ContextVar("mark", default="unset")


@pytest.fixture(autouse=True, params=["quick", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who calls the handlers of idle connections."""
    if request.param == "plain":
        monkeypatch.setattr(dispatch, "USE_QUICK_PATH", False)
    return str(request.param)


async def test_a_plain_function_sees_no_task_and_a_coroutine_its_connections(
    engine: EngineName,
) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_binary
    def binary(message: Any) -> None:
        seen.append(asyncio.current_task())

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        seen.append(asyncio.current_task())

    async with serving(wynd) as port, connect(port) as client:
        for _ in range(3):
            await client.send("x")
            await client.send("x")
            await client.send(b"x")
        await seen.length(9)
    functions, coroutines = seen[2::3], seen[0::3] + seen[1::3]
    assert functions == [None] * 3
    assert len(set(coroutines)) == 1
    assert coroutines[0].get_name().startswith("wynd-connection-")


async def test_context_variables_stay_with_their_connection(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        handle.send_text(mark.get())
        mark.set(message.data)

    @wynd.on_binary
    def binary(message: Any, handle: ConnectionHandle) -> None:
        handle.send_text(mark.get())
        mark.set(message.data.decode())

    async with serving(wynd) as port, connect(port) as one, connect(port) as two:
        for client, text_sent, expected in (
            (one, "a", "unset"),
            (two, "b", "unset"),
            (one, b"c", "a"),
            (two, b"d", "b"),
            (one, "e", "c"),
        ):
            await client.send(text_sent)
            assert await client.recv() == expected
    assert mark.get() == "unset"


async def test_a_failure_concerns_one_message_and_is_told_with_its_place(
    engine: EngineName,
) -> None:
    errors = Log()
    wynd = Wynd(engine=engine)
    wynd.on_error(errors.append)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        if message.data == "later":
            await asyncio.sleep(0)
        if message.data != "good":
            raise ValueError(message.data)
        handle.send_text(message.data)

    @wynd.on_binary
    def binary(message: Any) -> None:
        raise ValueError("binary")

    async with serving(wynd) as port, connect(port) as client:
        for data in ("good", "bad", "good", b"bad", "later", "good"):
            await client.send(data)
        assert [await client.recv() for _ in range(3)] == ["good"] * 3
    told: list[HandlerError] = list(errors)
    assert [str(error.exception) for error in told] == ["bad", "binary", "later"]
    for error in told:
        assert "raise ValueError" in "".join(traceback.format_exception(error.exception))


async def test_a_handler_that_cancels_its_own_task_harms_no_later_message(
    engine: EngineName,
) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        task = asyncio.current_task()
        assert task is not None
        if message.data == "cancel":
            task.cancel()
        elif message.data == "raise":
            raise asyncio.CancelledError
        elif message.data == "both":
            task.cancel()
            await asyncio.sleep(0)
        else:
            handle.send_text(message.data)

    async with serving(wynd) as port, connect(port) as client:
        for data in ("cancel", "1", "raise", "2", "both", "3", "cancel", "cancel", "4"):
            await client.send(data)
        assert [await client.recv() for _ in range(4)] == ["1", "2", "3", "4"]


async def test_handlers_registered_between_two_messages_count(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    def connected(conn: Connection) -> None:
        @conn.on_text
        async def first(message: TextMessage) -> None:
            seen.append(("first", message.data))
            if message.data == "more":

                @conn.on_text
                def second(message: TextMessage, handle: ConnectionHandle) -> None:
                    seen.append(("second", message.data))

    async with serving(wynd) as port, connect(port) as client:
        for data in ("a", "more", "b"):
            await client.send(data)
        await seen.length(4)
    assert seen == [("first", "a"), ("first", "more"), ("first", "b"), ("second", "b")]


async def test_order_holds_whatever_the_handlers_return(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    async def later(data: str) -> None:
        assert asyncio.current_task() is not None
        await asyncio.sleep(0)
        seen.append(data)

    class Awaitable:
        def __init__(self, data: str) -> None:
            self.data = data

        def __await__(self) -> Any:
            yield from later(self.data).__await__()

    @wynd.on_text
    def text(message: TextMessage, handle: ConnectionHandle) -> Any:
        kind = len(seen) % 4
        if kind == 0:
            return later(message.data)
        if kind == 1:
            return Awaitable(message.data)
        seen.append(message.data)
        return handle.send_text("") if kind == 2 else "no awaitable"

    async with serving(wynd) as port, connect(port) as client:
        for number in range(40):
            await client.send(str(number))
        await seen.length(40)
    assert seen == [str(number) for number in range(40)]


async def test_a_task_made_in_a_handler_runs_in_its_connections_context(
    engine: EngineName,
) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    async def later() -> None:
        seen.append(mark.get())

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        mark.set(message.data)
        task = asyncio.create_task(later())
        await asyncio.wait_for(task, 5)
        async with asyncio.timeout(5):
            await asyncio.sleep(0)

    async with serving(wynd) as port, connect(port) as one, connect(port) as two:
        await one.send("one")
        await two.send("two")
        await eventually(lambda: sorted(seen) == ["one", "two"])
