"""The test kit: clients in memory, over both engines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.waiting import eventually
from wynd import (
    Accept,
    ConnectionClosed,
    ConnectionHandle,
    Limits,
    Reject,
    Request,
    Response,
    TextMessage,
    Wynd,
)
from wynd.testing import FakeClock, Refused, serve


def echo(engine: Any, **options: Any) -> Wynd:
    """Return an application that echoes and closes on demand."""
    app = Wynd(engine=engine, **options)

    @app.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        if message.data == "close":
            await handle.close(4000, "as you wish")
        else:
            await handle.send_text(f"Echo: {message.data}")

    app.on_binary(lambda message, handle: handle.send_binary(message.data))
    return app


async def test_text_and_binary_come_back(engine: Any) -> None:
    async with serve(echo(engine)) as server:
        client = await server.connect("/chat?room=1")
        await client.send_text("")
        assert await client.receive_text() == "Echo: "
        await client.send_binary(b"\0")
        assert await client.receive_binary() == b"\0"
        await client.send_text("x")
        with pytest.raises(AssertionError, match="expected a binary"):
            await client.receive_binary()


async def test_receiving_has_a_timeout(engine: Any) -> None:
    async with serve(echo(engine)) as server:
        client = await server.connect()
        with pytest.raises(TimeoutError):
            await client.receive(timeout=0.01)


async def test_both_sides_may_close(engine: Any) -> None:
    app = echo(engine)
    codes: list[tuple[int, str]] = []
    gone = asyncio.Event()

    @app.on_disconnect
    def closed(event: Any) -> None:
        codes.append((event.code, event.reason))
        gone.set()

    async with serve(app) as server:
        client = await server.connect()
        await client.send_text("close")
        assert await client.wait_closed() == (4000, "as you wish")
        with pytest.raises(ConnectionClosed):
            await client.send_text("late")
        with pytest.raises(ConnectionClosed):
            await client.receive()
        await asyncio.wait_for(gone.wait(), 5)
        gone.clear()
        client = await server.connect()
        await client.close(4001, "bye")
        await asyncio.wait_for(gone.wait(), 5)
        gone.clear()
        client = await server.connect()
        client.abort()
        await asyncio.wait_for(gone.wait(), 5)
    assert codes == [(4000, ""), (4001, "bye"), (1006, "")] or codes[1:] == [
        (4001, "bye"),
        (1006, ""),
    ]


async def test_a_refusal_tells_status_and_body(engine: Any) -> None:
    app = echo(engine)

    @app.on_request
    def decide(request: Request) -> Any:
        if request.path == "/no":
            return Response("not you", status=401)
        return Accept(subprotocol="chat")

    async with serve(app) as server:
        with pytest.raises(Refused) as refused:
            await server.connect("/no")
        assert (refused.value.status, refused.value.body) == (401, b"not you")
        client = await server.connect("/yes", subprotocols=["chat", "other"])
        assert client.subprotocol == "chat"


async def test_headers_reach_the_request_and_origins_are_checked(engine: Any) -> None:
    app = echo(engine)
    seen: list[str] = []
    app.on_open(lambda handle: seen.append(handle.request.cookies["id"]))
    async with serve(app) as server:
        await server.connect(headers={"Cookie": "id=7", "Origin": "http://localhost"})
        with pytest.raises(Refused) as refused:
            await server.connect(headers={"Origin": "http://elsewhere.example"})
        assert refused.value.status == 403
    assert seen == ["7"]


async def test_middleware_rejects_with_its_code(engine: Any) -> None:
    app = echo(engine)

    @app.use_middleware
    async def guard(conn: Any, handle: Any, next: Any) -> None:
        raise Reject(4003, "closed club")

    async with serve(app) as server:
        client = await server.connect()
        assert await client.wait_closed() == (4003, "closed club")


async def test_a_slow_reader_fills_its_outbox_and_drains_it(engine: Any) -> None:
    limits = Limits(outbox_bytes_soft=64 << 10, outbox_bytes_hard=64 << 20)
    app = Wynd(engine=engine, limits=limits)
    handles: list[ConnectionHandle] = []
    app.on_open(handles.append)
    async with serve(app) as server:
        client = await server.connect()
        client.pause_reading()
        await eventually(lambda: handles)
        count = 0
        sent = handles[0].send_text("x" * 10_000)
        while sent.done():
            await sent
            await asyncio.sleep(0)
            count += 1
            assert count < 10_000
            sent = handles[0].send_text("x" * 10_000)
        assert handles[0].buffered_bytes >= 64 << 10
        client.resume_reading()
        await asyncio.wait_for(asyncio.ensure_future(_wait(sent)), 5)
        for _ in range(count + 1):
            assert len(await client.receive_text()) == 10_000


async def _wait(sent: Any) -> None:
    await sent


async def test_a_fake_clock_makes_keepalive_take_no_time() -> None:
    pytest.importorskip("wynd._engine", reason="the native engine is not built")
    clock = FakeClock()
    app = echo("native")
    codes: list[int] = []
    gone = asyncio.Event()

    @app.on_disconnect
    def closed(event: Any) -> None:
        codes.append(event.code)
        gone.set()

    async with serve(app, clock=clock) as server:
        alive, frozen = await server.connect(), await server.connect()
        frozen.pause_reading()
        for _ in range(8):
            clock.advance(5)
            await alive.send_text("still here")
            assert await alive.receive_text() == "Echo: still here"
        await asyncio.wait_for(gone.wait(), 5)
        assert len(app.clients()) == 1
    assert codes[0] == 1006


def test_a_fake_clock_runs_timers_on_their_moment() -> None:
    clock = FakeClock(start=0.0)
    seen: list[tuple[str, float]] = []
    clock.call_later(2, lambda: seen.append(("second", clock.time())))
    clock.call_later(1, lambda: seen.append(("first", clock.time())))
    cancelled = clock.call_later(1, lambda: seen.append(("never", clock.time())))
    cancelled.cancel()
    clock.advance(1.5)
    assert seen == [("first", 1.0)]
    clock.advance(1.0)
    assert seen == [("first", 1.0), ("second", 2.0)]
    assert clock.time() == 2.5
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


@pytest.mark.parametrize("compression", ["off", "shared", "dedicated"])
async def test_a_client_that_offers_compression_uses_what_the_server_takes(
    engine: Any, compression: Any
) -> None:
    wynd = Wynd(engine=engine, compression=compression)
    wynd.on_text(lambda message, handle: handle.send_text(message.data))
    async with serve(wynd) as server:
        client = await server.connect(compression=True)
        assert client.is_compressed == (engine == "native" and compression != "off")
        assert not (await server.connect()).is_compressed
        for text in ("again and " * 500, "short", "again and " * 500):
            await client.send_text(text)
            assert await client.receive_text() == text
        expected = 2 if client.is_compressed else 0
        assert wynd.statistics().messages_deflated == expected
