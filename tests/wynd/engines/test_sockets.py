"""Listening sockets: all or none, one port, and Unix files that are ours only."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from wynd.engines.base import ListenerOptions
from wynd.engines.sockets import address_of, close_sockets, open_sockets, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Give a list whose sockets are closed at the end."""
    sockets: list[socket.socket] = []
    yield sockets
    close_sockets(sockets)


async def open_for(opened: list[socket.socket], **options: Any) -> list[Any]:
    """Open a listener, have it closed at the end, and return its addresses."""
    sockets = await open_sockets(ListenerOptions(**options))
    opened += sockets
    return [address_of(sock) for sock in sockets]


def descriptors() -> int:
    """Return how many descriptors this process has open, 0 where it cannot be told."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def has_ipv6() -> bool:
    """Tell whether ::1 exists here."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_localhost_is_both_loopbacks_on_one_port(opened: list[socket.socket]) -> None:
    addresses = await open_for(opened, port=0)
    assert [host for host, _ in addresses] == ["127.0.0.1", *(["::1"] if has_ipv6() else [])]
    assert len({port for _, port in addresses}) == 1
    assert all(not sock.getblocking() for sock in opened)


async def test_a_list_names_each_address_once(opened: list[socket.socket]) -> None:
    addresses = await open_for(opened, port=0, host=["127.0.0.1", "127.0.0.1", "127.0.0.2"])
    assert [host for host, _ in addresses] == ["127.0.0.1", "127.0.0.2"]


async def test_empty_means_every_interface(opened: list[socket.socket]) -> None:
    addresses = await open_for(opened, port=0, host="")
    assert addresses[0][0] == "0.0.0.0"


async def test_a_port_in_use_is_named_and_leaves_nothing_open(
    opened: list[socket.socket],
) -> None:
    ((_, port),) = await open_for(opened, port=0, host="127.0.0.2")
    before = descriptors()
    with pytest.raises(OSError, match=rf"127\.0\.0\.2:{port}") as caught:
        await open_for(opened, port=port, host=["127.0.0.9", "127.0.0.2"])
    assert caught.value.errno == errno.EADDRINUSE
    assert descriptors() == before


async def test_an_unknown_host_is_named(opened: list[socket.socket]) -> None:
    with pytest.raises(OSError, match="nowhere"):
        await open_for(opened, port=0, host="nowhere.invalid")


async def test_no_host_at_all_is_an_error(opened: list[socket.socket]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await open_for(opened, port=0, host=[])


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system has no SO_REUSEPORT")
async def test_reuse_port_shares_the_port(opened: list[socket.socket]) -> None:
    ((_, port),) = await open_for(opened, port=0, host="127.0.0.1", reuse_port=True)
    assert await open_for(opened, port=port, host="127.0.0.1", reuse_port=True) == [
        ("127.0.0.1", port)
    ]
    with pytest.raises(OSError, match="cannot listen"):
        await open_for(opened, port=port, host="127.0.0.1")


async def test_a_given_socket_is_taken_over(opened: list[socket.socket]) -> None:
    given = socket.socket()
    given.bind(("127.0.0.1", 0))
    await open_for(opened, sock=given)
    assert opened == [given]
    with socket.create_connection(given.getsockname()):
        pass


async def test_a_datagram_socket_is_refused(opened: list[socket.socket]) -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as given,
        pytest.raises(ValueError, match="stream socket"),
    ):
        await open_for(opened, sock=given)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
class TestUnixSockets:
    async def test_the_file_is_made_and_removed(self, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        sockets = await open_sockets(ListenerOptions(uds=path))
        assert address_of(sockets[0]) == path
        close_sockets(sockets)
        close_sockets(sockets)
        assert os.listdir(tmp_path) == []

    async def test_what_a_dead_server_left_is_replaced(
        self, tmp_path: Path, opened: list[socket.socket]
    ) -> None:
        path = str(tmp_path / "s")
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(path)
        dead.close()
        assert await open_for(opened, uds=path) == [path]

    async def test_a_living_server_is_left_alone(
        self, tmp_path: Path, opened: list[socket.socket]
    ) -> None:
        path = str(tmp_path / "s")
        await open_for(opened, uds=path)
        with pytest.raises(OSError, match=r"s") as caught:
            await open_for(opened, uds=path)
        assert caught.value.errno == errno.EADDRINUSE
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)

    async def test_a_plain_file_is_never_removed(
        self, tmp_path: Path, opened: list[socket.socket]
    ) -> None:
        file = tmp_path / "precious"
        file.write_text("data")
        with pytest.raises(OSError, match="precious"):
            await open_for(opened, uds=str(file))
        assert file.read_text() == "data"

    async def test_the_file_of_a_successor_is_never_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        (sock,) = await open_sockets(ListenerOptions(uds=str(path)))
        ours = path_of(sock)
        assert ours is not None
        path.unlink()
        path.write_text("a successor's")
        ours.unlink()
        assert path.exists()
        sock.close()
