"""Handlers that fail, and peers that break a limit, over both engines."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from tests.contracts.peers import EngineName, Log, RawPeer, connect, eventually, serving
from tests.e2e.peers import RawPeer as EndToEndPeer
from tests.e2e.peers import frame
from wynd import CloseEvent, ConnectionHandle, EngineUnavailable, Limits, TextMessage, Wynd


def failing(
    engine: EngineName, on_handler_error: Literal["keep", "close"] = "keep"
) -> tuple[Wynd, Log]:
    """Return a server whose handler fails on "fail" and echoes the rest, and its errors."""
    wynd, errors = Wynd(engine=engine, on_handler_error=on_handler_error), Log()
    wynd.on_error(errors.append)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        if message.data.startswith("fail"):
            if message.data == "fail later":
                await asyncio.sleep(0)
            raise RuntimeError("secret detail")
        await handle.send_text(message.data)

    return wynd, errors


@pytest.mark.parametrize("how", ["fail", "fail later"])
async def test_a_failing_handler_is_reported_and_the_connection_goes_on(
    engine: EngineName, how: str
) -> None:
    wynd, errors = failing(engine)
    async with serving(wynd) as port, connect(port) as client, connect(port) as other:
        await client.send(how)
        await client.send("next")
        assert await client.recv() == "next"
        await other.send("unharmed")
        assert await other.recv() == "unharmed"
        await errors.length(1)
        error = errors[0]
        assert isinstance(error.exception, RuntimeError)
        assert error.handle in wynd.clients()
        assert error.event.data == how
        assert wynd.statistics().handler_errors == 1


async def test_a_running_handler_answers_before_a_broken_frame_ends_the_connection() -> None:
    pytest.importorskip("wynd._engine", reason="the native engine is not built")
    wynd, gate = Wynd(engine="native"), asyncio.Event()

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await gate.wait()
        await handle.send_text(f"answer to {message.data}")

    async with serving(wynd) as port:
        peer = await EndToEndPeer.open(port)
        await peer.send(frame(1, b"good") + b"\xf1\x80\0\0\0\0" + frame(1, b"never parsed"))
        await eventually(lambda: wynd.statistics().messages_received == 1)
        gate.set()
        frames = [await peer.read_frame(), await peer.read_frame()]
        assert frames == [(1, b"answer to good"), (8, b"\x03\xeaProtocol error.")]
        peer.close()


@pytest.mark.parametrize("how", ["fail", "fail later"])
async def test_the_policy_to_close_closes_with_1011(engine: EngineName, how: str) -> None:
    wynd, errors = failing(engine, "close")
    async with serving(wynd) as port, connect(port) as client, connect(port) as other:
        await client.send(how)
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1011, "Internal error.")
        await other.send("unharmed")
        assert await other.recv() == "unharmed"
        assert len(errors) == 1


async def test_failures_in_on_close_and_on_error_harm_nobody(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_disconnect
    def closed(event: CloseEvent) -> None:
        seen.append(event.code)
        raise RuntimeError("in on_close")

    @wynd.on_error
    def failed(error: Any) -> None:
        seen.append(type(error.exception))
        raise RuntimeError("in on_error")

    async with serving(wynd) as port:
        async with connect(port):
            pass
        assert await seen.length(2) == [1000, RuntimeError]
        async with connect(port):
            await eventually(lambda: wynd.clients())


async def test_messages_faster_than_the_limit_are_1008(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine, limits=Limits(messages_per_second_max=5))
    wynd.on_text(lambda message, handle: seen.append(message.data))
    async with serving(wynd) as port, connect(port) as client:
        for number in range(20):
            await client.send(str(number))
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1008, "Limit exceeded.")
        assert seen[:5] == ["0", "1", "2", "3", "4"]
        assert len(seen) < 20
        assert wynd.statistics().limits_hit == {"messages_per_second_max": 1}


async def test_good_messages_before_a_bad_one_are_answered(engine: EngineName) -> None:
    wynd = Wynd(engine=engine, limits=Limits(message_bytes_max=100))

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.send_text(message.data)

    async with serving(wynd) as port, await RawPeer.connect(port) as peer:
        for number in range(10):
            await peer.send_text(str(number))
        await peer.send_text("x" * 101)
        messages, close = await peer.drain()
        assert messages == [str(number) for number in range(10)]
        assert close is not None
        assert (close.code, close.reason) == (1009, "Message too big.")


@pytest.mark.parametrize(
    ("frame", "codes"),
    [
        (b"\x81\x01x", {1002}),  # no mask
        (b"\xf1\x80\0\0\0\0", {1002}),  # reserved bits
        (b"\x83\x80\0\0\0\0", {1002}),  # reserved opcode
        (b"\x80\x80\0\0\0\0", {1002}),  # continuation of nothing
        (b"\x89\xfe\x00\x7e\0\0\0\0", {1002}),  # a ping of 126 bytes
        (b"\x81\x82\0\0\0\0\xc3\x28", {1007}),  # not UTF-8
        (b"\x88\x81\0\0\0\0\x03", {1002}),  # half a close code
    ],
)
async def test_broken_framing_is_closed_with_its_code(
    engine: EngineName, frame: bytes, codes: set[int]
) -> None:
    ends = Log()
    wynd = Wynd(engine=engine)
    wynd.on_disconnect(lambda event: ends.append(event.code))
    async with serving(wynd) as port, await RawPeer.connect(port) as peer:
        await peer.send_bytes(frame)
        _, close = await peer.drain()
        assert close is not None
        assert close.code in codes
        peer.leave()
        await ends.length(1)
        assert ends == [1006] or set(ends) <= codes


async def test_statistics_count_what_happened(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)
    wynd.on_text(lambda message, handle: handle.send_text(message.data * 2))
    async with serving(wynd) as port:
        async with connect(port) as client:
            await client.send("four")
            assert await client.recv() == "fourfour"
            assert wynd.statistics().connections_open == 1
        await eventually(lambda: wynd.statistics().connections_open == 0)
        counted = wynd.statistics()
        assert counted.engine == engine
        assert counted.closes == {1000: 1}
        assert (counted.messages_received, counted.messages_sent) == (1, 1)
        assert counted.bytes_received >= 4
        assert counted.bytes_sent >= 10
        assert counted.outbox_bytes == 0
        assert counted.connections_accepted == 1


async def test_ping_measures_or_says_that_it_cannot(engine: EngineName) -> None:
    """ASGI has no pings: the portable engine says so, the native one answers in seconds."""
    wynd = Wynd(engine=engine)
    async with serving(wynd) as port, connect(port):
        await eventually(lambda: wynd.clients())
        ping = wynd.clients()[0].ping()
        if engine == "native":
            assert 0 <= await ping < 5
        else:
            with pytest.raises(EngineUnavailable, match="portable engine cannot ping"):
                await ping


async def test_pings_of_the_peer_are_answered(engine: EngineName) -> None:
    async with serving(Wynd(engine=engine)) as port, connect(port) as client:
        waiters = [await client.ping(b"%d" % number) for number in range(10)]
        async with asyncio.timeout(5):
            for waiter in waiters:
                await waiter
