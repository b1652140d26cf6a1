"""uvicorn inside the process: what it starts with, and that it ends without a trace."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from typing import Any

import pytest

from tests.contracts.peers import RawPeer
from tests.wynd.engines.hosts import settle, until
from wynd import Limits, Wynd
from wynd.engines.hosting import Host


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept and answer nothing; end with the peer."""
    while (await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.accept"})


def listening() -> socket.socket:
    """Return a listening socket on a free port."""
    return socket.create_server(("127.0.0.1", 0))


async def test_it_leaves_signals_and_root_logging_alone() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = list(logging.getLogger().handlers)
    host = Host(echo, [listening()], Limits())
    await host.start()
    assert {number: signal.getsignal(number) for number in before} == before
    assert logging.getLogger().handlers == handlers
    await host.stop()


async def test_stop_ends_listeners_connections_and_tasks() -> None:
    sock = listening()
    port = sock.getsockname()[1]
    host = Host(echo, [sock], Limits())
    await host.start()
    peer = await RawPeer.connect(port)
    silent = await RawPeer.dial(port)
    await host.stop()
    assert await peer.read_all() == b""
    assert await silent.read_all() == b""
    peer.leave()
    silent.leave()
    with pytest.raises(ConnectionRefusedError):
        await RawPeer.dial(port)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_stop_listening_keeps_connections() -> None:
    sock = listening()
    port = sock.getsockname()[1]
    host = Host(echo, [sock], Limits())
    await host.start()
    async with await RawPeer.connect(port) as peer:
        host.stop_listening()
        host.stop_listening()
        with pytest.raises(ConnectionRefusedError):
            await RawPeer.dial(port)
        await peer.send_bytes(b"\x89\x80\0\0\0\0")  # a ping
        peer_is_served = asyncio.ensure_future(peer.close())
        await peer_is_served
        await peer.drain()
    await host.stop()


async def test_a_head_over_the_limit_is_cut() -> None:
    wynd = Wynd(engine="portable", limits=Limits(head_bytes_max=4096))
    async with wynd.serving(0, host="127.0.0.1"):
        address = wynd.addresses[0]
        assert isinstance(address, tuple)
        async with await RawPeer.dial(address[1]) as peer:
            await peer.send_bytes(b"GET / HTTP/1.1\r\nX: " + b"x" * 8192)
            answer = await peer.read_all()
            assert answer.startswith(b"HTTP/1.1 4")


async def test_accepted_sockets_give_up_on_dead_peers() -> None:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        pytest.skip("this system has no TCP_USER_TIMEOUT")
    sock = listening()
    host = Host(echo, [sock], Limits(outbox_stall_s=7.5))
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7500
    await host.start()
    await host.stop()


async def test_a_close_is_over_when_the_transport_ended() -> None:
    """uvicorn would report it as soon as the close frame is sent."""
    wynd = Wynd(engine="portable")
    ends: list[tuple[int, str]] = []
    wynd.on_disconnect(lambda event: ends.append((event.code, event.reason)))
    async with wynd.serving(0, host="127.0.0.1"):
        address = wynd.addresses[0]
        assert isinstance(address, tuple)
        async with await RawPeer.connect(address[1]) as peer:
            await until(lambda: wynd.clients())
            closing = wynd.clients()[0].close(4000, "go")
            assert not closing.done()
            await settle(50)
            assert ends == []
            await peer.drain()  # answers
            await closing
            await until(lambda: ends)
            assert ends == [(4000, "go")]


async def test_a_peer_that_never_answers_the_close_is_1006() -> None:
    wynd = Wynd(engine="portable", limits=Limits(close_timeout_s=0.05))
    ends: list[int] = []
    wynd.on_disconnect(lambda event: ends.append(event.code))
    async with wynd.serving(0, host="127.0.0.1"):
        address = wynd.addresses[0]
        assert isinstance(address, tuple)
        async with await RawPeer.connect(address[1]):
            await until(lambda: wynd.clients())
            await wynd.clients()[0].close(4000, "go")
            await until(lambda: ends)
            assert ends == [1006]


async def test_broken_framing_is_answered_with_its_code() -> None:
    wynd = Wynd(engine="portable")
    codes: list[int] = []
    wynd.on_disconnect(lambda event: codes.append(event.code))
    async with wynd.serving(0, host="127.0.0.1"):
        address = wynd.addresses[0]
        assert isinstance(address, tuple)
        async with await RawPeer.connect(address[1]) as peer:
            await peer.send_bytes(b"\x81\x82\0\0\0\0\xc3\x28")
            _, close = await peer.drain()
            assert close is not None
            assert (close.code, close.reason) == (1007, "Invalid data.")
            await until(lambda: codes)
            assert codes == [1006]  # the peer itself sent no close frame
