"""How connections and servers end, over both engines: codes, order, exactly once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed as ClientSawClose

from tests.contracts.peers import EngineName, Log, RawPeer, connect, eventually, serving
from wynd import (
    CloseEvent,
    Connection,
    ConnectionClosed,
    ConnectionHandle,
    ConnState,
    Limits,
    TextMessage,
    Wynd,
)


def recording(engine: EngineName, **options: Any) -> tuple[Wynd, Log]:
    """Return a server and the log of its `on_disconnect`: code and reason."""
    wynd, log = Wynd(engine=engine, **options), Log()
    wynd.on_disconnect(lambda event: log.append((event.code, event.reason)))
    return wynd, log


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, ""), (1000, "bye"), (1001, ""), (1011, "ü" * 61), (3000, "x"), (4999, "y")],
)
async def test_the_application_sees_the_peers_code(
    engine: EngineName, code: int, reason: str
) -> None:
    wynd, log = recording(engine)
    async with serving(wynd) as port, connect(port) as client:
        await client.close(code, reason)
        assert await log.length(1) == [(code, reason)]
        assert client.close_code == code


async def test_a_close_frame_without_a_code_is_1005(engine: EngineName) -> None:
    wynd, log = recording(engine)
    async with serving(wynd) as port, await RawPeer.connect(port) as peer:
        await peer.close(None)
        messages, close = await peer.drain()
        assert await log.length(1) == [(1005, "")]
        assert messages == []
        assert close is not None
        assert close.code in (1005, 1000)  # answered empty; a host server may say 1000


@pytest.mark.parametrize("how", ["reset", "leave"])
async def test_a_transport_that_ends_without_a_close_frame_is_1006(
    engine: EngineName, how: str
) -> None:
    seen = Log()
    wynd, log = recording(engine)
    wynd.on_disconnect(lambda event: seen.append((event.clean, event.sent)))
    async with serving(wynd) as port:
        peer = await RawPeer.connect(port)
        await peer.send_text("one last word")
        getattr(peer, how)()
        assert await log.length(1) == [(1006, "")]
        assert seen == [(False, None)]
        assert wynd.clients() == []


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "x"), (1008, "ü"), (4000, "no")])
async def test_the_peer_sees_the_applications_code(
    engine: EngineName, code: int, reason: str
) -> None:
    wynd, log = recording(engine)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        handle.send_text("last")
        await handle.close(code, reason)

    async with serving(wynd) as port, connect(port) as client:
        await client.send("")
        assert await client.recv() == "last"
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (code, reason)
        await log.length(1)
        assert log[0][0] == code


async def test_wrong_codes_are_refused_at_the_call(engine: EngineName) -> None:
    wynd, log = recording(engine)
    async with serving(wynd) as port, connect(port) as client:
        await eventually(lambda: wynd.clients())
        handle = wynd.clients()[0]
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
            with pytest.raises(ValueError, match="cannot be sent"):
                handle.close(code)
        with pytest.raises(ValueError, match="124 bytes"):
            handle.close(1000, "x" * 124)
        assert handle.state is ConnState.OPEN
        await client.close()
        await log.length(1)


async def test_closing_in_on_open_sends_what_was_queued(engine: EngineName) -> None:
    wynd, log = recording(engine)

    @wynd.on_open
    def opened(handle: ConnectionHandle) -> None:
        handle.send_text("full")
        handle.close(1013, "try later")
        handle.close(1000, "second is no error and no frame")

    async with serving(wynd) as port, connect(port) as client:
        assert await client.recv() == "full"
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1013, "try later")
        assert len(await log.length(1)) == 1


async def test_closing_in_on_connection_is_possible(engine: EngineName) -> None:
    wynd, log = recording(engine)
    wynd.on_connection(lambda conn: conn.handle.close(4001, "not now"))
    async with serving(wynd) as port, connect(port) as client:
        await client.wait_closed()
        assert client.close_code == 4001
        await log.length(1)


async def test_sending_to_a_closed_connection_raises_when_awaited(engine: EngineName) -> None:
    wynd, log = recording(engine)
    handles = Log()
    wynd.on_open(handles.append)
    async with serving(wynd) as port:
        async with connect(port):
            await handles.length(1)
        await log.length(1)
        handle = handles[0]
        assert handle.state is ConnState.CLOSED
        not_awaited = handle.send_text("no error here")
        for sent in (not_awaited, handle.send_binary(b""), handle.join("room"), handle.ping()):
            with pytest.raises(ConnectionClosed) as caught:
                await sent
            assert caught.value.received == 1000
        await handle.close()
        assert wynd.statistics().sends_failed == 4


async def test_sending_after_close_raises(engine: EngineName) -> None:
    seen = Log()
    wynd, log = recording(engine)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        handle.close(1000)
        try:
            await handle.send_text("too late")
        except ConnectionClosed as error:
            seen.append((error.sent, handle.state))

    async with serving(wynd) as port, connect(port) as client:
        await client.send("")
        assert await seen.length(1) == [(1000, ConnState.CLOSING)]
        with pytest.raises(ClientSawClose):
            await client.recv()
        await log.length(1)


async def test_messages_before_the_close_are_handled_before_on_close(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    def connected(conn: Connection) -> None:
        @conn.on_text
        async def text(message: TextMessage) -> None:
            await asyncio.sleep(0)
            seen.append(message.data)

        @conn.on_close
        async def closed(event: CloseEvent) -> None:
            await asyncio.sleep(0)
            seen.append(event.code)

    async with serving(wynd) as port:
        async with connect(port) as client:
            for number in range(50):
                await client.send(str(number))
        assert await seen.length(51) == [*map(str, range(50)), 1000]


async def test_a_running_handler_goes_on_and_its_sends_raise(engine: EngineName) -> None:
    release = asyncio.Event()
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        seen.append("started")
        await release.wait()
        try:
            await handle.send_text("gone?")
        except ConnectionClosed:
            seen.append("refused")

    wynd.on_disconnect(lambda event: seen.append("closed"))
    async with serving(wynd) as port:
        async with connect(port) as client:
            await client.send("")
            await seen.length(1)
        await eventually(lambda: wynd.clients() == [])
        assert seen == ["started"]
        release.set()
        assert await seen.length(3) == ["started", "refused", "closed"]


async def test_a_handler_that_outlives_the_close_is_cancelled(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine, limits=Limits(close_timeout_s=0.05))

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        seen.append("started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    wynd.on_disconnect(lambda event: seen.append("closed"))
    async with serving(wynd) as port:
        async with connect(port) as client:
            await client.send("")
            await seen.length(1)
        assert await seen.length(3) == ["started", "cancelled", "closed"]


async def test_on_close_runs_exactly_once_for_each_ending(engine: EngineName) -> None:
    endings = Log()
    wynd = Wynd(engine=engine)
    wynd.on_disconnect(lambda event, handle: endings.append(handle.id))

    @wynd.on_text
    def kick(message: TextMessage, handle: ConnectionHandle) -> None:
        handle.close(1000)
        handle.close(1008)

    async with serving(wynd) as port:
        peers = [await RawPeer.connect(port) for _ in range(40)]
        await eventually(lambda: len(wynd.clients()) == 40)
        for number, peer in enumerate(peers):
            match number % 4:
                case 0:
                    await peer.close()
                case 1:
                    peer.reset()
                case 2:
                    await peer.send_text("kick me")
                case 3:
                    await peer.send_text("kick me")
                    await peer.close()
                    peer.leave()
        for number, peer in enumerate(peers):
            if number % 4 in (0, 2):
                await peer.drain()
                peer.leave()
        await endings.length(40)
    assert sorted(endings) == list(range(1, 41))


@pytest.mark.parametrize(
    ("code", "reason"), [(1001, "Server is stopping."), (4007, ""), (1008, "Limit exceeded.")]
)
async def test_stop_closes_with_its_code_and_sentence(
    engine: EngineName, code: int, reason: str
) -> None:
    wynd, log = recording(engine)
    async with serving(wynd) as port, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(port)) for _ in range(5)]
        await eventually(lambda: len(wynd.clients()) == 5)
        await wynd.stop(code)
        for client in clients:
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (code, reason)
        assert len(log) == 5
        assert wynd.addresses == ()
        with pytest.raises(OSError, match="onnect"):
            await connect(port)


async def test_a_restart_tells_each_client_when_to_come_back(engine: EngineName) -> None:
    wynd, _ = recording(engine)
    async with serving(wynd) as port, connect(port) as client:
        await eventually(lambda: wynd.clients())
        await wynd.stop(1012, retry_after=(3, 3))
        await client.wait_closed()
        assert client.close_code == 1012
        assert client.close_reason == "Server is restarting. retry_after=3"


async def test_what_was_sent_before_stop_arrives(engine: EngineName) -> None:
    wynd, _ = recording(engine)
    async with serving(wynd) as port, connect(port, max_size=None) as client:
        await eventually(lambda: wynd.clients())
        for _ in range(10):
            wynd.clients()[0].send_text("x" * 20_000)
        stopping = asyncio.create_task(wynd.stop())
        for _ in range(10):
            assert len(await client.recv()) == 20_000
        await client.wait_closed()
        assert client.close_code == 1001
        await stopping


async def test_a_peer_that_ignores_the_close_is_aborted(engine: EngineName) -> None:
    wynd, log = recording(engine, limits=Limits(close_timeout_s=0.1))
    async with serving(wynd) as port, await RawPeer.connect(port):
        await eventually(lambda: wynd.clients())
        await wynd.clients()[0].close(1000)
        await log.length(1)
        assert wynd.clients() == []


async def test_a_server_can_listen_again_after_stop(engine: EngineName) -> None:
    wynd, log = recording(engine)
    for round_number in (1, 2):
        async with serving(wynd) as port, connect(port) as client:
            await client.close()
            await log.length(round_number)
