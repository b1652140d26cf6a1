"""Where a server listens, over both engines."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
import websockets

from tests.contracts.peers import EngineName, Log, connect, eventually, port_of
from wynd import ConnectionHandle, Wynd

if TYPE_CHECKING:
    from pathlib import Path


def greeting(engine: EngineName) -> Wynd:
    """Return a server that says where its clients come from."""
    wynd = Wynd(engine=engine)

    @wynd.on_open
    async def opened(handle: ConnectionHandle) -> None:
        await handle.send_text(f"hello {handle.addr}")

    return wynd


async def test_the_default_is_loopback_only(engine: EngineName) -> None:
    wynd = greeting(engine)
    async with wynd.serving(0):
        hosts = {address[0] for address in wynd.addresses}
        assert "127.0.0.1" in hosts
        assert hosts <= {"127.0.0.1", "::1"}
        assert len({address[1] for address in wynd.addresses}) == 1
        for address in wynd.addresses:
            host, port = str(address[0]), address[1]
            shown = f"[{host}]" if ":" in host else host
            async with websockets.connect(f"ws://{shown}:{port}", proxy=None) as client:
                assert str(await client.recv()).startswith(f"hello {shown}:")


async def test_on_listening_tells_the_addresses(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)
    told = Log()
    listening = asyncio.ensure_future(wynd.listen(0, told.append, host="127.0.0.1"))
    await told.length(1)
    assert told == [wynd.addresses]
    async with connect(port_of(wynd)):
        await eventually(lambda: wynd.clients())
        await wynd.stop()
        await listening


async def test_several_listeners_share_connections_and_rooms(engine: EngineName) -> None:
    wynd = greeting(engine)
    wynd.on_open(lambda handle: handle.join("room"))
    async with wynd.serving(0, host="127.0.0.1"):
        first = port_of(wynd)
        second_listening = asyncio.ensure_future(wynd.listen(0, host="127.0.0.1"))
        await eventually(lambda: len(wynd.addresses) == 2)
        second = int(wynd.addresses[1][1])
        async with connect(first) as a, connect(second) as b:
            await a.recv()
            await b.recv()
            await eventually(lambda: len(wynd.clients()) == 2)
            wynd.to("room").text("everybody")
            assert [await a.recv(), await b.recv()] == ["everybody", "everybody"]
            second_listening.cancel()
            await asyncio.gather(second_listening, return_exceptions=True)
            with pytest.raises(ConnectionRefusedError):
                await connect(second)
            wynd.to("room").text("connections go on")
            assert await b.recv() == "connections go on"


async def test_a_port_in_use_is_an_error_that_names_it(engine: EngineName) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wynd = Wynd(engine=engine)
        with pytest.raises(OSError, match=str(port)) as caught:
            await wynd.listen(port, host="127.0.0.1")
        assert caught.value.errno == errno.EADDRINUSE
        assert wynd.addresses == ()


async def test_a_second_listen_on_the_same_address_is_an_error(engine: EngineName) -> None:
    wynd = greeting(engine)
    async with wynd.serving(0, host="127.0.0.1"):
        port = port_of(wynd)
        for reuse_port in (False, True):
            with pytest.raises(OSError, match=str(port)):
                await wynd.listen(port, host="127.0.0.1", reuse_port=reuse_port)
        async with connect(port) as client:
            assert str(await client.recv()).startswith("hello")


async def test_a_bound_socket_is_served(engine: EngineName) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    wynd = greeting(engine)
    async with wynd.serving(sock=sock):
        assert wynd.addresses == (("127.0.0.1", port),)
        async with connect(port) as client:
            assert str(await client.recv()).startswith("hello")
    with pytest.raises(ConnectionRefusedError):
        await connect(port)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
async def test_a_unix_socket_is_served_and_removed(engine: EngineName, tmp_path: Path) -> None:
    path = str(tmp_path / "wynd.sock")
    wynd = Wynd(engine=engine)
    handles: list[Any] = []
    wynd.on_open(handles.append)
    async with wynd.serving(uds=path):
        assert wynd.addresses == (path,)
        async with websockets.unix_connect(path, "ws://localhost/x") as client:
            await eventually(lambda: handles)
            assert (handles[0].addr.port, handles[0].request.path) == (None, "/x")
            handles[0].send_text("through a file")
            assert await client.recv() == "through a file"
    assert os.listdir(tmp_path) == []
