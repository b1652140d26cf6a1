"""Messages, over both engines: whole, in order, text and binary, one handler after another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.contracts.peers import EngineName, Log, connect, eventually, serving
from wynd import BinaryMessage, Connection, ConnectionHandle, Limits, Prepared, TextMessage, Wynd

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 300_000)


def echo(engine: EngineName, **options: Any) -> Wynd:
    wynd = Wynd(engine=engine, **options)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.send_text(message.data)

    @wynd.on_binary
    async def binary(message: BinaryMessage, handle: ConnectionHandle) -> None:
        await handle.send_binary(message.data)

    return wynd


@pytest.mark.parametrize("size", SIZES)
async def test_messages_come_back_as_they_were(engine: EngineName, size: int) -> None:
    async with serving(echo(engine)) as port, connect(port) as client:
        await client.send("x" * size)
        assert await client.recv() == "x" * size
        await client.send(b"\x00\xff" * (size // 2))
        assert await client.recv() == b"\x00\xff" * (size // 2)


async def test_text_outside_ascii_comes_back_as_it_was(engine: EngineName) -> None:
    text = "Grüße, 世界 🌍 \x00 \U0010ffff"
    async with serving(echo(engine)) as port, connect(port) as client:
        await client.send(text)
        assert await client.recv() == text


async def test_an_empty_message_is_a_message(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)
    wynd.on_text(lambda message: seen.append(("text", message.data)))
    wynd.on_binary(lambda message: seen.append(("binary", message.data)))
    async with serving(wynd) as port, connect(port) as client:
        await client.send("")
        await client.send(b"")
        assert await seen.length(2) == [("text", ""), ("binary", b"")]


async def test_a_fragmented_message_arrives_whole(engine: EngineName) -> None:
    async with serving(echo(engine)) as port, connect(port) as client:
        await client.send(["frag", "", "ments ", "ü"])
        assert await client.recv() == "fragments ü"


async def test_messages_are_handled_in_order(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        number = int(message.data)
        if number % 3 == 0:
            await asyncio.sleep(0)  # some suspend, some do not
        seen.append(number)

    async with serving(wynd) as port, connect(port) as client:
        for number in range(500):
            await client.send(str(number))
        assert await seen.length(500) == list(range(500))


async def test_sends_leave_in_call_order(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_open
    def opened(handle: ConnectionHandle) -> None:
        for number in range(500):
            handle.send_text(f"{number}")
            handle.send_binary(b"%d" % number)

    async with serving(wynd) as port, connect(port) as client:
        for number in range(500):
            assert await client.recv() == str(number)
            assert await client.recv() == b"%d" % number


async def test_on_open_runs_before_the_first_message(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    async def connected(conn: Connection) -> None:
        await asyncio.sleep(0)

        @conn.on_open
        async def opened(handle: ConnectionHandle) -> None:
            await asyncio.sleep(0)
            seen.append("open")

        @conn.on_text
        def text(message: TextMessage) -> None:
            seen.append(message.data)

    async with serving(wynd) as port, connect(port) as client:
        await client.send("first")
        assert await seen.length(2) == ["open", "first"]


async def test_on_open_may_be_registered_late(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    def connected(conn: Connection) -> None:
        @conn.on_text
        def text(message: TextMessage) -> None:
            @conn.on_open
            async def opened(handle: ConnectionHandle) -> None:
                await handle.send_text("late")

    async with serving(wynd) as port, connect(port) as client:
        await client.send("now")
        assert await client.recv() == "late"


async def test_several_handlers_run_in_the_order_of_registration(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def first(message: TextMessage) -> None:
        await asyncio.sleep(0)
        seen.append("first")

    @wynd.on_connection
    def connected(conn: Connection) -> None:
        conn.on_text(lambda message: seen.append("second"))

    async with serving(wynd) as port, connect(port) as client:
        await client.send("")
        assert await seen.length(2) == ["first", "second"]


async def test_events_know_their_handle(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_text
    def text(message: TextMessage, handle: ConnectionHandle) -> None:
        seen.append(message.handle is handle and wynd.connection(handle.id) is handle)

    async with serving(wynd) as port, connect(port) as client:
        await client.send("")
        assert await seen.length(1) == [True]


async def test_handlers_of_one_connection_do_not_overlap(engine: EngineName) -> None:
    running = 0
    most = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        nonlocal running
        running += 1
        most.append(running)
        await asyncio.sleep(0)
        running -= 1

    async with serving(wynd) as port, connect(port) as client:
        for _ in range(20):
            await client.send("")
        await most.length(20)
        assert set(most) == {1}


async def test_concurrency_lets_so_many_run_and_no_more(engine: EngineName) -> None:
    running = 0
    most = 0
    release = asyncio.Event()
    wynd = Wynd(engine=engine, concurrency=3)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        await handle.send_text(message.data)

    async with serving(wynd) as port, connect(port) as client:
        for number in range(9):
            await client.send(str(number))
        await eventually(lambda: running == 3)
        release.set()
        assert {await client.recv() for _ in range(9)} == {str(number) for number in range(9)}
        assert most == 3


async def test_a_busy_connection_does_not_hold_up_others(engine: EngineName) -> None:
    release = asyncio.Event()
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        if message.data == "wait":
            await release.wait()
        await handle.send_text(message.data)

    async with serving(wynd) as port, connect(port) as busy, connect(port) as other:
        await busy.send("wait")
        await busy.send("after")
        await other.send("quick")
        assert await other.recv() == "quick"
        release.set()
        assert [await busy.recv(), await busy.recv()] == ["wait", "after"]


async def test_messages_can_be_iterated(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    async def connected(conn: Connection) -> None:
        async for message in conn:
            seen.append(message.data)
            await conn.handle.send_text(f"got {message.data!r}")
        seen.append("end")

    async with serving(wynd) as port:
        async with connect(port) as client:
            await client.send("one")
            assert await client.recv() == "got 'one'"
            await client.send(b"two")
            assert await client.recv() == "got b'two'"
        assert await seen.length(3) == ["one", b"two", "end"]


async def test_iteration_does_not_lose_what_came_before_the_close(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    async def connected(conn: Connection) -> None:
        async for message in conn:
            await asyncio.sleep(0)
            seen.append(message.data)
        seen.append("end")

    async with serving(wynd) as port:
        async with connect(port) as client:
            for number in range(100):
                await client.send(str(number))
        assert await seen.length(101) == [*map(str, range(100)), "end"]


async def test_prepared_messages_reach_everybody(engine: EngineName) -> None:
    text, binary = Prepared("ümlaut"), Prepared(bytearray(b"bytes"))
    wynd = Wynd(engine=engine)

    @wynd.on_open
    def opened(handle: ConnectionHandle) -> None:
        handle.send_text(text)
        handle.send_binary(binary)
        handle.broadcast.emit_text(text)

    async with serving(wynd) as port, connect(port) as client:
        assert [await client.recv() for _ in range(3)] == ["ümlaut", b"bytes", "ümlaut"]
        async with connect(port) as second:
            assert await second.recv() == "ümlaut"
            assert await client.recv() == "ümlaut"


async def test_wrong_types_are_refused_at_the_call(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_open
    def opened(handle: ConnectionHandle) -> None:
        for call, argument in (
            (handle.send_text, b"bytes"),
            (handle.send_text, None),
            (handle.send_text, Prepared(b"bytes")),
            (handle.send_binary, "text"),
            (handle.to("room").text, b"bytes"),
            (handle.join, 7),
        ):
            try:
                call(argument)  # type: ignore[arg-type] # wrong on purpose
            except TypeError as error:
                seen.append(type(error))
        try:
            handle.send_text("\ud800")
        except ValueError as error:
            seen.append(type(error))
        handle.send_text("still open")

    async with serving(wynd) as port, connect(port) as client:
        assert await client.recv() == "still open"
        assert seen == [TypeError] * 6 + [ValueError]


async def test_a_message_at_the_limit_passes_and_one_above_is_1009(engine: EngineName) -> None:
    wynd = echo(engine, limits=Limits(message_bytes_max=1000))
    async with serving(wynd) as port, connect(port) as client:
        await client.send("ü" * 500)
        assert await client.recv() == "ü" * 500
        await client.send("ü" * 500 + "x")
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1009, "Message too big.")
    assert wynd.statistics().engine == ""  # forgotten at the end of serving
