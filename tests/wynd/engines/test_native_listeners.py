"""Listeners of the native engine: names, families, Unix sockets, and what a failure leaves."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.conftest import NATIVE_IS_BUILT
from wynd.limits import Limits

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from tests.wynd.engines.native_kit import Peer, open_descriptors, serving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("native_engine")


def has_ipv6() -> bool:
    """Tell whether ::1 exists here."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_localhost_is_loopback_of_both_families_on_one_port() -> None:
    async with serving() as served:
        addresses = await served.listen(port=0)
        hosts = ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"]
        assert [host for host, _ in addresses] == hosts
        assert len({port for _, port in addresses}) == 1
        for address in addresses:
            await (await served.connect(address)).open()
        opened = await served.sink.wait("opened", len(hosts))
        assert [request.client.host for _, request, _ in opened] == hosts


async def test_a_list_of_hosts_listens_on_each() -> None:
    async with serving() as served:
        addresses = await served.listen(port=0, host=["127.0.0.1", "127.0.0.2"])
        assert [host for host, _ in addresses] == ["127.0.0.1", "127.0.0.2"]
        for address in addresses:
            await (await served.connect(address)).open()


async def test_several_listeners_are_told_apart_and_stopped_alone() -> None:
    async with serving() as served:
        (one,) = await served.listen(4, port=0, host="127.0.0.1", asks=True)
        (two,) = await served.listen(5, port=0, host="127.0.0.1", asks=True)
        for number, address in ((5, two), (4, one)):
            (await served.connect(address)).ask(f"/{number}")
            requested = await served.sink.wait("requested", 6 - number)
            assert requested[-1][1] == number
        await served.engine.stop_listening(4)
        with pytest.raises(ConnectionRefusedError):
            await served.connect(one)
        await served.connect(two)


async def test_a_port_in_use_is_an_error_that_leaves_nothing_open() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        async with serving() as served:
            before = open_descriptors()
            with pytest.raises(OSError, match=rf"cannot listen on 127.0.0.1:{port}"):
                await served.listen(port=port)
            with pytest.raises(OSError, match="cannot listen"):
                await served.listen(port=port, host=["127.0.0.3", "127.0.0.1"])
            assert open_descriptors() == before


async def test_the_same_address_twice_is_an_error() -> None:
    async with serving() as served:
        ((host, port),) = await served.listen(1, port=0, host="127.0.0.1")
        with pytest.raises(OSError, match="in use"):
            await served.listen(2, port=port, host=host)
        await (await served.connect((host, port))).open()


async def test_a_bound_socket_is_taken_over() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    name = sock.getsockname()
    async with serving() as served:
        assert await served.listen(sock=sock) == (name,)
        assert sock.fileno() == -1
        await (await served.connect(name)).open()


async def test_a_unix_socket_is_removed_when_its_listener_stops(tmp_path: Path) -> None:
    path = str(tmp_path / "wynd.sock")
    async with serving() as served:
        assert await served.listen(uds=path) == (path,)
        await (await served.connect(path)).open()
        ((_, request, _),) = await served.sink.wait("opened")
        assert (request.client.host, request.client.port) == ("", None)
        with pytest.raises(OSError, match="cannot listen"):
            await served.listen(1, uds=path)
        await (await served.connect(path)).open()
        await served.engine.stop_listening(0)
    with pytest.raises(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)


async def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "wynd.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    async with serving() as served:
        await served.listen(uds=path)
        await (await served.connect(path)).open()


async def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("precious")
    async with serving() as served:
        with pytest.raises(OSError, match="cannot listen"):
            await served.listen(uds=str(path))
    assert path.read_text() == "precious"


async def test_processes_may_share_a_port() -> None:
    async with serving() as served:
        ((host, port),) = await served.listen(1, port=0, host="127.0.0.1", reuse_port=True)
        assert await served.listen(2, port=port, host=host, reuse_port=True) == ((host, port),)


async def test_connections_of_one_address_are_bounded_by_429() -> None:
    async with serving(Limits(connections_per_address_max=2)) as served:
        (address,) = await served.listen(port=0, host="127.0.0.1", proxies=("127.0.0.1",))

        async def ask_as(client: str) -> Peer:
            peer = await served.connect(address)
            peer.sock.send(f"PROXY TCP4 {client} 192.0.2.99 40000 443\r\n".encode())
            peer.ask()
            await peer.wait(lambda: b"\r\n\r\n" in peer.head)
            return peer

        peers = [await ask_as("192.0.2.1") for _ in range(3)]
        statuses = [peer.head.split()[1] for peer in peers]
        assert statuses == [b"101", b"101", b"429"]
        await peers[2].ended()
        assert b"\r\nRetry-After: 5\r\n" in peers[2].head
        assert peers[2].head.endswith(b"Too many connections from this address.\n")
        assert (await ask_as("192.0.2.2")).head.split()[1] == b"101"
        counted = served.engine.statistics()
        assert counted.limits_hit == {"connections_per_address_max": 1}
